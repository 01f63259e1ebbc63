//! An open transaction.

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::{CommitFailure, SessionId, StoreError, TransactionId};
use crate::{Metadata, Tid};

/// An open transaction.
#[derive(Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) snapshot: Tid,
    pub(super) session: Option<SessionId>,
    pub(super) metadata: Metadata,
    pub(super) changes: Changes,
    pub(super) kind: Kind,
    pub(super) state: State,
}

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// It sees the state at its begin and changes it.
    Current,
    /// It sees an older state and changes nothing.
    View,
}

/// How far a transaction is.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum State {
    Open,
    Doomed,
    Failed(CommitFailure),
}

impl Transaction {
    pub(super) fn new(snapshot: Tid, kind: Kind, session: Option<SessionId>, metadata: Metadata) -> Self {
        Self { snapshot, session, metadata, changes: Changes::default(), kind, state: State::Open }
    }

    /// Refuses where nothing can be done with it any more.
    pub(super) fn check_alive(&self, id: TransactionId) -> Result<(), StoreError> {
        if let State::Failed(_) = self.state { Err(StoreError::Failed(id)) } else { Ok(()) }
    }

    /// Refuses where it cannot change anything.
    pub(super) fn check_changing(&self, id: TransactionId) -> Result<(), StoreError> {
        self.check_alive(id)?;
        match self.kind {
            Kind::Current => Ok(()),
            Kind::View => Err(StoreError::ReadOnlyView(id)),
        }
    }

    /// Refuses where it cannot be committed.
    pub(super) fn check_commit(&self, id: TransactionId) -> Result<(), StoreError> {
        self.check_alive(id)?;
        if let State::Doomed = self.state { Err(StoreError::Doomed(id)) } else { Ok(()) }
    }
}
