//! What the kernel does with interrupts and exceptions.

use crate::probe;
use core::sync::atomic::{AtomicU64, Ordering};
use x86::cpu;
use x86::interrupts::{BREAKPOINT, Handlers, PAGE_FAULT, TrapFrame};
use x86::lock::IrqMutex;

static TICKS: AtomicU64 = AtomicU64::new(0);
static HOOK: IrqMutex<Option<fn(&mut TrapFrame)>> = IrqMutex::new(None);
static BREAKPOINTS: AtomicU64 = AtomicU64::new(0);

/// Names the handlers.
pub fn install() {
    x86::interrupts::set_handlers(Handlers { timer, external, exception });
}

/// Ticks of the timer since boot.
pub fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// Breakpoint exceptions since boot.
pub fn breakpoints() -> u64 {
    BREAKPOINTS.load(Ordering::Relaxed)
}

/// Names who is called at each tick, after the count, or nobody.
pub fn set_tick_hook(hook: Option<fn(&mut TrapFrame)>) {
    *HOOK.lock() = hook;
}

fn timer(frame: &mut TrapFrame) {
    TICKS.fetch_add(1, Ordering::Relaxed);
    // Copied out first: the hook may leave without returning, and must not take the lock with it.
    let hook = *HOOK.lock();
    if let Some(hook) = hook {
        hook(frame);
    }
    objects::scheduler::on_tick(frame);
}

fn external(gsi: u8, frame: &mut TrapFrame) {
    objects::devices::on_interrupt(gsi);
    objects::scheduler::leave_interrupt(frame);
}

fn exception(frame: &mut TrapFrame) {
    if probe::recover(frame) {
        return;
    }
    objects::fault::on_exception(frame);
    match frame.vector {
        BREAKPOINT => {
            BREAKPOINTS.fetch_add(1, Ordering::Relaxed);
        }
        PAGE_FAULT => panic!("page fault at {:#x} (error {:#x}), {frame:x?}", cpu::fault_address(), frame.error_code),
        vector => panic!("exception {vector} (error {:#x}), {frame:x?}", frame.error_code),
    }
}
