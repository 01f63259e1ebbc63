//! The server's side: receive, answer, defer.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::with_exposed_provenance_mut;

use abi::kernel::{Answer, BODY_MAX, Letter, Message, Reception, ReplyBody, TIMEOUT_NONE};
use abi::token::{All, Cap, Endpoint, Object, RawCap, ReceiveOnly, Reply, Rights};
use abi::{CallError, KernelError};

use crate::kernel::{fetch, outcome, receive, reply, reply_receive, reply_words};
use crate::objects::Granted;
use crate::state::{self, Exporter, Exports, InOnePiece, State};

/// A server's main loop: `loop { match server.next_event() { ... } }`.
///
/// Each request is answered exactly once, or deferred: a loop that asks for the next one with the last unanswered is
/// a bug, and ends the cell. Answers of words alone are kept until `next_event`, which sends them and receives in one step.
#[derive(Debug)]
pub struct Server {
    /// The kernel reads it in place. Its reply object is [`Server::current`].
    reception: Reception,
    turn: Turn,
    answer: Answer,
    second: u64,
    endpoint: Cap<Endpoint, ReceiveOnly>,
    current: Option<Cap<Reply, All>>,
    spare: Vec<Cap<Reply, All>>,
    /// What came beside the words of the last request with baggage.
    message: Box<Message>,
    /// The capability that came with the request and that nobody has taken yet.
    granted: RawCap,
    room: Box<[u8; BODY_MAX]>,
    exporter: Option<Exporter>,
    /// During a trial: the bytes of `room` that are to be sent, and what is handed over with them.
    kept: (usize, RawCap),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing to answer.
    Free,
    /// A request waits for its answer.
    Owes,
    /// Words to be sent with the next receive.
    Words,
    /// A body to be sent before the next receive.
    Body,
}

/// What a server is to do next.
#[derive(Debug)]
pub enum Event<'a> {
    /// Answer this request.
    Request(Request<'a>),
    /// Bits of the notification that is bound to the thread.
    Signal(u64),
}

impl Server {
    /// A server at an endpoint, with reply objects for as many requests as it may hold at once.
    ///
    /// # Panics
    /// Without a reply object.
    pub fn new(endpoint: Cap<Endpoint, ReceiveOnly>, mut replies: Vec<Cap<Reply, All>>) -> Self {
        let Some(current) = replies.pop() else { panic!("bug: a server needs a reply object") };
        Server {
            reception: Reception { endpoint: endpoint.raw(), reply: current.raw(), timeout: TIMEOUT_NONE },
            turn: Turn::Free,
            answer: Answer { status: 0, value: 0 },
            second: 0,
            endpoint,
            current: Some(current),
            spare: replies,
            message: Box::new(Message::EMPTY),
            granted: RawCap::EMPTY,
            room: Box::new([0; BODY_MAX]),
            exporter: None,
            kept: (0, RawCap::EMPTY),
        }
    }

    /// The same, for a server with a [`State`], which its loop hands to [`Self::next_event_with`].
    #[must_use]
    pub fn exporting(mut self, exporter: Option<Exporter>) -> Self {
        self.exporter = exporter;
        self
    }

    /// As [`Self::next_event`], for a server whose state goes on with the next version of it: the state is exported when the instance
    /// is replaced, and before each reply while it is on trial itself.
    #[inline(always)]
    pub fn next_event_with<S: State>(&mut self, state: &S) -> Event<'_> {
        self.next_event_exporting(&mut InOnePiece(state))
    }

    /// The same for a server that exports its state by itself.
    #[inline(always)]
    pub fn next_event_exporting(&mut self, state: &mut impl Exports) -> Event<'_> {
        match self.next_event_exporting_within(state, TIMEOUT_NONE) {
            Ok(event) => event,
            Err(error) => crate::bug!("receive failed: {error}"),
        }
    }

    /// The same, for so many nanoseconds at most.
    ///
    /// # Errors
    /// As for [`Self::next_event_within`].
    #[inline(always)]
    pub fn next_event_exporting_within(
        &mut self,
        state: &mut impl Exports,
        timeout: u64,
    ) -> Result<Event<'_>, CallError> {
        loop {
            if self.is_on_trial() {
                self.export_before_reply(state);
            }
            let letter = self.receive(timeout);
            if letter.label == Letter::FREEZE && letter.baggage == 0 {
                self.freeze(state, letter.words[0] as u32);
                continue;
            }
            return self.event(letter);
        }
    }

    /// As [`Self::answer`], for a server whose state is exported before each reply while it is on trial.
    pub fn answer_exporting(
        &mut self,
        state: &mut impl Exports,
        pending: Pending,
        status: u32,
        value: u64,
        body: &[u8],
    ) {
        if self.is_on_trial() {
            self.export_on_trial(state);
        }
        self.answer(pending, status, value, body);
    }

    /// Whether the instance is on trial, as far as it has heard.
    pub fn is_on_trial(&self) -> bool {
        self.exporter.is_some_and(|exporter| exporter.trial.is_some())
    }

    /// What the reply tells is restored if this instance fails: the kernel keeps both in one step.
    #[cold]
    fn export_before_reply(&mut self, state: &mut impl Exports) {
        if matches!(self.turn, Turn::Words | Turn::Body) {
            self.export_on_trial(state);
        }
        if self.turn == Turn::Body {
            let (length, grant) = self.kept;
            let body = ReplyBody { send: self.room.as_ptr(), send_length: length, grant };
            let to = self.current.as_ref().map_or(RawCap::EMPTY, Cap::raw);
            // A caller that gave up meanwhile is no error: a late reply is harmless.
            let _ = deliver(0, self.answer.value, to, &body);
            self.turn = Turn::Free;
        }
    }

    fn export_on_trial(&mut self, state: &mut impl Exports) {
        if let Some(exporter) = &mut self.exporter {
            exporter.trial = exporter.trial.filter(|trial| trial.export(state));
        }
    }

    #[cold]
    fn freeze(&mut self, state: &mut impl Exports, schema: u32) {
        self.turn = Turn::Free;
        if let Some(exporter) = self.exporter {
            state::export(exporter.tcb, state, schema);
        }
    }

    /// The endpoint that it serves.
    pub fn endpoint(&self) -> &Cap<Endpoint, ReceiveOnly> {
        &self.endpoint
    }

    /// Whether one more request can be deferred.
    pub fn can_defer(&self) -> bool {
        !self.spare.is_empty()
    }

    /// Sends what is to be sent, then waits for a request or a signal.
    #[inline(always)]
    pub fn next_event(&mut self) -> Event<'_> {
        match self.next_event_within(TIMEOUT_NONE) {
            Ok(event) => event,
            Err(error) => crate::bug!("receive failed: {error}"),
        }
    }

    /// As [`Self::next_event`], for so many nanoseconds at most.
    ///
    /// # Errors
    /// `TimedOut`; `EndpointGone`, or what is wrong with a capability.
    #[inline(always)]
    pub fn next_event_within(&mut self, timeout: u64) -> Result<Event<'_>, CallError> {
        let letter = self.receive(timeout);
        self.event(letter)
    }

    #[inline(always)]
    fn receive(&mut self, timeout: u64) -> Letter {
        if self.turn == Turn::Words && timeout == TIMEOUT_NONE {
            reply_receive(self.answer, self.second, &self.reception)
        } else {
            self.prepare(timeout);
            receive(&self.reception)
        }
    }

    /// Sends what is to be sent, for a receive of so many nanoseconds.
    #[cold]
    fn prepare(&mut self, timeout: u64) {
        match self.turn {
            Turn::Free => {}
            // A caller that gave up meanwhile is no error: a late reply is harmless.
            Turn::Words => drop(reply_words(self.answer, self.second, self.reception.reply)),
            Turn::Owes | Turn::Body => crate::bug!("a request was left unanswered"),
        }
        self.reception.timeout = timeout;
    }

    #[inline(always)]
    fn event(&mut self, letter: Letter) -> Result<Event<'_>, CallError> {
        // One comparison tells requests of words alone from everything else.
        if u64::from(letter.baggage) << 32 | u64::from(letter.label) >= u64::from(Letter::LABELS) {
            if letter.baggage == 0 {
                return self.told_by_the_kernel(letter.label, letter.words[0], letter.words[1]).map(Event::Signal);
            }
            fetch(&mut self.message);
            self.granted = self.message.granted;
        }
        self.turn = Turn::Owes;
        Ok(Event::Request(Request { server: self, letter }))
    }

    /// The bits of a signal, or why the receive failed.
    #[cold]
    fn told_by_the_kernel(&mut self, label: u32, first: u64, second: u64) -> Result<u64, CallError> {
        self.turn = Turn::Free;
        if label == Letter::FREEZE {
            // Whoever has no state is not asked for it: it was said that this cell has one.
            crate::bug!("this cell was asked for its state and exports none");
        }
        match CallError::from_answer(first, second) {
            Some(error) if label == Letter::FAILURE => Err(error),
            _ => Ok(first),
        }
    }

    #[cold]
    fn refuse_granted(&mut self) {
        Granted(core::mem::replace(&mut self.granted, RawCap::EMPTY)).refuse();
    }

    /// Receives with another reply object from now on, since a deferred request keeps the last.
    fn take_spare(&mut self) {
        let Some(spare) = self.spare.pop() else { crate::bug!("a server deferred its last reply object") };
        self.reception.reply = spare.raw();
        self.current = Some(spare);
    }

    /// Answers a deferred request.
    pub fn answer(&mut self, pending: Pending, status: u32, value: u64, body: &[u8]) {
        // A caller that gave up meanwhile is no error: a late reply is harmless.
        let _ = self.try_answer(pending, status, value, body);
    }

    /// As [`Self::answer`], for a server that wants to know whether there was a caller left.
    ///
    /// # Errors
    /// `Cancelled`: the caller gave up or died.
    pub fn try_answer(&mut self, pending: Pending, status: u32, value: u64, body: &[u8]) -> Result<(), CallError> {
        let body = ReplyBody { send: body.as_ptr(), send_length: body.len(), grant: RawCap::EMPTY };
        let answered = deliver(status.into(), value, pending.reply.raw(), &body);
        self.spare.push(pending.reply);
        answered
    }
}

/// Answers what a reply object holds.
///
/// # Panics
/// A body that no message carries would leave the request unanswered.
fn deliver(status: u64, value: u64, to: RawCap, body: &ReplyBody) -> Result<(), CallError> {
    match outcome(reply(status, value, 0, to, body)) {
        Err(CallError::Kernel(KernelError::TooLarge, most)) => {
            crate::bug!("a reply body of {} bytes is longer than the {most} that a message allows", body.send_length)
        }
        answered => answered.map(drop),
    }
}

/// A request to be answered later, by [`Server::answer`].
#[must_use = "a pending request that is dropped is never answered"]
#[derive(Debug)]
pub struct Pending {
    reply: Cap<Reply, All>,
    lease: (usize, usize),
}

impl Pending {
    /// The memory that was lent with the request.
    pub fn lease(&mut self) -> &mut [u8] {
        lease(self.lease.0, self.lease.1)
    }
}

fn lease<'a>(address: usize, length: usize) -> &'a mut [u8] {
    if address == 0 {
        return &mut [];
    }
    // SAFETY: the kernel lent this mapped range until the reply; the callers bound the slice by the request or the
    // pending reply, each of which is consumed by answering, and the lender is blocked meanwhile.
    unsafe { core::slice::from_raw_parts_mut(with_exposed_provenance_mut(address), length) }
}

/// A request to be answered now.
#[derive(Debug)]
pub struct Request<'a> {
    server: &'a mut Server,
    letter: Letter,
}

impl Request<'_> {
    /// Its label.
    #[inline(always)]
    pub fn label(&self) -> u32 {
        self.letter.label
    }

    /// Its words.
    #[inline(always)]
    pub fn words(&self) -> [u64; 3] {
        self.letter.words
    }

    /// Badge of the capability that the sender used.
    pub fn badge(&self) -> u64 {
        self.letter.badge
    }

    /// The sending thread, as the kernel attests it.
    pub fn thread(&self) -> u64 {
        self.letter.thread
    }

    /// The transaction scope that travels with it, 0 for none.
    pub fn scope(&self) -> u64 {
        self.message().map_or(0, |message| message.scope)
    }

    /// What came beside the words, if anything did.
    fn message(&self) -> Option<&Message> {
        (self.letter.baggage != 0).then_some(&*self.server.message)
    }

    fn lent(&self) -> (usize, usize) {
        self.message().map_or((0, 0), |message| (message.lease_address, message.lease_length))
    }

    /// Its body.
    pub fn body(&self) -> &[u8] {
        self.message().and_then(|message| message.body.get(..message.body_length)).unwrap_or(&[])
    }

    /// The memory that was lent with it; empty where none was.
    pub fn lease(&mut self) -> &mut [u8] {
        let (address, length) = self.lent();
        lease(address, length)
    }

    /// The capability that came with it, once.
    pub fn granted(&mut self) -> Option<Granted> {
        let raw = core::mem::replace(&mut self.server.granted, RawCap::EMPTY);
        (!raw.is_empty()).then_some(Granted(raw))
    }

    /// The reply object that holds it, for the operations that work on its sender.
    pub fn reply_object(&self) -> RawCap {
        self.server.current.as_ref().map_or(RawCap::EMPTY, Cap::raw)
    }

    #[inline(always)]
    fn finish(mut self, status: u64, value: u64, second: u64) {
        self.drop_grant();
        self.server.answer = Answer { status, value };
        self.server.second = second;
        self.server.turn = Turn::Words;
    }

    /// A capability that nobody took is deleted.
    #[inline(always)]
    fn drop_grant(&mut self) {
        if !self.server.granted.is_empty() {
            self.server.refuse_granted();
        }
    }

    /// Answers success with a word.
    #[inline(always)]
    pub fn ok(self, value: u64) {
        self.finish(0, value, 0);
    }

    /// Answers success with two words.
    pub fn ok_two(self, value: u64, second: u64) {
        self.finish(0, value, second);
    }

    /// Answers an error of the server's interface.
    pub fn refuse(self, code: u32, detail: u64) {
        self.finish(code.into(), detail, 0);
    }

    fn send(mut self, value: u64, send: *const u8, send_length: usize, grant: RawCap) {
        self.drop_grant();
        if self.server.is_on_trial() {
            return self.keep(value, send, send_length, grant);
        }
        let body = ReplyBody { send, send_length, grant };
        // A caller that gave up meanwhile is no error: a late reply is harmless.
        let _ = deliver(0, value, self.reply_object(), &body);
        self.server.turn = Turn::Free;
    }

    /// Keeps an answer with a body until the state that it tells of is exported.
    #[cold]
    fn keep(self, value: u64, send: *const u8, send_length: usize, grant: RawCap) {
        if send_length > BODY_MAX {
            crate::bug!("a reply body of {send_length} bytes is longer than the {BODY_MAX} that a message allows");
        }
        // SAFETY: the callers hand in the pointer and the length of bytes that live until this returns, or of the room itself, where
        // the two are the same; `copy` allows for both.
        unsafe { core::ptr::copy(send, self.server.room.as_mut_ptr(), send_length) };
        self.server.answer.value = value;
        self.server.kept = (send_length, grant);
        self.server.turn = Turn::Body;
    }

    /// Answers success with a body of bytes.
    pub fn ok_bytes(self, value: u64, body: &[u8]) {
        self.send(value, body.as_ptr(), body.len(), RawCap::EMPTY);
    }

    /// Answers success with an encoded body.
    pub fn ok_body<T: serde::Serialize>(self, value: u64, body: &T) {
        let length = match postcard::to_slice(body, self.server.room.as_mut_slice()) {
            Ok(bytes) => bytes.len(),
            Err(_) => crate::bug!("a reply body is longer than a message allows"),
        };
        let room = self.server.room.as_ptr();
        self.send(value, room, length, RawCap::EMPTY);
    }

    /// Answers success and hands a capability over.
    pub fn ok_grant<T: Object, R: Rights>(self, value: u64, cap: Cap<T, R>) {
        let cap = cap.into_raw();
        self.send(value, core::ptr::null(), 0, cap);
    }

    /// Answers success and hands on a capability that is not typed here.
    pub fn ok_grant_any(self, value: u64, cap: Granted) {
        self.send(value, core::ptr::null(), 0, cap.0);
    }

    /// Keeps it for later. `Err` where no reply object would be left to receive with.
    ///
    /// # Errors
    /// The request itself, to be answered now.
    pub fn defer(self) -> Result<Pending, Self> {
        if !self.server.can_defer() {
            return Err(self);
        }
        let Some(current) = self.server.current.take() else { crate::bug!("no reply object holds the request") };
        let lease = self.lent();
        self.server.turn = Turn::Free;
        self.server.take_spare();
        Ok(Pending { reply: current, lease })
    }
}
