//! Segment descriptors and the interrupt stacks.
//!
//! A flat code and data segment, and a task state whose interrupt stack table (IST) gives every interrupt a stack that is known to
//! be good, whatever the interrupted code did to its own (AMD64 manual 2, section 8.9.4).

use crate::per_cpu::PerCpu;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, FS, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// The selector of the code segment, also in the trampoline's table.
pub const CODE: u16 = 0x08;
/// The selector of the data segment, also in the trampoline's table.
pub const DATA: u16 = 0x10;

/// The interrupt stacks, by who uses them. The discriminant is the index in the interrupt stack table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stack {
    /// Double fault.
    DoubleFault = 0,
    /// Non-maskable interrupt.
    NonMaskable = 1,
    /// Machine check.
    MachineCheck = 2,
    /// All other exceptions.
    Exception = 3,
    /// Timer and devices.
    Interrupt = 4,
}

impl Stack {
    /// All of them, in the order of the table.
    pub const ALL: [Stack; 5] =
        [Self::DoubleFault, Self::NonMaskable, Self::MachineCheck, Self::Exception, Self::Interrupt];
}

/// The highest address of one of this CPU's interrupt stacks; zero before [`install`].
pub fn stack_top(stack: Stack) -> VirtAddr {
    let tops = PerCpu::current().task_state.get().map(|state| state.interrupt_stack_table);
    tops.and_then(|tops| tops.get(stack as usize).copied()).unwrap_or(VirtAddr::zero())
}

/// Loads this CPU's own descriptor tables, with the given interrupt stacks, and makes every interrupt use them.
///
/// # Safety
/// `tops` are the highest addresses, 16-byte aligned, of five mapped writable stacks (in the order of [`Stack::ALL`]), which
/// nothing else uses and which stay mapped for good.
pub unsafe fn install(tops: [VirtAddr; 5]) {
    let cpu = PerCpu::current();
    let task_state = cpu.task_state.call_once(|| {
        let mut state = TaskStateSegment::new();
        // The structure is packed: its table is assigned as a whole.
        let [double_fault, non_maskable, machine_check, exception, interrupt] = tops;
        let unused = VirtAddr::zero();
        state.interrupt_stack_table = [double_fault, non_maskable, machine_check, exception, interrupt, unused, unused];
        state
    });
    let mut task_selector = None;
    let table = cpu.descriptors.call_once(|| {
        let mut table = GlobalDescriptorTable::new();
        table.append(Descriptor::kernel_code_segment());
        table.append(Descriptor::kernel_data_segment());
        task_selector = Some(table.append(Descriptor::tss_segment(task_state)));
        table
    });
    let Some(task_selector) = task_selector else { crate::bug!("segments are installed once a CPU") };
    table.load();
    let code = x86_64::structures::gdt::SegmentSelector(CODE);
    let data = x86_64::structures::gdt::SegmentSelector(DATA);
    // SAFETY: entry 1 of the table just loaded is a 64-bit ring 0 code segment.
    unsafe { CS::set_reg(code) };
    // SAFETY: entry 2 of the table is a ring 0 data segment, good for any data segment register.
    unsafe { SS::set_reg(data) };
    // SAFETY: as for SS.
    unsafe { DS::set_reg(data) };
    // SAFETY: as for SS.
    unsafe { ES::set_reg(data) };
    // SAFETY: as for SS. GS is left alone: loading it would clear the base that `PerCpu` stands on.
    unsafe { FS::set_reg(data) };
    // SAFETY: the selector is that of the task state's descriptor, loaded once, so it is not busy.
    unsafe { load_tss(task_selector) };
    crate::interrupts::use_stacks();
}
