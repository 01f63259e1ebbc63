//! Tests that need the machine. The command line word `test` runs them.

use crate::log_line::Queued;
use crate::{memory, traps};
use core::fmt::Write;
use paging::layout::{PAGE, REGIONS};
use paging::Protection;
use x86::{clock, cpu, ports, serial};
use x86_64::VirtAddr;

/// A name and what must hold.
type Test = (&'static str, fn() -> Result<(), &'static str>);

static TESTS: &[Test] = &[
    ("page_table_keeps_write_xor_execute", write_xor_execute),
    ("kernel_text_is_read_only_in_the_physmap", text_alias),
    ("null_page_is_unmapped", null_page),
    ("low_memory_is_unmapped", low_memory),
    ("guard_pages_are_unmapped", guard_pages),
    ("breakpoint_reaches_the_handler_and_returns", breakpoint),
    ("timer_ticks", timer),
    ("clock_advances", clock_advances),
    ("serial_ring_drains_by_interrupt", serial_ring),
];

/// Runs them all and stops the machine with what became of them.
pub fn run() -> ! {
    let mut passed = 0;
    for (name, test) in TESTS {
        let result = test();
        let _ = match result {
            Ok(()) => write!(Queued, "test {name} ... ok\r\n"),
            Err(reason) => write!(Queued, "test {name} ... FAILED: {reason}\r\n"),
        };
        passed += usize::from(result.is_ok());
    }
    let failed = TESTS.len() - passed;
    let _ = write!(Queued, "{passed} passed, {failed} failed\r\n");
    // The line must be out before the machine is.
    serial::send_polled(&[]);
    ports::exit(if failed == 0 { ports::SUCCESS } else { ports::FAILURE })
}

fn ensure(holds: bool, reason: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(reason) }
}

/// Waits for interrupts until something holds, for a second at most.
fn wait_until(holds: impl Fn() -> bool) -> bool {
    let deadline = clock::now_ns() + 1_000_000_000;
    while !holds() {
        if clock::now_ns() > deadline {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

fn write_xor_execute() -> Result<(), &'static str> {
    let audit = memory::lock().mapper.audit();
    match audit {
        Ok(audit) => ensure(audit.executable > 0 && audit.writable > 0, "the walk saw no kernel"),
        Err(paging::Violation::WritableAndExecutable(_)) => Err("a page is writable and executable"),
        Err(paging::Violation::WritableAlias(_)) => Err("an executable frame has a writable alias"),
        Err(paging::Violation::User(_)) => Err("a page is open to ring 3"),
        Err(paging::Violation::NoMemory) => Err("no memory to check with"),
    }
}

fn text_alias() -> Result<(), &'static str> {
    let memory = memory::lock();
    let text = VirtAddr::new(text_alias as *const () as u64);
    let code = memory.mapper.translate(text).ok_or("this function is not mapped")?;
    ensure(code.protection == Protection::ReadExecute, "this function is not read-execute")?;
    let alias = memory.mapper.translate(VirtAddr::new(memory::PHYSMAP + code.physical.as_u64()));
    let alias = alias.ok_or("the physmap does not show the kernel's text")?;
    ensure(alias.protection == Protection::ReadOnly, "the physmap's alias is not read-only")
}

fn null_page() -> Result<(), &'static str> {
    ensure(memory::lock().mapper.translate(VirtAddr::zero()).is_none(), "page 0 is mapped")
}

fn low_memory() -> Result<(), &'static str> {
    let mut lowest = None;
    memory::lock().mapper.walk(|at, _, _, _| _ = lowest.get_or_insert(at.as_u64()));
    ensure(lowest.is_some_and(|lowest| lowest >= memory::PHYSMAP), "something is mapped in the lower half")
}

fn guard_pages() -> Result<(), &'static str> {
    let mut memory = memory::lock();
    let region = memory.kernel_stack(2 * PAGE).map_err(|_| "no stack")?;
    let mapped = |at| memory.mapper.translate(VirtAddr::new(at)).is_some();
    ensure(mapped(region.start) && mapped(region.end() - 1), "the stack is not mapped")?;
    ensure(!mapped(region.start - 1), "the page below the stack is mapped")?;
    ensure(!mapped(region.end()), "the page above the stack is mapped")?;
    ensure(!mapped(REGIONS), "the first guard page is mapped")
}

fn breakpoint() -> Result<(), &'static str> {
    let before = traps::breakpoints();
    cpu::breakpoint();
    ensure(traps::breakpoints() == before + 1, "the handler was not called once")
}

fn timer() -> Result<(), &'static str> {
    let before = traps::ticks();
    ensure(wait_until(|| traps::ticks() >= before + 10), "ten ticks took more than a second")
}

fn clock_advances() -> Result<(), &'static str> {
    let before = clock::now_ns();
    ensure(wait_until(|| clock::now_ns() > before), "the clock stands still")?;
    // 2020 to 2100.
    ensure((1_577_836_800..4_102_444_800).contains(&clock::unix_seconds()), "the wall clock is absurd")
}

fn serial_ring() -> Result<(), &'static str> {
    let before = serial::interrupt_count();
    ensure(wait_until(|| serial::pending() == 0), "the ring did not drain")?;
    let line = b"serial: sixty-four bytes and more, which no FIFO of sixteen takes at once\r\n";
    ensure(serial::send(line) == line.len(), "the ring refused a line")?;
    ensure(wait_until(|| serial::pending() == 0), "the ring did not drain")?;
    ensure(serial::interrupt_count() > before, "no interrupt came")
}
