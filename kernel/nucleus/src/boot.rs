//! From the trampoline to a running kernel.

use crate::boot_info::{BootInfo, Module};
use crate::{log_line, memory, panic, surface, tests, traps};
use log::info;
use paging::RangeSet;
use x86::segments::Stack;
use x86::{acpi, clock, cpu, interrupts, io_apic, local_apic, machine_check, per_cpu, random, segments, serial};
use x86_64::VirtAddr;

/// The timer's ticks a second.
const TICKS: u64 = 1000;
/// The size of each interrupt stack.
pub const INTERRUPT_STACK: u64 = 16 * 1024;

/// What the machine has and the kernel does not keep.
pub struct BootResources {
    /// Memory that nobody uses, whole pages.
    pub free_ranges: RangeSet,
    /// The archive of cells, if the loader brought one.
    pub modules: Option<Module>,
    /// The words after the kernel's name in `grub.cfg`.
    pub command_line: &'static str,
}

/// Called by the trampoline, interrupts off, with the physical address of the boot information.
#[unsafe(no_mangle)]
extern "C" fn kernel_start(boot_information: u32) -> ! {
    let resources = start(boot_information);
    resources.command_line.split_whitespace().for_each(tests::run_if_named);
    run(resources)
}

/// The steps of boot, in order.
fn start(boot_information: u32) -> BootResources {
    per_cpu::PerCpu::install();
    log_line::install();
    interrupts::install();
    let protections = cpu::enable_protections();
    // SAFETY: the address is the trampoline's, from the loader, and nothing was written to memory but the kernel's image.
    let info = unsafe { BootInfo::read(boot_information) };
    let free_ranges = memory::install(info);
    if let Some(symbols) = info.symbols() {
        panic::install(symbols);
    }
    install_interrupt_stacks();
    traps::install();
    machine_check::install();
    let platform = find_interrupt_controllers(info);
    install_interrupt_controllers(&platform);
    clock::calibrate();
    info!(
        "{protections:?}, {} MiB free, clock at {} kHz",
        free_ranges.size() >> 20,
        clock::time_stamp_frequency() / 1000
    );
    tell_random_source();
    local_apic::start_timer(TICKS);
    route_serial_line();
    cpu::enable_interrupts();
    BootResources { free_ranges, modules: info.module(), command_line: info.command_line() }
}

/// Starts the root task with all that is free, and becomes what runs when nothing else does.
fn run(resources: BootResources) -> ! {
    let BootResources { free_ranges, modules, command_line } = resources;
    cpu::disable_interrupts();
    objects::authority::install();
    objects::instance::install(surface::linkage());
    objects::scheduler::become_idle();
    if let Err(error) = objects::keeper::install() {
        panic!("no memory for the keeper's stack: {error:?}");
    }
    // SAFETY: the free ranges are what nobody uses, and the module stays where the loader put it.
    let started = unsafe { objects::root::start(&free_ranges, modules.map(|module| module.bytes), command_line) };
    if let Err(error) = started {
        panic!("the root task cannot be started: {error:?}");
    }
    info!("root task started");
    objects::scheduler::run()
}

/// Says what secrets of this boot are worth.
fn tell_random_source() {
    match random::source() {
        random::Source::Seed => info!("random numbers come from RDSEED"),
        random::Source::Generator => info!("random numbers come from RDRAND"),
        random::Source::Jitter => log::warn!("the processor has no random numbers: those of its clock can be guessed"),
    }
}

fn install_interrupt_stacks() {
    let tops = Stack::ALL.map(|stack| match memory::lock().kernel_stack(INTERRUPT_STACK) {
        Ok(region) => VirtAddr::new(region.end()),
        Err(error) => panic!("no memory for the stack of {stack:?}: {error:?}"),
    });
    // SAFETY: five stacks mapped just now, whose addresses are page-aligned, never reused, and known to nobody else.
    unsafe { segments::install(tops) };
}

fn find_interrupt_controllers(info: &BootInfo) -> acpi::Platform {
    let Some(root) = info.acpi_root() else { panic!("the boot loader found no ACPI tables") };
    // SAFETY: the root is the firmware's, and `firmware` maps what the tables point to for good.
    match unsafe { acpi::read(root, &memory::firmware) } {
        Ok(platform) => platform,
        Err(error) => panic!("the ACPI tables are of no use: {error:?}"),
    }
}

fn install_interrupt_controllers(platform: &acpi::Platform) {
    // SAFETY: the MADT says that the registers of an I/O APIC stand there; this is the only driver.
    let map = |phys| unsafe { memory::device_page(phys) };
    // SAFETY: `map` maps them writable and uncached, and nothing unmaps the physmap.
    unsafe { io_apic::install(platform, map) };
    // SAFETY: the MADT says that the registers of the local APIC stand there; this is the only driver.
    let Some(registers) = (unsafe { memory::device_page(platform.local_apic) }) else {
        panic!("the local APIC at {:#x} cannot be mapped", platform.local_apic);
    };
    // SAFETY: mapped just now, writable and uncached, for good.
    if unsafe { local_apic::install(registers) }.is_err() {
        panic!("the local APIC cannot be used");
    }
}

fn route_serial_line() {
    let (gsi, trigger, polarity) = io_apic::legacy(serial::IRQ);
    let routed = io_apic::route(gsi, trigger, polarity).and_then(|()| io_apic::unmask(gsi));
    match routed {
        Ok(()) => serial::enable_interrupts(),
        Err(error) => log::warn!("the serial line stays polled: {error:?}"),
    }
}
