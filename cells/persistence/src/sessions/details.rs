//! What a transaction can be asked for besides reading, storing and ending it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use object_store::{CommitFailure, Conflict, Oid, SavepointId, Storage, Tid, TransactionId, UndoError};

use super::requests::{Carried, RequestId};
use super::{Failure, Scopes, Sender, Sessions};

/// What a rollback brings back, beside what the store does.
#[derive(Clone, Debug)]
pub(super) struct Savepoint {
    id: SavepointId,
    created: BTreeSet<Oid>,
    staged: BTreeMap<Oid, usize>,
}

impl<S: Storage, K: Scopes> Sessions<S, K> {
    /// Demands that an object is still what the sender's transaction sees when it commits.
    ///
    /// # Errors
    /// `NoTransaction`, `Doomed`, `Store`.
    pub fn read_current(&mut self, sender: Sender, oid: Oid) -> Result<(), Failure> {
        let id = self.changing(sender)?;
        Ok(self.store.read_current(id, oid)?)
    }

    /// A point to which the sender's transaction can be rolled back.
    ///
    /// # Errors
    /// `NoTransaction`, `Doomed`, `Store`.
    pub fn savepoint(&mut self, sender: Sender) -> Result<SavepointId, Failure> {
        let id = self.changing(sender)?;
        let savepoint = self.store.savepoint(id)?;
        let open = self.joined(sender)?;
        let (created, staged) = (open.created.clone(), open.staged.clone());
        open.savepoints.push(Savepoint { id: savepoint, created, staged });
        Ok(savepoint)
    }

    /// Takes back all that the sender's transaction has stored since a savepoint; later savepoints end.
    ///
    /// # Errors
    /// `NoTransaction`, `Doomed`, `Store`.
    pub fn roll_back(&mut self, sender: Sender, savepoint: SavepointId) -> Result<(), Failure> {
        let id = self.changing(sender)?;
        self.store.roll_back(id, savepoint)?;
        let open = self.joined(sender)?;
        let place = open.savepoints.iter().position(|known| known.id == savepoint);
        let Some(known) = place.and_then(|place| open.savepoints.get(place)).cloned() else {
            runtime::bug!("the store knows a savepoint that this server does not")
        };
        open.savepoints.truncate(place.map_or(0, |place| place + 1));
        let before = open.staged_bytes();
        (open.created, open.staged) = (known.created, known.staged);
        let after = open.staged_bytes();
        self.staged = self.staged - before + after;
        Ok(())
    }

    /// The sender's transaction must not commit any more.
    ///
    /// # Errors
    /// `NoTransaction`, `Store`.
    pub fn doom(&mut self, sender: Sender) -> Result<(), Failure> {
        let open = self.joined(sender)?;
        open.doomed = true;
        Ok(())
    }

    /// Says on whose behalf the sender's transaction is.
    ///
    /// # Errors
    /// `NoTransaction`, `Doomed`, `Store`.
    pub fn set_user(&mut self, sender: Sender, user: &str) -> Result<(), Failure> {
        let id = self.changing(sender)?;
        Ok(self.store.describe(id, |metadata| metadata.user = user.into())?)
    }

    /// The sender's transaction carries out its client's request of a number.
    ///
    /// # Errors
    /// `AlreadyDone`, `NoTransaction`, `Doomed`, `Store`.
    pub fn identify(&mut self, sender: Sender, sequence: u64) -> Result<(), Failure> {
        let id = self.changing(sender)?;
        let request = RequestId { client: sender.badge, sequence };
        if let Carried::Out(tid) = self.requests.of(request) {
            return Err(Failure::AlreadyDone(tid));
        }
        self.store.describe(id, |metadata| metadata.extension = request.encode())?;
        self.joined(sender)?.request = Some(request);
        Ok(())
    }

    /// What became of the request of a number of the sending client.
    #[must_use]
    pub fn outcome_of(&self, sender: Sender, sequence: u64) -> Carried {
        let request = RequestId { client: sender.badge, sequence };
        let is_open = |open: &super::Open<K::Scope>| open.request == Some(request);
        match self.requests.of(request) {
            // It may become so yet.
            Carried::Never if self.open.values().any(is_open) => Carried::Unknown,
            carried => carried,
        }
    }

    /// Why the commit of the sender's transaction failed, as far as others were quicker.
    ///
    /// # Errors
    /// `NoTransaction`.
    pub fn conflicts(&mut self, sender: Sender) -> Result<Vec<Conflict>, Failure> {
        let id = self.joined(sender)?.id;
        Ok(match self.store.failure(id) {
            Some(CommitFailure::Conflicts { first, more }) => core::iter::once(first).chain(more).cloned().collect(),
            Some(CommitFailure::Undo(UndoError::Changed { tid, objects })) => {
                objects.iter().map(|&oid| Conflict { oid, yours: *tid, theirs: Tid::ZERO, slots: Vec::new() }).collect()
            }
            Some(CommitFailure::Undo(_) | CommitFailure::Storage(_) | CommitFailure::Broken(_)) | None => Vec::new(),
        })
    }

    /// What others changed between a transaction and the snapshot of the sender's, `most` objects at most, and that snapshot.
    ///
    /// # Errors
    /// `NoTransaction`, `ChangesLost` with the snapshot, `Store`.
    pub fn invalidations(&mut self, sender: Sender, since: Tid, most: usize) -> Result<(Tid, Vec<Oid>), Failure> {
        let id = self.joined(sender)?.id;
        let snapshot = self.store.snapshot(id)?;
        match self.recent.since(since, snapshot, sender.thread, most) {
            Ok(oids) => Ok((snapshot, oids)),
            Err(super::recent::Forgotten) => Err(Failure::ChangesLost(snapshot)),
        }
    }

    /// The sender's transaction, if it may still change something.
    pub(super) fn changing(&mut self, sender: Sender) -> Result<TransactionId, Failure> {
        let open = self.joined(sender)?;
        if open.doomed { Err(Failure::Doomed) } else { Ok(open.id) }
    }
}
