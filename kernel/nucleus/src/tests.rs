//! Tests that need the machine, chosen by words of the command line.
//!
//! `test` runs those of this module and stops the machine with what became of them. The words of [`stops`] each bring about a failure
//! of the kernel: what the machine then says and how it ends is the runner's to judge.

mod stops;

use crate::boot::INTERRUPT_STACK;
use crate::log_line::Queued;
use crate::{memory, probe, traps};
use core::fmt::Write;
use core::sync::atomic::{AtomicUsize, Ordering};
use paging::layout::{PAGE, REGIONS};
use paging::{Cache, Protection};
use x86::interrupts::{self, TrapFrame};
use x86::lock::IrqMutex;
use x86::segments::{Stack, stack_top};
use x86::switch::{prepare_stack, switch};
use x86::{clock, cpu, local_apic, ports, random, serial};
use x86_64::VirtAddr;

/// A name and what must hold.
type Test = (&'static str, fn() -> Result<(), &'static str>);

/// The instruction RET.
const RETURN: u8 = 0xc3;

static TESTS: &[Test] = &[
    ("page_table_keeps_write_xor_execute", write_xor_execute),
    ("kernel_text_is_read_only_in_the_physmap", text_alias),
    ("null_page_is_unmapped", null_page),
    ("low_memory_is_unmapped", low_memory),
    ("guard_pages_are_unmapped", guard_pages),
    ("breakpoint_reaches_the_handler_and_returns", breakpoint),
    ("writing_to_code_by_any_address_faults", code_is_not_writable),
    ("executing_data_faults", data_is_not_executable),
    ("touching_a_guard_page_faults", guard_pages_fault),
    ("an_image_is_written_then_executed_then_gone", image),
    ("a_non_maskable_interrupt_has_its_own_stack_and_returns", non_maskable),
    ("a_new_context_runs_and_comes_back", context_switch),
    ("a_frame_resumes_from_anywhere", resume),
    ("an_interrupt_keeps_all_registers", registers),
    ("the_timer_preempts_two_busy_contexts", preemption),
    ("timer_ticks", timer),
    ("clock_advances", clock_advances),
    ("random_words_are_scattered", random_words),
    ("serial_ring_drains_by_interrupt", serial_ring),
    ("serial_bytes_arrive_by_interrupt", serial_receive),
    ("the_log_is_kept_for_its_reader_and_lost_for_nobody", kept_log),
];

/// Runs what a word of the command line names, if it names tests: then this does not return.
pub fn run_if_named(word: &str) {
    match word {
        "test" => run(),
        "stack-overflow" => stops::stack_overflow(),
        "double-fault" => stops::double_fault(),
        "machine-check" => stops::machine_check(),
        _ => {}
    }
}

/// Runs them all and stops the machine with what became of them.
fn run() -> ! {
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
fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let start = cpu::time_stamp();
    while !holds() {
        if cpu::time_stamp() - start > clock::time_stamp_frequency() {
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

fn code_is_not_writable() -> Result<(), &'static str> {
    let text = code_is_not_writable as *const () as u64;
    let code = memory::lock().mapper.translate(VirtAddr::new(text)).ok_or("this function is not mapped")?;
    ensure(probe::write(text).is_err(), "the kernel's text can be written to")?;
    ensure(probe::write(memory::PHYSMAP + code.physical.as_u64()).is_err(), "its alias can be written to")?;
    let mut local = 0_u8;
    ensure(probe::write(&raw mut local as u64).is_ok(), "the stack cannot be written to")
}

fn data_is_not_executable() -> Result<(), &'static str> {
    let code = [RETURN; 16];
    ensure(probe::execute(&raw const code as u64).is_err(), "the stack can be executed")?;
    let block = alloc::boxed::Box::new(code);
    ensure(probe::execute(&raw const *block as u64).is_err(), "the heap can be executed")
}

fn guard_pages_fault() -> Result<(), &'static str> {
    let region = memory::lock().kernel_stack(PAGE).map_err(|_| "no stack")?;
    ensure(probe::write(region.start - 1).is_err(), "the page below a stack can be written to")?;
    ensure(probe::write(region.start).is_ok(), "the stack cannot be written to")?;
    ensure(probe::write(0).is_err(), "page 0 can be written to")?;
    ensure(probe::write(memory::boot_stack_guard()).is_err(), "the boot stack has no guard")
}

/// The whole life of a page of cell code, on the machine.
fn image() -> Result<(), &'static str> {
    let mut memory = memory::lock();
    let region = memory.images.allocate(PAGE).map_err(|_| "no addresses")?;
    let frame = memory.mapper.frames().allocate().map_err(|_| "no frame")?;
    let at = VirtAddr::new(region.start);
    // SAFETY: region and frame were handed out just now.
    unsafe { memory.mapper.map(at, frame, PAGE, Protection::ReadWrite, Cache::Normal) }.map_err(|_| "not mapped")?;
    // SAFETY: the page is mapped writable and nobody else's.
    unsafe { at.as_mut_ptr::<u8>().write(RETURN) };
    ensure(probe::execute(region.start).is_err(), "a writable page can be executed")?;
    // SAFETY: the page is this test's.
    unsafe { memory.mapper.protect(at, PAGE, Protection::ReadExecute) }.map_err(|_| "not protected")?;
    ensure(probe::execute(region.start).is_ok(), "code cannot be executed")?;
    ensure(probe::write(region.start).is_err(), "code can be written to")?;
    let alias = memory::PHYSMAP + frame.as_u64();
    ensure(probe::write(alias).is_err(), "the alias of code can be written to")?;
    ensure(memory.mapper.audit().is_ok(), "the page table breaks its promises")?;
    // SAFETY: nothing refers to the page.
    unsafe { memory.mapper.unmap(at, PAGE) }.map_err(|_| "not unmapped")?;
    ensure(probe::execute(region.start).is_err(), "unmapped code can be executed")?;
    ensure(probe::write(alias).is_ok(), "the alias did not become writable again")?;
    // SAFETY: the frame came from the reserve, and its mapping is gone.
    unsafe { memory.mapper.frames().free(frame) };
    memory.images.free(region).map_err(|_| "the addresses did not come back")
}

static MAIN: AtomicUsize = AtomicUsize::new(0);
static OTHER: AtomicUsize = AtomicUsize::new(0);
static SEEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn other_context(first: usize, second: usize) -> ! {
    let mut round = 0;
    loop {
        SEEN.store(2 * first + second + round, Ordering::Relaxed);
        round += 1;
        // SAFETY: the test switches here from `MAIN` and waits there, interrupts off.
        unsafe { switch(OTHER.as_ptr(), MAIN.load(Ordering::Relaxed), 0) };
    }
}

fn context_switch() -> Result<(), &'static str> {
    let stack = memory::lock().kernel_stack(2 * PAGE).map_err(|_| "no stack")?;
    // SAFETY: the stack was mapped just now, and is this context's alone.
    let context = unsafe { prepare_stack(stack.end() as usize, other_context, 30, 4) };
    OTHER.store(context, Ordering::Relaxed);
    let off = cpu::InterruptsOff::enter();
    let mut seen = [0; 3];
    for slot in &mut seen {
        // SAFETY: `OTHER` holds a context made above or saved by its own switch, on a mapped stack; interrupts are off.
        unsafe { switch(MAIN.as_ptr(), OTHER.load(Ordering::Relaxed), 0) };
        *slot = SEEN.load(Ordering::Relaxed);
    }
    drop(off);
    ensure(seen == [64, 65, 66], "the context did not see its arguments, or lost its registers")
}

extern "C" fn resumed_context(first: usize, _: usize) -> ! {
    SEEN.store(first, Ordering::Relaxed);
    // SAFETY: the test waits at `MAIN`, interrupts off.
    unsafe { switch(OTHER.as_ptr(), MAIN.load(Ordering::Relaxed), 0) };
    x86::bug!("nothing switches back to this context")
}

extern "C" fn resume_frame(frame: usize, _: usize) -> ! {
    // SAFETY: the test passes the address of a frame that it made up for `resumed_context`.
    unsafe { interrupts::resume(frame as *const TrapFrame) }
}

fn resume() -> Result<(), &'static str> {
    let first = memory::lock().kernel_stack(2 * PAGE).map_err(|_| "no stack")?;
    let second = memory::lock().kernel_stack(2 * PAGE).map_err(|_| "no stack")?;
    let frame = alloc::boxed::Box::new(TrapFrame {
        rip: resumed_context as *const () as u64,
        rdi: 77,
        rsp: second.end() - 8,
        rflags: 2,
        cs: u64::from(x86::segments::CODE),
        ss: u64::from(x86::segments::DATA),
        ..TrapFrame::default()
    });
    // SAFETY: the stack was mapped just now, and is this context's alone.
    let context = unsafe { prepare_stack(first.end() as usize, resume_frame, &raw const *frame as usize, 0) };
    let off = cpu::InterruptsOff::enter();
    // SAFETY: `context` was made above; interrupts are off.
    unsafe { switch(MAIN.as_ptr(), context, 0) };
    drop(off);
    ensure(SEEN.load(Ordering::Relaxed) == 77, "the frame's registers did not arrive")
}

static FRAMES: IrqMutex<[TrapFrame; 2]> = IrqMutex::new([EMPTY_FRAME; 2]);
static RUNNING: AtomicUsize = AtomicUsize::new(0);
static SPINS: AtomicUsize = AtomicUsize::new(0);
const EMPTY_FRAME: TrapFrame = TrapFrame {
    r15: 0,
    r14: 0,
    r13: 0,
    r12: 0,
    r11: 0,
    r10: 0,
    r9: 0,
    r8: 0,
    rdi: 0,
    rsi: 0,
    rbp: 0,
    rbx: 0,
    rdx: 0,
    rcx: 0,
    rax: 0,
    vector: 0,
    error_code: 0,
    rip: 0,
    cs: x86::segments::CODE as u64,
    rflags: 1 << 9 | 2,
    rsp: 0,
    ss: x86::segments::DATA as u64,
};

/// What a scheduler does: puts the frame away and continues the other.
fn swap_frames(frame: &mut TrapFrame) {
    let mut frames = FRAMES.lock();
    let next = RUNNING.fetch_xor(1, Ordering::Relaxed) ^ 1;
    let [first, second] = &mut *frames;
    let (save, load) = if next == 1 { (first, second) } else { (second, first) };
    *save = *frame;
    let load = *load;
    drop(frames);
    // SAFETY: the frame is that of the context which was preempted last, or the one that the test made up; no guard is held.
    unsafe { interrupts::resume(&raw const load) }
}

extern "C" fn spin(_: usize, _: usize) -> ! {
    loop {
        SPINS.fetch_add(1, Ordering::Relaxed);
    }
}

fn preemption() -> Result<(), &'static str> {
    let stack = memory::lock().kernel_stack(2 * PAGE).map_err(|_| "no stack")?;
    let other = TrapFrame { rip: spin as *const () as u64, rsp: stack.end() - 8, ..EMPTY_FRAME };
    *FRAMES.lock() = [EMPTY_FRAME, other];
    traps::set_tick_hook(Some(swap_frames));
    let (mut turns, mut last) = (0, 0);
    let done = wait_until(|| {
        let spins = SPINS.load(Ordering::Relaxed);
        turns += usize::from(spins != last);
        last = spins;
        turns >= 10
    });
    traps::set_tick_hook(None);
    ensure(done, "the two did not take turns")
}

fn registers() -> Result<(), &'static str> {
    ensure(probe::registers_survive_a_breakpoint(), "a register changed")
}

fn breakpoint() -> Result<(), &'static str> {
    let before = traps::breakpoints();
    cpu::breakpoint();
    ensure(traps::breakpoints() == before + 1, "the handler was not called once")
}

fn non_maskable() -> Result<(), &'static str> {
    let (before, _) = traps::non_maskables();
    let off = cpu::InterruptsOff::enter();
    local_apic::send_non_maskable();
    let came = wait_until(|| traps::non_maskables().0 != before);
    drop(off);
    let (count, frame) = traps::non_maskables();
    ensure(came && count == before + 1, "the handler was not called once, whatever the interrupt flag says")?;
    let top = stack_top(Stack::NonMaskable).as_u64();
    ensure((top - INTERRUPT_STACK..top).contains(&frame), "the frame stands on another stack")?;
    // The timer has a line to say about it, which is not to come into the middle of another.
    let now = traps::ticks();
    ensure(wait_until(|| traps::ticks() > now), "the timer stands still")
}

fn timer() -> Result<(), &'static str> {
    let before = traps::ticks();
    ensure(wait_until(|| traps::ticks() >= before + 10), "ten ticks took more than a second")
}

fn clock_advances() -> Result<(), &'static str> {
    let (clock_before, ticks_before) = (clock::now_ns(), traps::ticks());
    ensure(wait_until(|| traps::ticks() >= ticks_before + 20), "twenty ticks took more than a second")?;
    // A host that is busy delays ticks, and never makes them come early by more than the first one.
    ensure(clock::now_ns() - clock_before > 15_000_000, "twenty ticks took less than 15 ms by the clock")?;
    // 2020 to 2100.
    ensure((1_577_836_800..4_102_444_800).contains(&clock::unix_seconds()), "the wall clock is absurd")
}

fn random_words() -> Result<(), &'static str> {
    const WORDS: usize = 256;
    let mut words = [0u64; WORDS];
    words.fill_with(random::bits);
    let ones: u32 = words.iter().map(|word| word.count_ones()).sum();
    // Of 16384 fair coins, more than 600 from the middle is beyond nine standard deviations.
    ensure(ones.abs_diff(32 * WORDS as u32) < 600, "one value of a bit is much more frequent")?;
    words.sort_unstable();
    ensure(words.is_sorted_by(|one, other| one < other), "a word came twice")?;
    let near = words.iter().zip(words.iter().skip(1)).filter(|(one, other)| *other - *one < 1 << 24).count();
    ensure(near == 0, "words stand close together")
}

fn serial_ring() -> Result<(), &'static str> {
    let before = serial::interrupt_count();
    ensure(wait_until(|| serial::pending() == 0), "the ring did not drain")?;
    let line = b"serial: sixty-four bytes and more, which no FIFO of sixteen takes at once\r\n";
    ensure(serial::send(line) == line.len(), "the ring refused a line")?;
    ensure(wait_until(|| serial::pending() == 0), "the ring did not drain")?;
    ensure(serial::interrupt_count() > before, "no interrupt came")
}

fn serial_receive() -> Result<(), &'static str> {
    ensure(wait_until(|| serial::pending() == 0), "the ring did not drain")?;
    serial::set_loopback(serial::Loopback::On);
    let mut buffer = [0; 8];
    // What the terminal sent before the test is not what is looked for.
    while serial::receive(&mut buffer) > 0 {}
    serial::send(b"echo");
    let arrived = wait_until(|| serial::received() == 4);
    let count = serial::receive(&mut buffer);
    serial::set_loopback(serial::Loopback::Off);
    ensure(arrived && buffer.get(..count) == Some(b"echo"), "other bytes arrived")
}

fn kept_log() -> Result<(), &'static str> {
    let line = b"kept\r\n";
    let mut taken = [0; 16];
    serial::keep_log(line);
    let count = serial::take_log(&mut taken);
    ensure(taken.get(..count) == Some(&line[..]), "the reader took something else")?;
    ensure(serial::take_log(&mut taken) == 0, "a line was taken twice")?;
    // Without a reader it goes out with what is sent next.
    serial::keep_log(line);
    serial::send_all(b"");
    ensure(serial::take_log(&mut taken) == 0, "a line that was sent is still kept")?;
    // Beyond its room it goes out too.
    let row = b"a row of the log, for which there is no room in the end ......\r\n";
    let rows = 200;
    for _ in 0..rows {
        serial::keep_log(row);
    }
    let mut left = 0;
    while serial::take_log(&mut taken) > 0 {
        left += taken.len();
    }
    ensure(left > 0 && left < rows * row.len() - taken.len(), "the ring kept more than it has room for")
}
