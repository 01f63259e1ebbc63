//! The gates: how a cell enters a call or a receive, and how it comes out again, perhaps much later.
//!
//! A gate keeps RBX, RBP and RSP; the caller declares every other register as changed (`abi::kernel`), so that a switch
//! between two cells saves what is live in them and no more. It turns interrupts off, makes sure of the stack reserve,
//! and calls the Rust function that does the work. That answers which thread is to run now: the caller itself where
//! nothing has to be waited for. The gate leaves the caller's context on the caller's stack and continues that thread.
//!
//! A context (see `x86::switch`) that was left in a gate continues at the gate's second half, with the address of its own
//! TCB in R9. A call finds its answer in the TCB. A receive finds the address of a letter there: the one in the request
//! of the thread that called, or the thread's own for signals and failures.

use core::arch::naked_asm;
use core::mem::{offset_of, size_of};

use abi::kernel::{Answer, Letter};

use super::{call, receive};
use crate::fault;
use crate::scheduler::{CPU, CURRENT};
use crate::tcb::Tcb;

/// The first half of a gate: to be followed by the second half's label and code.
macro_rules! enter {
    () => {
        concat!(
            "cli\n",
            "mov r9, [rip + {cpu} + {current}]\n",
            "cmp rsp, [r9 + {stack_limit}]\n",
            "jb {exhausted}\n",
            // The work is called with the stack aligned to 16, as the machine ABI asks.
            "push rbp\n",
            "call {work}\n",
            "push rbx\n",
            "lea rcx, [rip + 2f]\n",
            "push rcx\n",
            "mov rcx, [rip + {cpu} + {current}]\n",
            "mov [rcx + {context}], rsp\n",
            "mov [rip + {cpu} + {current}], rax\n",
            "mov r9, rax\n",
            "mov rsp, [rax + {context}]\n",
            "ret\n",
            "2:\n",
        )
    };
}

/// The end of a second half.
macro_rules! leave {
    () => {
        "pop rbx\npop rbp\nsti\nret"
    };
}

/// Calls an endpoint with three words. Registers: `abi::kernel::call`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn telos_k_call() {
    naked_asm!(
        enter!(),
        "mov rax, [r9 + {status}]",
        "mov rdx, [r9 + {value}]",
        leave!(),
        cpu = sym CPU,
        current = const CURRENT,
        stack_limit = const offset_of!(Tcb, stack_limit),
        context = const offset_of!(Tcb, context),
        exhausted = sym fault::stack_exhausted,
        work = sym call::call,
        status = const offset_of!(Tcb, answer) + offset_of!(Answer, status),
        value = const offset_of!(Tcb, answer) + offset_of!(Answer, value),
    )
}

/// A gate that receives, around the function that does the work.
macro_rules! receiving {
    ($work:path) => {
        naked_asm!(
            enter!(),
            "mov r10, [r9 + {inbox}]",
            "mov rcx, [r10 + {head}]",
            "mov rdi, [r10 + {words}]",
            "mov rsi, [r10 + {words} + 8]",
            "mov rdx, [r10 + {words} + 16]",
            "mov r8, [r10 + {badge}]",
            "mov r9, [r10 + {thread}]",
            leave!(),
            cpu = sym CPU,
            current = const CURRENT,
            stack_limit = const offset_of!(Tcb, stack_limit),
            context = const offset_of!(Tcb, context),
            exhausted = sym fault::stack_exhausted,
            work = sym $work,
            inbox = const offset_of!(Tcb, inbox),
            head = const offset_of!(Letter, label),
            words = const offset_of!(Letter, words),
            badge = const offset_of!(Letter, badge),
            thread = const offset_of!(Letter, thread),
        )
    };
}

// The label and the baggage are read as one word.
const _: () = assert!(offset_of!(Letter, baggage) == offset_of!(Letter, label) + size_of::<u32>());

/// Receives. Registers: `abi::kernel::receive`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn telos_k_receive() {
    receiving!(receive::receive)
}

/// Answers with words and receives again. Registers: `abi::kernel::reply_receive`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn telos_k_reply_receive() {
    receiving!(receive::reply_receive)
}
