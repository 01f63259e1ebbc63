//! Interrupt and exception entry.
//!
//! Every vector has a stub that pushes all general registers, so that what was interrupted is one [`TrapFrame`] in memory, and calls
//! [`trap`] with interrupts off on an interrupt stack. Returning restores the frame; a scheduler instead copies it away and
//! continues another with [`resume`], which works from anywhere. The frame's stack pointer is the only reference to the interrupted
//! stack: nothing was written there, not even below the pointer.
//!
//! Vectors: 0..32 exceptions, [`TIMER`], [`EXTERNAL`] + global system interrupt, [`APIC_ERROR`], [`SPURIOUS`].
//!
//! Invariant: handlers run with interrupts off, so entries nest only as an exception inside a handler, or as an NMI, machine
//! check or double fault, each of which has a stack of its own. An exception inside an exception handler is a kernel bug.

use crate::segments::{CODE, Stack};
use crate::{io_apic, local_apic};
use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;

/// The vector of the local APIC's timer.
pub const TIMER: u8 = 0x20;
/// The vector of global system interrupt 0; the others follow.
pub const EXTERNAL: u8 = 0x30;
/// How many global system interrupts have a vector.
pub const EXTERNAL_COUNT: u8 = 24;
/// The vector of errors inside the local APIC.
pub const APIC_ERROR: u8 = 0xfe;
/// The vector of interrupts that went away before they were taken.
pub const SPURIOUS: u8 = 0xff;

/// The breakpoint exception.
pub const BREAKPOINT: u64 = 3;
/// The non-maskable interrupt.
pub const NON_MASKABLE: u64 = 2;
/// The double fault.
pub const DOUBLE_FAULT: u64 = 8;
/// The page fault; its address is `cpu::fault_address()`.
pub const PAGE_FAULT: u64 = 14;
/// The machine check.
pub const MACHINE_CHECK: u64 = 18;

/// All that the interrupted code had in the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs)] // Registers, named as in the manual.
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rax: u64,
    /// Which interrupt or exception it was.
    pub vector: u64,
    /// What the processor says about the exception, or 0.
    pub error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// Who is told. Each runs with interrupts off on an interrupt stack and may return, or leave through [`resume`] after copying
/// the frame: the interrupt is acknowledged before it is called.
#[derive(Clone, Copy)]
pub struct Handlers {
    /// The timer's tick.
    pub timer: fn(&mut TrapFrame),
    /// A device's interrupt, by its global system interrupt. A level-triggered one arrives masked: `io_apic::unmask` it when the
    /// device has been served.
    pub external: fn(u8, &mut TrapFrame),
    /// An exception, NMI and machine check included. To return from a fault is to try the instruction again.
    pub exception: fn(&mut TrapFrame),
}

static HANDLERS: Once<Handlers> = Once::new();

/// Names the handlers, once, before interrupts are turned on.
pub fn set_handlers(handlers: Handlers) {
    HANDLERS.call_once(|| handlers);
}

/// Two words a gate (AMD64 manual 2, figure 4-24).
#[repr(C, align(16))]
struct Table([[AtomicU64; 2]; 256]);

static TABLE: Table = Table([const { [AtomicU64::new(0), AtomicU64::new(0)] }; 256]);

/// Present, ring 0, 64-bit interrupt gate: entered with interrupts off.
const INTERRUPT_GATE: u64 = 0x8e00 << 32;

/// Loads the table, its entries on the current stack: good enough until `segments::install`.
pub fn install() {
    fill(|_| 0);
    let pointer = DescriptorTablePointer { limit: (size_of::<Table>() - 1) as u16, base: VirtAddr::from_ptr(&TABLE) };
    // SAFETY: the table is static, and each of its 256 gates leads to a stub that saves all that it changes. The code selector
    // exists in the trampoline's descriptors and in the kernel's.
    unsafe { lidt(&pointer) };
}

/// Makes every entry use its interrupt stack. The task state that names them is loaded.
pub(crate) fn use_stacks() {
    fill(|vector| {
        let stack = match u64::from(vector) {
            DOUBLE_FAULT => Stack::DoubleFault,
            NON_MASKABLE => Stack::NonMaskable,
            MACHINE_CHECK => Stack::MachineCheck,
            0..32 => Stack::Exception,
            _ => Stack::Interrupt,
        };
        // In a gate 0 means "no switch" and the stacks count from 1.
        stack as u64 + 1
    });
}

fn fill(stack: impl Fn(u8) -> u64) {
    for (vector, [low, high]) in (0..=u8::MAX).zip(&TABLE.0) {
        let stub = &raw const interrupt_stubs as u64 + u64::from(vector) * 16;
        let gate =
            (stub & 0xffff) | u64::from(CODE) << 16 | stack(vector) << 32 | INTERRUPT_GATE | (stub & 0xffff_0000) << 32;
        high.store(stub >> 32, Ordering::Relaxed);
        low.store(gate, Ordering::Relaxed);
    }
}

unsafe extern "C" {
    static interrupt_stubs: u8;
    static interrupt_restore: u8;
    fn interrupt_resume(frame: *const TrapFrame) -> !;
}

/// Continues what a frame describes: loads all registers from it and returns from the interrupt. The frame may stand anywhere.
///
/// # Safety
/// The frame is readable and describes a state that may continue: taken from [`trap`]'s argument and not continued since, or
/// made up with a mapped code address, a stack that nobody else uses, and the selectors of `segments`. The caller's own stack
/// is abandoned: it holds no lock guard, and nothing will look for it.
pub unsafe fn resume(frame: *const TrapFrame) -> ! {
    // SAFETY: the routine turns interrupts off, then reads the frame and iretqs; the caller vouches for the frame.
    unsafe { interrupt_resume(frame) }
}

/// The address that continues a frame on top of the stack: with it in front of the frame, the address of the pair is a context
/// for [`switch`](crate::switch::switch).
pub fn continuation() -> usize {
    &raw const interrupt_restore as usize
}

/// Called by the stubs.
#[unsafe(no_mangle)]
extern "C" fn interrupt_trap(frame: &mut TrapFrame) {
    let vector = frame.vector as u8;
    let Some(handlers) = HANDLERS.get() else {
        crate::bug!(
            "vector {vector} (error {:#x}) at {:#x}, address {:#x}, before anyone handles it",
            frame.error_code,
            frame.rip,
            crate::cpu::fault_address()
        );
    };
    match vector {
        0..32 => (handlers.exception)(frame),
        TIMER => {
            local_apic::end_of_interrupt();
            (handlers.timer)(frame);
        }
        EXTERNAL..0x48 => {
            let gsi = vector - EXTERNAL;
            io_apic::hold_if_level(gsi);
            local_apic::end_of_interrupt();
            (handlers.external)(gsi, frame);
        }
        APIC_ERROR => local_apic::end_of_interrupt(),
        SPURIOUS => {}
        _ => crate::bug!("interrupt at vector {vector}, which nothing was routed to"),
    }
}

const _: () = assert!(EXTERNAL + EXTERNAL_COUNT == 0x48);

// The stubs are 16 bytes apart. Vectors with an error code of the processor's: 8, 10-14, 17, 21, 29, 30; the others push 0.
// After the 22 words of a frame the stack is 16-byte aligned, as a call wants it: the processor aligned it before pushing.
global_asm!(
    ".section .text.interrupt_stubs, \"ax\"",
    ".balign 16",
    ".global interrupt_stubs",
    "interrupt_stubs:",
    ".set interrupt_vector, 0",
    ".rept 256",
    ".balign 16",
    ".if !((interrupt_vector < 32) && ((0x60227d00 >> interrupt_vector) & 1))",
    "push 0",
    ".endif",
    ".byte 0x68",
    ".long interrupt_vector",
    "jmp interrupt_common",
    ".set interrupt_vector, interrupt_vector + 1",
    ".endr",
    "interrupt_common:",
    "push rax",
    "push rcx",
    "push rdx",
    "push rbx",
    "push rbp",
    "push rsi",
    "push rdi",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "cld",
    "mov rdi, rsp",
    "call interrupt_trap",
    ".global interrupt_restore",
    "interrupt_restore:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdi",
    "pop rsi",
    "pop rbp",
    "pop rbx",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "add rsp, 16",
    "iretq",
    ".global interrupt_resume",
    "interrupt_resume:",
    "cli",
    "mov rsp, rdi",
    "jmp interrupt_restore",
    ".text",
);
