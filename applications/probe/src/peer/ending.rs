//! Ways in which a peer ends.

use abi::token::RawCap;
use runtime::forbidden::{Act, commit};

use crate::protocol::ending;
use crate::task::Reported;

/// What a cell that ends by itself reports.
pub const LAST_WORDS: Reported = Reported::Value(99);
/// An address that nobody has: in the arena of stacks and heaps, far above the last one.
const WILD: usize = 0xffff_dfff_dead_b000;

/// Ends this cell, in the way that is asked for. A way that does not work is told as another one.
pub fn end(how: u64) -> ! {
    let came_back = match how {
        ending::OVERFLOW => Some(deeper(1)),
        ending::OVERFLOW_IN_KERNEL => Some(deeper_with(runtime::yield_now, 1)),
        ending::OVERFLOW_IN_CALL => Some(deeper_with(call_nobody, 1)),
        ending::EXIT => runtime::exit(LAST_WORDS.to_status()),
        ending::LOOP => run_for_ever(),
        ending::READ_NULL => commit(Act::Read(0)),
        ending::WRITE_WILD => commit(Act::Write(WILD)),
        ending::WRITE_CODE => commit(Act::Write(end as *const () as usize)),
        ending::UNDEFINED => commit(Act::UndefinedInstruction),
        ending::PROTECTION => commit(Act::GeneralProtection),
        ending::CALL_NULL => commit(Act::Call(0)),
        ending::CALL_DATA => {
            let data = alloc::boxed::Box::new(0xc3u8);
            commit(Act::Call(core::ptr::from_ref(&*data).addr()))
        }
        ending::PANIC_IN_DROP => {
            drop(PanicsInDrop);
            None
        }
        ending::OUT_OF_MEMORY => Some(hoard()),
        _ => panic!("as it was asked to"),
    };
    // Not a failure: the tests expect one.
    runtime::exit(Reported::Value(came_back.unwrap_or(0)).to_status())
}

/// Nothing of a cell's end depends on what it would have dropped.
struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in the middle of a drop");
    }
}

/// Keeps what it allocates; it has not so much memory.
fn hoard() -> u64 {
    const PIECE: usize = 1 << 10;
    let mut pieces = alloc::vec::Vec::new();
    for piece in 0..1u64 << 20 {
        pieces.push(core::hint::black_box(alloc::boxed::Box::new([piece as u8; PIECE])));
    }
    pieces.len() as u64
}

/// Work that cannot be left out, and is not measured by a clock.
pub fn compute(steps: u64) {
    for step in 0..steps {
        core::hint::black_box(step);
    }
}

/// Computes until it is stopped.
pub fn run_for_ever() -> ! {
    loop {
        compute(1 << 20);
    }
}

/// A call that is refused.
fn call_nobody() {
    let _ = commit(Act::Send(RawCap::EMPTY, 1));
}

/// Never ends but by the end of the stack.
fn deeper(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 32]);
    match depth {
        0 => 0,
        _ => deeper(depth + 1) + frame.iter().sum::<u64>(),
    }
}

/// The same, with a function of the kernel on each level.
fn deeper_with(function: fn(), depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 32]);
    function();
    match depth {
        0 => 0,
        _ => deeper_with(function, depth + 1) + frame.iter().sum::<u64>(),
    }
}
