//! What a store knows beside its storage, on its way to whoever takes its place over the same storage.
//!
//! A [`Volatile`] is that: the open transactions with all that they have done and their savepoints, the sessions with what they
//! have yet to be told, and the next name of a transaction. [`Store::export`] writes it *whole*; where a store is recorded,
//! [`Store::export_changes`] writes what came since, at a cost that goes with that and not with the whole.
//! [`Volatile::import`] and [`Volatile::repeat`] read the two, and [`Store::resume`] puts it over a storage that has been opened.
//!
//! The cache of records is none of it: it holds nothing that the storage does not.
//!
//! Everything is postcard, in the order of the fields; whoever sends it says in which version of this crate.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::changes::Op;
use super::open::{OpenTransactions, Touch};
use super::sessions::Sessions;
use super::transaction::{Kind, State, Transaction};
use super::{SavepointId, SessionId, Store, TransactionId};
use crate::record::append;
use crate::{Metadata, Oid, Record, Storage, StorageError, Tid};

/// What a store knows beside its storage.
#[derive(Serialize, Deserialize)]
pub struct Volatile {
    next: u64,
    open: BTreeMap<TransactionId, Transaction>,
    sessions: Sessions,
}

/// What has happened to the sessions and to one transaction, or to several.
#[derive(Serialize, Deserialize)]
struct Since {
    next: u64,
    sessions: Option<Sessions>,
    touched: Vec<(TransactionId, Told)>,
}

/// A transaction that was touched.
#[derive(Serialize, Deserialize)]
enum Told {
    /// It is over.
    Gone,
    /// It is this.
    Whole(Transaction),
    /// It has done this besides, and the rest of it is so.
    Since(Header, Vec<Op>),
}

/// What of a transaction is told anew whenever it is touched.
#[derive(Serialize, Deserialize)]
struct Header {
    snapshot: Tid,
    session: Option<SessionId>,
    metadata: Metadata,
    kind: Kind,
    state: State,
}

/// What a transaction had put, and the objects that it had made.
pub type AtSavepoint<'a> = (BTreeMap<Oid, &'a Record>, BTreeSet<Oid>);

/// Bytes that no store wrote, or a state that does not belong to the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHandover;

impl Volatile {
    /// Reads what [`Store::export`] wrote at the start of `bytes`; answers the rest.
    ///
    /// # Errors
    /// [`BadHandover`].
    pub fn import(bytes: &[u8]) -> Result<(Self, &[u8]), BadHandover> {
        let (volatile, rest): (Self, _) = postcard::take_from_bytes(bytes).map_err(|_| BadHandover)?;
        volatile.check()?;
        Ok((volatile, rest))
    }

    /// Does what [`Store::export_changes`] wrote at the start of `bytes`; answers the rest.
    ///
    /// # Errors
    /// [`BadHandover`].
    pub fn repeat<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadHandover> {
        let (since, rest): (Since, _) = postcard::take_from_bytes(bytes).map_err(|_| BadHandover)?;
        self.next = since.next;
        if let Some(sessions) = since.sessions {
            self.sessions = sessions;
        }
        for (id, told) in since.touched {
            match told {
                Told::Gone => drop(self.open.remove(&id)),
                Told::Whole(transaction) => drop(self.open.insert(id, transaction)),
                Told::Since(header, ops) => {
                    let transaction = self.open.get_mut(&id).ok_or(BadHandover)?;
                    header.put_into(transaction);
                    for op in ops {
                        transaction.changes.repeat(op).ok_or(BadHandover)?;
                    }
                }
            }
        }
        self.check()?;
        Ok(rest)
    }

    /// As [`Store::export`], once more.
    ///
    /// # Errors
    /// [`StorageError::OutOfMemory`].
    pub fn export(&self, output: &mut Vec<u8>) -> Result<(), StorageError> {
        append(self, output)
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn has(&self, id: TransactionId) -> bool {
        self.open.contains_key(&id)
    }

    /// How many are.
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        self.open.len()
    }

    fn check(&self) -> Result<(), BadHandover> {
        let is_used = |id: &TransactionId| id.number() < self.next;
        let is_known = |session: SessionId| self.sessions.has(session);
        let fits = self.open.iter().all(|(id, open)| is_used(id) && open.session.is_none_or(is_known));
        if fits { Ok(()) } else { Err(BadHandover) }
    }
}

impl<S: Storage> Store<S> {
    /// Appends all that the store knows beside its storage. On an error, `output` is as it was.
    ///
    /// # Errors
    /// [`StorageError::OutOfMemory`].
    pub fn export(&mut self, output: &mut Vec<u8>) -> Result<(), StorageError> {
        append(&(self.next, self.open.all(), &self.sessions), output)?;
        // What is told from now on comes behind this.
        if self.open.is_recorded() {
            self.record();
        }
        Ok(())
    }

    /// Says that [`export_changes`](Self::export_changes) will be asked for what happens from now on.
    pub fn record(&mut self) {
        self.open.record();
        self.sessions.record();
    }

    /// Says that it will not be asked any more.
    pub fn stop_recording(&mut self) {
        self.open.stop_recording();
    }

    /// Appends what has happened since [`export`](Self::export), [`record`](Self::record) or the last of these. On an error,
    /// `output` is as it was, and a whole export has to come next.
    ///
    /// # Errors
    /// [`StorageError::OutOfMemory`].
    pub fn export_changes(&mut self, output: &mut Vec<u8>) -> Result<(), StorageError> {
        let touched = self.open.take_touched();
        let sessions = self.sessions.take_touched().then_some(&self.sessions);
        let start = output.len();
        let written = append(&(self.next, sessions, touched.len()), output).and_then(|()| {
            touched.into_iter().try_for_each(|(id, touch)| {
                append(&id, output)?;
                tell(&mut self.open, id, touch, output)
            })
        });
        written.inspect_err(|_| output.truncate(start))
    }

    /// Goes on where another store over the same storage has stopped. Nothing may be open here yet.
    ///
    /// # Errors
    /// [`BadHandover`] where the storage does not have what the other store's transactions have seen.
    pub fn resume(&mut self, volatile: Volatile) -> Result<(), BadHandover> {
        let last = self.storage.last_transaction();
        if !self.open.all().is_empty() || volatile.open.values().any(|open| open.snapshot > last) {
            return Err(BadHandover);
        }
        self.next = volatile.next;
        self.open = OpenTransactions::of(volatile.open);
        self.sessions = volatile.sessions;
        Ok(())
    }

    /// What an open transaction has put so far: objects and their states. Nothing for one that is not open.
    pub fn puts(&self, id: TransactionId) -> impl Iterator<Item = (Oid, &Record)> {
        let writes = self.open.get(&id).into_iter().flat_map(|open| open.changes.writes());
        writes.map(|(&oid, write)| (oid, &*write.record))
    }

    /// The savepoints of an open transaction, oldest first.
    pub fn savepoints(&self, id: TransactionId) -> impl Iterator<Item = SavepointId> {
        self.open.get(&id).into_iter().flat_map(|open| open.changes.savepoints())
    }

    /// What an open transaction had put and made at a savepoint; `None` where it has no such savepoint.
    #[must_use]
    pub fn at_savepoint(&self, id: TransactionId, savepoint: SavepointId) -> Option<AtSavepoint<'_>> {
        self.open.get(&id)?.changes.at(savepoint)
    }

    /// What an open transaction says of itself.
    #[must_use]
    pub fn metadata(&self, id: TransactionId) -> Option<&Metadata> {
        Some(&self.open.get(&id)?.metadata)
    }

    /// The objects that were made for an open transaction.
    pub fn creations(&self, id: TransactionId) -> impl Iterator<Item = Oid> {
        self.open.get(&id).into_iter().flat_map(|open| open.changes.created().iter().copied())
    }
}

/// Appends what there is to tell of a transaction.
fn tell(
    open: &mut OpenTransactions,
    id: TransactionId,
    touch: Touch,
    output: &mut Vec<u8>,
) -> Result<(), StorageError> {
    // The variants of `Told`, without what they own.
    #[derive(Serialize)]
    enum Telling<'a> {
        Gone,
        Whole(&'a Transaction),
        Since(&'a Header, &'a [Op]),
    }
    let Some(transaction) = open.telling(&id) else { return append(&Telling::Gone, output) };
    let recorded = transaction.changes.take_recorded();
    match touch {
        Touch::Whole => append(&Telling::Whole(transaction), output),
        Touch::Since => append(&Telling::Since(&Header::of(transaction), &recorded), output),
    }
}

impl Header {
    fn of(transaction: &Transaction) -> Self {
        let Transaction { snapshot, session, metadata, kind, state, .. } = transaction;
        Self { snapshot: *snapshot, session: *session, metadata: metadata.clone(), kind: *kind, state: state.clone() }
    }

    fn put_into(self, transaction: &mut Transaction) {
        let Self { snapshot, session, metadata, kind, state } = self;
        let changes = core::mem::take(&mut transaction.changes);
        *transaction = Transaction { snapshot, session, metadata, changes, kind, state };
    }
}
