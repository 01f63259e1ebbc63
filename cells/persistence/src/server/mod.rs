//! The messages of the persistence server.
//!
//! * this module: the loop, and transactions;
//! * [`committing`]: commits, whose answers wait for a flush while others are served;
//! * [`records`], [`lists`], [`statistics`]: what is read and stored, and what there is;
//! * [`maintenance`]: what takes long and is done between requests;
//! * [`export`]: what goes over to the next version of this server.

mod committing;
mod export;
mod lists;
mod maintenance;
mod records;
mod statistics;

use alloc::vec::Vec;

use object_store::{Oid, SavepointId, Tid, TransactionId};
use runtime::abi::CallError;
use runtime::abi::KernelError;
use runtime::abi::interfaces::persistence::{Outcome, Persistence, Watch};
use runtime::abi::kernel::TIMEOUT_NONE;
use runtime::abi::token::RawCap;
use runtime::{Console, Event, Heap, Request, Server, say};

use self::committing::Commits;
use self::maintenance::{Answer, Waiting};
use crate::backing::Backing;
use crate::handover::Ground;
use crate::names::Names;
use crate::refusal::{MALFORMED, Refusal};
use crate::scopes::ScopePool;
use crate::sessions::{Aborted, Begun, Failure, Sender, Sessions};

/// The bit of the notification by which the kernel tells that a transaction lost its beginner.
const BEGINNER_DIED: u64 = 1 << 63;

/// The server at work.
#[derive(Debug)]
pub struct Service<S> {
    sessions: Sessions<S, ScopePool>,
    names: Names,
    ground: Ground,
    console: Console,
    heap: &'static Heap,
    waiting: Waiting,
    commits: Commits,
}

impl<S: Backing> Service<S> {
    /// A server over a store that is open.
    pub fn new(
        sessions: Sessions<S, ScopePool>,
        names: Names,
        ground: Ground,
        console: Console,
        heap: &'static Heap,
    ) -> Self {
        let (waiting, commits) = (Waiting::default(), Commits::default());
        Service { sessions, names, ground, console, heap, waiting, commits }
    }

    /// Serves for ever.
    pub fn run(mut self, mut server: Server) -> ! {
        loop {
            let patience = match (self.sessions.is_flushing(), self.sessions.maintenance().is_under_way()) {
                (true, _) => self.patience_for_flush(),
                // Where there is work to do, nobody is waited for.
                (false, true) => 0,
                (false, false) => TIMEOUT_NONE,
            };
            let event = server.next_event_exporting_within(&mut self, patience);
            let is_idle = match event {
                Ok(Event::Signal(bits)) => {
                    self.signalled(bits);
                    false
                }
                Ok(Event::Request(request)) => {
                    self.serve(request);
                    false
                }
                Err(CallError::Kernel(KernelError::TimedOut, _)) => {
                    self.wait_for_flush();
                    true
                }
                Err(error) => runtime::bug!("receive failed: {error}"),
            };
            let mut answers = Vec::new();
            if !self.sessions.is_flushing() {
                if self.sessions.maintenance().is_under_way() {
                    answers = self.work(!is_idle);
                }
                // What was asked for meanwhile is on its way before anybody is answered.
                self.write_commits();
            }
            self.answer_commits(&mut answers);
            for Answer { to, status, value, body } in answers {
                server.answer_exporting(&mut self, to, status, value, &body);
            }
        }
    }

    fn serve(&mut self, mut request: Request<'_>) {
        let sender = Sender { thread: request.thread(), scope: request.scope(), badge: request.badge() };
        let answer = match Persistence::decode(request.label(), request.words()) {
            Some(Persistence::BeginTransaction(_)) => self.begin(sender, request.reply_object()),
            Some(Persistence::Commit(_)) => return self.commit(request, sender),
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
                return self.outcome(request, TransactionId::new(transaction));
            }
            Some(Persistence::Watch(wish)) => self.watch(&mut request, sender, wish),
            Some(Persistence::Changes(wish)) => return self.changes(request, wish),
            Some(Persistence::GetUsage(_)) => {
                let usage = self.usage();
                return request.ok_body(usage.heap, &usage);
            }
            Some(Persistence::History(wish)) => return self.history(request, wish),
            Some(Persistence::Undo(wish)) => done(self.sessions.undo(sender, Tid::new(wish.tid))),
            Some(Persistence::GetObjectAt(wish)) => return self.get_at(request, wish),
            Some(Persistence::Pack(wish)) => return self.pack(request, wish),
            Some(Persistence::StartPack(wish)) => self.start_pack(wish.before),
            Some(Persistence::PackProgress(wish)) => return self.pack_progress(request, wish),
            Some(Persistence::ReadCurrent(wish)) => {
                done(self.sessions.read_current(sender, self.names.inside(wish.oid)))
            }
            Some(Persistence::Savepoint(_)) => {
                self.sessions.savepoint(sender).map(SavepointId::number).map_err(Refusal::from)
            }
            Some(Persistence::RollBack(wish)) => {
                done(self.sessions.roll_back(sender, SavepointId::new(wish.savepoint)))
            }
            Some(Persistence::Doom(_)) => done(self.sessions.doom(sender)),
            Some(Persistence::SetUser(_)) => {
                text(request.body()).and_then(|user| done(self.sessions.set_user(sender, user)))
            }
            Some(Persistence::Identify(wish)) => done(self.sessions.identify(sender, wish.sequence)),
            Some(Persistence::OutcomeOf(wish)) => Refusal::of_carried(self.sessions.outcome_of(sender, wish.sequence)),
            Some(Persistence::ConflictDetails(_)) => return self.conflicts(request, sender),
            Some(Persistence::Invalidations(wish)) => return self.invalidations(request, sender, wish),
            Some(Persistence::Verify(wish)) => return self.verify(request, wish),
            Some(Persistence::GetStoreStatistics(_)) => {
                let statistics = self.store_statistics();
                return request.ok_body(statistics.commits, &statistics);
            }
            None => Err(Refusal::new(MALFORMED, 0)),
        };
        match answer {
            Ok(value) => request.ok(value),
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    /// Refuses a request, with the objects by their names.
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

    fn signalled(&mut self, bits: u64) {
        if bits & BEGINNER_DIED != 0 {
            self.beginner_died();
        }
        self.flush_signalled(bits);
    }

    fn beginner_died(&mut self) {
        for id in self.sessions.beginner_died() {
            say!(self.console, "transaction {} aborted: its beginner died", id.number());
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

    fn note(&mut self, sender: Sender, body: &[u8]) -> Result<u64, Refusal> {
        done(self.sessions.note(sender, text(body)?))
    }

    fn watch(&mut self, request: &mut Request<'_>, sender: Sender, wish: Watch) -> Result<u64, Refusal> {
        let granted = request.granted().ok_or(Refusal::new(MALFORMED, 0))?;
        let signal = granted.claim(self.sessions.scopes().cnode()).map_err(|_| Refusal::new(MALFORMED, 0))?;
        Ok(self.sessions.watch(sender, self.names.inside(wish.oid), signal)?.number())
    }
}

/// The answer to what has no value of its own.
fn done(done: Result<(), Failure>) -> Result<u64, Refusal> {
    Ok(done.map(|()| 0)?)
}

fn text(body: &[u8]) -> Result<&str, Refusal> {
    core::str::from_utf8(body).map_err(|_| Refusal::new(MALFORMED, 0))
}
