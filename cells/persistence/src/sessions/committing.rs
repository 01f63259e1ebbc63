//! Commits: asked for one by one, written together, and ended when a flush has ended that was begun after their write.
//!
//! A commit that is asked for while no flush is under way is written at once, and its flush begins. Those that are asked for
//! meanwhile wait, and are written together when that flush has ended: they share the next one. Invariants:
//!
//! * one flush is under way at a time, and nothing is written to the log while it is;
//! * a transaction whose commit was asked for takes no request until that has ended;
//! * commits end in the order in which they were asked for, but for those that fail.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use object_store::{
    Committed as Done, DeviceError, FlushSignal, Flushing, Oid, Started, StorageError, StoreError, TransactionId,
};

use super::{Committed, Failure, Scopes, Sender, Sessions};
use crate::backing::Backing;

/// Commits that were asked for.
#[derive(Default)]
pub(super) struct Committing {
    /// Those that are not written: their scopes, in the order of the requests.
    queue: VecDeque<u64>,
    /// Those that are written.
    flushing: Option<Written>,
    groups: Groups,
}

/// Commits that are written and wait for their flush.
struct Written {
    flushing: Flushing,
    scopes: Vec<u64>,
    /// What tells the end of the flush, if anything does.
    signal: Option<FlushSignal>,
}

/// Commits that shared a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Flushes that ended several commits.
    pub shared: u64,
    /// The most commits that one flush has ended.
    pub most: usize,
}

/// A commit that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitEnded {
    /// The scope that travelled with the request.
    pub identity: u64,
    /// What came of it. A transaction whose commit failed stays, until it is aborted.
    pub outcome: Result<Committed, Failure>,
}

impl<S: Backing, K: Scopes> Sessions<S, K> {
    /// Takes the request to commit the sender's transaction; [`Sessions::write_commits`] carries it out.
    ///
    /// # Errors
    /// `NotTheBeginner`, `NoTransaction`, `Doomed`, `Committing`: the transaction is as it was.
    pub fn ask_to_commit(&mut self, sender: Sender) -> Result<(), Failure> {
        let open = self.joined(sender)?;
        if open.beginner != sender.thread {
            return Err(Failure::NotTheBeginner);
        }
        if open.doomed {
            return Err(Failure::Doomed);
        }
        let id = open.id;
        self.mark(id)?;
        self.joined(sender)?.commits = true;
        self.committing.queue.push_back(sender.scope);
        Ok(())
    }

    /// Whether a flush is under way.
    pub fn is_flushing(&self) -> bool {
        self.committing.flushing.is_some()
    }

    /// Whether the commit of a transaction was asked for and has not ended.
    pub fn is_to_end(&self, id: TransactionId) -> bool {
        self.open.values().any(|open| open.commits && open.id == id)
    }

    /// Commits that shared a flush.
    pub fn groups(&self) -> Groups {
        self.committing.groups
    }

    /// Writes the commits that were asked for and begins their flush, unless one is under way. Answers those that have ended:
    /// those that fail, that change nothing, and all where the device flushes in one piece. On trial it is made to, so
    /// that what is exported before a reply has no commits under way.
    pub fn write_commits(&mut self) -> Vec<CommitEnded> {
        let mut ended = Vec::new();
        while !self.is_flushing() && !self.committing.queue.is_empty() {
            let scopes: Vec<u64> = self.committing.queue.drain(..).collect();
            let ids: Vec<TransactionId> = scopes.iter().map(|&identity| self.id_of(identity)).collect();
            let Started { taken, ended: done, flushing } = self.store.commit_start(&ids);
            let (taken, left) = scopes.split_at_checked(taken).unwrap_or((&scopes, &[]));
            self.committing.queue.extend(left);
            for (id, outcome) in done {
                ended.push(self.conclude(scope_of(id, &ids, &scopes), outcome));
            }
            if let Some(flushing) = flushing {
                // The others have ended.
                let scopes = taken.iter().copied().filter(|&identity| self.is_committing(identity)).collect();
                let signal = if self.is_on_trial() { None } else { self.store.storage_mut().begin_flush() };
                self.committing.flushing = Some(Written { flushing, scopes, signal });
                if signal.is_none() {
                    ended.extend(self.wait_for_flush());
                }
            }
        }
        ended
    }

    /// A signal came: it may tell the end of the flush that is under way. Answers the commits that have ended with it.
    pub fn signalled(&mut self, bits: u64) -> Vec<CommitEnded> {
        match self.committing.flushing.as_ref().and_then(|written| written.signal) {
            Some(signal) if bits & signal.failed != 0 => self.flush_ended(Err(DeviceError::Failed)),
            Some(signal) if bits & signal.done != 0 => self.flush_ended(Ok(())),
            _ => Vec::new(),
        }
    }

    fn flush_ended(&mut self, flushed: Result<(), DeviceError>) -> Vec<CommitEnded> {
        let Some(Written { flushing, scopes, .. }) = self.committing.flushing.take() else { return Vec::new() };
        let groups = &mut self.committing.groups;
        groups.shared += u64::from(flushing.len() > 1);
        groups.most = groups.most.max(flushing.len());
        let ids: Vec<TransactionId> = scopes.iter().map(|&identity| self.id_of(identity)).collect();
        let done = self.store.commit_end(flushing, flushed);
        done.into_iter().map(|(id, outcome)| self.conclude(scope_of(id, &ids, &scopes), outcome)).collect()
    }

    /// Does not wait for the end of the flush that is under way to be told, but flushes once more, which covers what that does.
    pub fn wait_for_flush(&mut self) -> Vec<CommitEnded> {
        if !self.is_flushing() {
            return Vec::new();
        }
        let flushed = self.store.storage_mut().flush();
        self.flush_ended(flushed)
    }

    /// Does what appends to the log, and so cannot be done while a flush is under way, after the flush if need be. What has ended
    /// with that is answered by the next call of [`Sessions::take_ended`].
    pub(super) fn append<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        match work(self) {
            Err(Failure::Store(StoreError::Storage(StorageError::Busy))) if self.is_flushing() => {
                let ended = self.wait_for_flush();
                self.ended.extend(ended);
                work(self)
            }
            done => done,
        }
    }

    /// Commits that have ended while something else was asked for.
    pub fn take_ended(&mut self) -> Vec<CommitEnded> {
        core::mem::take(&mut self.ended)
    }

    /// Commits the sender's transaction. On return it is durable and its scope is settled.
    ///
    /// # Errors
    /// As for [`Sessions::ask_to_commit`], and `Store`; the transaction then stays, until it is aborted.
    #[cfg(test)]
    pub(crate) fn commit(&mut self, sender: Sender) -> Result<Committed, Failure> {
        self.ask_to_commit(sender)?;
        let mut ended = self.write_commits();
        ended.extend(self.wait_for_flush());
        let own = ended.iter().find(|ended| ended.identity == sender.scope);
        own.unwrap_or_else(|| panic!("the commit has not ended: {ended:?}")).outcome
    }

    fn is_committing(&self, identity: u64) -> bool {
        self.open.get(&identity).is_some_and(|open| open.commits)
    }

    fn id_of(&self, identity: u64) -> TransactionId {
        match self.open.get(&identity) {
            Some(open) => open.id,
            None => runtime::bug!("a transaction was lost in its commit"),
        }
    }

    /// Ends a transaction whose commit has ended.
    fn conclude(&mut self, identity: u64, outcome: Result<Done, StoreError>) -> CommitEnded {
        let outcome = match outcome {
            Ok(done) => Ok(self.committed(identity, done)),
            Err(error) => Err(self.not_committed(identity, error)),
        };
        CommitEnded { identity, outcome }
    }

    fn committed(&mut self, identity: u64, Done { tid, foreign }: Done) -> Committed {
        let Some(mut open) = self.take(identity) else { runtime::bug!("a transaction was lost in its commit") };
        self.scopes.settle(open.scope);
        self.outcomes.note(open.id, Some(tid));
        let unput = foreign.iter().filter(|oid| !open.staged.contains_key(oid));
        let objects = open.staged.len() + unput.clone().count();
        // What an undo made was not looked at before.
        for &oid in unput {
            if self.concerns_watchers(oid, tid) {
                open.watched.insert(oid);
            }
        }
        if objects > 0 {
            open.by_others.extend(&foreign);
            let unlike: Vec<Oid> = open.by_others.iter().copied().collect();
            self.recent.note(tid, open.beginner, open.staged.keys().copied(), &unlike);
            self.commits += 1;
            if let Some(request) = open.request {
                self.note_request(request, tid);
            }
        }
        if !open.watched.is_empty() {
            self.watches.note(tid, &open.watched);
            self.tell_watchers();
        }
        Committed { transaction: open.id, tid, objects }
    }

    fn not_committed(&mut self, identity: u64, error: StoreError) -> Failure {
        let has_failed = self.store.failure(self.id_of(identity)).is_some();
        let Some(open) = self.open.get_mut(&identity) else { runtime::bug!("a transaction was lost in its commit") };
        open.commits = false;
        open.in_doubt |= matches!(error, StoreError::Storage(StorageError::Stopped(_)));
        if has_failed {
            // The store has let go of it.
            let freed = core::mem::take(&mut open.staged).into_values().sum::<usize>();
            open.created.clear();
            self.staged -= freed;
        }
        // The kernel told of the death of its beginner before it failed.
        if !self.scopes.has_beginner(&open.scope)
            && let Some(open) = self.take(identity)
        {
            self.give_up(open);
        }
        error.into()
    }
}

/// The scope of a transaction among those that were begun.
fn scope_of(id: TransactionId, ids: &[TransactionId], scopes: &[u64]) -> u64 {
    match ids.iter().zip(scopes).find(|(known, _)| **known == id) {
        Some((_, scope)) => *scope,
        None => runtime::bug!("a commit has ended that was not begun"),
    }
}
