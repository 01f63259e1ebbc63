//! The messages of the persistence server.

use alloc::vec::Vec;

use object_store::{Oid, PublicOid, StorageError, StoreError, Tid, TransactionId};
use runtime::abi::interfaces::persistence::{
    CHANGES_MAX, Changes, GetObject, NO_TRANSACTION, Outcome, Persistence, Statistics, StoreObject, TransactionSummary,
    Transactions, Usage, Watch,
};
use runtime::abi::kernel::BODY_MAX;
use runtime::abi::token::RawCap;
use runtime::{Console, Event, Heap, Request, Server, objects, say};

use crate::backing::Backing;
use crate::names::Names;
use crate::opening::Facts;
use crate::refusal::{MALFORMED, Refusal};
use crate::scopes::ScopePool;
use crate::sessions::{Aborted, Begun, Failure, Sender, Sessions};
use crate::wire::{self, Page};

/// The bit of the notification by which the kernel tells that a transaction lost its beginner.
const BEGINNER_DIED: u64 = 1 << 63;

/// The server at work.
#[derive(Debug)]
pub struct Service<S> {
    sessions: Sessions<S, ScopePool>,
    names: Names,
    facts: Facts,
    console: Console,
    heap: &'static Heap,
}

impl<S: Backing> Service<S> {
    /// A server over a store that is open.
    pub fn new(
        sessions: Sessions<S, ScopePool>,
        names: Names,
        facts: Facts,
        console: Console,
        heap: &'static Heap,
    ) -> Self {
        Service { sessions, names, facts, console, heap }
    }

    /// Serves for ever.
    pub fn run(mut self, mut server: Server) -> ! {
        loop {
            match server.next_event() {
                Event::Signal(bits) if bits & BEGINNER_DIED != 0 => self.beginner_died(),
                Event::Signal(_) => {}
                Event::Request(request) => self.serve(request),
            }
        }
    }

    fn serve(&mut self, mut request: Request<'_>) {
        let sender = Sender { thread: request.thread(), scope: request.scope(), badge: request.badge() };
        let done = match Persistence::decode(request.label(), request.words()) {
            Some(Persistence::BeginTransaction(_)) => self.begin(sender, request.reply_object()),
            Some(Persistence::Commit(_)) => self.commit(sender),
            Some(Persistence::Abort(_)) => self.abort(sender),
            Some(Persistence::GetObject(wish)) => return self.get(request, sender, wish),
            Some(Persistence::Revision(wish)) => {
                self.sessions.revision(self.names.inside(wish.oid)).map(Tid::number).map_err(Refusal::from)
            }
            Some(Persistence::StoreObject(wish)) => self.store(&mut request, sender, wish),
            Some(Persistence::NewObject(_)) => self.new_object(sender),
            Some(Persistence::Root(_)) => Ok(self.names.outside(Oid::ROOT)),
            Some(Persistence::Note(_)) => self.note(sender, request.body()),
            Some(Persistence::Transactions(wish)) => return self.transactions(request, wish),
            Some(Persistence::GetStatistics(_)) => {
                let statistics = self.statistics();
                return request.ok_body(statistics.objects, &statistics);
            }
            Some(Persistence::Outcome(Outcome { transaction })) => {
                Refusal::of_outcome(self.sessions.outcome(TransactionId::new(transaction)))
            }
            Some(Persistence::Watch(wish)) => self.watch(&mut request, sender, wish),
            Some(Persistence::Changes(wish)) => return self.changes(request, wish),
            Some(Persistence::GetUsage(_)) => {
                let usage = self.usage();
                return request.ok_body(usage.heap, &usage);
            }
            None => Err(Refusal::new(MALFORMED, 0)),
        };
        match done {
            Ok(value) => request.ok(value),
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn refuse(&self, request: Request<'_>, Refusal { code, detail }: Refusal) {
        request.refuse(code, self.names.detail(detail));
    }

    fn new_object(&mut self, sender: Sender) -> Result<u64, Refusal> {
        loop {
            let oid = self.sessions.new_object(sender)?;
            if self.names.are_free(oid) {
                return Ok(self.names.outside(oid));
            }
        }
    }

    fn begin(&mut self, sender: Sender, caller: RawCap) -> Result<u64, Refusal> {
        let begun = self.sessions.begin(sender, caller)?;
        let (id, thread) = (begun.transaction().number(), sender.thread);
        match begun {
            Begun::New(_) => say!(self.console, "transaction {id} begun by thread {thread}"),
            Begun::Joined(_) => say!(self.console, "transaction {id} joined by thread {thread}"),
        }
        Ok(id)
    }

    fn beginner_died(&mut self) {
        for id in self.sessions.beginner_died() {
            say!(self.console, "transaction {} aborted: its beginner died", id.number());
        }
    }

    fn commit(&mut self, sender: Sender) -> Result<u64, Refusal> {
        match self.sessions.commit(sender) {
            Ok(done) => {
                let (tid, objects) = (done.tid.number(), done.objects);
                say!(self.console, "committed at TID {tid}: {objects} objects");
                Ok(tid)
            }
            Err(failure) => {
                self.tell(sender, failure);
                Err(failure.into())
            }
        }
    }

    /// Logs a commit that failed for more than its caller's mistake.
    fn tell(&self, sender: Sender, failure: Failure) {
        let thread = sender.thread;
        match failure {
            Failure::Store(StoreError::Conflict { oid, .. }) => {
                let oid = PublicOid::new(self.names.outside(oid));
                say!(self.console, "conflict on object {oid}: thread {thread} must abort");
            }
            Failure::Store(StoreError::Storage(StorageError::Stopped(reason))) => {
                say!(self.console, "the disk failed ({reason:?}): stopped, nothing is acknowledged any more");
            }
            Failure::Store(StoreError::Storage(error)) => {
                say!(self.console, "commit of thread {thread} refused: {error:?}");
            }
            _ => {}
        }
    }

    fn abort(&mut self, sender: Sender) -> Result<u64, Refusal> {
        match self.sessions.abort(sender)? {
            Aborted::Ended(id) => say!(self.console, "transaction {} aborted", id.number()),
            Aborted::Doomed(id) => {
                say!(self.console, "transaction {} doomed by thread {}", id.number(), sender.thread);
            }
        }
        Ok(0)
    }

    fn get(&mut self, mut request: Request<'_>, sender: Sender, wish: GetObject) {
        let record = match self.sessions.get(sender, self.names.inside(wish.oid)) {
            Ok(record) => record,
            Err(failure) => return self.refuse(request, failure.into()),
        };
        let lease = request.lease();
        if !lease.is_empty() {
            return match wire::encode_into(&record, &self.names, lease) {
                Ok(length) => request.ok(length as u64),
                Err(needed) => self.refuse(request, Refusal::buffer_too_small(needed)),
            };
        }
        let mut body = [0; BODY_MAX];
        match wire::encode_into(&record, &self.names, &mut body) {
            Ok(length) => request.ok_bytes(length as u64, body.get(..length).unwrap_or(&[])),
            Err(needed) => self.refuse(request, Refusal::buffer_too_small(needed)),
        }
    }

    fn store(&mut self, request: &mut Request<'_>, sender: Sender, wish: StoreObject) -> Result<u64, Refusal> {
        if sender.scope == 0 {
            return Err(Refusal::new(NO_TRANSACTION, 0));
        }
        let bytes = if wish.length == 0 {
            request.body()
        } else {
            let length = usize::try_from(wish.length).unwrap_or(usize::MAX);
            request.lease().get(..length).ok_or(Refusal::buffer_too_small(length))?
        };
        // Looked at before anything is copied.
        let length = bytes.len();
        if length > self.sessions.room() {
            return Err(Failure::TooMuchStaged(self.sessions.room()).into());
        }
        let record = wire::decode(bytes, &self.names)?;
        self.sessions.put(sender, self.names.inside(wish.oid), record, length)?;
        Ok(0)
    }

    fn note(&mut self, sender: Sender, body: &[u8]) -> Result<u64, Refusal> {
        let text = core::str::from_utf8(body).map_err(|_| Refusal::new(MALFORMED, 0))?;
        self.sessions.note(sender, text)?;
        Ok(0)
    }

    fn transactions(&mut self, request: Request<'_>, wish: Transactions) {
        let before = if wish.before == 0 { Tid::MAX } else { Tid::new(wish.before) };
        let mut page = Page::default();
        match self.sessions.transactions(before, |info| page.fits(info)) {
            Ok(found) => {
                let summaries: Vec<TransactionSummary<'_>> = found.iter().map(wire::summary).collect();
                request.ok_body(summaries.len() as u64, &summaries);
            }
            Err(failure) => self.refuse(request, failure.into()),
        }
    }

    fn watch(&mut self, request: &mut Request<'_>, sender: Sender, wish: Watch) -> Result<u64, Refusal> {
        let granted = request.granted().ok_or(Refusal::new(MALFORMED, 0))?;
        let signal = granted.claim(self.sessions.scopes().cnode()).map_err(|_| Refusal::new(MALFORMED, 0))?;
        Ok(self.sessions.watch(sender, self.names.inside(wish.oid), signal)?.number())
    }

    fn changes(&self, request: Request<'_>, wish: Changes) {
        match self.sessions.changes(Tid::new(wish.since), CHANGES_MAX) {
            Ok((upto, changed)) => {
                let bytes: Vec<u8> = changed.iter().flat_map(|oid| self.names.outside(*oid).to_le_bytes()).collect();
                request.ok_bytes(upto.number(), &bytes);
            }
            Err(failure) => self.refuse(request, failure.into()),
        }
    }

    fn usage(&self) -> Usage {
        let scopes = self.sessions.scopes();
        Usage {
            open: self.sessions.open_transactions() as u32,
            room: self.sessions.room() as u64,
            scopes: scopes.made() as u32,
            watches: self.sessions.watches() as u32,
            capabilities: objects::count(scopes.cnode()),
            heap: self.heap.used() as u64,
        }
    }

    fn statistics(&self) -> Statistics {
        let storage = self.sessions.store().storage();
        Statistics {
            objects: self.sessions.objects(),
            last: self.sessions.last().number(),
            used: self.facts.capacity.saturating_sub(storage.free_bytes()),
            capacity: self.facts.capacity,
            formatted: self.facts.formatted,
            torn: self.facts.torn,
        }
    }
}
