//! The transaction manager: snapshots, own writes, commits.
//!
//! A transaction sees the graph as it was when it began, and its own changes; any number are open at once, and readers never
//! wait. The first to commit a change of an object wins; the others' changes are merged by [`Rules`], or get
//! [`StoreError::Conflict`]. That is snapshot isolation: two transactions that each read what the other writes both commit,
//! unless one demands by [`Store::read_current`] that what it read still holds. A transaction whose commit failed stays
//! failed until it is aborted.
//!
//! By file: `changes` is what a transaction has done and its savepoints, `commit` how it becomes durable, `sessions` what
//! clients with caches of their own are told, `views` the past, `cache` the records.

mod cache;
mod changes;
mod commit;
mod error;
mod sessions;
mod transaction;
mod views;

pub use changes::SavepointId;
pub use commit::{Committed, Ended, Flushing, Started};
pub use error::{CommitFailure, Conflict, StoreError};
pub use sessions::{INVALIDATION_LIMIT, Invalidated, SessionId};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use cache::RecordCache;
use changes::Write;
use sessions::Sessions;
use transaction::{Kind, State, Transaction};

use crate::{Load, Metadata, NoRules, Oid, Record, Rules, Storage, Tid};

/// An open transaction's name. It is used once in the life of a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionId(u64);

impl TransactionId {
    /// Wraps a number that came back from a client.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A begin of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The transaction.
    pub id: TransactionId,
    /// The transaction whose state it sees.
    pub snapshot: Tid,
    /// What the client must forget of what it keeps, so that the rest is the snapshot's.
    pub invalidated: Invalidated,
}

/// A store over a storage.
pub struct Store<S> {
    storage: S,
    rules: Box<dyn Rules>,
    cache: RecordCache,
    open: BTreeMap<TransactionId, Transaction>,
    sessions: Sessions,
    next: u64,
}

impl<S: Storage> Store<S> {
    /// A store that knows nothing of payloads, whose cache of records takes `cache_bytes` at most.
    pub fn new(storage: S, cache_bytes: usize) -> Self {
        Self {
            storage,
            rules: Box::new(NoRules),
            cache: RecordCache::new(cache_bytes),
            open: BTreeMap::new(),
            sessions: Sessions::default(),
            next: 1,
        }
    }

    /// The same, with what is to be known of payloads.
    #[must_use]
    pub fn with_rules(self, rules: Box<dyn Rules>) -> Self {
        Self { rules, ..self }
    }

    /// The same, whose next transaction has this number. A server that may be started anew gives each life numbers of its own,
    /// so that none of an earlier life is taken for another's.
    #[must_use]
    pub fn numbered_from(self, next: u64) -> Self {
        Self { next, ..self }
    }

    /// The storage beneath.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The storage beneath, for its maintenance. Transactions committed there behind the store's back are not seen by its
    /// cache, so nothing may be committed.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Gives the storage back; open transactions are aborted.
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// Bytes that cached records take.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// How often a state was found in the cache, and how often not.
    pub fn cache_counts(&self) -> (u64, u64) {
        self.cache.counts()
    }

    /// Opens a session for a client that keeps states between its transactions. It keeps none yet.
    pub fn open_session(&mut self) -> SessionId {
        self.sessions.open()
    }

    /// Ends a session and aborts its transactions.
    ///
    /// # Errors
    /// [`StoreError::NoSession`].
    pub fn close_session(&mut self, session: SessionId) -> Result<(), StoreError> {
        if !self.sessions.close(session) {
            return Err(StoreError::NoSession(session));
        }
        self.open.retain(|_, transaction| transaction.session != Some(session));
        Ok(())
    }

    /// Opens a transaction on the state as it is now.
    ///
    /// # Errors
    /// [`StorageError::MetadataTooLarge`](crate::StorageError::MetadataTooLarge).
    pub fn begin(&mut self, metadata: Metadata) -> Result<TransactionId, StoreError> {
        metadata.check()?;
        Ok(self.enter_new(Transaction::new(self.storage.last_transaction(), Kind::Current, None, metadata)))
    }

    /// Opens a transaction of a session on the state as it is now, and drains what was invalidated since its last begin.
    ///
    /// # Errors
    /// [`StoreError::NoSession`]; as for [`begin`](Self::begin).
    pub fn begin_in(&mut self, session: SessionId, metadata: Metadata) -> Result<Begun, StoreError> {
        metadata.check()?;
        let invalidated = self.sessions.drain(session).ok_or(StoreError::NoSession(session))?;
        let snapshot = self.storage.last_transaction();
        let id = self.enter_new(Transaction::new(snapshot, Kind::Current, Some(session), metadata));
        Ok(Begun { id, snapshot, invalidated })
    }

    /// The transaction whose state this one sees.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`].
    pub fn snapshot(&self, id: TransactionId) -> Result<Tid, StoreError> {
        Ok(self.transaction(id)?.snapshot)
    }

    /// Adds a line to the transaction's description.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`],
    /// [`StorageError::MetadataTooLarge`](crate::StorageError::MetadataTooLarge).
    pub fn note(&mut self, id: TransactionId, text: &str) -> Result<(), StoreError> {
        self.describe(id, |metadata| {
            if !metadata.description.is_empty() {
                metadata.description.push('\n');
            }
            metadata.description.push_str(text);
        })
    }

    /// Changes what the transaction says of itself. A refused change is none.
    ///
    /// # Errors
    /// As for [`note`](Self::note).
    pub fn describe(&mut self, id: TransactionId, change: impl FnOnce(&mut Metadata)) -> Result<(), StoreError> {
        let kept = &mut self.transaction_mut(id)?.metadata;
        let mut metadata = kept.clone();
        change(&mut metadata);
        metadata.check()?;
        *kept = metadata;
        Ok(())
    }

    /// Says that a transaction must not commit. It can go on, until it is aborted.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`].
    pub fn doom(&mut self, id: TransactionId) -> Result<(), StoreError> {
        self.transaction_mut(id)?.state = State::Doomed;
        Ok(())
    }

    /// A new object's number, for this transaction to [`put`](Self::put). It is never issued again, whatever becomes of it.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`]; those of [`Storage::new_oid`].
    pub fn new_oid(&mut self, id: TransactionId) -> Result<Oid, StoreError> {
        self.transaction(id)?.check_changing(id)?;
        let oid = self.storage.new_oid()?;
        self.transaction_mut(id)?.changes.create(oid);
        Ok(oid)
    }

    /// The state of an object: the transaction's own, or else that of its snapshot. In a view of the past the state holds no
    /// authority but what the object still has; an undo shows only once it is committed.
    ///
    /// # Errors
    /// [`StoreError::NeverExisted`], [`StoreError::CreatedLater`], [`StoreError::Deleted`], [`StoreError::NoTransaction`],
    /// [`StoreError::Failed`]; those of [`Storage::load_before`].
    pub fn get(&mut self, id: TransactionId, oid: Oid) -> Result<Arc<Record>, StoreError> {
        let transaction = self.transaction(id)?;
        if let Some(write) = transaction.changes.writes().get(&oid) {
            return Ok(write.record.clone());
        }
        let (kind, before) = (transaction.kind, transaction.snapshot.after());
        match kind {
            Kind::Current => self.load(oid, before),
            Kind::View => self.get_before(oid, before),
        }
    }

    /// The state of the root object, as [`get`](Self::get).
    ///
    /// # Errors
    /// As there; an empty store has no root yet: [`StoreError::NeverExisted`].
    pub fn root(&mut self, id: TransactionId) -> Result<Arc<Record>, StoreError> {
        self.get(id, Oid::ROOT)
    }

    /// The states of several objects, in the order of `oids`, each as [`get`](Self::get) answers it. What the cache does not
    /// have is loaded from the storage at once; where that fails, one by one, so that each has its own answer.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`].
    pub fn get_many(
        &mut self,
        id: TransactionId,
        oids: &[Oid],
    ) -> Result<Vec<Result<Arc<Record>, StoreError>>, StoreError> {
        let transaction = self.transaction(id)?;
        let before = transaction.snapshot.after();
        let others = oids.iter().copied().filter(|oid| !transaction.changes.writes().contains_key(oid));
        let mut missing: Vec<Oid> = others.collect();
        missing.retain(|&oid| self.cache.get(oid, before).is_none());
        let loads = self.storage.load_many(&missing, before).unwrap_or_default();
        let mut loaded = BTreeMap::new();
        for (&oid, load) in missing.iter().zip(loads) {
            loaded.insert(oid, self.keep(oid, load));
        }
        let view = self.transaction(id)?.kind == Kind::View;
        let mut answers = Vec::new();
        for oid in oids {
            // In a view, authority is looked at besides.
            let answer = loaded.get(oid).filter(|_| !view);
            answers.push(answer.map_or_else(|| self.get(id, *oid), Clone::clone));
        }
        Ok(answers)
    }

    /// Says that a transaction will get these objects soon.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`].
    pub fn prefetch(&mut self, id: TransactionId, oids: &[Oid]) -> Result<(), StoreError> {
        let before = self.transaction(id)?.snapshot.after();
        self.storage.prefetch(oids, before);
        Ok(())
    }

    /// The transaction that wrote the newest committed state of an object.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn newest_revision(&mut self, oid: Oid) -> Result<Tid, StoreError> {
        self.revision(oid, Tid::MAX)
    }

    /// Changes an object, or creates it: the root, or one that [`new_oid`](Self::new_oid) gave to this transaction.
    ///
    /// # Errors
    /// [`StoreError::NeverExisted`], [`StoreError::CreatedLater`], [`StoreError::Deleted`], [`StoreError::ReadOnlyView`],
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`].
    pub fn put(&mut self, id: TransactionId, oid: Oid, record: Record) -> Result<(), StoreError> {
        let transaction = self.transaction(id)?;
        transaction.check_changing(id)?;
        let based_on = match transaction.changes.writes().get(&oid) {
            Some(write) => write.based_on,
            None if transaction.changes.has_created(oid) => Tid::ZERO,
            None => {
                let before = transaction.snapshot.after();
                self.revision(oid, before)?
            }
        };
        self.transaction_mut(id)?.changes.write(oid, Write { based_on, record: Arc::new(record) });
        Ok(())
    }

    /// Demands that an object is still what this transaction sees when it commits, if it changes anything at all.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn read_current(&mut self, id: TransactionId, oid: Oid) -> Result<(), StoreError> {
        let transaction = self.transaction(id)?;
        transaction.check_changing(id)?;
        if transaction.changes.has_created(oid) || transaction.changes.writes().contains_key(&oid) {
            return Ok(());
        }
        let before = transaction.snapshot.after();
        let revision = self.revision(oid, before)?;
        self.transaction_mut(id)?.changes.demand(oid, revision);
        Ok(())
    }

    /// Undoes a committed transaction when this one commits, after what it puts and after what it was told to undo before; see
    /// [`Storage::undo`].
    ///
    /// # Errors
    /// [`StoreError::ReadOnlyView`], [`StoreError::NoTransaction`], [`StoreError::Failed`]. What is wrong with the undo is
    /// told by the commit.
    pub fn undo(&mut self, id: TransactionId, tid: Tid) -> Result<(), StoreError> {
        self.transaction(id)?.check_changing(id)?;
        self.transaction_mut(id)?.changes.undo(tid);
        Ok(())
    }

    /// A point to which the transaction can be [rolled back](Self::roll_back).
    ///
    /// # Errors
    /// [`StoreError::ReadOnlyView`], [`StoreError::NoTransaction`], [`StoreError::Failed`].
    pub fn savepoint(&mut self, id: TransactionId) -> Result<SavepointId, StoreError> {
        self.transaction(id)?.check_changing(id)?;
        Ok(self.transaction_mut(id)?.changes.savepoint())
    }

    /// Takes back everything that the transaction did since a savepoint, but for what it noted. Later savepoints end, objects
    /// that were created since are no longer the transaction's, and nothing that others committed comes in.
    ///
    /// # Errors
    /// [`StoreError::NoSavepoint`]; as for [`savepoint`](Self::savepoint).
    pub fn roll_back(&mut self, id: TransactionId, savepoint: SavepointId) -> Result<(), StoreError> {
        let changes = &mut self.transaction_mut(id)?.changes;
        changes.roll_back(savepoint).ok_or(StoreError::NoSavepoint(savepoint))
    }

    /// Gives a transaction up. Its new numbers are not issued again.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`].
    pub fn abort(&mut self, id: TransactionId) -> Result<(), StoreError> {
        self.open.remove(&id).map(|_| ()).ok_or(StoreError::NoTransaction(id))
    }

    /// Why the commit of a transaction failed, until its abort.
    #[must_use]
    pub fn failure(&self, id: TransactionId) -> Option<&CommitFailure> {
        match &self.open.get(&id)?.state {
            State::Failed(failure) => Some(failure),
            State::Open | State::Doomed => None,
        }
    }

    /// Does work in a transaction and commits it; again in a new one if others were quicker, `attempts` times at most.
    ///
    /// # Errors
    /// As `work` and [`commit`](Self::commit) say. The transaction is aborted.
    pub fn run<T>(
        &mut self,
        attempts: usize,
        metadata: &Metadata,
        mut work: impl FnMut(&mut Self, TransactionId) -> Result<T, StoreError>,
    ) -> Result<(T, Tid), StoreError> {
        let mut left = attempts;
        loop {
            let id = self.begin(metadata.clone())?;
            let outcome = work(self, id).and_then(|value| Ok((value, self.commit(id)?)));
            left = left.saturating_sub(1);
            match outcome {
                Err(error) => {
                    self.open.remove(&id);
                    if left == 0 || !error.is_retryable() {
                        return Err(error);
                    }
                }
                done => return done,
            }
        }
    }

    /// A state as the storage has it.
    fn load(&mut self, oid: Oid, before: Tid) -> Result<Arc<Record>, StoreError> {
        if let Some((record, _)) = self.cache.get(oid, before) {
            return Ok(record);
        }
        let load = self.storage.load_before(oid, before)?;
        self.keep(oid, load)
    }

    /// What was loaded, which the cache keeps.
    fn keep(&mut self, oid: Oid, load: Load) -> Result<Arc<Record>, StoreError> {
        match load {
            Load::Data { record, tid, next } => {
                let record = Arc::new(record);
                self.cache.insert(oid, tid, next, record.clone());
                Ok(record)
            }
            Load::DeletedAt(by) => Err(StoreError::Deleted { oid, by }),
            Load::NotYet(by) => Err(StoreError::CreatedLater { oid, by }),
            Load::NeverExisted => Err(StoreError::NeverExisted(oid)),
        }
    }

    /// The revision that a change of an object in a snapshot is based on.
    fn revision(&mut self, oid: Oid, before: Tid) -> Result<Tid, StoreError> {
        match self.storage.revision_before(oid, before)? {
            Load::Data { tid, .. } => Ok(tid),
            Load::DeletedAt(by) => Err(StoreError::Deleted { oid, by }),
            Load::NotYet(_) | Load::NeverExisted if oid == Oid::ROOT => Ok(Tid::ZERO),
            Load::NotYet(by) => Err(StoreError::CreatedLater { oid, by }),
            Load::NeverExisted => Err(StoreError::NeverExisted(oid)),
        }
    }

    fn enter_new(&mut self, transaction: Transaction) -> TransactionId {
        let id = TransactionId(self.next);
        self.next += 1;
        self.open.insert(id, transaction);
        id
    }

    fn transaction(&self, id: TransactionId) -> Result<&Transaction, StoreError> {
        let transaction = self.open.get(&id).ok_or(StoreError::NoTransaction(id))?;
        transaction.check_alive(id).map(|()| transaction)
    }

    fn transaction_mut(&mut self, id: TransactionId) -> Result<&mut Transaction, StoreError> {
        let transaction = self.open.get_mut(&id).ok_or(StoreError::NoTransaction(id))?;
        transaction.check_alive(id).map(|()| transaction)
    }
}
