//! What the kernel does with interrupts and exceptions.

use crate::{panic, probe};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use paging::layout::PAGE;
use x86::interrupts::{BREAKPOINT, DOUBLE_FAULT, Handlers, MACHINE_CHECK, NON_MASKABLE, PAGE_FAULT, TrapFrame};
use x86::lock::IrqMutex;
use x86::{cpu, machine_check};

static TICKS: AtomicU64 = AtomicU64::new(0);
static HOOK: IrqMutex<Option<fn(&mut TrapFrame)>> = IrqMutex::new(None);
static BREAKPOINTS: AtomicU64 = AtomicU64::new(0);
static NON_MASKABLES: AtomicU64 = AtomicU64::new(0);
static NON_MASKABLES_LOGGED: AtomicU64 = AtomicU64::new(0);
static NON_MASKABLE_FRAME: AtomicU64 = AtomicU64::new(0);

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

/// Non-maskable interrupts since boot, and where the last one's frame stood.
pub fn non_maskables() -> (u64, u64) {
    (NON_MASKABLES.load(Ordering::Relaxed), NON_MASKABLE_FRAME.load(Ordering::Relaxed))
}

/// Names who is called at each tick, after the count, or nobody.
pub fn set_tick_hook(hook: Option<fn(&mut TrapFrame)>) {
    *HOOK.lock() = hook;
}

fn timer(frame: &mut TrapFrame) {
    TICKS.fetch_add(1, Ordering::Relaxed);
    let count = NON_MASKABLES.load(Ordering::Relaxed);
    if NON_MASKABLES_LOGGED.swap(count, Ordering::Relaxed) != count {
        log::warn!("a non-maskable interrupt came, which nothing in this machine should send: {count} since boot");
    }
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
    match frame.vector {
        // Whoever was interrupted, these are not its doing.
        NON_MASKABLE => return non_maskable(frame),
        DOUBLE_FAULT => panic::stop(frame, format_args!("double fault: an exception could not be delivered")),
        MACHINE_CHECK => panic::stop(frame, format_args!("machine check: {}", Banks)),
        _ => {}
    }
    if probe::recover(frame) {
        return;
    }
    objects::fault::on_exception(frame);
    match frame.vector {
        BREAKPOINT => {
            BREAKPOINTS.fetch_add(1, Ordering::Relaxed);
        }
        PAGE_FAULT => {
            let (address, error) = (cpu::fault_address(), frame.error_code);
            // The compiler touches each page of a large frame in turn, so that an overflow faults close to the stack pointer.
            let overflow = address.abs_diff(frame.rsp) <= PAGE;
            let what = if overflow { "stack overflow" } else { "page fault" };
            panic::stop(frame, format_args!("{what} at {address:#x} (error {error:#x})"))
        }
        vector => panic::stop(frame, format_args!("exception {vector} (error {:#x})", frame.error_code)),
    }
}

/// Counts, and leaves the word about it to the timer: the code that was interrupted may hold any lock.
fn non_maskable(frame: &TrapFrame) {
    NON_MASKABLE_FRAME.store(core::ptr::from_ref(frame) as u64, Ordering::Relaxed);
    NON_MASKABLES.fetch_add(1, Ordering::Relaxed);
}

/// What the banks of machine-check registers say, in words.
struct Banks;

impl fmt::Display for Banks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for machine_check::Report { bank, status, address } in machine_check::reports() {
            write!(formatter, "bank {bank} status {status:#x} ")?;
            if let Some(address) = address {
                write!(formatter, "address {address:#x} ")?;
            }
        }
        Ok(())
    }
}
