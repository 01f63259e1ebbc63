//! `verify`: everything is read once, and each damage is named.

use std::path::Path;

use object_store::{Damage, Oid, Salvage, SegmentId, Tid, Verified};
use serde_json::{Value as Json, json};

use super::print;
use crate::arguments::Format;
use crate::console::Console;
use crate::device::ReadOnlyFile;
use crate::failure::{Failure, Status};
use crate::state::{Names, State, open_file};

/// Batches or records that are read before the progress is told again.
const STEP: usize = 256;
/// How many objects a row for people names.
const OIDS_SHOWN: usize = 8;

/// A damage with all that is known of it.
pub(super) struct Named {
    damage: Damage,
    /// The byte of the file.
    byte: Option<u64>,
    oids: Vec<Oid>,
}

/// What was read, and what of it is damaged.
struct Answer {
    refused: Option<Failure>,
    last: Tid,
    read: Verified,
    damages: Vec<Json>,
    rows: Vec<String>,
}

/// Verifies a file. The answer is [`Status::Damage`] where there is any.
///
/// # Errors
/// It cannot be read, or is no state at all.
pub(super) fn run(file: &Path, format: Format, console: &mut Console<'_>) -> Result<Status, Failure> {
    let device = open_file(file, console)?;
    // Nothing is read before `verify` reads it: an index that was found damaged earlier would be in order by then.
    let answer = State::over(file, device).and_then(|mut state| {
        let (read, named) = whole(&mut state, console)?;
        Ok(Answer::new(&state.names, None, state.report.last, read, &named))
    });
    // Too damaged to be opened, or so that the log cannot replace a damaged index.
    let answer = answer.or_else(|failure| salvaged(file, failure, console))?;
    let json = || {
        json!({
            "file": file.display().to_string(),
            "opens": answer.refused.is_none(),
            "refused": answer.refused.as_ref().map(|failure| failure.text.clone()),
            "last": answer.last.number(),
            "transactions": answer.read.transactions,
            "records": answer.read.records,
            "batches": answer.read.batches,
            "damages": answer.damages,
        })
    };
    print(format, console, json, || answer.text(file))?;
    Ok(if answer.damages.is_empty() && answer.refused.is_none() { Status::Fine } else { Status::Damage })
}

/// The same console for a shorter time.
fn reborrow<'a>(console: &'a mut Console<'_>) -> Console<'a> {
    Console { out: &mut *console.out, notes: &mut *console.notes, progress: console.progress }
}

impl Answer {
    fn new(names: &Names, refused: Option<Failure>, last: Tid, read: Verified, named: &[Named]) -> Answer {
        Answer {
            refused,
            last,
            read,
            damages: named.iter().map(|one| one.json(names)).collect(),
            rows: named.iter().map(|one| one.text(names)).collect(),
        }
    }

    fn text(&self, file: &Path) -> Vec<String> {
        let mut lines = self.rows.clone();
        if let Some(failure) = &self.refused {
            lines.push(failure.text.clone());
        }
        let Verified { records, transactions, batches, .. } = self.read;
        let found = match self.damages.len() {
            0 if self.refused.is_none() => "no damage".into(),
            1 => "1 damage".into(),
            count => format!("{count} damages"),
        };
        lines.push(format!(
            "{}: {transactions} transactions, {records} records, {batches} batches, last TID {}: {found}",
            file.display(),
            self.last.number()
        ));
        lines
    }
}

/// Verifies a state that opens.
fn whole(state: &mut State, console: &mut Console<'_>) -> Result<(Verified, Vec<Named>), Failure> {
    let mut damages = Vec::new();
    let mut verification = state.store.verify_start();
    let mut meter = console.meter("of 1000 parts verified");
    while !verification.is_over() {
        let step = state.store.verify_step(&mut verification, STEP, &mut |damage| damages.push(damage));
        step.map_err(|error| state.failure(error))?;
        meter.reach(state.store.verify_progress(&verification), console.notes);
    }
    meter.end(console.notes);
    let read = verification.verified();
    let concerned = if damages.is_empty() { Ok(Vec::new()) } else { state.store.concerned(&damages) };
    // Where the index cannot be walked any more, the damages stand without their objects.
    let concerned = concerned.unwrap_or_else(|_| damages.iter().map(own_object).collect());
    let byte = |damage: &Damage| place(damage).map(|(segment, offset)| state.store.device_address(segment, offset));
    let named = damages.into_iter().zip(concerned);
    Ok((read, named.map(|(damage, oids)| Named { byte: byte(&damage), damage, oids }).collect()))
}

/// Reads what can be read of a file that does not open.
fn salvaged(file: &Path, failure: Failure, console: &mut Console<'_>) -> Result<Answer, Failure> {
    if failure.status != Status::Damage {
        return Err(failure);
    }
    let device = open_file(file, &mut Console { notes: &mut std::io::sink(), ..reborrow(console) })?;
    let Ok(salvage) = Salvage::read(device) else {
        // Not even a root is left: that is all that can be said.
        return Err(failure);
    };
    let transactions = salvage.transactions();
    let read = Verified {
        records: transactions.iter().flat_map(|one| &one.changes).filter(|change| change.readable).count() as u64,
        transactions: transactions.len() as u64,
        batches: 0,
        damages: 0,
    };
    let last = transactions.last().map_or(Tid::ZERO, |one| one.tid);
    Ok(Answer::new(&Names::new(salvage.permutation_key()), Some(failure), last, read, &named(&salvage)))
}

/// The damages that a salvage found, records last.
pub(super) fn named(salvage: &Salvage<ReadOnlyFile>) -> Vec<Named> {
    let all = salvage.damages().iter().copied().chain(salvage.lost());
    all.map(|damage| Named {
        byte: place(&damage).map(|(segment, offset)| salvage.device_address(segment, offset)),
        oids: own_object(&damage),
        damage,
    })
    .collect()
}

fn own_object(damage: &Damage) -> Vec<Oid> {
    if let Damage::Record { oid, .. } = damage { vec![*oid] } else { Vec::new() }
}

fn place(damage: &Damage) -> Option<(SegmentId, u64)> {
    match *damage {
        Damage::Record { segment, offset, .. }
        | Damage::Transaction { segment, offset, .. }
        | Damage::Batch { segment, offset } => Some((segment, offset)),
        Damage::Identity | Damage::Root(_) | Damage::Index => None,
    }
}

impl Named {
    fn what(&self) -> &'static str {
        match self.damage {
            Damage::Identity => "identity",
            Damage::Root(_) => "root",
            Damage::Index => "index",
            Damage::Record { .. } => "record",
            Damage::Transaction { .. } => "transaction",
            Damage::Batch { .. } => "batch",
        }
    }

    fn tid(&self) -> Option<Tid> {
        match self.damage {
            Damage::Record { tid, .. } | Damage::Transaction { tid, .. } => Some(tid),
            _ => None,
        }
    }

    pub(super) fn json(&self, names: &Names) -> Json {
        let place = place(&self.damage);
        json!({
            "what": self.what(),
            "segment": place.map(|(segment, _)| segment.number()),
            "offset": place.map(|(_, offset)| offset),
            "byte": self.byte,
            "tid": self.tid().map(Tid::number),
            "oids": self.oids.iter().map(|&oid| names.oid(oid)).collect::<Vec<_>>(),
        })
    }

    pub(super) fn text(&self, names: &Names) -> String {
        let what = match self.damage {
            Damage::Identity => "the identity sector (opening for writing repairs it)".into(),
            Damage::Root(slot) => format!("root slot {slot} (opening for writing repairs it)"),
            Damage::Index => "the index (the log has all of it, and the next checkpoint makes it anew)".into(),
            Damage::Record { tid, .. } => format!("a record of TID {}", tid.number()),
            Damage::Transaction { tid, .. } => format!("the head of TID {}", tid.number()),
            Damage::Batch { offset: 0, .. } => "the header of a run".into(),
            Damage::Batch { .. } => "a batch".into(),
        };
        let place = place(&self.damage).map_or(String::new(), |(segment, offset)| {
            let byte = self.byte.map_or(String::new(), |byte| format!(" (byte {byte} of the file)"));
            format!(" in segment {} at offset {offset}{byte}", segment.number())
        });
        let shown: Vec<String> = self.oids.iter().take(OIDS_SHOWN).map(|&oid| names.oid(oid)).collect();
        let more = self.oids.len().saturating_sub(OIDS_SHOWN);
        let oids = match (shown.is_empty(), more) {
            (true, _) => String::new(),
            (false, 0) => format!(": {}", shown.join(", ")),
            (false, _) => format!(": {} and {more} more objects", shown.join(", ")),
        };
        format!("damaged: {what}{place}{oids}")
    }
}
