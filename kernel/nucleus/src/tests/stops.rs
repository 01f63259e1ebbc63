//! Failures of the kernel, brought about on purpose. Each must end the machine with a report.

use crate::boot::INTERRUPT_STACK;
use crate::log_line::Polled;
use crate::{memory, probe};
use core::arch::asm;
use core::fmt::Write;
use core::hint::black_box;
use x86::segments::{Stack, stack_top};

/// Uses up the stack, down to its guard page.
pub fn stack_overflow() -> ! {
    x86::bug!("a stack of {} bytes is not endless", descend(0))
}

#[inline(never)]
fn descend(depth: usize) -> usize {
    let used = black_box([depth; 64]);
    let [first, ..] = used;
    if black_box(false) {
        return first;
    }
    // Not the last thing that happens, or the compiler would make it a loop.
    descend(first + 1) + black_box(used).len()
}

/// Takes the exceptions' stack away and raises one, which can then not be delivered.
pub fn double_fault() -> ! {
    let bottom = stack_top(Stack::Exception) - INTERRUPT_STACK;
    // SAFETY: nothing runs on that stack, and nothing will but to fault.
    let unmapped = unsafe { memory::lock().mapper.unmap(bottom, INTERRUPT_STACK) };
    let read = probe::read(0);
    x86::bug!("the exceptions' stack is {unmapped:?}, and address 0 reads as {read:?}")
}

/// Turns of a loop in which the timer interrupts many times.
const TURNS: u64 = 50_000_000;

/// Waits for the machine check that the runner brings about, with a stack pointer that is none: what interrupts this has to bring a
/// stack along. First that is the timer. It is silent when the machine check may come, so that this, and no handler, is where that
/// comes.
pub fn machine_check() -> ! {
    // SAFETY: nothing between the two moves of the stack pointer uses the stack; interrupts and exceptions have stacks of their own.
    unsafe {
        asm!(
            "mov {saved}, rsp", "xor esp, esp", "2: pause", "dec {turns}", "jnz 2b", "cli", "mov rsp, {saved}",
            saved = out(reg) _, turns = inout(reg) TURNS => _,
        );
    }
    let _ = write!(Polled, "waiting for a machine check\r\n");
    // SAFETY: nothing below uses the stack or returns; exceptions have stacks of their own.
    unsafe { asm!("xor ebp, ebp", "xor esp, esp", "2: pause", "jmp 2b", options(noreturn)) }
}
