//! The machine, and nothing but the machine.
//!
//! Thin wrappers around the processor and the few devices without which there is no kernel: descriptor tables, interrupt
//! entry, local and I/O APIC, clocks, the serial line, the context switch, and the trampoline from the boot loader. No
//! policy lives here: `interrupts::set_handlers` hands every event to the kernel above.
//!
//! Order of use, which `nucleus` keeps: `serial`, `interrupts::install`, `cpu::enable_protections`, `segments::install`,
//! `machine_check::install`, `acpi::read`, `io_apic::install`, `local_apic::install`, `clock::calibrate`,
//! `local_apic::start_timer`, and only then `cpu::enable_interrupts`.
//!
//! Nothing here exists on the host: the crate is empty there, so that the workspace still builds and tests.
#![no_std]

/// Panics with the reason why a state cannot be: for what only a defect of the kernel can bring about.
#[macro_export]
macro_rules! bug {
    ($($reason:tt)*) => { panic!("kernel bug: {}", format_args!($($reason)*)) };
}

#[cfg(target_os = "none")]
pub mod acpi;
#[cfg(target_os = "none")]
pub mod boot;
#[cfg(target_os = "none")]
pub mod clock;
#[cfg(target_os = "none")]
pub mod cpu;
#[cfg(target_os = "none")]
pub mod interrupts;
#[cfg(target_os = "none")]
pub mod io_apic;
#[cfg(target_os = "none")]
pub mod local_apic;
#[cfg(target_os = "none")]
pub mod lock;
#[cfg(target_os = "none")]
pub mod machine_check;
#[cfg(target_os = "none")]
pub mod per_cpu;
#[cfg(target_os = "none")]
mod pic;
#[cfg(target_os = "none")]
mod pit;
#[cfg(target_os = "none")]
pub mod ports;
#[cfg(target_os = "none")]
pub mod random;
#[cfg(target_os = "none")]
mod rtc;
#[cfg(target_os = "none")]
pub mod segments;
#[cfg(target_os = "none")]
pub mod serial;
#[cfg(target_os = "none")]
pub mod switch;
