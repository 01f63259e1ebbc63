//! What the open transaction can be asked for besides reading, storing and ending it.

use alloc::string::String;
use alloc::vec::Vec;

use abi::CallError;
use abi::interfaces::persistence::{
    CHANGES_LOST, ConflictDetails, ConflictSummary, Doom, Identify, Invalidations, NEVER_DONE, OUTCOME_UNKNOWN,
    OutcomeOf, ReadCurrent, RollBack, Savepoint, SetUser,
};
use abi::kernel::BODY_MAX;
use object_store::{Oid, SavepointId, Tid};
use runtime::Call;

use crate::graph::{Changed, Graph, GraphError, Result};

/// A change that another transaction was quicker than.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The object.
    pub oid: Oid,
    /// The revision that this transaction saw.
    pub yours: Tid,
    /// The revision that is current, where that is known.
    pub theirs: Option<Tid>,
    /// The slots that differ, as far as the object's schema tells.
    pub slots: Vec<String>,
}

/// What became of a request that its client has numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// This transaction carried it out.
    Out(Tid),
    /// None did.
    Never,
    /// The server does not know (any more).
    Unknown,
}

impl Graph {
    /// Demands that an object is still what the open transaction sees when it commits.
    ///
    /// # Errors
    /// There is no transaction; `NO_SUCH_OBJECT`.
    pub fn read_current(&self, oid: Oid) -> Result<()> {
        Ok(Call::new(self.endpoint(), ReadCurrent { oid: oid.number() }).value()?)
    }

    /// A point to which the open transaction can be rolled back.
    ///
    /// # Errors
    /// There is no transaction.
    pub fn savepoint(&self) -> Result<SavepointId> {
        Ok(SavepointId::new(Call::new(self.endpoint(), Savepoint {}).value()?))
    }

    /// Takes back all that was stored since a savepoint.
    ///
    /// # Errors
    /// `NO_SAVEPOINT`; there is no transaction.
    pub fn roll_back(&self, savepoint: SavepointId) -> Result<()> {
        self.others_take_part();
        Ok(Call::new(self.endpoint(), RollBack { savepoint: savepoint.number() }).value()?)
    }

    /// The open transaction must not commit any more.
    ///
    /// # Errors
    /// There is no transaction.
    pub fn doom(&self) -> Result<()> {
        Ok(Call::new(self.endpoint(), Doom {}).value()?)
    }

    /// Says on whose behalf the open transaction is.
    ///
    /// # Errors
    /// There is no transaction; the text is too long.
    pub fn set_user(&self, user: &str) -> Result<()> {
        Call::new(self.endpoint(), SetUser {}).bytes(user.as_bytes()).send()?;
        Ok(())
    }

    /// The open transaction carries out this client's request of a number. Numbers go upwards.
    ///
    /// # Errors
    /// `ALREADY_DONE` with the TID; there is no transaction.
    pub fn identify(&self, sequence: u64) -> Result<()> {
        Call::new(self.endpoint(), Identify { sequence }).value()?;
        Ok(())
    }

    /// What became of this client's request of a number, also of one before a power cut.
    ///
    /// # Errors
    /// The call failed.
    pub fn outcome_of(&self, sequence: u64) -> Result<Carried> {
        match Call::new(self.endpoint(), OutcomeOf { sequence }).value() {
            Ok(tid) => Ok(Carried::Out(Tid::new(tid))),
            Err(CallError::Server(NEVER_DONE, _)) => Ok(Carried::Never),
            Err(CallError::Server(OUTCOME_UNKNOWN, _)) => Ok(Carried::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Why the commit of the open transaction failed, as far as others were quicker.
    ///
    /// # Errors
    /// There is no transaction.
    pub fn conflicts(&self) -> Result<Vec<Conflict>> {
        let mut body = [0; BODY_MAX];
        let (_, length) = Call::new(self.endpoint(), ConflictDetails {}).into_bytes(&mut body)?;
        let found: Vec<ConflictSummary<'_>> =
            postcard::from_bytes(body.get(..length).unwrap_or(&[])).map_err(|_| GraphError::Record)?;
        let own = |found: &ConflictSummary<'_>| Conflict {
            oid: Oid::new(found.oid),
            yours: Tid::new(found.yours),
            theirs: (found.theirs != 0).then_some(Tid::new(found.theirs)),
            slots: found.slots.lines().map(String::from).collect(),
        };
        Ok(found.iter().map(own).collect())
    }

    /// What others changed after a transaction and up to the snapshot of the open one, whose number comes with it.
    ///
    /// # Errors
    /// There is no transaction.
    pub fn invalidations(&self, since: Tid) -> Result<Changed> {
        let mut body = [0; BODY_MAX];
        let answered = Call::new(self.endpoint(), Invalidations { since: since.number() }).into_bytes(&mut body);
        match answered {
            Ok((answered, length)) => {
                Ok(Changed::Objects(Tid::new(answered.value), crate::graph::oids(body.get(..length).unwrap_or(&[]))))
            }
            Err(CallError::Server(CHANGES_LOST, snapshot)) => Ok(Changed::Anything(Tid::new(snapshot))),
            Err(error) => Err(error.into()),
        }
    }
}
