//! Commits: staging, merging, one flush for several.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::cache::RecordCache;
use super::changes::Write;
use super::transaction::{State, Transaction};
use super::{CommitFailure, Conflict, Store, StoreError, TransactionId};
use crate::{
    Broken, Change, DeviceError, Flush, Load, Oid, Prospect, Record, Storage, StorageError, StorageTransaction,
    ThreeStates, Tid, UndoError, Voted, merged_section,
};

/// A commit that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The transaction's number; that of its snapshot if it changed nothing.
    pub tid: Tid,
    /// Objects whose stored state is not the one that was put: a rule merged it with what another transaction had committed,
    /// or an undo made it. In ascending order. Whoever keeps states of them must load them again.
    pub foreign: Vec<Oid>,
}

/// The end of a transaction.
pub type Ended = (TransactionId, Result<Committed, StoreError>);

/// Commits that were begun.
#[must_use]
pub struct Started {
    /// How many of the transactions, from the first on, were taken.
    pub taken: usize,
    /// Those of them that have ended.
    pub ended: Vec<Ended>,
    /// The others, which are written and wait for a flush.
    pub flushing: Option<Flushing>,
}

/// Transactions that are written and wait for a flush.
#[must_use]
pub struct Flushing {
    members: Vec<Member>,
}

impl Flushing {
    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// What was voted for, and what waits for it; `None` where that is nothing.
    fn of(prepared: Vec<Prepared>) -> Option<(Vec<Voted>, Flushing)> {
        let mut voted = Vec::new();
        let mut members = Vec::new();
        for Prepared { id, place, transaction, ballot } in prepared {
            members.push(Member { id, place, tid: ballot.voted.tid(), transaction, effects: ballot.effects });
            voted.push(ballot.voted);
        }
        (!voted.is_empty()).then_some((voted, Flushing { members }))
    }
}

/// The end of a transaction, and its place among those that were to be committed.
type EndedAt = (usize, TransactionId, Result<Committed, StoreError>);

/// What came of the votes for some transactions.
struct Votes {
    /// How many of them, from the first on, were taken.
    taken: usize,
    ended: Vec<EndedAt>,
    voted: Vec<Prepared>,
}

/// A transaction that is written.
struct Member {
    id: TransactionId,
    place: usize,
    tid: Tid,
    transaction: Transaction,
    effects: Effects,
}

/// A transaction that was voted for.
struct Prepared {
    id: TransactionId,
    /// Its place among those that are to be committed.
    place: usize,
    transaction: Transaction,
    ballot: Ballot,
}

/// What came of a vote.
struct Ballot {
    voted: Voted,
    effects: Effects,
}

/// What a commit changes for others.
struct Effects {
    /// Each object, with the state that the cache may keep.
    states: Vec<(Oid, Option<Arc<Record>>)>,
    foreign: Vec<Oid>,
}

/// The graph around a transaction that is staged.
struct Around<'a, S> {
    storage: &'a mut S,
    cache: &'a mut RecordCache,
    staged: &'a StorageTransaction,
    /// The storage failed, so that what was answered is not to be relied on.
    failed: Option<StorageError>,
}

impl<S: Storage> Prospect for Around<'_, S> {
    fn before(&mut self, oid: Oid) -> Option<Arc<Record>> {
        if let Some((record, _)) = self.cache.find(oid, Tid::MAX) {
            return Some(record);
        }
        match self.storage.load_before(oid, Tid::MAX) {
            Ok(Load::Data { record, .. }) => Some(record.into()),
            Ok(_) => None,
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn after(&mut self, oid: Oid) -> Option<Arc<Record>> {
        match self.staged.changes().get(&oid).map(|staged| &staged.change) {
            Some(Change::Record(record)) => Some(Arc::new(record.clone())),
            Some(Change::Deletion) => None,
            None => self.before(oid),
        }
    }
}

impl<S: Storage> Store<S> {
    /// Commits: on return the changes are durable, and the number is theirs. A transaction without changes leaves no trace,
    /// whatever it noted, and answers with its snapshot.
    ///
    /// Where another transaction has changed an object since the snapshot,
    /// [`Rules::resolve`](crate::Rules::resolve) is asked for a merge; the session is told what was merged at its next begin,
    /// and [`commit_many`](Self::commit_many) tells at once. Objects that this one demanded to be current are checked if it
    /// changes anything.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::NotUndoable`], [`StoreError::PackedAway`], [`StoreError::NoSuchTransaction`],
    /// [`StorageError::Dangling`] and the others of [`Storage::vote`] and [`Storage::finish`]: the transaction has then
    /// failed, waits for its [`abort`](Self::abort), and [`failure`](Self::failure) tells more. [`StoreError::Doomed`].
    pub fn commit(&mut self, id: TransactionId) -> Result<Tid, StoreError> {
        let outcome = self.commit_many(&[id]).pop().unwrap_or(Err(StoreError::NoTransaction(id)));
        Ok(outcome?.tid)
    }

    /// Commits several transactions in this order, as many of them with one flush as the storage can. Answers one outcome
    /// each, for the reasons that [`commit`](Self::commit) has; one that fails leaves the others alone.
    pub fn commit_many(&mut self, ids: &[TransactionId]) -> Vec<Result<Committed, StoreError>> {
        let mut outcomes: Vec<_> = ids.iter().map(|&id| Err(StoreError::NoTransaction(id))).collect();
        let mut from = 0;
        while let Some(rest) = ids.get(from..).filter(|rest| !rest.is_empty()) {
            let Votes { taken, mut ended, voted } = self.vote_for(rest);
            self.finish(voted, &mut ended);
            for (place, _, outcome) in ended {
                if let Some(kept) = outcomes.get_mut(from + place) {
                    *kept = outcome;
                }
            }
            from += taken;
        }
        outcomes
    }

    /// Begins what [`commit_many`](Self::commit_many) does, and writes what it has voted for. Where that needs a flush, the caller has
    /// it done in its own time, while this store is read, and tells the outcome to [`commit_end`](Self::commit_end): then the
    /// transactions end. Until then no other commit is begun, and what would append to the storage is refused as busy.
    ///
    /// A transaction that could only be voted for once those before it are committed is left open, and so are those behind it.
    pub fn commit_start(&mut self, ids: &[TransactionId]) -> Started {
        let Votes { taken, mut ended, voted } = self.vote_for(ids);
        let flushing = self.write(voted, &mut ended);
        Started { taken, ended: ended.into_iter().map(|(_, id, outcome)| (id, outcome)).collect(), flushing }
    }

    /// Votes for transactions, from the first on: as many as the storage takes together, and at least one.
    fn vote_for(&mut self, ids: &[TransactionId]) -> Votes {
        let mut votes = Votes { taken: 0, ended: Vec::new(), voted: Vec::new() };
        for (place, &id) in ids.iter().enumerate() {
            if votes.voted.len() >= self.storage.vote_limit() {
                break;
            }
            let transaction = match self.take_for_commit(id) {
                Ok(transaction) if transaction.changes.is_empty() => {
                    votes.ended.push((place, id, Ok(Committed { tid: transaction.snapshot, foreign: Vec::new() })));
                    votes.taken += 1;
                    continue;
                }
                Ok(transaction) => transaction,
                Err(error) => {
                    votes.ended.push((place, id, Err(error)));
                    votes.taken += 1;
                    continue;
                }
            };
            match self.vote(&transaction) {
                Ok(ballot) => votes.voted.push(Prepared { id, place, transaction, ballot }),
                // What is voted for is not visible yet, so that nothing can be merged with it: once it is, it may be.
                Err(_) if !votes.voted.is_empty() => {
                    self.open.insert(id, transaction);
                    break;
                }
                Err(failure) => {
                    let error = self.fail(id, transaction, failure);
                    votes.ended.push((place, id, Err(error)));
                }
            }
            votes.taken += 1;
        }
        votes
    }

    /// Ends a commit whose flush has succeeded, or has not.
    pub fn commit_end(&mut self, flushing: Flushing, flushed: Result<(), DeviceError>) -> Vec<Ended> {
        let outcome = self.storage.finish_end(flushed);
        let mut ended = Vec::new();
        self.end(flushing, outcome, &mut ended);
        ended.into_iter().map(|(_, id, outcome)| (id, outcome)).collect()
    }

    /// Writes what was voted for. What needs no flush ends at once.
    fn write(&mut self, prepared: Vec<Prepared>, ended: &mut Vec<EndedAt>) -> Option<Flushing> {
        let (voted, flushing) = Flushing::of(prepared)?;
        match self.storage.finish_start(voted) {
            Ok((_, Flush::Needed)) => return Some(flushing),
            Ok((_, Flush::Done)) => self.end(flushing, Ok(()), ended),
            Err(error) => self.end(flushing, Err(error), ended),
        }
        None
    }

    /// Commits what was voted for.
    fn finish(&mut self, prepared: Vec<Prepared>, ended: &mut Vec<EndedAt>) {
        if let Some((voted, flushing)) = Flushing::of(prepared) {
            let outcome = self.storage.finish_many(voted).map(drop);
            self.end(flushing, outcome, ended);
        }
    }

    fn end(&mut self, flushing: Flushing, outcome: Result<(), StorageError>, ended: &mut Vec<EndedAt>) {
        for Member { id, place, tid, transaction, effects } in flushing.members {
            let outcome = match outcome {
                Ok(()) => Ok(self.enter(tid, &transaction, effects)),
                Err(error) => Err(self.fail(id, transaction, error.into())),
            };
            ended.push((place, id, outcome));
        }
    }

    fn take_for_commit(&mut self, id: TransactionId) -> Result<Transaction, StoreError> {
        self.transaction(id)?.check_commit(id)?;
        self.open.remove(&id).ok_or(StoreError::NoTransaction(id))
    }

    /// Keeps a transaction that failed for its abort, without its changes.
    fn fail(&mut self, id: TransactionId, mut transaction: Transaction, failure: CommitFailure) -> StoreError {
        let error = failure.error();
        transaction.changes = super::changes::Changes::default();
        transaction.state = State::Failed(failure);
        self.open.insert(id, transaction);
        error
    }

    /// Stages a transaction and has it voted for.
    fn vote(&mut self, transaction: &Transaction) -> Result<Ballot, CommitFailure> {
        let changes = &transaction.changes;
        let mut staged = self.storage.begin(transaction.metadata.clone())?;
        let mut foreign = self.stage_writes(&mut staged, transaction)?;
        for &tid in changes.undone() {
            let undone = self.storage.undo(&mut staged, tid, &mut *self.rules).map_err(|error| match error {
                UndoError::Storage(error) => error.into(),
                other => CommitFailure::Undo(other),
            })?;
            foreign.extend(undone);
        }
        foreign.sort_unstable();
        foreign.dedup();
        for (oid, revision) in changes.demands() {
            self.storage.read_current(&mut staged, oid, revision);
        }
        self.admit(&staged)?;
        let mut states = Vec::new();
        states.try_reserve_exact(staged.changes().len()).map_err(StorageError::from)?;
        for &oid in staged.changes().keys() {
            let own = changes.writes().get(&oid).filter(|_| foreign.binary_search(&oid).is_err());
            states.push((oid, own.map(|write| write.record.clone())));
        }
        Ok(Ballot { voted: self.storage.vote(staged)?, effects: Effects { states, foreign } })
    }

    /// Asks the rules of every record that is staged.
    fn admit(&mut self, staged: &StorageTransaction) -> Result<(), CommitFailure> {
        let Self { storage, cache, rules, .. } = self;
        let mut around = Around { storage, cache, staged, failed: None };
        for (&oid, staged) in staged.changes() {
            let Change::Record(record) = &staged.change else { continue };
            let admitted = rules.admit(oid, record, &mut around);
            if let Some(error) = around.failed.take() {
                return Err(error.into());
            }
            admitted.map_err(|rule| CommitFailure::Broken(Broken { oid, rule }))?;
        }
        Ok(())
    }

    /// Stages what a transaction put, merged where others were quicker. Answers what was merged.
    fn stage_writes(
        &mut self,
        staged: &mut StorageTransaction,
        transaction: &Transaction,
    ) -> Result<Vec<Oid>, CommitFailure> {
        let mut merged = Vec::new();
        let mut conflicts = Vec::new();
        for (&oid, write) in transaction.changes.writes() {
            let theirs = self.storage.revision_before(oid, Tid::MAX)?.revision();
            if theirs == write.based_on {
                self.storage.store(staged, oid, theirs, Record::clone(&write.record));
                continue;
            }
            match self.merge(oid, write, theirs)? {
                Ok(record) => {
                    self.storage.store(staged, oid, theirs, record);
                    merged.push(oid);
                }
                Err(conflict) => conflicts.push(conflict),
            }
        }
        let mut conflicts = conflicts.into_iter();
        match conflicts.next() {
            None => Ok(merged),
            Some(first) => Err(CommitFailure::Conflicts { first, more: conflicts.collect() }),
        }
    }

    fn merge(&mut self, oid: Oid, write: &Write, theirs: Tid) -> Result<Result<Record, Conflict>, StorageError> {
        let mut conflict = Conflict { oid, yours: write.based_on, theirs, slots: Vec::new() };
        let base = self.storage.load_revision(oid, write.based_on)?;
        let committed = self.storage.load_before(oid, Tid::MAX)?;
        let (Some(Load::Data { record: base, .. }), Load::Data { record: committed, .. }) = (base, committed) else {
            return Ok(Err(conflict));
        };
        let states = ThreeStates { oid, base: &base, committed: &committed, proposed: &write.record };
        match (self.rules.resolve(&states), merged_section(&states)) {
            (Ok(record), Some(capabilities)) => Ok(Ok(Record { capabilities, ..record })),
            _ => {
                conflict.slots = self.rules.differing(&states);
                Ok(Err(conflict))
            }
        }
    }

    /// Tells the cache and the sessions of a commit.
    fn enter(&mut self, tid: Tid, by: &Transaction, effects: Effects) -> Committed {
        let Effects { states, foreign } = effects;
        let objects: Vec<Oid> = states.iter().map(|(oid, _)| *oid).collect();
        for (oid, state) in states {
            self.cache.end(oid, tid);
            if let Some(record) = state {
                self.cache.insert(oid, tid, None, record);
            }
        }
        self.sessions.invalidate(by.session, &objects, &foreign);
        Committed { tid, foreign }
    }
}
