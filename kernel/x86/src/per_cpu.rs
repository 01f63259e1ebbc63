//! What each processor has of its own, behind one type.
//!
//! There is one CPU for now. Nothing else in the kernel may assume that: state of a CPU lives in [`PerCpu`], which is reached
//! through the GS base, so that more CPUs are more entries of one array.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use spin::Once;
use x2apic::lapic::LocalApic;
use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;
use x86_64::structures::gdt::GlobalDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;

static CPUS: [PerCpu; 1] = [PerCpu::new(0)];

/// One CPU's own state. [`PerCpu::current`] is that of the CPU which asks.
#[repr(C)]
pub struct PerCpu {
    // First, so that `gs:[0]` reads it.
    this: AtomicPtr<PerCpu>,
    id: u32,
    /// One word for the kernel above, which decides what it means (the address of the CPU's scheduler, say).
    pub kernel: AtomicUsize,
    pub(crate) task_state: Once<TaskStateSegment>,
    pub(crate) descriptors: Once<GlobalDescriptorTable>,
    local_apic: UnsafeCell<Option<LocalApic>>,
}

// SAFETY: all fields but `local_apic` are `Sync` by themselves. `local_apic` is reached only through `with_local_apic`,
// which hands it out on the CPU that the value belongs to, with interrupts off and never nested: one user at a time.
unsafe impl Sync for PerCpu {}

impl PerCpu {
    const fn new(id: u32) -> Self {
        Self {
            this: AtomicPtr::new(ptr::null_mut()),
            id,
            kernel: AtomicUsize::new(0),
            task_state: Once::new(),
            descriptors: Once::new(),
            local_apic: UnsafeCell::new(None),
        }
    }

    /// Points the GS base of the boot CPU at its state. The first thing that the kernel does.
    pub fn install() {
        let [cpu] = &CPUS;
        cpu.this.store(ptr::from_ref(cpu).cast_mut(), Ordering::Relaxed);
        GsBase::write(VirtAddr::from_ptr(cpu));
    }

    /// The state of this CPU. [`PerCpu::install`] must have run.
    #[inline(always)]
    pub fn current() -> &'static PerCpu {
        let this: *const PerCpu;
        // SAFETY: `install` set the GS base to an entry of `CPUS`, whose first word holds its own address. Nothing else
        // writes the GS base, and no code runs before `install`.
        unsafe { core::arch::asm!("mov {}, gs:[0]", out(reg) this, options(nostack, readonly, preserves_flags)) };
        // SAFETY: the pointer is that of an entry of the static array `CPUS` (see above), which lives forever and is
        // only ever shared.
        unsafe { &*this }
    }

    /// This CPU's number, from 0.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Runs `f` on this CPU's local APIC with interrupts off. `f` must not call back into this function.
    #[inline(always)]
    pub(crate) fn with_local_apic<R>(f: impl FnOnce(&mut Option<LocalApic>) -> R) -> R {
        let _off = crate::cpu::InterruptsOff::enter();
        // SAFETY: interrupts are off, so this CPU runs nothing else until `f` returns, and the callers (all in
        // `local_apic`) do not nest: the reference is the only one to this CPU's value. Other CPUs have their own.
        f(unsafe { &mut *Self::current().local_apic.get() })
    }
}
