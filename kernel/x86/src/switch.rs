//! The cooperative context switch.
//!
//! A context that does not run is one number: its stack pointer. On top of that stack stands the address to continue at. The switch is
//! inline, so that the compiler saves only the registers that are live around it.

use core::arch::{asm, global_asm};

/// Saves the current context's stack pointer at `save`, continues the context `load`, and returns when something switches back.
/// A context that is written in assembly finds `word` in R9. The interrupt flag is not part of a context: call it with
/// interrupts off.
///
/// # Safety
/// `save` is writable, and stays so until the context that it names is continued. `load` was written by an earlier `switch` or made
/// by [`prepare_stack`], has not been continued since, and its stack is mapped.
#[inline(always)]
pub unsafe fn switch(save: *mut usize, load: usize, word: usize) {
    // SAFETY: RBX and RBP, which an asm block may not clobber, are kept on this context's stack; all other registers are declared
    // as changed. The stack pointer is back where it was when the label is reached, since only a switch to the saved value
    // leads there. The target has LLVM's red zone turned off, so that pushing is harmless.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "pop rax",
            "jmp rax",
            "2:",
            "pop rbp",
            "pop rbx",
            inlateout("rdi") save => _,
            inlateout("rsi") load => _,
            lateout("rax") _, lateout("rcx") _, lateout("rdx") _,
            inlateout("r9") word => _,
            lateout("r8") _, lateout("r10") _, lateout("r11") _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
        );
    }
}

/// Writes a new context onto a stack, to begin with `entry(first, second)`, and returns it for [`switch`]. It begins with
/// whatever interrupt flag the switch happened under.
///
/// # Safety
/// The 48 bytes below `top` are writable, and the stack that ends there belongs to the new context alone.
pub unsafe fn prepare_stack(top: usize, entry: extern "C" fn(usize, usize) -> !, first: usize, second: usize) -> usize {
    let base = (top & !15) - 4 * size_of::<usize>();
    let words = [&raw const context_begin as usize, entry as usize, first, second];
    // SAFETY: `base` is aligned to 16, and `base..base + 32` lies in the 48 bytes below `top` that the caller promises.
    unsafe { (base as *mut [usize; 4]).write(words) };
    base
}

unsafe extern "C" {
    static context_begin: u8;
}

// `switch` took the address of this off the stack. The zero is the end for backtraces, and makes the stack look as after a call.
global_asm!(
    ".section .text.context_begin, \"ax\"",
    ".global context_begin",
    "context_begin:",
    "pop rax",
    "pop rdi",
    "pop rsi",
    "push 0",
    "xor ebp, ebp",
    "jmp rax",
    ".text",
);
