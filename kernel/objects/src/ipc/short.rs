//! The short forms of a call and of an answer with the next receive, in assembly.
//!
//! A short form changes nothing before it knows that it can do the whole; otherwise the Rust functions do it, with the same
//! registers. All checks stand first, each of them one comparison or two, and each is watched over by a test
//! (`cfg/mutants.toml`). What goes over between two cells stays in the registers in which it came. The words are written into the
//! request all the same: whoever takes the server's place, or reports its failure, finds them there.
//!
//! Checked by a call, in this order: the reserve of stack; the slot, the generation, the kind and the right of the capability;
//! that the label is served; that a server waits; that no transaction travels, and that the server's wait has no limit.
//!
//! Checked by an answer: the reserve of stack; that the slots of the reply object and of the endpoint, which the last receive
//! found, have the generations that the tokens name (no two fillings of slots have the same); that no signal came and no
//! transaction was lent; that the reply object is this thread's; that it holds a request; that its caller takes words alone; that
//! nothing hangs on the request; that nobody of a higher priority than the caller stands ready; that no request is parked.
//!
//! # What the other thread waits in
//! A receiver waits in one of the two gates that receive. The caller of a request that is
//! answered with words waits in the gate of a call: other callers are told by [`Tcb::is_long`]. So the address of the second half
//! on its stack can be passed over.

use core::arch::naked_asm;
use core::mem::offset_of;

use abi::kernel::{Letter, Reception};
use abi::token::RawCap;
use capability::{ObjectKind, Rights, layout as slots};
use ledger::layout as ledger;
use threads::{RunNode, RunQueue, TimerNode};

use super::gate::{at_length, enter, leave};
use super::{call, gate, receive};
use crate::fault;
use crate::reply::Reply;
use crate::scheduler::{CPU, CURRENT, QUEUE};
use crate::tcb::Tcb;

// From one part of a TCB to another, in bytes: the ledger names threads by these.
const RECEIVER: isize = offset_of!(Tcb, receiver) as isize;
const REQUEST: isize = offset_of!(Tcb, request) as isize;
const PRIORITY: isize = (offset_of!(Tcb, run) + RunNode::PRIORITY) as isize;
const CONTEXT: isize = offset_of!(Tcb, context) as isize;

/// Calls an endpoint with three words. Registers: `abi::kernel::call`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn telos_k_call() {
    naked_asm!(
        enter!(),
        // The slot is one of the thread's CNode.
        "mov r10, [r9 + {cnode}]",
        "mov rax, rcx",
        "shr rax, 32",
        "cmp [r10 + {capacity}], eax",
        "jbe 3f",
        "imul eax, eax, {slot_bytes}",
        "add r10, rax",
        // It is filled as it was when the token was given out.
        "cmp [r10 + {generation}], r8",
        "jne 3f",
        // It names an endpoint, to be called. A made-up token of generation 0 finds no kind.
        "cmp byte ptr [r10 + {kind}], {endpoint}",
        "jne 3f",
        "test byte ptr [r10 + {rights}], {send}",
        "jz 3f",
        // The endpoint serves the label.
        "mov r11, [r10 + {object}]",
        "cmp ecx, {labels}",
        "jae 3f",
        "mov rax, [r11 + {served}]",
        "bt rax, rcx",
        "jnc 3f",
        // A server waits. From here on RAX is its receiver.
        "mov rax, [r11 + {waiting}]",
        "test rax, rax",
        "jz 3f",
        // Nothing travels beside the words, and the server waits for ever.
        "cmp word ptr [r9 + {scopes}], 0",
        "jne 3f",
        "cmp byte ptr [rax + {timed}], 0",
        "jne 3f",
        // The letter, for those who ask later. The label stands without the slot, and without baggage.
        "mov ecx, ecx",
        "mov [r9 + {letter} + {letter_head}], rcx",
        "mov [r9 + {letter} + {letter_words}], rdi",
        "mov [r9 + {letter} + {letter_words} + 8], rsi",
        "mov [r9 + {letter} + {letter_words} + 16], rdx",
        "mov r8, [r10 + {badge}]",
        "mov [r9 + {letter} + {letter_badge}], r8",
        // The receiver waits no more, and its reply object holds the request.
        "mov r10, [rax + {receiver_next}]",
        "mov [r11 + {waiting}], r10",
        "mov qword ptr [rax + {receiver_endpoint}], 0",
        "mov r10, [rax + {receiver_reply}]",
        "mov [r9 + {request} + {request_reply}], r10",
        "lea r11, [r9 + {request}]",
        "mov [r10 + {reply_request}], r11",
        // The server runs at least at the priority of its caller.
        "mov r10b, [r9 + {priority}]",
        "cmp [rax + {server_priority}], r10b",
        "jb 4f",
        "5:",
        // The switch.
        "push rbp",
        "push rbx",
        "push offset {second_half}",
        "mov [r9 + {context}], rsp",
        "lea r10, [rax - {receiver}]",
        "mov [rip + {cpu} + {current}], r10",
        "mov rsp, [r10 + {context}]",
        "mov r9, [r9 + {letter} + {letter_thread}]",
        "pop r10",
        leave!(),
        "4:",
        "mov [rax + {server_priority}], r10b",
        "jmp 5b",
        "3:",
        at_length!(),
        cpu = sym CPU,
        current = const CURRENT,
        exhausted = sym fault::stack_exhausted,
        work = sym call::call,
        second_half = sym gate::take_answer,
        stack_limit = const offset_of!(Tcb, stack_limit),
        context = const CONTEXT,
        cnode = const offset_of!(Tcb, cnode_address),
        capacity = const slots::CNODE_CAPACITY,
        slot_bytes = const slots::SLOT_BYTES,
        generation = const slots::SLOT_GENERATION,
        kind = const slots::SLOT_KIND,
        endpoint = const ObjectKind::Endpoint as u8,
        rights = const slots::SLOT_RIGHTS,
        send = const Rights::SEND.bits(),
        badge = const slots::SLOT_BADGE,
        object = const slots::SLOT_OBJECT,
        labels = const Letter::LABELS,
        served = const ledger::ENDPOINT_LABELS,
        waiting = const ledger::ENDPOINT_WAITING,
        scopes = const Tcb::SCOPES,
        timed = const (offset_of!(Tcb, timer) + TimerNode::ARMED) as isize - RECEIVER,
        receiver = const RECEIVER,
        receiver_next = const ledger::RECEIVER_NEXT,
        receiver_endpoint = const ledger::RECEIVER_ENDPOINT,
        receiver_reply = const ledger::RECEIVER_REPLY,
        reply_request = const ledger::REPLY_REQUEST,
        request = const REQUEST,
        request_reply = const ledger::REQUEST_REPLY,
        letter = const offset_of!(Tcb, request) + offset_of!(::ledger::Request, letter),
        letter_head = const offset_of!(Letter, label),
        letter_words = const offset_of!(Letter, words),
        letter_badge = const offset_of!(Letter, badge),
        letter_thread = const offset_of!(Letter, thread),
        priority = const PRIORITY,
        server_priority = const PRIORITY - RECEIVER,
    )
}

/// Answers with words and receives again. Registers: `abi::kernel::reply_receive`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn telos_k_reply_receive() {
    naked_asm!(
        enter!(),
        // The capabilities of the last receive are those that the tokens name. R8 is the reply object.
        "mov r10, [r9 + {reply_slot}]",
        "mov r11, [rcx + {reply_token}]",
        "cmp [r10 + {generation}], r11",
        "jne 3f",
        "mov r8, [r10 + {object}]",
        "mov r10, [r9 + {endpoint_slot}]",
        "mov r11, [rcx + {endpoint_token}]",
        "cmp [r10 + {generation}], r11",
        "jne 3f",
        // No signal came, and no transaction was lent.
        "cmp word ptr [r9 + {errands}], 0",
        "jne 3f",
        // The reply object is this thread's. RSI is its receiver.
        "lea rsi, [r9 + {receiver}]",
        "cmp [r8 + {reply_receiver}], rsi",
        "jne 3f",
        // Somebody waits for the answer. R10 is the request.
        "mov r10, [r8 + {reply_request}]",
        "test r10, r10",
        "jz 3f",
        // The caller takes words alone, and nothing was made for it.
        "cmp byte ptr [r10 + {is_long}], 0",
        "jne 3f",
        "cmp qword ptr [r8 + {anchor}], 0",
        "jne 3f",
        // Nobody of a higher priority than the caller stands ready.
        "mov r11b, [rip + {cpu} + {top}]",
        "cmp [r10 + {client_priority}], r11b",
        "jb 3f",
        // Nobody is parked. R11 is the endpoint.
        "mov r11, [r8 + {reply_endpoint}]",
        "cmp qword ptr [r11 + {parked}], 0",
        "jne 3f",
        // The request is answered.
        "mov qword ptr [r8 + {reply_request}], 0",
        "mov qword ptr [r10 + {request_reply}], 0",
        // This thread waits, and gives back what the caller lent.
        "mov [rsi + {receiver_endpoint}], r11",
        "mov r8, [r11 + {waiting}]",
        "mov [rsi + {receiver_next}], r8",
        "mov [r11 + {waiting}], rsi",
        "mov r8b, [r9 + {base_priority}]",
        "mov [r9 + {priority}], r8b",
        // The switch. Status and value are where the caller looks for them.
        "push rbp",
        "push rbx",
        "push offset {second_half}",
        "mov [r9 + {context}], rsp",
        "lea r11, [r10 - {request}]",
        "mov [rip + {cpu} + {current}], r11",
        "mov rsp, [r11 + {context}]",
        "pop r11",
        leave!(),
        "3:",
        "mov rsi, rax",
        at_length!(),
        cpu = sym CPU,
        current = const CURRENT,
        top = const QUEUE + RunQueue::TOP,
        exhausted = sym fault::stack_exhausted,
        work = sym receive::reply_receive,
        second_half = sym gate::take_letter,
        stack_limit = const offset_of!(Tcb, stack_limit),
        context = const CONTEXT,
        reply_slot = const offset_of!(Tcb, reply_slot),
        reply_token = const offset_of!(Reception, reply) + offset_of!(RawCap, generation),
        endpoint_slot = const offset_of!(Tcb, endpoint_slot),
        endpoint_token = const offset_of!(Reception, endpoint) + offset_of!(RawCap, generation),
        generation = const slots::SLOT_GENERATION,
        object = const slots::SLOT_OBJECT,
        errands = const Tcb::ERRANDS,
        receiver = const RECEIVER,
        receiver_next = const ledger::RECEIVER_NEXT,
        receiver_endpoint = const ledger::RECEIVER_ENDPOINT,
        reply_receiver = const ledger::REPLY_RECEIVER,
        reply_request = const ledger::REPLY_REQUEST,
        reply_endpoint = const ledger::REPLY_ENDPOINT,
        request = const REQUEST,
        request_reply = const ledger::REQUEST_REPLY,
        waiting = const ledger::ENDPOINT_WAITING,
        parked = const ledger::ENDPOINT_PARKED,
        anchor = const offset_of!(Reply, anchor) + slots::ANCHOR_FIRST,
        is_long = const offset_of!(Tcb, is_long) as isize - REQUEST,
        client_priority = const PRIORITY - REQUEST,
        base_priority = const offset_of!(Tcb, base_priority),
        priority = const PRIORITY,
    )
}

// The ledger's part comes first in a reply object, and the label and the baggage are written as one word.
const _: () = assert!(offset_of!(Reply, core) == 0);
