//! Power cuts, enumerated; and faults planted to show that the enumeration finds them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::support::{Random, TestClock};
use crate::crash_test::{Disk, Event, Faults, Promise, RecordingDevice, Shape, Tally, check, enumerate, run, workload};
use crate::file_storage::Defect;
use crate::{BlockDevice, FileStorage, Load, Oid, Record, SECTOR, Storage, StorageError, Tid};

pub(super) use crate::crash_test::tids;

/// The state in a storage just before a transaction.
pub(super) fn state_before<S: Storage>(storage: &mut S, before: Tid) -> Result<BTreeMap<Oid, Record>, StorageError> {
    let mut objects = BTreeMap::new();
    let mut at = None;
    while let Some(oid) = storage.next_object(at)? {
        if let Load::Data { record, .. } = storage.load_before(oid, before)? {
            objects.insert(oid, record);
        }
        at = Some(oid);
    }
    Ok(objects)
}

/// Where the enumeration begins, unless `CRASH_SEED` says so; the seed is in every message.
const SEED: u64 = 1;
/// The distinct states that it opens at least, unless `CRASH_STATES` says so.
const STATES: u64 = 24_000;

#[test]
fn every_cut_leaves_what_was_promised() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let (seed, states) = (number("CRASH_SEED").unwrap_or(SEED), number("CRASH_STATES").unwrap_or(STATES));
    let tally = run(seed, states, |_, _| {});
    std::println!("from seed {seed}: {} states of {} events", tally.states, tally.events);
    assert_eq!(tally.violations, Vec::<String>::new());
    assert!(tally.states >= states);
}

/// An object that was referred to while it did not exist, and then written: a pack took it for garbage.
#[test]
fn a_late_object_that_was_missed_before_is_not_garbage() {
    let tally = run(1_064, 1, |_, _| {});
    assert_eq!(tally.violations, Vec::<String>::new());
}

/// Enumerates with something wrong, until it is found.
fn finds(defect: Option<Defect>, faults: Faults) {
    let mut tally = Tally::default();
    for seed in 0..40 {
        for shape in Shape::ALL {
            Defect::plant(defect, || enumerate(&workload(seed, shape, faults), seed, &mut tally));
            if let Some(first) = tally.violations.first() {
                std::println!("{defect:?} {faults:?}: found after {} states: {first}", tally.states);
                return;
            }
        }
    }
    panic!("{defect:?} {faults:?} was not found in {} states", tally.states);
}

/// A test for each planted defect.
macro_rules! planted {
    ($($name:ident: $defect:ident,)*) => {
        mod planted {
            use super::*;
            $(
                #[test]
                fn $name() {
                    finds(Some(Defect::$defect), Faults::default());
                }
            )*

            #[test]
            fn flushes_that_the_device_drops() {
                finds(None, Faults { drops_flushes: true });
            }
        }
    };
}

planted! {
    an_acknowledgement_before_the_flush: FlushSkipped,
    a_root_before_its_data: RootBeforeData,
    a_root_beside_its_data: RootBesideData,
    the_older_root: RootEpochIgnored,
    a_batch_whose_body_is_not_checked: BodyUnchecked,
    a_stale_batch_of_an_earlier_life: StaleBatchBelieved,
    an_index_that_is_not_flushed: IndexUnflushed,
    an_index_ahead_of_the_log: IndexAhead,
    object_numbers_that_repeat: OidsReused,
    transaction_numbers_that_repeat: TidsReused,
    a_run_freed_before_its_copies: FreedBeforeCopy,
    a_run_freed_that_is_still_scanned: PackWithoutCheckpoint,
    a_copy_that_does_not_count: CopiesIgnored,
    a_horizon_that_is_forgotten: HorizonForgotten,
    garbage_that_returns: CollectedReturns,
    marks_that_miss_what_came_later: LaterUnmarked,
    a_group_that_is_cut_short: GroupCutShort,
}

/// Cuts the power at every event and damages one root slot as well: rot and a power cut at once.
fn lose_each_root(shape: Shape, seed: u64) -> Tally {
    let mut tally = Tally::default();
    let run = workload(seed, shape, Faults::default());
    let mut promise = Promise::default();
    let mut image = run.start.clone();
    for event in run.log.borrow().iter() {
        tally.events += 1;
        match event {
            Event::Write { sector, data } => image.write(*sector, data).unwrap(),
            Event::Flush => continue,
            Event::Mark(mark) => promise.mark(mark),
        }
        for slot in [8, 16] {
            let mut rotten = image.clone();
            rotten.bytes_mut()[slot * SECTOR + 40] ^= 1;
            let outcome = match FileStorage::open_read_only(rotten.clone()) {
                Ok((_, report)) if !report.root_slot_lost => Err("the loss is not told".into()),
                _ => {
                    check(rotten, &promise, tally.events).and_then(|device| match FileStorage::open_read_only(device) {
                        Ok((_, report)) if !report.root_slot_lost => Ok(()),
                        _ => Err("not repaired".into()),
                    })
                }
            };
            tally.violations.extend(outcome.err());
        }
    }
    tally
}

#[test]
fn a_lost_root_loses_nothing() {
    for shape in Shape::ALL {
        for seed in 20..24 {
            let tally = lose_each_root(shape, seed);
            assert_eq!(tally.violations, Vec::<String>::new(), "{shape:?} {seed}");
            assert!(tally.events > 100, "{}", tally.events);
        }
    }
}

#[test]
fn early_reuse_of_segments_is_found() {
    let found = |seed| !lose_each_root(Shape::BUSY, seed).violations.is_empty();
    assert!(Defect::plant(Some(Defect::SegmentReusedEarly), || (20..30).any(found)));
}

#[test]
fn a_power_cut_while_opening_changes_nothing() {
    let mut states = 0;
    let run = workload(7, Shape::BUSY, Faults::default());
    let mut random = Random(7);
    let mut disk = Disk::new(run.start.clone(), 0);
    let mut promise = Promise::default();
    for event in run.log.borrow().iter() {
        match event {
            Event::Write { sector, data } => disk.write(*sector, data),
            Event::Flush => disk.flush(),
            Event::Mark(mark) => promise.mark(mark),
        }
        if disk.is_settled() || random.below(4) > 0 {
            continue;
        }
        let fates = disk.subsets(&mut random);
        let (image, _) = disk.apply(random.pick(&fates).unwrap());
        let device = RecordingDevice::<()>::new(image.clone());
        let log = device.log.clone();
        drop(FileStorage::open(device, TestClock::default()).map_err(|refused| refused.error).unwrap());
        let mut reopening = Disk::new(image, 0);
        for event in log.borrow().iter() {
            match event {
                Event::Write { sector, data } => reopening.write(*sector, data),
                Event::Flush => reopening.flush(),
                Event::Mark(()) => {}
            }
            for fates in reopening.subsets(&mut random) {
                states += 1;
                check(reopening.apply(&fates).0, &promise, states).unwrap();
            }
        }
    }
    assert!(states > 500, "{states}");
}
