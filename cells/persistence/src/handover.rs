//! What this server hands over to the next version of it: everything that it knows and the log does not.
//!
//! The log is none of it: the next instance opens it itself, when this one has stopped. What goes over is the table of open
//! transactions with what they have stored, their savepoints and what they demand, the kernel objects that belong to
//! them, the watches, what the last commits changed and for which requests, what became of the last transactions, and where
//! numbers go on. It goes as *parts*: first a whole, then,
//! for an instance on trial, what each reply has changed.
//!
//! # An instance on trial that fails
//! The last export holds the effect of every request that was answered, and of no other. But a commit is in the log before it
//! is answered. So that the old instance can tell, each commit of an instance on trial carries the number of its transaction
//! in the log ([`Mark`]); and what the kernel says of a scope tells which transactions were ended besides. Both are compared
//! with the export when the old instance goes on (`sessions::Sessions::resume`), which opens the log anew as well.

use alloc::vec::Vec;

use object_store::{Oid, StorageError, Tid, TransactionId, Volatile, append};
use runtime::State;
use serde::{Deserialize, Serialize};

use crate::opening::Facts;
use crate::sessions::recent::Change;
use crate::sessions::requests::{RequestId, Requests};

/// The schema of all this.
pub const SCHEMA: u32 = 1;

/// The first byte of a part that is the whole.
const WHOLE: u8 = 0;
/// The first byte of a part that stands behind others.
const SINCE: u8 = 1;

/// Where a capability stands in the CNode of the service, which all its instances have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The slot.
    pub slot: u64,
    /// Its generation.
    pub generation: u64,
}

/// What of the server is no part of its table of transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// What was found when the device was opened first.
    pub facts: Facts,
    /// The memory in which scopes lie.
    pub kept: Place,
    /// The memory of what an instance makes for itself.
    pub own: Place,
    /// The next object's number.
    pub next_oid: Oid,
    /// The last commit in the log.
    pub last: Tid,
}

/// An open transaction, but for what the store knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPart {
    /// The scope that travels with it.
    pub identity: u64,
    /// The right to end that.
    pub scope: Place,
    /// The transaction.
    pub id: TransactionId,
    /// The thread that began it.
    pub beginner: u64,
    /// A server that took part has given it up.
    pub doomed: bool,
    /// The device failed in its commit.
    pub in_doubt: bool,
    /// What of it somebody watches.
    pub watched: Vec<Oid>,
    /// What of it others than its beginner have put.
    pub by_others: Vec<Oid>,
}

/// A watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchPart {
    /// The badge of the client.
    pub client: u64,
    /// What it watches.
    pub oid: Oid,
    /// By what it is signalled.
    pub signal: Place,
}

/// What is told anew with each part: it is short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The open transactions.
    pub open: Vec<OpenPart>,
    /// Scopes without one.
    pub idle: Vec<Place>,
    /// The watches, as they were made.
    pub watches: Vec<WatchPart>,
    /// Since when all changes of what is watched are known.
    pub known_from: Tid,
    /// Since when all changes are known.
    pub recent_from: Tid,
    /// Transactions that were committed.
    pub commits: u64,
}

/// What grows at its end: with each part, what has been added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// Transactions that ended.
    pub ended: Vec<(TransactionId, Option<Tid>)>,
    /// Changes of what is watched.
    pub changes: Vec<(Tid, Oid)>,
    /// Changes.
    pub recent: Vec<Change>,
    /// Requests that were carried out: with the whole, all that are remembered.
    pub known: Option<Requests>,
    /// Requests that were carried out after those.
    pub requests: Vec<(RequestId, Tid)>,
}

impl Tail {
    fn extend(&mut self, later: Tail) {
        self.ended.extend(later.ended);
        self.changes.extend(later.changes);
        self.recent.extend(later.recent);
        self.requests.extend(later.requests);
    }
}

/// How much a part tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// What has changed since the part before.
    Since,
}

/// Begins a part; what the store tells comes behind it.
///
/// # Errors
/// `OutOfMemory`.
pub fn begin_part(
    extent: Extent,
    ground: &Ground,
    table: &Table,
    tail: &Tail,
    output: &mut Vec<u8>,
) -> Result<(), StorageError> {
    let kind = if extent == Extent::Whole { WHOLE } else { SINCE };
    append(&(kind, ground, table, tail), output)
}

/// Everything that was handed over.
pub struct Handover {
    /// Beside the transactions.
    pub ground: Ground,
    /// The transactions.
    pub table: Table,
    /// The last ends and changes, oldest first.
    pub tail: Tail,
    /// What the store has of the transactions.
    pub volatile: Volatile,
}

impl Handover {
    /// Reads parts: one that is the whole, and those behind it.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let ((kind, ground, table, tail), rest) = take_part(bytes)?;
        let (volatile, mut rest) = Volatile::import(rest).ok()?;
        let mut handover = Handover { ground, table, tail, volatile };
        if kind != WHOLE {
            return None;
        }
        while !rest.is_empty() {
            let ((kind, ground, table, tail), behind) = take_part(rest)?;
            if kind != SINCE {
                return None;
            }
            handover.ground = ground;
            handover.table = table;
            handover.tail.extend(tail);
            rest = handover.volatile.repeat(behind).ok()?;
        }
        handover.is_consistent().then_some(handover)
    }

    /// Whether it is told of all transactions that the store has open. Views of the past have no scope, and none are open between
    /// two requests; of a transaction whose commit is under way the store has nothing any more.
    fn is_consistent(&self) -> bool {
        let told = self.table.open.iter().filter(|open| self.volatile.has(open.id));
        told.count() == self.volatile.open_transactions()
    }

    fn write(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        begin_part(Extent::Whole, &self.ground, &self.table, &self.tail, &mut bytes).ok()?;
        self.volatile.export(&mut bytes).ok()?;
        Some(bytes)
    }
}

type Part = (u8, Ground, Table, Tail);

fn take_part(bytes: &[u8]) -> Option<(Part, &[u8])> {
    postcard::take_from_bytes(bytes).ok()
}

impl State for Handover {
    fn export(&self, schema: u32) -> Option<Vec<u8>> {
        if schema == SCHEMA { self.write() } else { None }
    }

    fn import(schema: u32, bytes: &[u8]) -> Option<Self> {
        if schema == SCHEMA { Self::read(bytes) } else { None }
    }

    /// A whole says what it is read from. Of a whole with parts behind it, what it is written as has to be read in the same way.
    fn is_all_of(&self, _: u32, bytes: &[u8]) -> bool {
        let Some(written) = self.write() else { return false };
        written == bytes || Self::read(&written).and_then(|again| again.write()).is_some_and(|again| again == written)
    }
}

/// What a commit of an instance on trial carries in the log, behind what else its extension says: the number of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub TransactionId);

/// What a mark begins with.
const MARKED: [u8; 4] = *b"mark";

impl Mark {
    /// Bytes of one.
    const LENGTH: usize = 12;

    /// As it stands there.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MARKED.to_vec();
        bytes.extend(self.0.number().to_le_bytes());
        bytes
    }

    /// The mark at the end of an extension, if there is one.
    #[must_use]
    pub fn find(extension: &[u8]) -> Option<Self> {
        let (_, mark) = extension.split_last_chunk::<{ Self::LENGTH }>()?;
        let number = mark.strip_prefix(&MARKED)?.try_into().ok()?;
        Some(Mark(TransactionId::new(u64::from_le_bytes(number))))
    }

    /// An extension without the mark that stands behind it, if one does.
    #[must_use]
    pub fn without(extension: &[u8]) -> &[u8] {
        match (Self::find(extension), extension.split_last_chunk::<{ Self::LENGTH }>()) {
            (Some(_), Some((before, _))) => before,
            _ => extension,
        }
    }
}
