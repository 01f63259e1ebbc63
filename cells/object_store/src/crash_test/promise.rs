//! What must be there after a power cut, and the check that it is.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::random::Random;
use super::workload::TestClock;
use crate::{
    FileStorage, LastBatch, Load, MemoryDevice, Metadata, Oid, PackError, Record, SECTOR, Storage, StorageError, Tid,
};

/// A transaction: its number and what it writes; `None` is the end of an object.
pub(crate) type Written = (Tid, Vec<(Oid, Option<Record>)>);

/// What a workload says between the events of its device.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    /// It commits these together.
    Attempt(Vec<Written>),
    /// The commit was acknowledged.
    Acknowledged,
    /// This object number was issued.
    Issued(Oid),
    /// A pack may move the horizon up to this.
    PackAttempt(Tid),
    /// It said that it did, and these objects were gone.
    Packed(Tid, Vec<Oid>),
}

/// What was promised so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promise {
    revisions: BTreeMap<Oid, Vec<(Tid, Option<Record>)>>,
    pub(crate) tids: Vec<Tid>,
    pub(crate) attempt: Vec<Written>,
    issued: Option<Oid>,
    /// The horizon is at least the first and at most the second.
    horizon: (u64, u64),
    /// Objects that a pack collected.
    gone: BTreeSet<Oid>,
}

impl Promise {
    pub(crate) fn mark(&mut self, mark: &Mark) {
        match mark {
            Mark::Attempt(transactions) => self.attempt.clone_from(transactions),
            Mark::Issued(oid) => self.issued = self.issued.max(Some(*oid)),
            Mark::Acknowledged => self.accept(),
            Mark::PackAttempt(horizon) => self.horizon.1 = self.horizon.1.max(horizon.number()),
            Mark::Packed(horizon, gone) => {
                self.horizon.0 = self.horizon.0.max(horizon.number());
                self.gone.extend(gone);
            }
        }
    }

    /// Tells apart states of one disk in which other things are promised.
    pub(crate) fn stage(&self) -> (usize, usize, (u64, u64)) {
        (self.tids.len(), self.attempt.len(), self.horizon)
    }

    fn accept(&mut self) {
        for (tid, written) in self.attempt.drain(..) {
            self.tids.push(tid);
            for (oid, record) in written {
                self.revisions.entry(oid).or_default().push((tid, record));
            }
        }
    }

    pub(crate) fn last(&self) -> Tid {
        self.tids.last().copied().unwrap_or(Tid::ZERO)
    }

    fn at(&self, oid: Oid, before: Tid) -> Option<&Record> {
        let revisions = self.revisions.get(&oid)?;
        revisions.iter().rev().find(|(tid, _)| *tid < before).and_then(|(_, record)| record.as_ref())
    }

    /// The objects that must stay when history up to a horizon is forgotten.
    fn reachable(&self, horizon: Tid) -> BTreeSet<Oid> {
        let mut found = BTreeSet::new();
        let mut pending = alloc::vec![Oid::ROOT];
        for (&oid, revisions) in &self.revisions {
            for (_, record) in revisions.iter().filter(|(tid, _)| *tid > horizon) {
                pending.push(oid);
                pending.extend(record.iter().flat_map(|record| &record.references));
            }
        }
        while let Some(oid) = pending.pop() {
            if found.insert(oid) {
                pending.extend(self.at(oid, horizon.after()).iter().flat_map(|record| record.references.iter()));
            }
        }
        found
    }

    /// Compares what is in a storage.
    fn compare(&self, storage: &mut FileStorage<MemoryDevice, TestClock>, before: Tid) -> Result<(), String> {
        let horizon = storage.packed_up_to();
        if !(self.horizon.0..=self.horizon.1).contains(&horizon.number()) {
            return Err(alloc::format!("the horizon is {horizon:?}, not within {:?}", self.horizon));
        }
        let found = tids(storage).map_err(failed)?;
        let later = |tids: &[Tid]| tids.iter().copied().filter(|&tid| tid > horizon).collect::<Vec<_>>();
        if later(&found) != later(&self.tids) {
            return Err("transactions are missing, or others are there".into());
        }
        if !found.iter().all(|tid| self.tids.contains(tid)) {
            return Err("a transaction is there that never was".into());
        }
        let reachable = if horizon > Tid::ZERO { Some(self.reachable(horizon)) } else { None };
        for &oid in self.revisions.keys() {
            let expected = self.at(oid, before);
            match storage.load_before(oid, before).map_err(failed)? {
                Load::NeverExisted if self.gone.contains(&oid) => {}
                found if self.gone.contains(&oid) => {
                    return Err(alloc::format!("{oid:?} was collected and is {:?}", found.map(|_| ())));
                }
                Load::Data { record, .. } if Some(&record) == expected => {}
                Load::NotYet(_) | Load::DeletedAt(_) if expected.is_none() => {}
                Load::NeverExisted if reachable.as_ref().is_some_and(|reachable| !reachable.contains(&oid)) => {}
                found => {
                    let told: Vec<(Tid, bool)> = self
                        .revisions
                        .get(&oid)
                        .into_iter()
                        .flatten()
                        .map(|(tid, state)| (*tid, state.is_some()))
                        .collect();
                    return Err(alloc::format!(
                        "{oid:?} before {before:?} is {:?}, its revisions are {told:?}, the horizon is {horizon:?}",
                        found.map(|_| ())
                    ));
                }
            }
        }
        let mut at = None;
        while let Some(oid) = storage.next_object(at).map_err(failed)? {
            if !self.revisions.contains_key(&oid) {
                return Err(alloc::format!("{oid:?} never was"));
            }
            at = Some(oid);
        }
        Ok(())
    }
}

fn failed(error: StorageError) -> String {
    alloc::format!("cannot be read: {error:?}")
}

/// The transactions in a storage, oldest first.
pub(crate) fn tids<S: Storage>(storage: &mut S) -> Result<Vec<Tid>, StorageError> {
    let mut tids = Vec::new();
    let mut before = Tid::MAX;
    while let Some(info) = storage.transaction_before(before)? {
        before = info.tid;
        tids.push(info.tid);
    }
    tids.reverse();
    Ok(tids)
}

/// Opens an image and checks it; says what is wrong. `choice` decides on the parts that not every state needs.
pub(crate) fn check(image: MemoryDevice, promise: &Promise, choice: u64) -> Result<MemoryDevice, String> {
    let mut random = Random(choice);
    let (mut storage, report) = open(image.clone())?;
    let mut promise = promise.clone();
    let attempted = !promise.attempt.is_empty();
    let last = promise.last();
    let committed = attempted && storage.last_transaction() > last && {
        let before = storage.transaction_before(Tid::MAX).map_err(failed)?;
        before.is_some_and(|info| promise.attempt.iter().any(|(tid, _)| *tid == info.tid))
    };
    if committed {
        promise.accept();
        if matches!(report.last_batch, LastBatch::None) {
            return Err("the report does not tell of the last batch".into());
        }
    }
    promise.compare(&mut storage, Tid::MAX)?;
    let past = random.pick(&promise.tids).copied().filter(|&tid| tid > storage.packed_up_to());
    if let Some(tid) = past {
        promise.compare(&mut storage, tid).map_err(|what| alloc::format!("in the past: {what}"))?;
    }
    if storage.index_rebuilds() > 0 {
        return Err("the index is damaged".into());
    }
    if random.below(8) == 0 {
        let mut blind = open(without_index(image))?.0;
        promise.compare(&mut blind, Tid::MAX).map_err(|what| alloc::format!("without the index: {what}"))?;
    }
    if Some(storage.new_oid().map_err(failed)?) <= promise.issued {
        return Err("an object number repeats".into());
    }
    go_on(storage, promise, &mut random)
}

/// It goes on: one more commit, if there is room, the rest of a pack, and opened again.
fn go_on(
    mut storage: FileStorage<MemoryDevice, TestClock>,
    mut promise: Promise,
    random: &mut Random,
) -> Result<MemoryDevice, String> {
    let record =
        Record { payload: b"after the cut".to_vec(), ..promise.at(Oid::ROOT, Tid::MAX).cloned().unwrap_or_default() };
    let based_on = storage.revision_before(Oid::ROOT, Tid::MAX).map_err(failed)?.revision();
    let mut transaction = storage.begin(Metadata::default()).map_err(failed)?;
    storage.store(&mut transaction, Oid::ROOT, based_on, record.clone());
    if let Ok(voted) = storage.vote(transaction) {
        let tid = storage.finish(voted).map_err(failed)?;
        if tid <= promise.last() {
            return Err("a transaction number repeats".into());
        }
        promise.attempt = alloc::vec![(tid, alloc::vec![(Oid::ROOT, Some(record))])];
        promise.accept();
    }
    let mut steps = random.below(4);
    while storage.packing() && steps > 0 {
        match storage.pack_step(usize::MAX) {
            Ok(_) => steps -= 1,
            Err(PackError::NotRunning | PackError::Storage(StorageError::OutOfSpace { .. })) => break,
            Err(error) => return Err(alloc::format!("cannot be packed: {error:?}")),
        }
    }
    let device = storage.into_device();
    let (mut storage, _) = open(device.clone())?;
    promise.compare(&mut storage, Tid::MAX).map_err(|what| alloc::format!("after the next commit: {what}"))?;
    Ok(device)
}

fn open(image: MemoryDevice) -> Result<(FileStorage<MemoryDevice, TestClock>, crate::OpenReport), String> {
    FileStorage::open(image, TestClock::default()).map_err(|refused| alloc::format!("refused: {:?}", refused.error))
}

/// The image with every index block damaged.
pub(crate) fn without_index(mut image: MemoryDevice) -> MemoryDevice {
    for sector in image.bytes_mut().chunks_mut(SECTOR) {
        if sector.starts_with(b"TelI")
            && let Some(byte) = sector.get_mut(40)
        {
            *byte ^= 1;
        }
    }
    image
}
