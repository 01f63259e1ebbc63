//! The persistence server: transactions over records.

use alloc::vec::Vec;
use core::cell::RefCell;

use abi::CallError;
use abi::interface::Method;
use abi::interfaces::persistence::{
    ABORTED, Abort, BUFFER_TOO_SMALL, BeginTransaction, CHANGES_LOST, Changes, Commit, GetObject, NewObject, Note,
    OUTCOME_UNKNOWN, Outcome as AskOutcome, Revision, Root, STILL_OPEN, StoreObject, TransactionSummary, Transactions,
    Watch,
};
use abi::kernel::BODY_MAX;
use abi::token::{CallOnly, Cap, Endpoint, Notification};
use object_model::{BadObject, Object};
use object_store::{Oid, Record, Tid};
use runtime::{Buf, Call};

use crate::snapshots::Snapshots;

/// Why an object could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphError {
    /// The server or the kernel refused.
    Call(CallError),
    /// The record does not encode or decode.
    Record,
    /// The record fits neither a message nor the Buf: so many bytes.
    TooLarge(u64),
}

impl From<CallError> for GraphError {
    fn from(error: CallError) -> Self {
        GraphError::Call(error)
    }
}

impl From<BadObject> for GraphError {
    fn from(_: BadObject) -> Self {
        GraphError::Record
    }
}

impl genesis::Graph for Graph {
    type Error = GraphError;

    fn new_object(&mut self) -> Result<Oid> {
        Graph::new_object(self)
    }

    fn put(&mut self, oid: Oid, object: &Object) -> Result<()> {
        self.put_object(oid, object)
    }

    fn get(&mut self, oid: Oid) -> Result<Object> {
        self.object(oid)
    }
}

impl core::fmt::Display for GraphError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            GraphError::Call(error) => write!(f, "{error}"),
            GraphError::Record => f.write_str("the record is malformed"),
            GraphError::TooLarge(bytes) => write!(f, "a record of {bytes} bytes does not fit the memory lent for it"),
        }
    }
}

pub(crate) type Result<T> = core::result::Result<T, GraphError>;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    Open,
    /// It was committed.
    Committed(Tid),
    /// It was not, and will not be.
    Aborted,
    /// The server does not know (any more): the graph tells.
    Unknown,
}

/// What changed of the objects that somebody watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These objects. There may be more after the TID: ask again, until there are none.
    Objects(Tid, Vec<Oid>),
    /// Any of them may have, up to this TID: the server does not remember so far back.
    Anything(Tid),
}

/// A session with the persistence server. The transaction belongs to the calling thread.
#[derive(Debug)]
pub struct Graph {
    endpoint: Cap<Endpoint, CallOnly>,
    buf: Option<Buf>,
    kept: Option<RefCell<Snapshots>>,
}

impl Graph {
    /// A session; records longer than a message travel in `buf`.
    pub fn new(endpoint: Cap<Endpoint, CallOnly>, buf: Option<Buf>) -> Self {
        Graph { endpoint, buf, kept: None }
    }

    /// The same, which keeps states of so many bytes at most from one transaction to the next, for a thread that has no other
    /// session and serves nobody. Whoever lets another server put something in the open transaction says so:
    /// [`Graph::others_take_part`].
    #[must_use]
    pub fn keeping(self, bytes: usize) -> Self {
        Graph { kept: Some(RefCell::new(Snapshots::new(bytes))), ..self }
    }

    /// The open transaction travels with a call to a server that may put something in it: from here on to its end the states are
    /// asked for.
    pub fn others_take_part(&self) {
        self.keep(Snapshots::forget);
    }

    /// Tells what is kept of something.
    fn keep(&self, tell: impl FnOnce(&mut Snapshots)) {
        if let Some(kept) = &self.kept {
            tell(&mut kept.borrow_mut());
        }
    }

    /// The endpoint, for other calls.
    pub fn endpoint(&self) -> &Cap<Endpoint, CallOnly> {
        &self.endpoint
    }

    /// Begins a transaction, or joins the one that travels with the request being served; answers its number.
    ///
    /// # Errors
    /// The server's.
    pub fn begin(&self) -> Result<u64> {
        let transaction = Call::new(&self.endpoint, BeginTransaction {}).value()?;
        if let Some(kept) = &self.kept {
            let since = kept.borrow().since();
            match self.invalidations(since) {
                Ok(changed) => self.keep(|kept| kept.begin(transaction, changed)),
                Err(_) => self.others_take_part(),
            }
        }
        Ok(transaction)
    }

    /// Commits it.
    ///
    /// # Errors
    /// `CONFLICT` with the OID: then it must be aborted.
    pub fn commit(&self) -> Result<Tid> {
        match Call::new(&self.endpoint, Commit {}).value() {
            Ok(tid) => {
                self.keep(Snapshots::committed);
                Ok(Tid::new(tid))
            }
            Err(error) => {
                // It may be committed for all that is known.
                self.keep(Snapshots::forget);
                Err(error.into())
            }
        }
    }

    /// Aborts it.
    ///
    /// # Errors
    /// There is none.
    pub fn abort(&self) -> Result<()> {
        self.keep(Snapshots::aborted);
        Ok(Call::new(&self.endpoint, Abort {}).value()?)
    }

    /// What became of a transaction, by the number that [`Graph::begin`] answered.
    ///
    /// # Errors
    /// The call failed.
    pub fn outcome(&self, transaction: u64) -> Result<Outcome> {
        match Call::new(&self.endpoint, AskOutcome { transaction }).value() {
            Ok(tid) => Ok(Outcome::Committed(Tid::new(tid))),
            Err(CallError::Server(STILL_OPEN, _)) => Ok(Outcome::Open),
            Err(CallError::Server(ABORTED, _)) => Ok(Outcome::Aborted),
            Err(CallError::Server(OUTCOME_UNKNOWN, _)) => Ok(Outcome::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Has a notification signalled, by its badge, when a transaction ends that wrote an object or one that refers to it.
    /// Answers the last TID: [`Graph::changes`] tells what changes after it.
    ///
    /// # Errors
    /// The server keeps too many watches.
    pub fn watch(&self, oid: Oid, signal: Cap<Notification, CallOnly>) -> Result<Tid> {
        let answered = Call::new(&self.endpoint, Watch { oid: oid.number() }).grant(signal).send()?;
        Ok(Tid::new(answered.value))
    }

    /// What changed after a TID, of all that is watched by anybody, or refers to what is.
    ///
    /// # Errors
    /// The call failed.
    pub fn changes(&self, since: Tid) -> Result<Changed> {
        let mut body = [0; BODY_MAX];
        let answered = Call::new(&self.endpoint, Changes { since: since.number() }).into_bytes(&mut body);
        let (upto, length) = match answered {
            Ok((answered, length)) => (Tid::new(answered.value), length),
            Err(CallError::Server(CHANGES_LOST, last)) => return Ok(Changed::Anything(Tid::new(last))),
            Err(error) => return Err(error.into()),
        };
        Ok(Changed::Objects(upto, oids(body.get(..length).unwrap_or(&[]))))
    }

    /// The last transactions that were committed, the newest first, as many as one answer takes.
    ///
    /// # Errors
    /// The call failed.
    pub fn newest_transactions(&self) -> Result<Vec<u64>> {
        let mut body = [0; BODY_MAX];
        let (_, length) = Call::new(&self.endpoint, Transactions { before: 0 }).into_bytes(&mut body)?;
        let listed: Vec<TransactionSummary<'_>> = postcard::from_bytes(body.get(..length).unwrap_or(&[]))
            .map_err(|_| GraphError::Call(CallError::Malformed))?;
        Ok(listed.iter().map(|transaction| transaction.tid).collect())
    }

    /// Says what it is for.
    ///
    /// # Errors
    /// There is none.
    pub fn note(&self, text: &str) -> Result<()> {
        Call::new(&self.endpoint, Note {}).bytes(text.as_bytes()).send()?;
        Ok(())
    }

    /// The root mapping's OID.
    ///
    /// # Errors
    /// The server's.
    pub fn root(&self) -> Result<Oid> {
        Ok(Oid::new(Call::new(&self.endpoint, Root {}).value()?))
    }

    /// A new OID.
    ///
    /// # Errors
    /// There is no transaction.
    pub fn new_object(&self) -> Result<Oid> {
        Ok(Oid::new(Call::new(&self.endpoint, NewObject {}).value()?))
    }

    /// An object.
    ///
    /// # Errors
    /// As [`Graph::get`]; it is no object.
    pub fn object(&mut self, oid: Oid) -> Result<Object> {
        Ok(Object::from_record(&self.get(oid)?)?)
    }

    /// The transaction that wrote the newest committed state of an object.
    ///
    /// # Errors
    /// `NO_SUCH_OBJECT`.
    pub fn revision(&self, oid: Oid) -> Result<Tid> {
        Ok(Tid::new(Call::new(&self.endpoint, Revision { oid: oid.number() }).value()?))
    }

    /// Stores an object in the open transaction.
    ///
    /// # Errors
    /// As [`Graph::put`].
    pub fn put_object(&mut self, oid: Oid, object: &Object) -> Result<()> {
        self.put(oid, &object.to_record()?)
    }

    /// An object's record.
    ///
    /// # Errors
    /// `NO_SUCH_OBJECT`; too large for the Buf.
    pub fn get(&mut self, oid: Oid) -> Result<Record> {
        if let Some(state) = self.kept.as_ref().and_then(|kept| kept.borrow_mut().get(oid)) {
            return Ok(Record::clone(&state));
        }
        let record = self.load(&GetObject { oid: oid.number() })?;
        self.keep(|kept| kept.loaded(oid, &record));
        Ok(record)
    }

    /// Sends a request whose answer is a record: in the body, or else in the Buf.
    pub(crate) fn load<M: Method<Value = u64> + Copy>(&mut self, method: &M) -> Result<Record> {
        let mut body = [0; BODY_MAX];
        let answer = Call::new(&self.endpoint, *method).into_bytes(&mut body);
        let needed = match answer {
            Ok((_, length)) => return decode(body.get(..length).unwrap_or(&[])),
            Err(CallError::Server(BUFFER_TOO_SMALL, needed)) => needed,
            Err(error) => return Err(error.into()),
        };
        let Some(buf) = &mut self.buf else { return Err(GraphError::TooLarge(needed)) };
        if needed > buf.bytes().len() as u64 {
            return Err(GraphError::TooLarge(needed));
        }
        let length = Call::new(&self.endpoint, *method).lend(buf).send()?.value;
        decode(buf.bytes().get(..length as usize).unwrap_or(&[]))
    }

    /// Stores an object's record in the open transaction.
    ///
    /// # Errors
    /// There is no transaction; too large for the Buf.
    pub fn put(&mut self, oid: Oid, record: &Record) -> Result<()> {
        self.send(oid, record)?;
        self.keep(|kept| kept.put(oid, record));
        Ok(())
    }

    fn send(&mut self, oid: Oid, record: &Record) -> Result<()> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes).map_err(|_| GraphError::Record)?;
        if bytes.len() <= BODY_MAX {
            Call::new(&self.endpoint, StoreObject { oid: oid.number(), length: 0 }).bytes(&bytes).send()?;
            return Ok(());
        }
        let length = bytes.len() as u64;
        let Some(buf) = &mut self.buf else { return Err(GraphError::TooLarge(length)) };
        let room = buf.bytes_mut().get_mut(..bytes.len()).ok_or(GraphError::TooLarge(length))?;
        room.copy_from_slice(&bytes);
        Call::new(&self.endpoint, StoreObject { oid: oid.number(), length }).lend(buf).send()?;
        Ok(())
    }
}

/// OIDs of 8 bytes each.
pub(crate) fn oids(bytes: &[u8]) -> Vec<Oid> {
    let (oids, _) = bytes.as_chunks();
    oids.iter().map(|oid| Oid::new(u64::from_le_bytes(*oid))).collect()
}

fn decode(bytes: &[u8]) -> Result<Record> {
    Record::decode(bytes).map_err(|_| GraphError::Record)
}
