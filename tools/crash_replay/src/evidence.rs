//! What must be there after a cut behind each event of a log.

use object_store::{FileStorage, Storage, Tid};

use crate::disk::{Disk, Event, Remains};
use crate::history::History;

/// What the log proves of what had been acknowledged, event by event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// Behind each event: so many transactions, from the first on, must be in every state.
    pub required: Vec<usize>,
    /// How many transactions said which commit had been acknowledged before them.
    pub claims: u64,
}

/// Goes through a log and notes what each write proves.
///
/// # Errors
/// A transaction says that another was acknowledged which is not there at the end.
pub fn promises(start: Vec<u8>, events: &[Event<'_>], history: &History) -> Result<Promises, String> {
    let mut disk = Disk::new(start);
    let mut promises = Promises::default();
    let (mut seen, mut required) = (0, 0);
    for event in events {
        disk.feel(event);
        if matches!(event, Event::Write(..) | Event::WriteThrough(..)) {
            let last = last_transaction(disk.kept());
            while let Some(&tid) = history.order().get(seen).filter(|tid| **tid <= last) {
                seen += 1;
                if let Some(known) = history.acknowledged_before(tid).filter(|known| *known > history.horizon()) {
                    promises.claims += 1;
                    let place = history.place(known).ok_or_else(|| {
                        format!(
                            "transaction {tid:?} says that {known:?} was acknowledged, which is not there at the end"
                        )
                    })?;
                    required = required.max(place);
                }
            }
        }
        if disk.pending() == 0 {
            // What is durable stays, whoever was told of it.
            required = required.max(seen);
        }
        promises.required.push(required);
    }
    Ok(promises)
}

/// The last transaction that is whole on a disk; zero where there is no store yet.
fn last_transaction(remains: Remains<'_>) -> Tid {
    FileStorage::open_read_only(remains).map_or(Tid::ZERO, |(storage, _)| storage.last_transaction())
}
