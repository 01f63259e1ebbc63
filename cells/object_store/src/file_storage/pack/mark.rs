//! Marking: what is reachable.
//!
//! Roots are the root object at the horizon, the objects that the caller names, and every record that was written after the
//! horizon with all that it refers to. So an object that was linked again, or linked late, is kept together with what hangs
//! on it, and nothing that a snapshot after the horizon can reach is ever collected.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::super::FileStorage;
use super::super::defect::Defect;
use super::super::entry::{Entry, Key};
use super::super::index::View;
use super::super::transaction_body::Head;
use crate::codec::Reader;
use crate::device::BlockDevice;
use crate::{Clock, DANGLING_LISTED, DanglingReference, Load, Oid, StorageError, Tid};

/// Records that are followed in a step.
const STEP: usize = 4_096;
/// Later transactions that are looked at in a step.
const TRANSACTIONS_STEP: usize = 256;

/// The marks.
pub(super) struct Mark {
    /// A bit for each object number that had been issued at the beginning; later ones are of later transactions.
    bits: Vec<u64>,
    objects: u64,
    /// Records that are still to be followed.
    pending: Vec<Entry>,
    done: u64,
    /// Transactions up to this one, and after the horizon, have been looked at.
    seen: Tid,
    started: bool,
    /// Objects that are referred to and do not exist.
    missing: BTreeSet<Oid>,
    pub(super) dangling: Vec<DanglingReference>,
    pub(super) dangling_total: u64,
}

impl Mark {
    /// Nothing is marked of so many object numbers.
    pub(super) fn new(objects: u64) -> Result<Self, StorageError> {
        let words = usize::try_from(objects.div_ceil(64)).map_err(|_| StorageError::OutOfMemory)?;
        let mut bits = Vec::new();
        bits.try_reserve_exact(words)?;
        bits.resize(words, 0);
        Ok(Self { bits, objects, ..Self::all() })
    }

    /// Everything is marked.
    pub(super) fn all() -> Self {
        Self {
            bits: Vec::new(),
            objects: 0,
            pending: Vec::new(),
            done: 0,
            seen: Tid::ZERO,
            started: false,
            missing: BTreeSet::new(),
            dangling: Vec::new(),
            dangling_total: 0,
        }
    }

    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    /// Whether an object is reachable, as far as is known; those that are younger than the pack always are.
    pub(super) fn is_marked(&self, oid: Oid) -> bool {
        let word = usize::try_from(oid.number() / 64).ok().and_then(|word| self.bits.get(word));
        oid.number() >= self.objects || word.is_some_and(|word| word >> (oid.number() % 64) & 1 == 1)
    }

    /// Marks an object; `false` if it was marked.
    fn set(&mut self, oid: Oid) -> bool {
        let new = !self.is_marked(oid);
        let word = usize::try_from(oid.number() / 64).ok().and_then(|word| self.bits.get_mut(word));
        if let Some(word) = word.filter(|_| new) {
            *word |= 1 << (oid.number() % 64);
        }
        new
    }

    pub(super) fn objects(&self) -> u64 {
        self.objects
    }

    pub(super) fn done(&self) -> u64 {
        self.done
    }

    pub(super) fn known(&self) -> u64 {
        self.done + self.pending.len() as u64
    }

    fn tell(&mut self, from: Oid, to: Oid) {
        let told = DanglingReference { from, to };
        self.dangling_total += 1;
        if self.dangling.len() < DANGLING_LISTED && self.dangling.try_reserve(1).is_ok() {
            self.dangling.push(told);
        }
    }
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Marks where everything hangs.
    pub(super) fn mark_roots(&mut self, mark: &mut Mark, horizon: Tid, in_flight: &[Oid]) -> Result<(), StorageError> {
        mark.seen = horizon;
        for &oid in core::iter::once(&Oid::ROOT).chain(in_flight) {
            self.reach(mark, horizon, oid, None)?;
        }
        mark.started = true;
        self.mark_voted(mark, horizon)
    }

    /// Marks what transactions between vote and finish change or refer to.
    pub(super) fn mark_voted(&mut self, mark: &mut Mark, horizon: Tid) -> Result<(), StorageError> {
        let objects: Vec<Oid> = self.group.iter().flat_map(|group| group.objects()).collect();
        objects.into_iter().try_for_each(|oid| self.reach(mark, horizon, oid, None))
    }

    /// Follows some references; answers whether everything that is committed by now has been followed.
    pub(super) fn mark_step(&mut self, mark: &mut Mark, horizon: Tid, budget: usize) -> Result<bool, StorageError> {
        if mark.pending.is_empty() {
            for _ in 0..TRANSACTIONS_STEP {
                if mark.seen < self.last && mark.pending.len() < STEP {
                    self.mark_later(mark, horizon)?;
                }
            }
        }
        let from = mark.pending.len().saturating_sub(budget.clamp(1, STEP));
        let some = mark.pending.split_off(from);
        let some = some.into_iter().map(|entry| ((), entry)).collect();
        self.read_in_order(some, |storage, (), entry| {
            let references = storage.references(&entry)?;
            storage.follow(mark, horizon, &entry, references)?;
            mark.done += 1;
            Ok(())
        })?;
        Ok(mark.pending.is_empty() && mark.seen >= self.last)
    }

    /// Marks what the next transaction after the horizon wrote, and what its records refer to.
    fn mark_later(&mut self, mark: &mut Mark, horizon: Tid) -> Result<(), StorageError> {
        let from = Key::transaction(mark.seen.after());
        let found = self.consult(|index, volume, _| index.first_from(volume, from))?;
        let later = |found: &Entry| found.key.oid == from.oid && found.key.tid <= self.last;
        let Some(transaction) = found.filter(later).filter(|_| !Defect::LaterUnmarked.is_planted()) else {
            mark.seen = self.last;
            return Ok(());
        };
        let bytes = self.volume.read_bytes(transaction.place.address, transaction.place.length)?;
        let head = Head::decode(self.volume.seal, &bytes).filter(|head| head.tid == transaction.key.tid);
        let head = head.ok_or(self.volume.rot(transaction.place.address))?;
        for change in head.listed(transaction.place.address) {
            self.reach(mark, horizon, change.oid, None)?;
            if change.place.length > 0 {
                let entry = Entry { key: Key::new(change.oid, head.tid), place: change.place };
                let references = self.references(&entry)?;
                self.follow(mark, horizon, &entry, references)?;
            }
        }
        mark.seen = head.tid;
        Ok(())
    }

    fn follow(
        &mut self,
        mark: &mut Mark,
        horizon: Tid,
        from: &Entry,
        mut references: Vec<Oid>,
    ) -> Result<(), StorageError> {
        references.sort_unstable();
        references.dedup();
        references.into_iter().try_for_each(|to| self.reach(mark, horizon, to, Some(from)))
    }

    /// Marks an object that is referred to, and remembers its record at the horizon to be followed.
    fn reach(&mut self, mark: &mut Mark, horizon: Tid, oid: Oid, from: Option<&Entry>) -> Result<(), StorageError> {
        if mark.is_marked(oid) {
            return Ok(());
        }
        if from.is_none() || !mark.missing.contains(&oid) {
            let now = self.consult(|index, volume, view| index.find(volume, oid, Tid::MAX, view))?;
            let then = match now {
                Load::Data { record, tid, .. } if tid <= horizon => Some(record),
                Load::NeverExisted => None,
                _ => {
                    let view = |view: View| View { last: horizon, ..view };
                    match self.consult(|index, volume, now| index.find(volume, oid, Tid::MAX, view(now)))? {
                        Load::Data { record, .. } => Some(record),
                        _ => None,
                    }
                }
            };
            if then.is_some() || matches!(now, Load::Data { .. }) || from.is_none() {
                mark.set(oid);
                mark.pending.try_reserve(1)?;
                mark.pending.extend(then);
            }
            if matches!(now, Load::Data { .. }) || from.is_none() {
                return Ok(());
            }
            mark.missing.insert(oid);
        }
        // Only what the object refers to now is of interest.
        if let Some(from) = from
            && let Load::Data { tid, .. } =
                self.consult(|index, volume, view| index.find(volume, from.key.oid, Tid::MAX, view))?
            && tid == from.key.tid
        {
            mark.tell(from.key.oid, oid);
        }
        Ok(())
    }

    /// What a record refers to.
    fn references(&mut self, entry: &Entry) -> Result<Vec<Oid>, StorageError> {
        self.with_record(entry, references_in)?.ok_or(StorageError::Malformed)
    }
}

/// The references of an encoded record: postcard of schema, version, references and what does not matter here.
fn references_in(bytes: &[u8]) -> Option<Vec<Oid>> {
    let mut reader = Reader::new(bytes);
    let (_, _, count) = (reader.variable()?, reader.variable()?, reader.variable()?);
    let mut references = Vec::new();
    references.try_reserve_exact(usize::try_from(count).ok()?.min(bytes.len())).ok()?;
    for _ in 0..count {
        references.push(Oid::new(reader.variable()?));
    }
    Some(references)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Record;

    proptest! {
        #[test]
        fn references_are_read_without_the_rest(
            schema: u16,
            version: u16,
            references in prop::collection::vec(any::<u64>().prop_map(Oid::new), 0..20),
            payload in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            let record = Record { schema, version, references, capabilities: Vec::new(), payload };
            let mut bytes = Vec::new();
            record.encode(&mut bytes).unwrap();
            prop_assert_eq!(references_in(&bytes), Some(record.references));
        }
    }
}
