//! Packing a state file: what is forgotten, what stays, and that nobody waits for it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::power_loss::{state_before, tids};
use super::support::{TestClock, commit, formatted, open, pack, payload, put, record};
use crate::{
    BlockDevice, DanglingReference, FileStorage, Load, MemoryDevice, Metadata, Oid, PackError, PackProgress,
    PackRequest, Record, SECTOR, Storage, StorageError, Tid,
};

type File = FileStorage<MemoryDevice, TestClock>;

/// A new object, referred to by nothing yet.
fn create(storage: &mut File, payload: &[u8], references: &[Oid]) -> (Oid, Tid) {
    let oid = storage.new_oid().unwrap();
    let tid = put(storage, oid, record(payload, references)).unwrap();
    (oid, tid)
}

fn root(storage: &mut File, references: &[Oid]) -> Tid {
    put(storage, Oid::ROOT, record(b"root", references)).unwrap()
}

fn exists(storage: &mut File, oid: Oid) -> bool {
    matches!(storage.load_before(oid, Tid::MAX), Ok(Load::Data { .. }))
}

/// Ends the pack that is going on.
fn finish(storage: &mut File) {
    while storage.packing() && matches!(storage.pack_step(usize::MAX).unwrap(), PackProgress::Working { .. }) {}
}

/// The same state file, whose index has to be made from the log alone.
fn without_index(storage: File) -> File {
    let mut device = storage.into_device();
    let places: Vec<usize> = (0..device.bytes().len()).step_by(SECTOR).collect();
    for place in places {
        if device.bytes()[place..].starts_with(b"TelI") {
            device.bytes_mut()[place + 40] ^= 1;
        }
    }
    open(device)
}

/// The state, its transactions and histories must be the same when read again, and when the index is lost.
fn same_after_reopening(mut storage: File) -> File {
    let seen = |storage: &mut File| {
        let objects = state_before(storage, Tid::MAX).unwrap();
        let histories: Vec<_> = objects.keys().map(|&oid| storage.history(oid, 100).unwrap()).collect();
        let infos: Vec<_> =
            tids(storage).unwrap().iter().map(|tid| storage.transaction_before(tid.after()).unwrap()).collect();
        (objects, histories, infos, storage.last_transaction(), storage.packed_up_to())
    };
    let before = seen(&mut storage);
    let mut storage = open(storage.into_device());
    assert_eq!(seen(&mut storage), before);
    let mut storage = without_index(storage);
    assert_eq!(seen(&mut storage), before, "without the index");
    storage
}

#[test]
fn history_goes_up_to_the_horizon_and_the_rest_stays() {
    let mut storage = open(formatted(40, 8));
    let numbers: Vec<Tid> =
        (0..20u8).map(|turn| put(&mut storage, Oid::ROOT, record(&[turn; 900], &[])).unwrap()).collect();
    let free = storage.free_bytes();
    let report = pack(&mut storage, numbers[14]).unwrap();
    assert_eq!((report.objects, report.revisions, report.transactions, report.dangling_count), (0, 14, 14, 0));
    assert!(storage.free_bytes() >= free + 3 * 4096, "{} {free}", storage.free_bytes());
    let kept: Vec<Tid> = storage.history(Oid::ROOT, 100).unwrap().iter().rev().map(|info| info.tid).collect();
    assert_eq!(kept, numbers[14..]);
    for (turn, tid) in numbers.iter().enumerate().skip(14) {
        assert_eq!(payload(&mut storage, Oid::ROOT, tid.after()).unwrap(), [turn as u8; 900]);
    }
    assert_eq!(storage.load_before(Oid::ROOT, numbers[14]), Ok(Load::NotYet(numbers[14])));
    assert_eq!(tids(&mut storage).unwrap(), numbers[14..]);
    same_after_reopening(storage);
}

#[test]
fn what_nothing_refers_to_is_collected() {
    let mut storage = open(formatted(40, 8));
    let (leaf, _) = create(&mut storage, &[1; 400], &[]);
    let (middle, _) = create(&mut storage, &[2; 400], &[leaf]);
    let (kept, _) = create(&mut storage, &[3; 400], &[]);
    root(&mut storage, &[middle, kept]);
    let unlinked = root(&mut storage, &[kept]);
    // Two objects that refer to each other, and to what is kept.
    let one = storage.new_oid().unwrap();
    let other = storage.new_oid().unwrap();
    let circle = vec![(one, Tid::ZERO, record(b"", &[other, kept])), (other, Tid::ZERO, record(b"", &[one]))];
    let last = commit(&mut storage, circle).unwrap();
    let report = pack(&mut storage, unlinked).unwrap();
    assert_eq!(report.objects, 2);
    for oid in [leaf, middle] {
        assert_eq!(storage.load_before(oid, Tid::MAX), Ok(Load::NeverExisted));
        assert_eq!(storage.history(oid, 9), Ok(vec![]));
        assert_eq!(
            put(&mut storage, Oid::ROOT, record(b"", &[oid])),
            Err(StorageError::Dangling { from: Oid::ROOT, to: oid })
        );
    }
    assert!(exists(&mut storage, kept) && exists(&mut storage, one) && exists(&mut storage, other));
    assert_eq!(pack(&mut storage, last).unwrap().objects, 2);
    assert!(exists(&mut storage, kept) && !exists(&mut storage, one) && !exists(&mut storage, other));
    let mut storage = same_after_reopening(storage);
    assert_eq!(storage.next_object(Some(Oid::ROOT)), Ok(Some(kept)));
    assert_eq!(storage.next_object(Some(kept)), Ok(None));
}

#[test]
fn an_object_that_was_linked_again_after_the_horizon_survives_with_what_hangs_on_it() {
    let mut storage = open(formatted(40, 8));
    let (leaf, _) = create(&mut storage, b"leaf", &[]);
    let (middle, _) = create(&mut storage, b"middle", &[leaf]);
    root(&mut storage, &[middle]);
    let horizon = root(&mut storage, &[]);
    root(&mut storage, &[middle]);
    assert_eq!(pack(&mut storage, horizon).unwrap().objects, 0);
    assert!(exists(&mut storage, leaf) && exists(&mut storage, middle));
    same_after_reopening(storage);
}

#[test]
fn a_link_made_while_the_pack_goes_on_is_in_time() {
    let mut linked = 0;
    for steps in 0.. {
        let mut storage = open(formatted(40, 8));
        let (leaf, _) = create(&mut storage, b"leaf", &[]);
        let (middle, _) = create(&mut storage, b"middle", &[leaf]);
        root(&mut storage, &[middle]);
        let horizon = root(&mut storage, &[]);
        storage.pack_start(PackRequest::until(horizon)).unwrap();
        for _ in 0..steps {
            storage.pack_step(1).unwrap();
        }
        let outcome = put(&mut storage, Oid::ROOT, record(b"", &[middle]));
        finish(&mut storage);
        match outcome {
            Ok(_) => {
                linked += 1;
                assert!(exists(&mut storage, leaf) && exists(&mut storage, middle), "{steps}");
            }
            Err(error) => {
                assert_eq!(error, StorageError::Dangling { from: Oid::ROOT, to: middle });
                assert!(!exists(&mut storage, leaf));
                break;
            }
        }
        same_after_reopening(storage);
    }
    assert!(linked >= 2, "{linked}");
}

#[test]
fn named_roots_and_what_hangs_on_them_stay() {
    let mut storage = open(formatted(40, 8));
    root(&mut storage, &[]);
    let (leaf, _) = create(&mut storage, b"leaf", &[]);
    let (held, _) = create(&mut storage, b"held", &[leaf]);
    let (lost, _) = create(&mut storage, b"lost", &[leaf]);
    storage.pack_start(PackRequest { in_flight: vec![held], ..PackRequest::until(Tid::MAX) }).unwrap();
    finish(&mut storage);
    assert!(exists(&mut storage, leaf) && exists(&mut storage, held) && !exists(&mut storage, lost));
}

#[test]
fn dangling_references_are_told_with_their_referrers_and_are_not_in_the_way() {
    let mut storage = open(formatted(40, 8));
    let (gone, created) = create(&mut storage, b"gone", &[]);
    let (first, _) = create(&mut storage, b"", &[gone]);
    let (second, _) = create(&mut storage, b"", &[gone, first]);
    root(&mut storage, &[second]);
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.delete(&mut transaction, gone, created);
    let voted = storage.vote(transaction).unwrap();
    storage.finish(voted).unwrap();
    for _ in 0..2 {
        put(&mut storage, first, record(b"again", &[gone])).unwrap_err();
        root(&mut storage, &[second]);
        let report = pack(&mut storage, Tid::MAX).unwrap();
        assert_eq!(report.dangling, [first, second].map(|from| DanglingReference { from, to: gone }));
        assert_eq!(report.dangling_count, 2);
    }
    assert_eq!(storage.load_before(gone, Tid::MAX), Ok(Load::NeverExisted));
    same_after_reopening(storage);
}

#[test]
fn packing_again_earlier_or_an_empty_store_does_nothing() {
    let mut storage = open(formatted(40, 8));
    assert_eq!(pack(&mut storage, Tid::MAX).unwrap().objects, 0);
    let first = root(&mut storage, &[]);
    let second = root(&mut storage, &[]);
    pack(&mut storage, second).unwrap();
    let before = storage.device_for_tests().clone();
    for horizon in [first, second, Tid::ZERO, Tid::MAX] {
        assert_eq!(pack(&mut storage, horizon).unwrap().revisions, 0);
        assert_eq!(*storage.device_for_tests(), before);
    }
    root(&mut storage, &[]);
    storage.pack_start(PackRequest::until(Tid::MAX)).unwrap();
    assert_eq!(storage.pack_start(PackRequest::until(Tid::MAX)), Err(PackError::Running));
}

#[test]
fn numbers_never_return() {
    let mut storage = open(formatted(40, 8));
    root(&mut storage, &[]);
    let (oid, tid) = create(&mut storage, b"the greatest numbers", &[]);
    pack(&mut storage, tid).unwrap();
    for turn in 0..3 {
        assert!(!exists(&mut storage, oid));
        assert!(storage.last_transaction() >= tid);
        storage = if turn == 1 { without_index(storage) } else { open(storage.into_device()) };
        assert!(storage.new_oid().unwrap() > oid);
    }
    assert!(root(&mut storage, &[]) > tid);
}

#[test]
fn a_full_disk_is_packed_in_place_and_goes_on() {
    let mut storage = open(formatted(32, 8));
    for life in 0..4u8 {
        let mut turn = 0;
        let error = loop {
            turn += 1;
            match put(&mut storage, Oid::ROOT, record(&[life; 700], &[])) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StorageError::OutOfSpace { .. }), "{error:?}");
        assert!(turn > 20, "{turn}");
        let free = storage.free_bytes();
        pack(&mut storage, Tid::MAX).unwrap();
        assert!(storage.free_bytes() > free + 15 * 4096, "{} {free}", storage.free_bytes());
        assert_eq!(storage.history(Oid::ROOT, 10).unwrap().len(), 1);
    }
    same_after_reopening(storage);
}

#[test]
fn a_pack_that_was_cut_off_while_it_cleaned_goes_on() {
    let mut storage = open(formatted(64, 8));
    let mut objects = Vec::new();
    for turn in 0..60u8 {
        let (oid, _) = create(&mut storage, &[turn; 300], &[]);
        if turn % 3 > 0 {
            objects.push(oid);
        }
        root(&mut storage, &objects);
    }
    storage.pack_start(PackRequest::until(Tid::MAX)).unwrap();
    while storage.packed_up_to() == Tid::ZERO {
        storage.pack_step(usize::MAX).unwrap();
    }
    let mut lives = 0;
    while let PackProgress::Working { .. } = storage.pack_step(1).unwrap() {
        lives += 1;
        storage = if lives % 2 == 0 { without_index(storage) } else { open(storage.into_device()) };
        assert!(storage.packing());
        assert_eq!(state_before(&mut storage, Tid::MAX).unwrap().len(), objects.len() + 1);
    }
    assert!(lives > 3, "{lives}");
    assert!(!storage.packing());
    let storage = same_after_reopening(storage);
    assert!(storage.free_bytes() / 4096 > 50, "{}", storage.free_bytes());
}

#[test]
fn a_transaction_that_is_kept_in_part_tells_that_part() {
    let mut storage = open(formatted(40, 8));
    let (a, b) = (storage.new_oid().unwrap(), storage.new_oid().unwrap());
    let links = record(b"root", &[a, b]);
    let all = vec![
        (Oid::ROOT, Tid::ZERO, links),
        (a, Tid::ZERO, record(&[1; 50], &[])),
        (b, Tid::ZERO, record(&[2; 50], &[])),
    ];
    let first = commit(&mut storage, all).unwrap();
    let second = put(&mut storage, a, record(&[3; 50], &[])).unwrap();
    let third = put(&mut storage, a, record(&[4; 50], &[])).unwrap();
    let empty = commit(&mut storage, vec![]).unwrap();
    pack(&mut storage, empty).unwrap();
    assert_eq!(tids(&mut storage).unwrap(), [first, third]);
    let info = storage.transaction_before(second).unwrap().unwrap();
    assert_eq!(info.changes.iter().map(|change| change.oid).collect::<Vec<_>>(), [Oid::ROOT, b]);
    let mut storage = same_after_reopening(storage);
    assert_eq!(storage.last_transaction(), empty);
    let next = commit(&mut storage, vec![]).unwrap();
    assert_eq!(tids(&mut storage).unwrap(), [first, third, next]);
}

/// One step of a history with packs in it.
#[derive(Clone, Debug)]
enum Step {
    Put { object: u8, size: u16, refers: Vec<u8> },
    Create { size: u16 },
    Pack { back: u8 },
    GoOn,
    Checkpoint,
    Reopen { index: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<u8>(), 0..600u16, prop::collection::vec(any::<u8>(), 0..4))
            .prop_map(|(object, size, refers)| Step::Put { object, size, refers }),
        4 => (0..600u16).prop_map(|size| Step::Create { size }),
        1 => (0..10u8).prop_map(|back| Step::Pack { back }),
        5 => Just(Step::GoOn),
        1 => Just(Step::Checkpoint),
        1 => any::<bool>().prop_map(|index| Step::Reopen { index }),
    ]
}

/// Everything that was ever written.
#[derive(Default)]
struct Model {
    revisions: BTreeMap<Oid, Vec<(Tid, Record)>>,
    tids: Vec<Tid>,
}

impl Model {
    fn at(&self, oid: Oid, before: Tid) -> Option<&Record> {
        let revisions = self.revisions.get(&oid)?;
        revisions.iter().rev().find(|(tid, _)| *tid < before).map(|(_, record)| record)
    }

    /// What must stay when history up to a horizon is forgotten.
    fn reachable(&self, horizon: Tid) -> BTreeSet<Oid> {
        let mut found = BTreeSet::new();
        let mut pending = vec![Oid::ROOT];
        for (&oid, revisions) in &self.revisions {
            for (_, record) in revisions.iter().filter(|(tid, _)| *tid > horizon) {
                pending.push(oid);
                pending.extend(&record.references);
            }
        }
        while let Some(oid) = pending.pop() {
            if found.insert(oid) {
                pending.extend(self.at(oid, horizon.after()).iter().flat_map(|record| record.references.iter()));
            }
        }
        found
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_reachable_stays(steps in prop::collection::vec(step(), 1..80)) {
        let mut storage = open(formatted(300, 8));
        let mut model = Model::default();
        let tid = put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
        model.revisions.entry(Oid::ROOT).or_default().push((tid, record(b"", &[])));
        model.tids.push(tid);
        for step in steps {
            let known: Vec<Oid> = model.revisions.keys().copied().collect();
            match step {
                Step::Put { object, size, refers } => {
                    let pick = |number: u8| known[number as usize % known.len()];
                    let oid = pick(object);
                    let refers: Vec<Oid> = refers.into_iter().map(pick).filter(|&to| exists(&mut storage, to)).collect();
                    let new = record(&vec![object; size.into()], &refers);
                    if exists(&mut storage, oid) {
                        let tid = put(&mut storage, oid, new.clone()).unwrap();
                        model.revisions.entry(oid).or_default().push((tid, new));
                        model.tids.push(tid);
                    }
                }
                Step::Create { size } => {
                    let oid = storage.new_oid().unwrap();
                    let new = record(&vec![9; size.into()], &[]);
                    let tid = put(&mut storage, oid, new.clone()).unwrap();
                    model.revisions.entry(oid).or_default().push((tid, new));
                    model.tids.push(tid);
                }
                Step::Pack { back } => {
                    let horizon = model.tids[model.tids.len().saturating_sub(1 + usize::from(back))];
                    let _ = storage.pack_start(PackRequest::until(horizon));
                }
                Step::GoOn if storage.packing() => {
                    storage.pack_step(7).unwrap();
                }
                Step::GoOn => {}
                Step::Checkpoint => storage.checkpoint().unwrap(),
                Step::Reopen { index } => {
                    storage = if index { open(storage.into_device()) } else { without_index(storage) };
                }
            }
            let horizon = storage.packed_up_to();
            let reachable = model.reachable(horizon);
            for (&oid, revisions) in &model.revisions {
                let kept = storage.history(oid, 1_000).unwrap();
                let after = revisions.iter().filter(|(tid, _)| *tid > horizon).count();
                let at = usize::from(revisions.iter().any(|(tid, _)| *tid <= horizon));
                if reachable.contains(&oid) {
                    prop_assert_eq!(kept.len(), after + at, "{:?}", oid);
                    for (tid, record) in revisions.iter().rev().take(kept.len()) {
                        let Ok(Load::Data { record: found, tid: at, .. }) = storage.load_before(oid, tid.after()) else {
                            return Err(TestCaseError::fail("a record is missing"));
                        };
                        prop_assert_eq!((&found, at), (record, *tid));
                    }
                }
            }
        }
        finish(&mut storage);
        let reachable = model.reachable(storage.packed_up_to());
        if storage.packed_up_to() > Tid::ZERO {
            let after: BTreeSet<Oid> = model.revisions.keys().copied().filter(|&oid| exists(&mut storage, oid)).collect();
            prop_assert!(reachable.is_subset(&after));
        }
        same_after_reopening(storage);
    }
}

#[test]
fn a_record_that_cannot_be_followed_stops_the_pack_and_nothing_else() {
    let mut storage = open(formatted(40, 8));
    let (child, _) = create(&mut storage, &[0xaa; 100], &[]);
    root(&mut storage, &[child]);
    root(&mut storage, &[child]);
    let mut device = storage.into_device();
    let place = device.bytes().windows(9).position(|bytes| bytes == [0xaa; 9]).unwrap();
    device.bytes_mut()[place] ^= 1;
    let sectors = device.sectors();
    // The batch is whole for the scan only if a checkpoint covers it.
    assert!(FileStorage::open_read_only(device.clone()).is_err());
    device.bytes_mut()[place] ^= 1;
    let mut storage = open(device);
    storage.checkpoint().unwrap();
    let mut device = storage.into_device();
    device.bytes_mut()[place] ^= 1;
    let mut storage = open(device);
    assert_eq!(storage.device_for_tests().sectors(), sectors);
    assert!(matches!(pack(&mut storage, Tid::MAX), Err(PackError::Storage(StorageError::Rot { .. }))));
    root(&mut storage, &[child]);
    assert_eq!(storage.packed_up_to(), Tid::ZERO);
}
