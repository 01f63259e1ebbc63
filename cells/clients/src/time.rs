//! The persistence server's past: histories, states as they stood, undo.

use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::persistence::{GetObjectAt, History, RevisionSummary, Undo};
use abi::kernel::BODY_MAX;
use object_model::Object;
use object_store::{Oid, Record, Tid};
use runtime::Call;

use crate::graph::{Graph, GraphError, Result};

/// One revision of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The transaction that wrote it.
    pub tid: Tid,
    /// Bytes of the encoded record; `None` where it is the object's end.
    pub bytes: Option<u32>,
    /// Who wrote it.
    pub user: String,
    /// What for.
    pub description: String,
}

impl Graph {
    /// Some revisions of an object before a transaction, newest first; none where there are no more.
    ///
    /// # Errors
    /// `NO_SUCH_OBJECT`.
    pub fn history(&self, oid: Oid, before: Option<Tid>) -> Result<Vec<Revision>> {
        let mut body = [0; BODY_MAX];
        let method = History { oid: oid.number(), before: before.map_or(0, Tid::number) };
        let (_, length) = Call::new(self.endpoint(), method).into_bytes(&mut body)?;
        let found: Vec<RevisionSummary<'_>> =
            postcard::from_bytes(body.get(..length).unwrap_or(&[])).map_err(|_| GraphError::Record)?;
        let own = |found: &RevisionSummary<'_>| Revision {
            tid: Tid::new(found.tid),
            bytes: (!found.deleted).then_some(found.bytes),
            user: found.user.into(),
            description: found.description.into(),
        };
        Ok(found.iter().map(own).collect())
    }

    /// An object's record as it stood after a transaction. It holds no authority but what the object still has.
    ///
    /// # Errors
    /// `NO_SUCH_OBJECT`, `PACKED_AWAY`, `BEYOND_LAST`; too large for the Buf.
    pub fn get_at(&mut self, oid: Oid, at: Tid) -> Result<Record> {
        self.load(&GetObjectAt { oid: oid.number(), tid: at.number() })
    }

    /// An object as it stood after a transaction.
    ///
    /// # Errors
    /// As [`Graph::get_at`]; it is no object.
    pub fn object_at(&mut self, oid: Oid, at: Tid) -> Result<Object> {
        Ok(Object::from_record(&self.get_at(oid, at)?)?)
    }

    /// Has the open transaction undo a committed one when it commits, after what it stores and what it was told to undo
    /// before. What is wrong with that is told by the commit.
    ///
    /// # Errors
    /// There is no transaction.
    pub fn undo(&self, tid: Tid) -> Result<()> {
        Ok(Call::new(self.endpoint(), Undo { tid: tid.number() }).value()?)
    }
}
