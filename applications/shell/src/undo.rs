//! Undoing committed transactions.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use object_model::{Record, differing_slots};
use runtime::Call;
use runtime::abi::CallError;
use runtime::abi::interface::Method;
use runtime::abi::interfaces::persistence::{
    Abort, BeginTransaction, CONFLICT, Commit, ConflictDetails, ConflictSummary, NOT_UNDOABLE, Note, Undo,
};
use runtime::abi::kernel::BODY_MAX;

use crate::failure::{Failure, Server};
use crate::moments::{self, Moment, Said};
use crate::records::Records;
use crate::servers::Servers;
use crate::text::Plain;

/// What was changed since a transaction that is to be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The object.
    pub oid: u64,
    /// The slots that differ from what the transaction left, as far as they can be read.
    pub slots: Vec<String>,
}

/// Undoes transactions in one new transaction, in the order in which they are given, and says what came back.
///
/// # Errors
/// Those of the calls; `NotUndoable`, `StillReferred`, `NoMoment`.
pub fn undo(servers: &Servers, records: &mut Records, moments: &[Moment]) -> Result<String, Failure> {
    let tids = moments.iter().map(|moment| moment.tid(servers)).collect::<Result<Vec<u64>, Failure>>()?;
    call(servers, BeginTransaction {})?;
    let undone = stage(servers, &tids).and_then(|()| match call(servers, Commit {}) {
        Err(Failure::Call(_, CallError::Server(NOT_UNDOABLE, tid))) => Err(not_undoable(servers, tid)),
        Err(Failure::Call(_, CallError::Server(CONFLICT, oid))) => Err(Failure::StillReferred(oid)),
        committed => committed,
    });
    match undone {
        Ok(tid) => {
            let wrote = moments::said(servers, tid)?.map_or(0, |said| said.objects);
            let mut text = format!("undone at TID {tid}: {wrote} objects are as they were\n");
            for undone in tids {
                let said = moments::said(servers, undone)?;
                text += &line(undone, said.as_ref());
            }
            Ok(text)
        }
        Err(failure) => {
            // What went wrong first is told, whatever the abort says.
            let _ = call(servers, Abort {});
            Err(with_slots(servers, records, failure))
        }
    }
}

/// Names the transactions in the open one, and in its description.
fn stage(servers: &Servers, tids: &[u64]) -> Result<(), Failure> {
    let names: Vec<String> = tids.iter().map(u64::to_string).collect();
    let note = format!("undo {}", names.join(" "));
    let note = note.get(..note.len().min(BODY_MAX)).unwrap_or_default();
    Call::new(servers.endpoint(Server::Persistence)?, Note {}).bytes(note.as_bytes()).send().map_err(failed)?;
    tids.iter().try_for_each(|&tid| call(servers, Undo { tid }))
}

fn line(tid: u64, said: Option<&Said>) -> String {
    match said {
        Some(Said { user, description, .. }) => format!("  {tid}  {}  {}\n", Plain(user), Plain(description)),
        None => format!("  {tid}\n"),
    }
}

/// Which objects were changed since. Only the transaction that failed can be asked.
fn not_undoable(servers: &Servers, tid: u64) -> Failure {
    match conflicts(servers) {
        Ok(oids) => {
            let changed = oids.into_iter().map(|oid| Changed { oid, slots: Vec::new() }).collect();
            Failure::NotUndoable { tid, changed }
        }
        Err(failure) => failure,
    }
}

/// The same with what of the objects was changed, which can be read once the failed transaction is out of the way.
fn with_slots(servers: &Servers, records: &mut Records, failure: Failure) -> Failure {
    let Failure::NotUndoable { tid, mut changed } = failure else { return failure };
    for Changed { oid, slots: differing } in &mut changed {
        *differing = slots(servers, records, *oid, tid);
    }
    Failure::NotUndoable { tid, changed }
}

fn conflicts(servers: &Servers) -> Result<Vec<u64>, Failure> {
    let mut room = [0; BODY_MAX];
    let (_, length) =
        Call::new(servers.endpoint(Server::Persistence)?, ConflictDetails {}).into_bytes(&mut room).map_err(failed)?;
    let found: Vec<ConflictSummary<'_>> =
        postcard::from_bytes(room.get(..length).unwrap_or(&[])).map_err(|_| Failure::BadReply(Server::Persistence))?;
    Ok(found.iter().map(|conflict| conflict.oid).collect())
}

/// The slots of an object that a transaction left otherwise than they are; none where that cannot be told.
fn slots(servers: &Servers, records: &mut Records, oid: u64, tid: u64) -> Vec<String> {
    let (left, present) = (records.read_past(servers, oid, tid), records.read(servers, oid));
    let decoded = |bytes: Result<Vec<u8>, Failure>| Record::decode(&bytes.ok()?).ok();
    match (decoded(left), decoded(present)) {
        (Some(left), Some(present)) => differing_slots(&left, &present),
        _ => Vec::new(),
    }
}

fn call<M: Method>(servers: &Servers, method: M) -> Result<M::Value, Failure> {
    Call::new(servers.endpoint(Server::Persistence)?, method).value().map_err(failed)
}

fn failed(error: CallError) -> Failure {
    Failure::Call(Server::Persistence, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_undone_is_a_line() {
        let said = Said { objects: 3, user: "process #01".into(), description: "a\nb".into() };
        assert_eq!(line(7, Some(&said)), "  7  process #01  a\u{fffd}b\n");
        assert_eq!(line(7, None), "  7\n");
    }
}
