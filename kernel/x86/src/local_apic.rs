//! The local APIC: acknowledging interrupts, and the timer.

use crate::interrupts::{APIC_ERROR, SPURIOUS, TIMER};
use crate::per_cpu::PerCpu;
use core::sync::atomic::{AtomicU64, Ordering};
use volatile::VolatilePtr;
use x2apic::lapic::{LocalApicBuilder, TimerDivide, TimerMode};
use x86_64::VirtAddr;
use x86_64::registers::model_specific::Msr;

/// Ticks of the timer a second, after its divider.
static FREQUENCY: AtomicU64 = AtomicU64::new(0);

/// Why there is no local APIC to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLocalApic;

/// Turns on this CPU's local APIC, its timer not yet running.
///
/// # Safety
/// `registers` is where the physical page of the local APIC's registers is mapped, writable and uncached, for good.
pub unsafe fn install(registers: VirtAddr) -> Result<(), NoLocalApic> {
    let built = LocalApicBuilder::new()
        .timer_vector(usize::from(TIMER))
        .error_vector(usize::from(APIC_ERROR))
        .spurious_vector(usize::from(SPURIOUS))
        .timer_mode(TimerMode::OneShot)
        .timer_divide(TimerDivide::Div16)
        .timer_initial(0)
        .set_xapic_base(registers.as_u64())
        .build();
    let Ok(mut apic) = built else {
        return Err(NoLocalApic);
    };
    PerCpu::with_local_apic(|slot| {
        // SAFETY: the registers are mapped as the caller promises, the vectors have stubs, and the legacy controllers
        // are masked, so nothing arrives that is not expected.
        unsafe { apic.enable() };
        *slot = Some(apic);
    });
    // SAFETY: the same registers, as the caller promises.
    unsafe { set_pins(registers) };
    Ok(())
}

/// Sets the two local pins, which the crate leaves open with vector 0. The legacy controllers behind the first are not used;
/// the second is the line of non-maskable interrupts on every PC, by which hardware tells of errors: they are logged.
///
/// # Safety
/// As for [`install`].
unsafe fn set_pins(registers: VirtAddr) {
    const MASKED: u32 = 1 << 16;
    /// Delivery mode NMI (SDM volume 3, section 11.5.1).
    const NON_MASKABLE: u32 = 0b100 << 8;
    let x2apic_on = Msr::new(0x1b);
    // SAFETY: IA32_APIC_BASE exists wherever there is a local APIC.
    let base = unsafe { x2apic_on.read() };
    for (offset, register, entry) in [(0x350, 0x835, MASKED), (0x360, 0x836, NON_MASKABLE)] {
        if base & (1 << 10) != 0 {
            // SAFETY: the APIC is in x2APIC mode, where these registers are LVT LINT0 and LINT1.
            unsafe { Msr::new(register).write(u64::from(entry)) };
            continue;
        }
        let address = (registers.as_u64() + offset) as *mut u32;
        let Some(pointer) = core::ptr::NonNull::new(address) else {
            continue;
        };
        // SAFETY: an aligned register inside the page that the caller promises to be mapped for good.
        unsafe { VolatilePtr::new(pointer) }.write(entry);
    }
}

/// Tells the local APIC that the interrupt in service is dealt with, so that the next may come.
#[inline(always)]
pub fn end_of_interrupt() {
    PerCpu::with_local_apic(|slot| {
        if let Some(apic) = slot {
            // SAFETY: the registers are mapped since `install`; the write has no other effect than to end the interrupt.
            unsafe { apic.end_of_interrupt() };
        }
    });
}

/// Sends this CPU a non-maskable interrupt.
pub fn send_non_maskable() {
    PerCpu::with_local_apic(|slot| {
        let Some(apic) = slot else { return };
        // SAFETY: the registers are mapped since `install`; reading the number has no effect.
        let id = unsafe { apic.id() };
        // SAFETY: as above; the interrupt has a gate and a stack of its own, and its handler does not use the local APIC.
        unsafe { apic.send_nmi(id) };
    });
}

/// Starts the timer from its highest count.
pub(crate) fn start_count() {
    PerCpu::with_local_apic(|slot| {
        if let Some(apic) = slot {
            // SAFETY: the registers are mapped since `install`. The count does not end while anybody measures with it.
            unsafe { apic.set_timer_initial(u32::MAX) };
        }
    });
}

/// How far the timer has counted since [`start_count`].
pub(crate) fn counted() -> u32 {
    PerCpu::with_local_apic(|slot| match slot {
        // SAFETY: the registers are mapped since `install`; reading the count has no effect.
        Some(apic) => u32::MAX - unsafe { apic.timer_current() },
        None => 0,
    })
}

pub(crate) fn set_frequency(hertz: u64) {
    FREQUENCY.store(hertz, Ordering::Relaxed);
}

/// Ticks of the timer a second.
pub fn timer_frequency() -> u64 {
    FREQUENCY.load(Ordering::Relaxed)
}

/// Lets the timer tick `per_second` times a second. `clock::calibrate` has run.
pub fn start_timer(per_second: u64) {
    let count = (timer_frequency() / per_second.max(1)).clamp(1, u64::from(u32::MAX)) as u32;
    PerCpu::with_local_apic(|slot| {
        let Some(apic) = slot else { return };
        // SAFETY: the registers are mapped since `install`, and the timer's vector has a stub.
        unsafe { apic.set_timer_mode(TimerMode::Periodic) };
        // SAFETY: as above; the write starts the count.
        unsafe { apic.set_timer_initial(count) };
    });
}

/// This CPU's APIC number, which the I/O APIC addresses it by.
pub fn id() -> u8 {
    PerCpu::with_local_apic(|slot| match slot {
        // SAFETY: the registers are mapped since `install`; reading the number has no effect.
        Some(apic) => unsafe { apic.id() as u8 },
        None => 0,
    })
}
