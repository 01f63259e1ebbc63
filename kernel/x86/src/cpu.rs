//! The processor itself: protections, interrupt flag, waiting, identification.

use core::marker::PhantomData;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::{PhysAddr, instructions::interrupts};

/// Turns on every protection that the processor has and that this kernel relies on: write protection in ring 0, no-execute,
/// and, where present, SMEP, SMAP and UMIP. Returns which of the optional ones are on.
pub fn enable_protections() -> Protections {
    // SAFETY: WP makes ring 0 obey read-only pages. The boot tables hold none, and the kernel's own keep each
    // writable datum on a writable page, so no access that was valid becomes invalid.
    unsafe { Cr0::update(|flags| *flags |= Cr0Flags::WRITE_PROTECT) };
    // SAFETY: the trampoline refused processors without no-execute and set the bit already; setting it again keeps it.
    unsafe { Efer::update(|flags| *flags |= EferFlags::NO_EXECUTE_ENABLE) };
    let found = Protections::find();
    let mut wanted = Cr4Flags::empty();
    wanted.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, found.smep);
    wanted.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, found.smap);
    wanted.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, found.umip);
    // SAFETY: each bit is set only where CPUID says that it exists. They restrict user pages and user code, of which
    // there are none: every mapping of this kernel is a supervisor one.
    unsafe { Cr4::update(|flags| *flags |= wanted) };
    found
}

/// Which optional protections the processor has.
#[derive(Clone, Copy, Debug)]
pub struct Protections {
    /// No execution of user pages in ring 0.
    pub smep: bool,
    /// No access to user pages in ring 0.
    pub smap: bool,
    /// No reading of descriptor registers in ring 3.
    pub umip: bool,
}

impl Protections {
    fn find() -> Self {
        let leaf = cpuid(7, 0);
        Self { smep: leaf.ebx & (1 << 7) != 0, smap: leaf.ebx & (1 << 20) != 0, umip: leaf.ecx & (1 << 2) != 0 }
    }
}

/// The four registers that CPUID answers with.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuId {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
}

/// Asks CPUID; a leaf that the processor does not have reads as zeros.
pub fn cpuid(leaf: u32, subleaf: u32) -> CpuId {
    let highest = core::arch::x86_64::__cpuid(leaf & 0x8000_0000).eax;
    if leaf > highest {
        return CpuId::default();
    }
    let found = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    CpuId { eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx }
}

/// Interrupts are off while this lives, and as they were before once it is dropped.
#[must_use]
pub struct InterruptsOff {
    were_on: bool,
    // The flag belongs to this CPU and this context.
    _here: PhantomData<*const ()>,
}

impl InterruptsOff {
    /// Turns interrupts off.
    #[inline(always)]
    pub fn enter() -> Self {
        let were_on = interrupts::are_enabled();
        if were_on {
            interrupts::disable();
        }
        Self { were_on, _here: PhantomData }
    }
}

impl Drop for InterruptsOff {
    #[inline(always)]
    fn drop(&mut self) {
        if self.were_on {
            interrupts::enable();
        }
    }
}

/// The stack pointer.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Turns interrupts on. Handlers and tables must be in place: before `interrupts::set_handlers` an interrupt is a bug.
pub fn enable_interrupts() {
    interrupts::enable();
}

/// Turns interrupts off until they are turned on again.
pub fn disable_interrupts() {
    interrupts::disable();
}

/// Whether interrupts are on.
pub fn interrupts_enabled() -> bool {
    interrupts::are_enabled()
}

/// Turns interrupts on and waits for one, in one step: none can slip in between and be slept through.
pub fn wait_for_interrupt() {
    interrupts::enable_and_hlt();
}

/// Stops for good.
pub fn halt() -> ! {
    loop {
        interrupts::disable();
        x86_64::instructions::hlt();
    }
}

/// The address that the last page fault was about (CR2).
pub fn fault_address() -> u64 {
    x86_64::registers::control::Cr2::read_raw()
}

/// The physical address of the page table in use (CR3).
pub fn page_table() -> PhysAddr {
    x86_64::registers::control::Cr3::read_raw().0.start_address()
}

/// The time-stamp counter.
#[inline(always)]
pub fn time_stamp() -> u64 {
    // SAFETY: RDTSC reads a counter and nothing else; ring 0 may always use it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The frame pointer of the caller, where a backtrace starts.
#[inline(always)]
pub fn frame_pointer() -> u64 {
    let value: u64;
    // SAFETY: copies a register; touches neither memory nor flags nor the stack.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Raises the breakpoint exception.
pub fn breakpoint() {
    x86_64::instructions::interrupts::int3();
}
