//! The past: histories, states as they stood, undo.

use alloc::sync::Arc;
use alloc::vec::Vec;

use object_store::{Metadata, Oid, Record, RevisionInfo, StoreError, Tid};

use super::{Failure, Scopes, Sender, Sessions};
use crate::backing::Backing;

/// A revision of an object, with what its transaction says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// What it is.
    pub info: RevisionInfo,
    /// Of its transaction; empty where that was packed away.
    pub metadata: Metadata,
}

impl<S: Backing, K: Scopes> Sessions<S, K> {
    /// The revisions of an object before a transaction, newest first, for as long as `fits` says so.
    ///
    /// # Errors
    /// `Store`; an object that never existed has none.
    pub fn history(
        &mut self,
        oid: Oid,
        before: Tid,
        mut fits: impl FnMut(&Revision) -> bool,
    ) -> Result<Vec<Revision>, Failure> {
        let revisions = self.store.history(oid, usize::MAX)?;
        if revisions.is_empty() {
            return Err(StoreError::NeverExisted(oid).into());
        }
        let mut found = Vec::new();
        for info in revisions.into_iter().filter(|info| info.tid < before) {
            let transaction = self.store.storage_mut().transaction_before(info.tid.after())?;
            let metadata = transaction.filter(|found| found.tid == info.tid).map(|found| found.metadata);
            let revision = Revision { info, metadata: metadata.unwrap_or_default() };
            if !fits(&revision) {
                break;
            }
            found.push(revision);
        }
        Ok(found)
    }

    /// An object as it stood after a transaction. It holds no authority but what the object still has.
    ///
    /// # Errors
    /// `Store`, with `BeyondLast` or `PackedAway` among others.
    pub fn get_at(&mut self, oid: Oid, at: Tid) -> Result<Arc<Record>, Failure> {
        let last = self.last();
        if at > last {
            return Err(StoreError::BeyondLast { at, last }.into());
        }
        Ok(self.store.get_before(oid, at.after())?)
    }

    /// Has the sender's transaction undo another one when it commits.
    ///
    /// # Errors
    /// `NoTransaction`, `Doomed`, `Store`.
    pub fn undo(&mut self, sender: Sender, tid: Tid) -> Result<(), Failure> {
        let id = self.changing(sender)?;
        Ok(self.store.undo(id, tid)?)
    }
}
