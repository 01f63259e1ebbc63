//! State that outlives an instance: exported when it is replaced, imported by the one that takes its place.
//!
//! * [`State`] is a state that a server has in one piece: it is exported whole each time;
//! * [`Exports`] is a server whose state is large, and which tells what has changed since the last time.

use alloc::vec;
use alloc::vec::Vec;

use abi::KernelError;
use abi::kernel::{Exported, Operation};
use abi::token::RawCap;

use crate::Environment;
use crate::kernel::invoke;
use crate::objects::words;

/// The state of a server that can be replaced while it serves. Everything that it answers by is in it, and
/// a request has no effect before it is answered, nor has `import`, which is called with a copy first: the trial of a new version ends without a trace of what that did not answer. What a
/// server answers later, by [`crate::Server::answer`], belongs to the export before it.
///
/// Numbers of capabilities may stand in it: the next instance has the same CNode, and takes what its creator put there by
/// [`Environment::take`].
pub trait State: Sized {
    /// Its bytes in a schema; `None` for one that it cannot be written in.
    fn export(&self, schema: u32) -> Option<Vec<u8>>;
    /// The state in bytes of a schema; `None` where they are none.
    fn import(schema: u32, bytes: &[u8]) -> Option<Self>;
    /// Whether it is all that the bytes that it was imported from say.
    fn is_all_of(&self, schema: u32, bytes: &[u8]) -> bool {
        self.export(schema).as_deref() == Some(bytes)
    }
}

/// A server that exports its state, as [`State`] says, and need not export all of it before each reply of its trial: what it adds
/// stands behind what it exported before, and [`State::import`] reads the one after the other.
pub trait Exports {
    /// All of it in a schema; `None` where that cannot be. What is added from now on comes behind this.
    fn export(&mut self, schema: u32) -> Option<Vec<u8>>;
    /// What has happened since it was exported, imported or added to; `None` where all of it is to be exported instead.
    fn export_changes(&mut self, schema: u32) -> Option<Vec<u8>>;
    /// The trial is over: nothing will be added any more.
    fn is_proven(&mut self);
}

/// A state that is exported whole each time.
pub(crate) struct InOnePiece<'a, S>(pub(crate) &'a S);

impl<S: State> Exports for InOnePiece<'_, S> {
    fn export(&mut self, schema: u32) -> Option<Vec<u8>> {
        self.0.export(schema)
    }

    fn export_changes(&mut self, _: u32) -> Option<Vec<u8>> {
        None
    }

    fn is_proven(&mut self) {}
}

/// The part of an environment that a server with a state needs.
#[derive(Clone, Copy, Debug)]
pub struct Exporter {
    pub(crate) tcb: RawCap,
    pub(crate) trial: Option<Trial>,
}

/// Where a server exports to during its trial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) tcb: RawCap,
    /// The schema of the instance before it.
    schema: u32,
}

impl Trial {
    /// Exports what the next reply makes of the state: what has changed, as long as there is room behind the rest. `false` once the
    /// trial is over.
    pub(crate) fn export(self, state: &mut impl Exports) -> bool {
        let added = state.export_changes(self.schema);
        let added = added.and_then(|bytes| give(self.tcb, Some(&bytes), Place::Behind).ok());
        let exported = added.unwrap_or_else(|| export(self.tcb, state, self.schema));
        if exported == Exported::Unwanted {
            state.is_proven();
        }
        exported != Exported::Unwanted
    }
}

/// Exports a state; waits where the instance is frozen by that.
pub(crate) fn export(tcb: RawCap, state: &mut impl Exports, schema: u32) -> Exported {
    match give(tcb, state.export(schema).as_deref(), Place::Alone) {
        Ok(exported) => exported,
        Err(_) => crate::bug!("the state is larger than what there is room for"),
    }
}

/// Where exported bytes go.
#[derive(Clone, Copy, Debug)]
enum Place {
    Alone,
    Behind,
}

/// There is not so much room.
struct NoRoom;

/// Gives exported bytes to the kernel.
fn give(tcb: RawCap, bytes: Option<&[u8]>, place: Place) -> Result<Exported, NoRoom> {
    let (address, length) = match bytes {
        Some(bytes) => (bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64),
        None => (0, u64::MAX),
    };
    match invoke(Operation::TcbExport, tcb, &mut words(&[address, length, place as u64])) {
        Ok(value) if value == Exported::Staged as u64 => Ok(Exported::Staged),
        Ok(value) if value == Exported::Resumed as u64 => Ok(Exported::Resumed),
        Ok(value) if value == Exported::Copied as u64 => Ok(Exported::Copied),
        Ok(_) => Ok(Exported::Unwanted),
        Err(KernelError::TooLarge) => Err(NoRoom),
        Err(error) => crate::bug!("the state cannot be exported: {error:?}"),
    }
}

/// The answer to an import that was a rehearsal: no capability has this generation.
const REHEARSED: u64 = 0;

/// What is to be imported, with its schema; `None` where the instance takes nobody's place.
fn exported(tcb: RawCap) -> Option<(u32, Vec<u8>)> {
    let mut given = words(&[0, 0]);
    let length = invoke(Operation::TcbImport, tcb, &mut given).ok()? as usize;
    let mut bytes = vec![0; length];
    let mut given = words(&[bytes.as_mut_ptr().expose_provenance() as u64, length as u64]);
    invoke(Operation::TcbImport, tcb, &mut given).ok()?;
    let [schema, ..] = given;
    Some((schema as u32, bytes))
}

impl Environment {
    /// The state that the instance before this one had, where this one takes its place; `None` where it begins. To be called before
    /// anything is taken: the capabilities of the service are there when this returns.
    ///
    /// The state is imported, and exported once more to see that nothing is lost. Where that fails the instance before this
    /// one goes on, and this one ends here. It happens twice: first with a copy, while the instance before this one serves. What is
    /// made of that is dropped.
    pub fn thaw<S: State>(&mut self) -> Option<S> {
        let tcb = self.peek(abi::slots::TCB)?;
        loop {
            let (schema, bytes) = exported(tcb)?;
            let state = S::import(schema, &bytes).filter(|state| state.is_all_of(schema, &bytes));
            let holds = u64::from(state.is_some());
            let own = invoke(Operation::TcbThawed, tcb, &mut words(&[holds]));
            match (state, own) {
                (Some(_), Ok(REHEARSED)) => {}
                (Some(state), Ok(generation)) => {
                    self.begin_trial(generation, schema);
                    return Some(state);
                }
                _ => crate::bug!("the state of schema {schema} could not be imported"),
            }
        }
    }

    fn begin_trial(&mut self, generation: u64, schema: u32) {
        self.renew(generation);
        if let Some(tcb) = self.peek(abi::slots::TCB) {
            self.trial = Some(Trial { tcb, schema });
        }
    }
}
