//! What is left to say of an instance that failed, for whoever restarts it.
//!
//! A thread that has ended receives and sends no more, so the report stands in its TCB where message bodies did, until it
//! begins again. It holds numbers alone, as offsets from where the cell's code begins: names are looked up in the image, by
//! somebody who has the time.

use core::ptr::with_exposed_provenance;

use abi::kernel::{BODY_MAX, FaultCause, FaultReport, TRACE};
use x86::interrupts::TrapFrame;

use crate::tcb::Tcb;
use crate::vspace::{Region, VSpace};
use crate::{memory, scheduler};

const _: () = assert!(size_of::<FaultReport>() <= BODY_MAX, "the report stands where bodies do");

/// An address outside of the cell's code.
const NOWHERE: u64 = u64::MAX;
/// Frames that are looked at: those of kernel functions are not reported.
const DEEPEST: usize = 2 * TRACE;

/// The calling cell panicked, or has no stack left: what called the kernel is found from this frame pointer.
pub(crate) fn said(thread: &Tcb, cause: FaultCause, text: &str) {
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    let mut report = FaultReport { cause: cause as u32, ..FaultReport::NONE };
    for (slot, byte) in report.text.iter_mut().zip(text.bytes()) {
        *slot = byte;
        report.text_length += 1;
    }
    keep(thread, report, frame);
}

/// The processor raised an exception in a cell's code, or in a kernel function at the cell's memory.
pub(crate) fn raised(thread: &Tcb, frame: &TrapFrame, address: u64) {
    let report = FaultReport {
        cause: FaultCause::Exception as u32,
        vector: frame.vector as u32,
        error_code: frame.error_code,
        address,
        ..FaultReport::NONE
    };
    keep(thread, with_registers(report, thread, frame), frame.rbp);
}

/// A thread is stopped, wherever it is.
pub(crate) fn stopped(thread: &Tcb) {
    let report = FaultReport { cause: FaultCause::Stopped as u32, ..FaultReport::NONE };
    // The frame of one that stops itself is that of its last preemption.
    let is_current = core::ptr::eq(thread, scheduler::current());
    match thread.interrupted_at().filter(|_| !is_current) {
        Some(frame) => keep(thread, with_registers(report, thread, &frame), frame.rbp),
        None => keep(thread, report, 0),
    }
}

/// The report of a thread that has failed.
pub(crate) fn of(thread: &Tcb) -> Option<&FaultReport> {
    let report = thread.body.get().cast::<FaultReport>();
    // SAFETY: `keep` wrote one there, and no message has been through this TCB since: a thread that begins again forgets it.
    thread.has_report.get().then(|| unsafe { &*report })
}

fn with_registers(report: FaultReport, thread: &Tcb, frame: &TrapFrame) -> FaultReport {
    let instruction = thread.vspace().map_or(NOWHERE, |vspace| in_text(vspace, frame.rip));
    let TrapFrame { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rflags, .. } = *frame;
    let registers = match instruction {
        NOWHERE if report.cause == FaultCause::Stopped as u32 => [0; 17],
        _ => [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rflags],
    };
    FaultReport { instruction, registers, ..report }
}

fn keep(thread: &Tcb, mut report: FaultReport, frame: u64) {
    let Some(vspace) = thread.vspace() else { return };
    report.time = x86::clock::now_ns();
    if let Some(letter) = thread.serving().and_then(|reply| reply.letter()) {
        report.request = [letter.label.into(), letter.badge, letter.thread];
    }
    let callers = callers(vspace, frame).map(|address| in_text(vspace, address)).filter(|offset| *offset != NOWHERE);
    for (slot, offset) in report.trace.iter_mut().zip(callers) {
        *slot = offset;
        report.trace_length += 1;
    }
    // SAFETY: the body has room for it, is aligned for it and belongs to the thread, which ends now.
    unsafe { thread.body.get().cast::<FaultReport>().write(report) };
    thread.has_report.set(true);
}

fn in_text(vspace: &VSpace, address: u64) -> u64 {
    let text = vspace.text.get();
    match address.wrapping_sub(text.start) {
        offset if offset < text.bytes => offset,
        _ => NOWHERE,
    }
}

/// The addresses to which the functions return whose frames stand on the cell's stack.
fn callers(vspace: &VSpace, mut frame: u64) -> impl Iterator<Item = u64> {
    let stack = vspace.stack.get();
    let is_there = memory::is_mapped(stack);
    let next = move || {
        if !is_there {
            return None;
        }
        let (caller, address) = (word(stack, frame)?, word(stack, frame.checked_add(8)?)?);
        // Frames stand above each other: a broken chain does not go round.
        frame = if caller > frame { caller } else { 0 };
        Some(address)
    };
    core::iter::from_fn(next).take(DEEPEST)
}

/// A word of the stack; `None` outside of it.
fn word(stack: Region, address: u64) -> Option<u64> {
    let is_inside = address.is_multiple_of(8) && address >= stack.start && address < stack.start + stack.bytes;
    // SAFETY: aligned, and inside the stack, which is mapped and a multiple of words long.
    is_inside.then(|| unsafe { with_exposed_provenance::<u64>(address as usize).read() })
}
