//! `recover`: what can be read of a damaged file, in a new one.
//!
//! The log is salvaged; where the index still answers, it finds records whose transaction's head is lost. OIDs, TIDs and the
//! permutation's key stay as they are, so that all that anyone has noted of an object still names it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use object_store::{
    Damage, FileStorage, FormatOptions, Garbage, Load, Metadata, NoClock, Oid, PackRequest, Record, RevisionKind,
    Salvage, Storage, StorageError, Tid,
};
use serde_json::{Value as Json, json};

use super::{export, print, verify};
use crate::arguments::Format;
use crate::console::Console;
use crate::device::{NewFile, ReadOnlyFile};
use crate::failure::{Failure, Status};
use crate::state::{Names, open_file, refusal};

/// What a transaction's metadata says where it is lost.
const LOST_METADATA: &str = "recovered by telosfs; its user and description are lost";

/// What of each transaction can be had.
type Plan = BTreeMap<Tid, Planned>;

#[derive(Default)]
struct Planned {
    metadata: Metadata,
    changes: BTreeMap<Oid, Source>,
}

/// Where a change is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Log,
    Index,
    Deletion,
}

/// What came of it.
struct Outcome {
    transactions: u64,
    records: u64,
    dangling: u64,
    lost: Vec<Lost>,
}

/// A record that cannot be read.
struct Lost {
    damage: Damage,
    oid: Oid,
    tid: Tid,
    /// The state that the object has in the copy.
    stands_at: Option<Tid>,
}

/// Recovers a file into a new one. The answer is [`Status::Damage`] where anything is lost.
///
/// # Errors
/// Nothing can be read, or the copy cannot be written.
pub(super) fn run(file: &Path, output: &Path, format: Format, console: &mut Console<'_>) -> Result<Status, Failure> {
    let device = open_file(file, console)?;
    let sectors = object_store::BlockDevice::sectors(&device);
    let salvage = Salvage::read(device).map_err(|refused| refusal(file, refused.error));
    let mut salvage = salvage
        .map_err(|failure| Failure { text: format!("nothing can be recovered: {}", failure.text), ..failure })?;
    let names = Names::new(salvage.permutation_key());
    let mut indexed = indexed(file);
    let plan = plan(&salvage, indexed.as_mut());
    let damages = verify::named(&salvage);
    let target = export::create(output)?;
    let copied = copy(&mut salvage, indexed.as_mut(), &plan, target, sectors, console);
    let mut outcome = copied.inspect_err(|_| {
        // Half a copy would pass for a whole one.
        let _ = std::fs::remove_file(output);
    })?;
    outcome.lost = lost(&salvage, &plan);
    let json = || {
        json!({
            "out": output.display().to_string(),
            "transactions": outcome.transactions,
            "records": outcome.records,
            "dangling": outcome.dangling,
            "lost": outcome.lost.iter().map(|one| one.json(&names, &salvage)).collect::<Json>(),
            "damages": damages.iter().map(|one| one.json(&names)).collect::<Json>(),
        })
    };
    let text = || {
        let mut lines: Vec<String> = damages.iter().map(|one| one.text(&names)).collect();
        lines.extend(outcome.lost.iter().map(|one| one.text(&names)));
        if outcome.dangling > 0 {
            lines.push(format!("{} references are to objects that are not there any more", outcome.dangling));
        }
        let (transactions, records) = (outcome.transactions, outcome.records);
        let lost = if outcome.lost.is_empty() {
            "no record that is known of is lost".into()
        } else {
            format!("{} records are lost", outcome.lost.len())
        };
        lines.push(format!("{}: {transactions} transactions, {records} records copied; {lost}", output.display()));
        lines
    };
    print(format, console, json, text)?;
    Ok(if damages.is_empty() && outcome.lost.is_empty() { Status::Fine } else { Status::Damage })
}

/// The store, if it opens: its index may know of records that the log alone does not give.
fn indexed(file: &Path) -> Option<FileStorage<ReadOnlyFile, NoClock>> {
    let device = std::fs::File::open(file).and_then(ReadOnlyFile::new).ok()?;
    FileStorage::open_read_only(device).ok().map(|(store, _)| store)
}

fn plan(salvage: &Salvage<ReadOnlyFile>, indexed: Option<&mut FileStorage<ReadOnlyFile, NoClock>>) -> Plan {
    let mut plan = Plan::new();
    for found in salvage.transactions() {
        let source = |kind| if kind == RevisionKind::Deletion { Source::Deletion } else { Source::Log };
        let readable = found.changes.iter().filter(|change| change.readable);
        let changes = readable.map(|change| (change.oid, source(change.kind))).collect();
        plan.insert(found.tid, Planned { metadata: found.metadata, changes });
    }
    if let Some(store) = indexed {
        // What the index cannot tell is lost already.
        let _ = add_indexed(store, &mut plan);
    }
    plan
}

fn add_indexed(store: &mut FileStorage<ReadOnlyFile, NoClock>, plan: &mut Plan) -> Result<(), StorageError> {
    let mut after = None;
    while let Some(oid) = store.next_object(after)? {
        after = Some(oid);
        for revision in store.history(oid, usize::MAX)? {
            let known = plan.get(&revision.tid).is_some_and(|planned| planned.changes.contains_key(&oid));
            if known {
                continue;
            }
            let source = match revision.kind {
                RevisionKind::Deletion => Source::Deletion,
                RevisionKind::Data { .. } => match store.load_revision(oid, revision.tid) {
                    Ok(Some(Load::Data { .. })) => Source::Index,
                    _ => continue,
                },
            };
            let planned = plan
                .entry(revision.tid)
                .or_insert_with(|| Planned { metadata: Metadata::new("", LOST_METADATA), changes: BTreeMap::new() });
            planned.changes.insert(oid, source);
        }
    }
    Ok(())
}

/// Writes the copy.
fn copy(
    salvage: &mut Salvage<ReadOnlyFile>,
    mut indexed: Option<&mut FileStorage<ReadOnlyFile, NoClock>>,
    plan: &Plan,
    target: std::fs::File,
    sectors: u64,
    console: &mut Console<'_>,
) -> Result<Outcome, Failure> {
    let cannot =
        |what: &dyn std::fmt::Debug| Failure::new(Status::CannotWrite, format!("the copy cannot be written: {what:?}"));
    let unreadable =
        |error: StorageError| Failure::new(Status::CannotOpen, format!("a record cannot be read: {error:?}"));
    let mut device = NewFile::new(target, sectors)?;
    let options = FormatOptions { segment_sectors: Some(salvage.segment_sectors()) };
    FileStorage::format(&mut device, *salvage.permutation_key(), options).map_err(|error| cannot(&error))?;
    let (mut store, _) = FileStorage::open(device, NoClock).map_err(|refused| cannot(&refused.error))?;
    let mut outcome = Outcome { transactions: 0, records: 0, dangling: 0, lost: Vec::new() };
    let mut meter = console.meter("transactions copied");
    for (&tid, planned) in plan {
        let begun = store.begin_restore(tid, salvage.oid_limit(), planned.metadata.clone());
        let mut transaction = begun.map_err(|error| cannot(&error))?;
        for (&oid, &source) in &planned.changes {
            let record: Option<Record> = match (source, indexed.as_deref_mut()) {
                (Source::Log, _) => salvage.record(oid, tid).map_err(unreadable)?,
                (Source::Index, Some(index)) => match index.load_revision(oid, tid).map_err(unreadable)? {
                    Some(Load::Data { record, .. }) => Some(record),
                    _ => None,
                },
                (Source::Index, None) => None,
                (Source::Deletion, _) => {
                    store.delete(&mut transaction, oid, Tid::ZERO);
                    continue;
                }
            };
            if let Some(record) = record {
                outcome.records += 1;
                store.store(&mut transaction, oid, Tid::ZERO, record);
            }
        }
        let voted = store.vote(transaction).map_err(|error| cannot(&error))?;
        store.finish(voted).map_err(|error| cannot(&error))?;
        outcome.transactions += 1;
        meter.step(console.notes);
    }
    meter.end(console.notes);
    if salvage.horizon() > Tid::ZERO && store.last_transaction() > Tid::ZERO {
        // What was packed away is not there either: the copy says so.
        let request = PackRequest { garbage: Garbage::Keep, ..PackRequest::until(salvage.horizon()) };
        store.pack(request).map_err(|error| cannot(&error))?;
    }
    outcome.dangling = dangling(&mut store).map_err(|error| cannot(&error))?;
    let mut damaged = false;
    store.verify(|_| damaged = true).map_err(|error| cannot(&error))?;
    if damaged {
        return Err(Failure::new(
            Status::CannotWrite,
            "the copy does not read back as it was written; try another disk",
        ));
    }
    store.into_device().close()?;
    Ok(outcome)
}

/// References of current objects to objects that are not there.
fn dangling(store: &mut FileStorage<NewFile, NoClock>) -> Result<u64, StorageError> {
    let (mut there, mut referred) = (BTreeSet::new(), Vec::new());
    let mut after = None;
    while let Some(oid) = store.next_object(after)? {
        after = Some(oid);
        if let Load::Data { record, .. } = store.load_before(oid, Tid::MAX)? {
            there.insert(oid);
            referred.extend(record.references);
        }
    }
    Ok(referred.iter().filter(|oid| !there.contains(oid)).count() as u64)
}

fn lost(salvage: &Salvage<ReadOnlyFile>, plan: &Plan) -> Vec<Lost> {
    let has = |oid: Oid, tid: &Tid| plan.get(tid).is_some_and(|planned| planned.changes.contains_key(&oid));
    let mut lost = Vec::new();
    for damage in salvage.lost() {
        if let Damage::Record { oid, tid, .. } = damage
            && !has(oid, &tid)
        {
            let stands_at = plan.keys().rev().copied().find(|tid| has(oid, tid));
            lost.push(Lost { damage, oid, tid, stands_at });
        }
    }
    lost
}

impl Lost {
    fn json(&self, names: &Names, salvage: &Salvage<ReadOnlyFile>) -> Json {
        let Damage::Record { segment, offset, .. } = self.damage else { return Json::Null };
        json!({
            "oid": names.oid(self.oid),
            "tid": self.tid.number(),
            "segment": segment.number(),
            "offset": offset,
            "byte": salvage.device_address(segment, offset),
            "stands_at": self.stands_at.map(Tid::number),
        })
    }

    fn text(&self, names: &Names) -> String {
        let now = match self.stands_at {
            Some(tid) if tid > self.tid => "later states of it are there".into(),
            Some(tid) => format!("it stands as of TID {}", tid.number()),
            None => "nothing is left of it".into(),
        };
        format!("lost: {} of TID {}: {now}", names.oid(self.oid), self.tid.number())
    }
}
