//! What happens when a cell ends, by its own hand or by a fault.

use abi::kernel::FaultCause;
use x86::interrupts::{MACHINE_CHECK, NON_MASKABLE, PAGE_FAULT, TrapFrame};

use crate::instance::end_instance;
use crate::tcb::{State, Tcb};
use crate::vspace::Outcome;
use crate::{authority, memory, report, scheduler};

/// The calling cell ends with a status.
pub fn exit(status: u64) -> ! {
    let me = scheduler::current();
    if let Some(vspace) = me.vspace() {
        log::info!("cell {} ended with status {status}", vspace.name());
    }
    end_instance(me, Outcome::Exited, status);
    scheduler::abandon_context()
}

/// The calling cell failed and says why.
pub fn panicked(text: &str) -> ! {
    fail(FaultCause::Panic, text)
}

/// The calling cell has too little stack left for a kernel function.
#[cold]
pub fn stack_exhausted() -> ! {
    fail(FaultCause::StackOverflow, "stack overflow")
}

/// The calling cell has taken its own stack from itself, on which the kernel still works: the cell ends, and then the stack is
/// unmapped from another one.
#[cold]
pub(crate) fn stack_lost() -> ! {
    let (me, stack) = (scheduler::current(), memory::lost_stack());
    // It may have lost more than its stack, and ended.
    if me.state.get() == State::Started && me.vspace().is_some() {
        end_failed(me, FaultCause::StackOverflow, "it has taken its own stack away");
    }
    scheduler::abandon_stack(stack)
}

fn fail(cause: FaultCause, text: &str) -> ! {
    end_failed(scheduler::current(), cause, text);
    scheduler::abandon_context()
}

fn end_failed(me: &Tcb, cause: FaultCause, text: &str) {
    report::said(me, cause, text);
    if let Some(vspace) = me.vspace() {
        log::error!("cell {} failed: {text}", vspace.name());
    }
    end_instance(me, Outcome::Failed, 0);
}

/// An exception. Returns where the fault is none of a cell's, which makes it the kernel's.
///
/// The kernel itself faults at a cell's memory when that was taken away: a thread's stack when it is switched to, or what a
/// function of the surface is to read or write. Both happen while that thread is the current one, with nothing half done, so
/// that its cell can end there.
pub fn on_exception(frame: &TrapFrame) {
    // The hardware's: whoever runs has nothing to do with it.
    if matches!(frame.vector, NON_MASKABLE | MACHINE_CHECK) {
        return;
    }
    let Some(me) = scheduler::try_current() else { return };
    let Some(vspace) = me.vspace() else { return };
    let in_kernel = (paging::layout::KERNEL..paging::layout::KERNEL_END).contains(&frame.rip);
    if in_kernel && !(frame.vector == PAGE_FAULT && vspace.covers(x86::cpu::fault_address()) && !authority::is_busy()) {
        return;
    }
    let name = vspace.name();
    report::raised(me, frame, if frame.vector == PAGE_FAULT { x86::cpu::fault_address() } else { 0 });
    match frame.vector {
        PAGE_FAULT => log::error!(
            "cell {name} failed: page fault at {:#x} (error {:#x}), code {:#x} in its text at {:#x}",
            x86::cpu::fault_address(),
            frame.error_code,
            frame.rip.wrapping_sub(vspace.text.get().start),
            frame.rip
        ),
        vector => log::error!("cell {name} failed: exception {vector}, code at {:#x}", frame.rip),
    }
    end_instance(me, Outcome::Failed, frame.vector);
    scheduler::abandon_context()
}
