//! The transaction manager: snapshots, own writes, commits.
//!
//! A transaction sees the graph as it was when it began, and its own changes; any number are open at once, and readers never
//! wait. The first to commit a change of an object wins, the others get [`StoreError::Conflict`]. A transaction whose commit
//! failed stays failed until it is aborted.

mod cache;
mod error;

pub use error::StoreError;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use cache::RecordCache;

use crate::{
    Load, Metadata, Oid, Record, RevisionInfo, Storage, StorageError, StorageTransaction, Tid, TransactionInfo,
};

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

/// A store over a storage.
pub struct Store<S> {
    storage: S,
    cache: RecordCache,
    open: BTreeMap<TransactionId, Transaction>,
    next: u64,
}

/// An open transaction.
struct Transaction {
    snapshot: Tid,
    metadata: Metadata,
    writes: BTreeMap<Oid, Write>,
    created: BTreeSet<Oid>,
    current: BTreeMap<Oid, Tid>,
    failed: bool,
}

struct Write {
    based_on: Tid,
    record: Arc<Record>,
}

impl<S: Storage> Store<S> {
    /// A store whose cache of records takes `cache_bytes` at most.
    pub fn new(storage: S, cache_bytes: usize) -> Self {
        Self { storage, cache: RecordCache::new(cache_bytes), open: BTreeMap::new(), next: 1 }
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

    /// Opens a transaction on the state as it is now.
    ///
    /// # Errors
    /// [`StorageError::MetadataTooLarge`].
    pub fn begin(&mut self, metadata: Metadata) -> Result<TransactionId, StoreError> {
        metadata.check()?;
        let id = TransactionId(self.next);
        self.next += 1;
        let transaction = Transaction {
            snapshot: self.storage.last_transaction(),
            metadata,
            writes: BTreeMap::new(),
            created: BTreeSet::new(),
            current: BTreeMap::new(),
            failed: false,
        };
        self.open.insert(id, transaction);
        Ok(id)
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
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`], [`StorageError::MetadataTooLarge`].
    pub fn note(&mut self, id: TransactionId, text: &str) -> Result<(), StoreError> {
        let metadata = &mut self.transaction_mut(id)?.metadata;
        let old = metadata.description.len();
        if old > 0 {
            metadata.description.push('\n');
        }
        metadata.description.push_str(text);
        let outcome = metadata.check();
        if outcome.is_err() {
            metadata.description.truncate(old);
        }
        Ok(outcome?)
    }

    /// A new object's number, for this transaction to [`put`](Self::put). It is never issued again, whatever becomes of it.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`], [`StoreError::Failed`]; those of [`Storage::new_oid`].
    pub fn new_oid(&mut self, id: TransactionId) -> Result<Oid, StoreError> {
        self.transaction(id)?;
        let oid = self.storage.new_oid()?;
        self.transaction_mut(id)?.created.insert(oid);
        Ok(oid)
    }

    /// The state of an object: the transaction's own, or else that of its snapshot.
    ///
    /// # Errors
    /// [`StoreError::NeverExisted`], [`StoreError::CreatedLater`], [`StoreError::Deleted`], [`StoreError::NoTransaction`],
    /// [`StoreError::Failed`]; those of [`Storage::load_before`].
    pub fn get(&mut self, id: TransactionId, oid: Oid) -> Result<Arc<Record>, StoreError> {
        let transaction = self.transaction(id)?;
        if let Some(write) = transaction.writes.get(&oid) {
            return Ok(write.record.clone());
        }
        let before = transaction.snapshot.after();
        self.get_before(oid, before)
    }

    /// The state of the root object, as [`get`](Self::get).
    ///
    /// # Errors
    /// As there; an empty store has no root yet: [`StoreError::NeverExisted`].
    pub fn root(&mut self, id: TransactionId) -> Result<Arc<Record>, StoreError> {
        self.get(id, Oid::ROOT)
    }

    /// The state of an object just before a transaction: a historical view.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn get_before(&mut self, oid: Oid, before: Tid) -> Result<Arc<Record>, StoreError> {
        if let Some((record, _)) = self.cache.get(oid, before) {
            return Ok(record);
        }
        match self.storage.load_before(oid, before)? {
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
    /// [`StoreError::NeverExisted`], [`StoreError::CreatedLater`], [`StoreError::Deleted`], [`StoreError::NoTransaction`],
    /// [`StoreError::Failed`].
    pub fn put(&mut self, id: TransactionId, oid: Oid, record: Record) -> Result<(), StoreError> {
        let transaction = self.transaction(id)?;
        let based_on = match transaction.writes.get(&oid) {
            Some(write) => write.based_on,
            None if transaction.created.contains(&oid) => Tid::ZERO,
            None => {
                let before = transaction.snapshot.after();
                self.revision(oid, before)?
            }
        };
        self.transaction_mut(id)?.writes.insert(oid, Write { based_on, record: Arc::new(record) });
        Ok(())
    }

    /// Demands that an object is still what this transaction sees when it commits, if it changes anything at all.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn read_current(&mut self, id: TransactionId, oid: Oid) -> Result<(), StoreError> {
        let transaction = self.transaction(id)?;
        if transaction.created.contains(&oid) || transaction.writes.contains_key(&oid) {
            return Ok(());
        }
        let before = transaction.snapshot.after();
        let revision = self.revision(oid, before)?;
        self.transaction_mut(id)?.current.insert(oid, revision);
        Ok(())
    }

    /// Commits: on return the changes are durable, and the number is theirs. A transaction without changes leaves no trace
    /// and answers with its snapshot.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]; [`StorageError::Dangling`] and the others of [`Storage::vote`] and [`Storage::finish`]. The
    /// transaction has then failed, and waits for its [`abort`](Self::abort).
    pub fn commit(&mut self, id: TransactionId) -> Result<Tid, StoreError> {
        let transaction = self.transaction_mut(id)?;
        if transaction.writes.is_empty() {
            let snapshot = transaction.snapshot;
            self.open.remove(&id);
            return Ok(snapshot);
        }
        // Until it has succeeded, it has failed; its changes are of no further use.
        transaction.failed = true;
        transaction.created = BTreeSet::new();
        let metadata = core::mem::take(&mut transaction.metadata);
        let writes = core::mem::take(&mut transaction.writes);
        let current = core::mem::take(&mut transaction.current);
        let tid = self.commit_changes(metadata, writes, current)?;
        self.open.remove(&id);
        Ok(tid)
    }

    /// Gives a transaction up. Its new numbers are not issued again.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`].
    pub fn abort(&mut self, id: TransactionId) -> Result<(), StoreError> {
        self.open.remove(&id).map(|_| ()).ok_or(StoreError::NoTransaction(id))
    }

    /// The committed transactions, newest first. After an error it ends.
    pub fn transactions(&mut self) -> Transactions<'_, S> {
        Transactions { storage: &mut self.storage, before: Some(Tid::MAX) }
    }

    /// The revisions of an object, newest first.
    ///
    /// # Errors
    /// Those of [`Storage::history`].
    pub fn history(&mut self, oid: Oid, limit: usize) -> Result<alloc::vec::Vec<RevisionInfo>, StoreError> {
        Ok(self.storage.history(oid, limit)?)
    }

    fn commit_changes(
        &mut self,
        metadata: Metadata,
        writes: BTreeMap<Oid, Write>,
        current: BTreeMap<Oid, Tid>,
    ) -> Result<Tid, StorageError> {
        let mut staged: StorageTransaction = self.storage.begin(metadata)?;
        let mut records = alloc::vec::Vec::new();
        records.try_reserve_exact(writes.len())?;
        for (oid, write) in writes {
            self.storage.store(&mut staged, oid, write.based_on, Record::clone(&write.record));
            records.push((oid, write.record));
        }
        for (oid, revision) in current {
            self.storage.read_current(&mut staged, oid, revision);
        }
        let voted = self.storage.vote(staged)?;
        let tid = self.storage.finish(voted)?;
        for (oid, record) in records {
            self.cache.end(oid, tid);
            self.cache.insert(oid, tid, None, record);
        }
        Ok(tid)
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

    fn transaction(&self, id: TransactionId) -> Result<&Transaction, StoreError> {
        match self.open.get(&id) {
            None => Err(StoreError::NoTransaction(id)),
            Some(transaction) if transaction.failed => Err(StoreError::Failed(id)),
            Some(transaction) => Ok(transaction),
        }
    }

    fn transaction_mut(&mut self, id: TransactionId) -> Result<&mut Transaction, StoreError> {
        match self.open.get_mut(&id) {
            None => Err(StoreError::NoTransaction(id)),
            Some(transaction) if transaction.failed => Err(StoreError::Failed(id)),
            Some(transaction) => Ok(transaction),
        }
    }
}

/// Committed transactions, newest first.
pub struct Transactions<'a, S> {
    storage: &'a mut S,
    before: Option<Tid>,
}

impl<S: Storage> Iterator for Transactions<'_, S> {
    type Item = Result<TransactionInfo, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.storage.transaction_before(self.before.take()?).transpose()?;
        if let Ok(info) = &found {
            self.before = Some(info.tid);
        }
        Some(found)
    }
}
