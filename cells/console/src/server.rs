//! The messages of the console server.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::console::{BUSY, Console, Ending, MALFORMED, NO_LINE};
use abi::kernel::BODY_MAX;
use abi::token::{All, CNode, CallOnly, Cap, Notification, Serial};
use line_editor::Event as Typed;
use runtime::{Event, Pending, Request, Server, abi, objects};

use crate::ahead::Ahead;
use crate::output::{Output, feed};
use crate::terminal::Terminal;

/// The labels that this server declares at its endpoint.
pub const LABELS: &[abi::interface::Label] = Console::LABELS;

/// The most readers that wait at once: the rest of what can be held is the writers'.
const MOST_READERS: usize = 16;
/// Bytes waiting for the device above which nothing is taken from the keyboard or the log: they wait in the kernel.
const MOST_WAITING: usize = 16 * 1024;

/// Serves for ever.
pub fn run(mut server: Server, serial: &Cap<Serial, All>, cnode: &Cap<CNode, All>) -> ! {
    let mut console = Service {
        serial,
        cnode,
        running: None,
        ahead: Ahead::default(),
        terminal: Terminal::default(),
        output: Output::default(),
        readers: VecDeque::new(),
        at_tab: None,
    };
    // Whatever the kernel logs from here on comes to this cell.
    console.take_log();
    loop {
        match server.next_event() {
            Event::Signal(_) => console.go_on(&mut server),
            Event::Request(mut request) => {
                match Console::decode(request.label(), request.words()) {
                    Some(Console::Write(_)) => console.write(request),
                    Some(Console::Read(_)) => console.queue(request, Wish::Bytes),
                    Some(Console::ReadLine(_)) => console.read_line(request),
                    Some(Console::Complete(_)) => console.complete(request),
                    Some(Console::Interrupts(_)) => match console.watch(&mut request) {
                        true => request.ok(0),
                        false => request.refuse(MALFORMED, 0),
                    },
                    None => request.refuse(MALFORMED, 0),
                }
                console.take_input(&mut server);
                console.look_ahead();
            }
        }
    }
}

/// A program that may be interrupted, by the badge of whom it runs for.
#[derive(Debug)]
struct Running {
    badge: u64,
    signal: Cap<Notification, CallOnly>,
}

/// What a reader waits for.
#[derive(Debug)]
enum Wish {
    /// Bytes as they are typed.
    Bytes,
    /// A line behind this prompt.
    Line(String),
    /// The line that is open goes on.
    More,
}

#[derive(Debug)]
struct Reader {
    pending: Pending,
    badge: u64,
    wish: Wish,
}

struct Service<'a> {
    serial: &'a Cap<Serial, All>,
    cnode: &'a Cap<CNode, All>,
    running: Option<Running>,
    ahead: Ahead,
    terminal: Terminal,
    output: Output<Option<Pending>>,
    readers: VecDeque<Reader>,
    /// Whose line was handed over at a tab: it is open, and nobody waits for it.
    at_tab: Option<u64>,
}

impl Service<'_> {
    /// The device has room, bytes were typed, or the kernel has logged something.
    fn go_on(&mut self, server: &mut Server) {
        let through = self.output.pump(|bytes| write(self.serial, bytes));
        for writer in through.into_iter().flatten() {
            server.answer(writer, 0, 0, &[]);
        }
        self.take_log();
        self.take_input(server);
        self.look_ahead();
    }

    /// Begins to look for Ctrl-C on behalf of who sends this. `false` where no notification came with it.
    fn watch(&mut self, request: &mut Request<'_>) -> bool {
        let Some(signal) = request.granted().and_then(|granted| granted.claim(self.cnode).ok()) else { return false };
        if let Some(earlier) = self.running.replace(Running { badge: request.badge(), signal }) {
            objects::delete(earlier.signal);
        }
        true
    }

    /// The program of a client has ended.
    fn has_ended(&mut self, badge: u64) {
        if let Some(running) = self.running.take_if(|running| running.badge == badge) {
            objects::delete(running.signal);
        }
    }

    /// Takes what nobody reads, where a Ctrl-C in it is waited for.
    fn look_ahead(&mut self) {
        let mut room = [0; BODY_MAX];
        while let Some(running) = &self.running
            && self.readers.is_empty()
            && self.at_tab.is_none()
        {
            let most = self.ahead.room().min(room.len());
            let space = room.get_mut(..most).unwrap_or_default();
            let bytes = taken(objects::serial_read(self.serial, space), space);
            if bytes.is_empty() {
                return;
            }
            if self.ahead.typed(bytes) {
                let has_heard = objects::signal(&running.signal, 1).is_ok();
                let shown = self.terminal.message(b"^C\n");
                self.emit(shown);
                // Who does not hear it has gone.
                if !has_heard && let Some(running) = self.running.take() {
                    objects::delete(running.signal);
                }
            }
        }
    }

    /// Bytes that were typed, as many as fit: first what was taken ahead.
    fn typed<'r>(&mut self, room: &'r mut [u8]) -> &'r [u8] {
        match self.ahead.read(room) {
            0 => taken(objects::serial_read(self.serial, room), room),
            length => room.get(..length).unwrap_or(&[]),
        }
    }

    /// Takes a message. It is answered at once where the device has room for all of it.
    fn write(&mut self, request: Request<'_>) {
        let bytes = self.terminal.message(request.body());
        let sent = self.send(&bytes);
        if sent == bytes.len() && self.output.is_idle() {
            return request.ok(0);
        }
        match request.defer() {
            Ok(pending) => self.output.push(bytes, sent, Some(pending)),
            // It is taken all the same, since the terminal was told of it: this writer alone need not wait.
            Err(request) if self.output.waiting() < MOST_WAITING => {
                self.output.push(bytes, sent, None);
                request.ok(0);
            }
            Err(request) => request.refuse(BUSY, 0),
        }
    }

    /// The device takes what it can, unless others wait.
    fn send(&self, bytes: &[u8]) -> usize {
        match self.output.is_idle() {
            true => feed(bytes, |bytes| write(self.serial, bytes)),
            false => 0,
        }
    }

    /// Sends what nobody waits for.
    fn emit(&mut self, bytes: Vec<u8>) {
        let sent = self.send(&bytes);
        if sent < bytes.len() {
            self.output.push(bytes, sent, None);
        }
    }

    /// Writes what the kernel has logged: whole lines, since it logs nothing while this takes them.
    fn take_log(&mut self) {
        let mut log = Vec::new();
        let mut room = [0; BODY_MAX];
        while self.output.waiting() + log.len() < MOST_WAITING {
            match taken(objects::serial_log(self.serial, &mut room), &room) {
                [] => break,
                bytes => log.extend_from_slice(bytes),
            }
        }
        let bytes = self.terminal.message(&log);
        self.emit(bytes);
    }

    fn read_line(&mut self, request: Request<'_>) {
        match core::str::from_utf8(request.body()) {
            Ok(prompt) => {
                let prompt = prompt.into();
                self.queue(request, Wish::Line(prompt));
            }
            Err(_) => request.refuse(MALFORMED, 0),
        }
    }

    /// Keeps a reader until it is its turn.
    fn queue(&mut self, request: Request<'_>, wish: Wish) {
        if self.readers.len() >= MOST_READERS {
            return request.refuse(BUSY, 0);
        }
        let badge = request.badge();
        self.has_ended(badge);
        match request.defer() {
            Ok(pending) => {
                // A line whose owner does not come back from a tab gives way to whoever reads next.
                if self.at_tab.take().is_some() {
                    let cleared = self.terminal.close();
                    self.emit(cleared);
                }
                self.readers.push_back(Reader { pending, badge, wish });
            }
            Err(request) => request.refuse(BUSY, 0),
        }
    }

    fn complete(&mut self, request: Request<'_>) {
        let badge = request.badge();
        if self.at_tab != Some(badge) {
            return request.refuse(NO_LINE, 0);
        }
        let Ok(words) = core::str::from_utf8(request.body()) else { return request.refuse(MALFORMED, 0) };
        let candidates = words.lines().map(String::from).collect();
        match request.defer() {
            Ok(pending) => {
                self.at_tab = None;
                let echo = self.terminal.complete(candidates);
                self.emit(echo);
                self.readers.push_front(Reader { pending, badge, wish: Wish::More });
            }
            Err(request) => request.refuse(BUSY, 0),
        }
    }

    /// Gives what was typed to the readers, first come, first served.
    fn take_input(&mut self, server: &mut Server) {
        let mut room = [0; BODY_MAX];
        while self.at_tab.is_none() && self.output.waiting() < MOST_WAITING {
            let Some(reader) = self.readers.front_mut() else { return };
            match core::mem::replace(&mut reader.wish, Wish::More) {
                Wish::Bytes => {
                    reader.wish = Wish::Bytes;
                    let bytes = self.typed(&mut room);
                    if bytes.is_empty() {
                        return;
                    }
                    if let Some(reader) = self.readers.pop_front() {
                        server.answer(reader.pending, 0, 0, bytes);
                    }
                }
                Wish::Line(prompt) => {
                    let shown = self.terminal.open(&prompt);
                    self.emit(shown);
                }
                Wish::More => {
                    // What follows the line is for whoever reads next, so it is taken byte by byte.
                    let byte = room.get_mut(..1).unwrap_or_default();
                    let &[byte] = self.typed(byte) else { return };
                    let (echo, event) = self.terminal.typed(byte);
                    self.emit(echo);
                    if let Some(event) = event {
                        self.hand_over(server, event);
                    }
                }
            }
        }
    }

    /// The line goes to its reader.
    fn hand_over(&mut self, server: &mut Server, event: Typed) {
        let Some(reader) = self.readers.pop_front() else { return };
        let (ending, text) = match event {
            Typed::Line(text) => (Ending::Entered, text),
            Typed::Interrupted => (Ending::Interrupted, String::new()),
            Typed::EndOfInput => (Ending::EndOfInput, String::new()),
            Typed::Tab => {
                self.at_tab = Some(reader.badge);
                (Ending::Tab, self.terminal.before_cursor().into())
            }
        };
        server.answer(reader.pending, 0, ending as u64, text.as_bytes());
    }
}

/// Bytes that the device took; none where it refuses, which is a capability that this service has lost.
fn write(serial: &Cap<Serial, All>, bytes: &[u8]) -> usize {
    match objects::serial_write(serial, bytes) {
        Ok(taken) => usize::try_from(taken).unwrap_or(usize::MAX),
        Err(error) => panic!("the serial console is lost: {error:?}"),
    }
}

/// The part of a buffer that the kernel filled.
fn taken(answer: Result<u64, abi::KernelError>, room: &[u8]) -> &[u8] {
    match answer {
        Ok(length) => usize::try_from(length).ok().and_then(|length| room.get(..length)).unwrap_or(&[]),
        Err(error) => panic!("the serial console is lost: {error:?}"),
    }
}
