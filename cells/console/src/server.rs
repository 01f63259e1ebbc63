//! The messages of the console server.

use alloc::collections::VecDeque;

use abi::interfaces::console::Console;
use abi::kernel::BODY_MAX;
use abi::token::{All, Cap, Serial};
use runtime::{Event, Pending, Request, Server, abi, objects};

use crate::newlines::for_terminal;
use crate::output::{Output, feed};

/// The labels that this server declares at its endpoint.
pub const LABELS: &[(u32, u64)] = Console::LABELS;

/// Code: as many requests wait as this server can hold. What was to be written was not; try again.
pub const BUSY: u32 = 2;
/// Code: the words of the request are none of its method's.
pub const MALFORMED: u32 = 3;

/// The most readers that wait at once: the rest of what can be held is the writers'.
const MOST_READERS: usize = 16;

/// Serves for ever.
pub fn run(mut server: Server, serial: &Cap<Serial, All>) -> ! {
    let mut output = Output::default();
    let mut readers: VecDeque<Pending> = VecDeque::new();
    loop {
        match server.next_event() {
            Event::Signal(_) => {
                let through = output.pump(|bytes| write(serial, bytes));
                for writer in through.into_iter().flatten() {
                    server.answer(writer, 0, 0, &[]);
                }
                answer_readers(&mut server, &mut readers, serial);
            }
            Event::Request(request) => match Console::decode(request.label(), request.words()) {
                Some(Console::Write(_)) => take(request, &mut output, serial),
                Some(Console::Read(_)) => listen(request, &mut readers, serial),
                None => request.refuse(MALFORMED, 0),
            },
        }
    }
}

/// Takes a message. It is answered at once where the device has room for all of it.
fn take(request: Request<'_>, output: &mut Output<Option<Pending>>, serial: &Cap<Serial, All>) {
    let bytes = for_terminal(request.body());
    let sent = match output.is_idle() {
        true => feed(&bytes, |bytes| write(serial, bytes)),
        false => 0,
    };
    if sent == bytes.len() && output.is_idle() {
        return request.ok(0);
    }
    match request.defer() {
        Ok(pending) => output.push(bytes, sent, Some(pending)),
        // What has begun is written whole: this one writer, for there is one first message, need not wait.
        Err(request) if sent > 0 => {
            output.push(bytes, sent, None);
            request.ok(0);
        }
        Err(request) => request.refuse(BUSY, 0),
    }
}

/// Answers a reader with what has been typed already, or keeps it.
fn listen(request: Request<'_>, readers: &mut VecDeque<Pending>, serial: &Cap<Serial, All>) {
    let mut typed = [0; BODY_MAX];
    let typed = match readers.is_empty() {
        true => read(serial, &mut typed),
        false => &[],
    };
    if !typed.is_empty() {
        return request.ok_bytes(0, typed);
    }
    if readers.len() >= MOST_READERS {
        return request.refuse(BUSY, 0);
    }
    match request.defer() {
        Ok(pending) => readers.push_back(pending),
        Err(request) => request.refuse(BUSY, 0),
    }
}

/// The reader who has waited longest gets what was typed.
fn answer_readers(server: &mut Server, readers: &mut VecDeque<Pending>, serial: &Cap<Serial, All>) {
    let mut room = [0; BODY_MAX];
    while !readers.is_empty() {
        let typed = read(serial, &mut room);
        if typed.is_empty() {
            return;
        }
        if let Some(reader) = readers.pop_front() {
            server.answer(reader, 0, 0, typed);
        }
    }
}

/// Bytes that the device took; none where it refuses, which is a capability that this service has lost.
fn write(serial: &Cap<Serial, All>, bytes: &[u8]) -> usize {
    match objects::serial_write(serial, bytes) {
        Ok(taken) => usize::try_from(taken).unwrap_or(usize::MAX),
        Err(error) => panic!("the serial console is lost: {error:?}"),
    }
}

fn read<'a>(serial: &Cap<Serial, All>, into: &'a mut [u8]) -> &'a [u8] {
    match objects::serial_read(serial, into) {
        Ok(length) => usize::try_from(length).ok().and_then(|length| into.get(..length)).unwrap_or(&[]),
        Err(error) => panic!("the serial console is lost: {error:?}"),
    }
}
