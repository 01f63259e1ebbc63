//! Commits: their answers wait for a flush while others are served.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use object_store::{PublicOid, StorageError, StoreError, TransactionId};
use runtime::{Clock, Pending, Request, clock, say};

use super::Service;
use super::maintenance::Answer;
use crate::backing::Backing;
use crate::refusal::Refusal;
use crate::sessions::{CommitEnded, Committed, Failure, Sender};

/// How long the end of a flush is waited for before the driver is asked, in nanoseconds: an instance of it that ended tells nothing.
const FLUSH_PATIENCE: u64 = 5_000_000_000;

/// Commits that are to be answered.
#[derive(Debug, Default)]
pub(super) struct Commits {
    /// Those that are under way, by their scopes, with the threads that wait.
    waiting: BTreeMap<u64, (Pending, u64)>,
    /// Those that have ended.
    ended: Vec<CommitEnded>,
    /// Who waits to hear what became of one that is under way.
    outcomes: Vec<(TransactionId, Pending)>,
    /// When the driver is asked what became of the flush that is under way, in nanoseconds since boot.
    deadline: u64,
}

impl<S: Backing> Service<S> {
    pub(super) fn commit(&mut self, request: Request<'_>, sender: Sender) {
        if let Err(failure) = self.sessions.ask_to_commit(sender) {
            return self.refuse(request, failure.into());
        }
        if !self.sessions.is_flushing() {
            self.write_commits();
        }
        if let Some(outcome) = self.take_ended(sender.scope) {
            return self.answer_commit(request, sender, outcome);
        }
        match request.defer() {
            Ok(pending) => drop(self.commits.waiting.insert(sender.scope, (pending, sender.thread))),
            // No reply object is left to wait with.
            Err(request) => {
                let outcome = loop {
                    self.wait_for_flush();
                    self.write_commits();
                    if let Some(outcome) = self.take_ended(sender.scope) {
                        break outcome;
                    }
                };
                self.answer_commit(request, sender, outcome);
            }
        }
    }

    /// What became of a transaction is told when its commit has ended.
    pub(super) fn outcome(&mut self, request: Request<'_>, id: TransactionId) {
        let request = if self.sessions.is_to_end(id) {
            match request.defer() {
                Ok(pending) => return self.commits.outcomes.push((id, pending)),
                Err(request) => request,
            }
        } else {
            request
        };
        match Refusal::of_outcome(self.sessions.outcome(id)) {
            Ok(tid) => request.ok(tid),
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    /// Writes what was asked for, if no flush is under way.
    pub(super) fn write_commits(&mut self) {
        let ended = self.sessions.write_commits();
        self.commits.ended.extend(ended);
        if self.sessions.is_flushing() {
            self.commits.deadline = clock(Clock::Monotonic) + FLUSH_PATIENCE;
        }
    }

    /// How long an event may be waited for while a flush is under way. Where its end is not told in time, it is waited for.
    pub(super) fn patience_for_flush(&mut self) -> u64 {
        let left = self.commits.deadline.saturating_sub(clock(Clock::Monotonic));
        if left == 0 {
            self.wait_for_flush();
        }
        left
    }

    pub(super) fn flush_signalled(&mut self, bits: u64) {
        let ended = self.sessions.signalled(bits);
        self.commits.ended.extend(ended);
    }

    /// Has the flush that is under way end, if one is.
    pub(super) fn wait_for_flush(&mut self) {
        let ended = self.sessions.wait_for_flush();
        self.commits.ended.extend(ended);
    }

    /// The answers to commits that have ended.
    pub(super) fn answer_commits(&mut self, answers: &mut Vec<Answer>) {
        self.commits.ended.extend(self.sessions.take_ended());
        for CommitEnded { identity, outcome } in core::mem::take(&mut self.commits.ended) {
            let Some((to, thread)) = self.commits.waiting.remove(&identity) else {
                runtime::bug!("a commit has ended that nobody asked for")
            };
            let (status, value) = self.words(self.log_commit(thread, outcome));
            answers.push(Answer { to, status, value, body: Vec::new() });
        }
        let ended = |(id, _): &mut (TransactionId, Pending)| !self.sessions.is_to_end(*id);
        let told: Vec<(TransactionId, Pending)> = self.commits.outcomes.extract_if(.., ended).collect();
        for (id, to) in told {
            let (status, value) = self.words(Refusal::of_outcome(self.sessions.outcome(id)));
            answers.push(Answer { to, status, value, body: Vec::new() });
        }
    }

    /// Takes the outcome of one commit out of those that have ended.
    fn take_ended(&mut self, identity: u64) -> Option<Result<Committed, Failure>> {
        let place = self.commits.ended.iter().position(|ended| ended.identity == identity)?;
        Some(self.commits.ended.swap_remove(place).outcome)
    }

    fn answer_commit(&self, request: Request<'_>, sender: Sender, outcome: Result<Committed, Failure>) {
        match self.log_commit(sender.thread, outcome) {
            Ok(tid) => request.ok(tid),
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn log_commit(&self, thread: u64, outcome: Result<Committed, Failure>) -> Result<u64, Refusal> {
        match outcome {
            Ok(done) => {
                let (tid, objects) = (done.tid.number(), done.objects);
                say!(self.console, "committed at TID {tid}: {objects} objects");
                Ok(tid)
            }
            Err(failure) => {
                self.tell(thread, failure);
                Err(failure.into())
            }
        }
    }

    /// Logs a commit that failed for more than its caller's mistake.
    fn tell(&self, thread: u64, failure: Failure) {
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

    /// An answer of words.
    fn words(&self, answer: Result<u64, Refusal>) -> (u32, u64) {
        match answer {
            Ok(value) => (0, value),
            Err(Refusal { code, detail }) => (code, self.names.detail(detail)),
        }
    }
}
