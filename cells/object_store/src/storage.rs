//! The storage interface: what a store stands on.
//!
//! A storage keeps every revision of every object under the transaction that wrote it. A commit has two phases: changes are
//! staged in a [`StorageTransaction`] without touching the storage; [`Storage::vote`] checks them against the current state
//! and reserves whatever the commit needs; [`Storage::finish`] makes them durable and can then fail only through the device.
//! At most [`Storage::vote_limit`] transactions are between vote and finish.
//!
//! Every implementation keeps these invariants, and one conformance suite checks them: a transaction is there wholly or not
//! at all; numbers of objects and transactions never repeat or go back, whatever is packed away; each reference of a current
//! record names an object that existed when the record was committed.

use alloc::vec::Vec;

use crate::{
    CopyError, DeviceError, Flush, Load, Metadata, Oid, PackError, PackProgress, PackReport, PackRequest, Record,
    RevisionInfo, Rules, StorageError, StorageTransaction, Tid, TransactionInfo, UndoError, Voted, copy, undo,
};

/// A place that keeps transactions.
pub trait Storage {
    /// Opens a storage transaction.
    ///
    /// # Errors
    /// [`StorageError::Stopped`], [`StorageError::ReadOnly`], [`StorageError::MetadataTooLarge`].
    fn begin(&mut self, metadata: Metadata) -> Result<StorageTransaction, StorageError>;

    /// Opens a storage transaction that copies one of another storage under its number. Its vote makes no check but that the
    /// number is greater than [`last_transaction`](Self::last_transaction). Numbers of objects below `oid_limit`, and those
    /// in the transaction, count as issued from then on.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    fn begin_restore(
        &mut self,
        tid: Tid,
        oid_limit: Oid,
        metadata: Metadata,
    ) -> Result<StorageTransaction, StorageError> {
        let mut transaction = self.begin(metadata)?;
        transaction.restore_as(tid, oid_limit);
        Ok(transaction)
    }

    /// Copies the transactions of another storage that are after the last one here, with their numbers, and answers how many.
    /// What is here must have come from there.
    ///
    /// # Errors
    /// [`CopyError`]; the transactions before it are copied, and the copy can be continued.
    fn copy_transactions_from<O: Storage>(&mut self, other: &mut O) -> Result<u64, CopyError>
    where
        Self: Sized,
    {
        copy::copy_transactions(other, self)
    }

    /// Stages a new state of an object, based on revision `based_on` ([`Tid::ZERO`] for a new object). The last one wins.
    fn store(&mut self, transaction: &mut StorageTransaction, oid: Oid, based_on: Tid, record: Record) {
        transaction.stage_record(oid, based_on, record);
    }

    /// Stages the end of an object. The garbage collector's: nothing here checks that no other object refers to it.
    fn delete(&mut self, transaction: &mut StorageTransaction, oid: Oid, based_on: Tid) {
        transaction.stage_deletion(oid, based_on);
    }

    /// Demands that an object which the transaction does not change is still at `revision` when it commits.
    fn read_current(&mut self, transaction: &mut StorageTransaction, oid: Oid, revision: Tid) {
        transaction.demand_current(oid, revision);
    }

    /// Stages the undoing of a committed transaction: each object that it changed gets the state that it had before, and one
    /// that it created ends. It sees what is staged already, so that several are undone one after the other. An object may
    /// have changed since if it has come back to the state that is undone, or if `rules` merge. Authority never returns: see
    /// [`Rules`]. Answers the objects, in ascending order. The end of an object that another one refers to is refused by the
    /// vote ([`StorageError::StillReferenced`]).
    ///
    /// # Errors
    /// [`UndoError`]; then nothing more is staged than before.
    fn undo(
        &mut self,
        transaction: &mut StorageTransaction,
        tid: Tid,
        rules: &mut dyn Rules,
    ) -> Result<Vec<Oid>, UndoError>
    where
        Self: Sized,
    {
        undo::stage(self, transaction, tid, rules)
    }

    /// Checks the transaction and reserves what its commit needs. An error discards the transaction without a trace.
    ///
    /// # Errors
    /// [`StorageError::Conflict`], [`StorageError::ReadConflict`], [`StorageError::Dangling`],
    /// [`StorageError::StillReferenced`], [`StorageError::NotNewer`], [`StorageError::OidNotIssued`],
    /// [`StorageError::TransactionTooLarge`], [`StorageError::OutOfSpace`], [`StorageError::OutOfMemory`],
    /// [`StorageError::Busy`], [`StorageError::Stopped`], [`StorageError::Exhausted`].
    fn vote(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError>;

    /// Commits: on return the transaction is durable and visible.
    ///
    /// # Errors
    /// [`StorageError::Stopped`]: the outcome is unknown until the storage is opened again.
    /// [`StorageError::ForeignTransaction`].
    fn finish(&mut self, voted: Voted) -> Result<Tid, StorageError>;

    /// How many transactions may stand between vote and finish; the vote of one more is [`StorageError::Busy`].
    ///
    /// A storage that takes several checks each vote as if those before it were committed: the loser of a conflict with one
    /// of them is refused, even if that one is given up later. A record cannot refer to what only they create.
    /// [`StorageTransaction::check_behind`] makes these checks.
    fn vote_limit(&self) -> usize {
        1
    }

    /// Commits several transactions, the oldest votes in the order of their votes, so that they share what durability costs:
    /// a storage whose [`vote_limit`](Self::vote_limit) is greater than one flushes once for all.
    ///
    /// # Errors
    /// As for [`finish`](Self::finish), of all of them. Those of a [`StorageError::ForeignTransaction`] are given up.
    fn finish_many(&mut self, voted: Vec<Voted>) -> Result<Vec<Tid>, StorageError> {
        voted.into_iter().map(|one| self.finish(one)).collect()
    }

    /// Begins what [`finish_many`](Self::finish_many) does. Where a flush of the device is still needed, the caller has it done, in its own
    /// time, and tells its outcome to [`finish_end`](Self::finish_end). Until then the transactions are not visible, what is committed
    /// can be read, and everything that would append to the storage is refused with [`StorageError::Busy`].
    ///
    /// # Errors
    /// As for [`finish`](Self::finish).
    fn finish_start(&mut self, voted: Vec<Voted>) -> Result<(Vec<Tid>, Flush), StorageError> {
        Ok((self.finish_many(voted)?, Flush::Done))
    }

    /// Ends it: the flush that was needed has succeeded, and the transactions are durable and visible; or it has not, and
    /// the storage stops.
    ///
    /// # Errors
    /// [`StorageError::Stopped`].
    fn finish_end(&mut self, _flushed: Result<(), DeviceError>) -> Result<(), StorageError> {
        Ok(())
    }

    /// Gives a voted transaction up without a trace. One that is not voted yet is simply dropped.
    ///
    /// # Errors
    /// [`StorageError::ForeignTransaction`].
    fn abort(&mut self, voted: Voted) -> Result<(), StorageError>;

    /// The state of an object just before `before`: its last revision with a smaller number. Of states before the
    /// [`horizon`](Self::horizon), only what a pack left is found.
    ///
    /// # Errors
    /// [`StorageError::Device`], [`StorageError::Rot`], [`StorageError::OutOfMemory`].
    fn load_before(&mut self, oid: Oid, before: Tid) -> Result<Load, StorageError>;

    /// The states of several objects just before `before`, in the order of `oids`. A storage may read them in any order.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn load_many(&mut self, oids: &[Oid], before: Tid) -> Result<Vec<Load>, StorageError> {
        let mut loads = Vec::new();
        loads.try_reserve_exact(oids.len())?;
        for &oid in oids {
            loads.push(self.load_before(oid, before)?);
        }
        Ok(loads)
    }

    /// Says that these objects will be loaded soon. Never fails and changes no answer.
    fn prefetch(&mut self, _oids: &[Oid], _before: Tid) {}

    /// The revision that exactly this transaction wrote; `None` if it wrote none of this object. It may be a deletion.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn load_revision(&mut self, oid: Oid, tid: Tid) -> Result<Option<Load>, StorageError> {
        let found = self.load_before(oid, tid.after())?;
        Ok(Some(found).filter(|load| load.revision() == tid && tid != Tid::ZERO))
    }

    /// As [`load_before`](Self::load_before), without the record.
    ///
    /// # Errors
    /// As there.
    fn revision_before(&mut self, oid: Oid, before: Tid) -> Result<Load<()>, StorageError>;

    /// The revisions of an object, newest first, `limit` at most.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn history(&mut self, oid: Oid, limit: usize) -> Result<Vec<RevisionInfo>, StorageError>;

    /// The newest transaction with a number smaller than `before`.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn transaction_before(&mut self, before: Tid) -> Result<Option<TransactionInfo>, StorageError>;

    /// The oldest transaction with a number greater than `after`.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn transaction_after(&mut self, after: Tid) -> Result<Option<TransactionInfo>, StorageError>;

    /// A number that no object has, had or will be given again.
    ///
    /// # Errors
    /// [`StorageError::Exhausted`]; as for [`begin`](Self::begin), for a reservation may have to be made durable.
    fn new_oid(&mut self) -> Result<Oid, StorageError>;

    /// Numbers below this may have been issued, none from it on ever was.
    fn oid_limit(&self) -> Oid;

    /// The smallest object number that is greater than `after` and has a revision; `None` starts at the beginning.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn next_object(&mut self, after: Option<Oid>) -> Result<Option<Oid>, StorageError>;

    /// The greatest object number that is smaller than `before` and has a revision; `None` starts at the end.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn previous_object(&mut self, before: Option<Oid>) -> Result<Option<Oid>, StorageError>;

    /// The last committed transaction, or [`Tid::ZERO`]. It never goes back, also when that transaction is packed away.
    fn last_transaction(&self) -> Tid;

    /// Up to where the past may be packed away, or [`Tid::ZERO`]: states as of this transaction and later ones are whole,
    /// transactions after it can be undone. It never goes back while the storage is open, but a pack that a power cut ended
    /// before it dropped anything may be forgotten.
    fn horizon(&self) -> Tid;

    /// Begins a pack, which [`pack_step`](Self::pack_step) carries out while transactions are committed. The
    /// [`horizon`](Self::horizon) moves at once, to the least of `request.until`, the pins and the last transaction; if it
    /// does not move, the pack ends without doing anything.
    ///
    /// Of the past up to the horizon the pack keeps the state of each *live* object as of the horizon, and what is left of
    /// the transactions that wrote one of those. Everything after the horizon stays. Live are: the root; the objects that
    /// have a revision after the horizon; those that any record after the horizon refers to, also one that is committed
    /// before the pack ends; those that transactions between vote and finish change or refer to; `request.in_flight`; and
    /// all that the state as of the horizon of a live object refers to. With
    /// [`Garbage::Keep`](crate::Garbage::Keep), all objects are live. The end of an object that is not live is dropped with it.
    ///
    /// An object that is found not to be live answers from then on as if it had never existed, so that a vote refuses a new
    /// reference to it; until then such a vote makes it live. References to objects that do not exist are reported with
    /// their referrers, and are in nobody's way.
    ///
    /// # Errors
    /// [`PackError`].
    fn pack_start(&mut self, request: PackRequest) -> Result<(), PackError>;

    /// Goes on with the pack for about `budget` units of work (records looked at), at least one.
    ///
    /// # Errors
    /// [`PackError`]. After [`PackError::Storage`] the pack is over; what it had dropped stays dropped.
    fn pack_step(&mut self, budget: usize) -> Result<PackProgress, PackError>;

    /// Packs from beginning to end.
    ///
    /// # Errors
    /// [`PackError`].
    fn pack(&mut self, request: PackRequest) -> Result<PackReport, PackError> {
        self.pack_start(request)?;
        loop {
            if let PackProgress::Done(report) = self.pack_step(usize::MAX)? {
                return Ok(report);
            }
        }
    }
}
