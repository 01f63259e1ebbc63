//! What a transaction has done so far, and its savepoints.
//!
//! From the first savepoint on, each change notes how to take it back. Rolling back takes changes back to the savepoint and
//! nothing else: it brings in nothing that others committed.
//!
//! While it is *recorded*, each change is kept besides as an [`Op`], so that what has changed since the last time can be told
//! (`handover`) without telling everything again. An op that is done to what was told gives what is here.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use serde::{Deserialize, Serialize};

use crate::{Oid, Record, Tid};

/// A point of a transaction to which it can be rolled back. It is used once in the life of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SavepointId(u64);

impl SavepointId {
    /// Wraps a number that came back from a client.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A new state of an object.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Write {
    pub(super) based_on: Tid,
    #[serde(with = "shared")]
    pub(super) record: Arc<Record>,
}

/// The changes of a transaction.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Changes {
    writes: BTreeMap<Oid, Write>,
    created: BTreeSet<Oid>,
    current: BTreeMap<Oid, Tid>,
    undone: Vec<Tid>,
    journal: Vec<Step>,
    savepoints: Vec<(SavepointId, usize)>,
    next_savepoint: u64,
    /// What was done since it was told last, where that is recorded.
    #[serde(skip)]
    ops: Option<Vec<Op>>,
}

/// One change of a transaction's changes.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Op {
    Write(Oid, Write),
    Create(Oid),
    Demand(Oid, Tid),
    Undo(Tid),
    Savepoint,
    RollBack(SavepointId),
}

/// How to take a change back.
#[derive(Serialize, Deserialize)]
enum Step {
    Write(Oid, Option<Write>),
    Create(Oid),
    Demand(Oid, Option<Tid>),
    Undo,
}

impl Changes {
    pub(super) fn writes(&self) -> &BTreeMap<Oid, Write> {
        &self.writes
    }

    /// Demanded objects that are not written, with the revisions that they must have.
    pub(super) fn demands(&self) -> impl Iterator<Item = (Oid, Tid)> + '_ {
        self.current.iter().map(|(&oid, &tid)| (oid, tid)).filter(|(oid, _)| !self.writes.contains_key(oid))
    }

    pub(super) fn undone(&self) -> &[Tid] {
        &self.undone
    }

    pub(super) fn created(&self) -> &BTreeSet<Oid> {
        &self.created
    }

    /// The savepoints, oldest first.
    pub(super) fn savepoints(&self) -> impl Iterator<Item = SavepointId> {
        self.savepoints.iter().map(|(savepoint, _)| *savepoint)
    }

    /// What was written and created at a savepoint; `None` if it is none or has ended.
    pub(super) fn at(&self, savepoint: SavepointId) -> Option<(BTreeMap<Oid, &Record>, BTreeSet<Oid>)> {
        let (_, length) = self.savepoints.iter().find(|(known, _)| *known == savepoint)?;
        let mut writes: BTreeMap<Oid, &Record> =
            self.writes.iter().map(|(oid, write)| (*oid, &*write.record)).collect();
        let mut created = self.created.clone();
        for step in self.journal.iter().skip(*length).rev() {
            match step {
                Step::Write(oid, Some(before)) => drop(writes.insert(*oid, &before.record)),
                Step::Write(oid, None) => drop(writes.remove(oid)),
                Step::Create(oid) => drop(created.remove(oid)),
                Step::Demand(..) | Step::Undo => {}
            }
        }
        Some((writes, created))
    }

    /// What is done is recorded from now on.
    pub(super) fn record(&mut self) {
        self.ops = Some(Vec::new());
    }

    /// What is done is not recorded any more.
    pub(super) fn stop_recording(&mut self) {
        self.ops = None;
    }

    /// What was done since the last time, where that is recorded.
    pub(super) fn take_recorded(&mut self) -> Vec<Op> {
        self.ops.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Does what was recorded elsewhere; `None` where that does not belong to what is here.
    pub(super) fn repeat(&mut self, op: Op) -> Option<()> {
        match op {
            Op::Write(oid, write) => self.write(oid, write),
            Op::Create(oid) => self.create(oid),
            Op::Demand(oid, revision) => self.demand(oid, revision),
            Op::Undo(tid) => self.undo(tid),
            Op::Savepoint => drop(self.savepoint()),
            Op::RollBack(savepoint) => return self.roll_back(savepoint),
        }
        Some(())
    }

    fn keep(&mut self, op: impl FnOnce() -> Op) {
        if let Some(ops) = &mut self.ops {
            ops.push(op());
        }
    }

    pub(super) fn has_created(&self, oid: Oid) -> bool {
        self.created.contains(&oid)
    }

    /// Whether a commit would change nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.undone.is_empty()
    }

    pub(super) fn write(&mut self, oid: Oid, write: Write) {
        self.keep(|| Op::Write(oid, write.clone()));
        let before = self.writes.insert(oid, write);
        self.note(Step::Write(oid, before));
    }

    pub(super) fn create(&mut self, oid: Oid) {
        self.keep(|| Op::Create(oid));
        self.created.insert(oid);
        self.note(Step::Create(oid));
    }

    pub(super) fn demand(&mut self, oid: Oid, revision: Tid) {
        self.keep(|| Op::Demand(oid, revision));
        let before = self.current.insert(oid, revision);
        self.note(Step::Demand(oid, before));
    }

    pub(super) fn undo(&mut self, tid: Tid) {
        self.keep(|| Op::Undo(tid));
        self.undone.push(tid);
        self.note(Step::Undo);
    }

    fn note(&mut self, step: Step) {
        if !self.savepoints.is_empty() {
            self.journal.push(step);
        }
    }

    pub(super) fn savepoint(&mut self) -> SavepointId {
        self.keep(|| Op::Savepoint);
        self.next_savepoint += 1;
        let savepoint = SavepointId(self.next_savepoint);
        self.savepoints.push((savepoint, self.journal.len()));
        savepoint
    }

    /// Takes back what was done since a savepoint, and ends the later ones; `None` if it is none or has ended.
    pub(super) fn roll_back(&mut self, savepoint: SavepointId) -> Option<()> {
        let place = self.savepoints.iter().position(|(known, _)| *known == savepoint)?;
        let (_, length) = *self.savepoints.get(place)?;
        self.keep(|| Op::RollBack(savepoint));
        self.savepoints.truncate(place + 1);
        while self.journal.len() > length
            && let Some(step) = self.journal.pop()
        {
            self.take_back(step);
        }
        Some(())
    }

    fn take_back(&mut self, step: Step) {
        match step {
            Step::Write(oid, Some(before)) => drop(self.writes.insert(oid, before)),
            Step::Write(oid, None) => drop(self.writes.remove(&oid)),
            Step::Create(oid) => drop(self.created.remove(&oid)),
            Step::Demand(oid, Some(before)) => drop(self.current.insert(oid, before)),
            Step::Demand(oid, None) => drop(self.current.remove(&oid)),
            Step::Undo => drop(self.undone.pop()),
        }
    }
}

/// A record that others have too, as one of its own.
mod shared {
    use alloc::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Record;

    pub(super) fn serialize<S: Serializer>(record: &Arc<Record>, serializer: S) -> Result<S::Ok, S::Error> {
        Record::serialize(record, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Record>, D::Error> {
        Record::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Action {
        Write(u64, u16),
        Create(u64),
        Demand(u64, u64),
        Undo(u64),
        Savepoint,
        RollBack(prop::sample::Index),
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            4 => (0..5u64, any::<u16>()).prop_map(|(oid, value)| Action::Write(oid, value)),
            1 => (5..9u64).prop_map(Action::Create),
            2 => (0..5u64, 1..9u64).prop_map(|(oid, tid)| Action::Demand(oid, tid)),
            1 => (1..9u64).prop_map(Action::Undo),
            3 => Just(Action::Savepoint),
            2 => any::<prop::sample::Index>().prop_map(Action::RollBack),
        ]
    }

    /// Everything of it that a commit would see.
    type Seen = (Vec<(Oid, u16)>, Vec<Oid>, Vec<(Oid, Tid)>, Vec<Tid>);

    fn seen(changes: &Changes) -> Seen {
        let writes = changes.writes().iter().map(|(&oid, write)| (oid, write.record.schema)).collect();
        let created = changes.created.iter().copied().collect();
        (writes, created, changes.demands().collect(), changes.undone().to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// A rollback gives what was seen at the savepoint, again and again; later savepoints end.
        #[test]
        fn rollbacks_give_back_what_was(actions in prop::collection::vec(action(), 0..60)) {
            let mut changes = Changes::default();
            let mut known: Vec<(SavepointId, Seen)> = Vec::new();
            let mut ended = Vec::new();
            for action in actions {
                match action {
                    Action::Write(oid, schema) => {
                        let record = Arc::new(Record { schema, ..Record::default() });
                        changes.write(Oid::new(oid), Write { based_on: Tid::ZERO, record });
                    }
                    // The storage gives every number once.
                    Action::Create(oid) if !changes.has_created(Oid::new(oid)) => changes.create(Oid::new(oid)),
                    Action::Create(_) => {}
                    Action::Demand(oid, tid) => changes.demand(Oid::new(oid), Tid::new(tid)),
                    Action::Undo(tid) => changes.undo(Tid::new(tid)),
                    Action::Savepoint => known.push((changes.savepoint(), seen(&changes))),
                    Action::RollBack(which) if !known.is_empty() => {
                        let place = which.index(known.len());
                        ended.extend(known.drain(place + 1..).map(|(savepoint, _)| savepoint));
                        let (savepoint, expected) = &known[place];
                        let (written, created) = changes.at(*savepoint).unwrap();
                        let written: Vec<(Oid, u16)> = written.iter().map(|(oid, record)| (*oid, record.schema)).collect();
                        prop_assert_eq!((&written, created.into_iter().collect()), (&expected.0, expected.1.clone()));
                        prop_assert_eq!(changes.roll_back(*savepoint), Some(()));
                        prop_assert_eq!(&seen(&changes), expected);
                    }
                    Action::RollBack(_) => {}
                }
                for &savepoint in &ended {
                    prop_assert_eq!(changes.roll_back(savepoint), None);
                }
            }
        }
    }
}
