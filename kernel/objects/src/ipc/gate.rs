//! The gates: how a cell enters a call or a receive, and how it comes out again, perhaps much later.
//!
//! A gate keeps RBX, RBP and RSP; the caller declares every other register as changed (`abi::kernel`), so that a switch
//! between two cells saves what is live in them and no more. It turns interrupts off and makes sure of the stack reserve. Then
//! calls and answers try their short form (see [`super::short`]). Where that does not do, as for every receive, the gate calls
//! the Rust function that does the work. That answers which thread is to run now: the caller itself where nothing has to be
//! waited for. The gate leaves the caller's context on the caller's stack and continues that thread.
//!
//! A context (see `x86::switch`) that was left in a gate continues at the gate's second half, with the address of its own
//! TCB in R9. A call finds its answer in the TCB. A receive finds the address of a letter there: the one in the request
//! of the thread that called, or the thread's own for signals and failures. A short form knows what the other thread waits in,
//! and brings it out with everything in registers already: see [`leave`](leave!).

use core::arch::naked_asm;
use core::mem::{offset_of, size_of};

use abi::kernel::{Answer, Letter};

use super::receive;
use crate::fault;
use crate::scheduler::{CPU, CURRENT};
use crate::tcb::Tcb;

pub use super::short::{telos_k_call, telos_k_reply_receive};

/// The beginning of a gate: R9 is the current thread.
macro_rules! enter {
    () => {
        concat!(
            "cli\n",
            "mov r9, [rip + {cpu} + {current}]\n",
            // Enough stack is left for whatever the kernel does in it.
            "cmp rsp, [r9 + {stack_limit}]\n",
            "jb {exhausted}\n",
        )
    };
}
pub(super) use enter;

/// The end of a first half: the work at length, and the switch.
macro_rules! at_length {
    () => {
        concat!(
            // The work is called with the stack aligned to 16, as the machine ABI asks.
            "push rbp\n",
            "call {work}\n",
            "push rbx\n",
            "push offset {second_half}\n",
            "mov rcx, [rip + {cpu} + {current}]\n",
            "mov [rcx + {context}], rsp\n",
            "mov [rip + {cpu} + {current}], rax\n",
            "mov r9, rax\n",
            "mov rsp, [rax + {context}]\n",
            "ret\n",
        )
    };
}
pub(super) use at_length;

/// The end of a second half. A context that was left in a gate is these registers below the address of the second half.
macro_rules! leave {
    () => {
        "pop rbx\npop rbp\nsti\nret\n"
    };
}
pub(super) use leave;

// The label and the baggage are read as one word.
const _: () = assert!(offset_of!(Letter, baggage) == offset_of!(Letter, label) + size_of::<u32>());

/// Receives. Registers: `abi::kernel::receive`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn telos_k_receive() {
    naked_asm!(
        enter!(),
        at_length!(),
        cpu = sym CPU,
        current = const CURRENT,
        stack_limit = const offset_of!(Tcb, stack_limit),
        context = const offset_of!(Tcb, context),
        exhausted = sym fault::stack_exhausted,
        work = sym receive::receive,
        second_half = sym take_letter,
    )
}

/// The second half of the two gates that receive.
#[unsafe(naked)]
pub(super) extern "C" fn take_letter() {
    naked_asm!(
        "mov r10, [r9 + {inbox}]",
        "mov rcx, [r10 + {head}]",
        "mov rdi, [r10 + {words}]",
        "mov rsi, [r10 + {words} + 8]",
        "mov rdx, [r10 + {words} + 16]",
        "mov r8, [r10 + {badge}]",
        "mov r9, [r10 + {thread}]",
        leave!(),
        inbox = const offset_of!(Tcb, inbox),
        head = const offset_of!(Letter, label),
        words = const offset_of!(Letter, words),
        badge = const offset_of!(Letter, badge),
        thread = const offset_of!(Letter, thread),
    )
}

/// The second half of the gate of a call.
#[unsafe(naked)]
pub(super) extern "C" fn take_answer() {
    naked_asm!(
        "mov rax, [r9 + {status}]",
        "mov rdx, [r9 + {value}]",
        leave!(),
        status = const offset_of!(Tcb, answer) + offset_of!(Answer, status),
        value = const offset_of!(Tcb, answer) + offset_of!(Answer, value),
    )
}
