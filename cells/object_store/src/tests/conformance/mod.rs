//! What every storage does alike. Each case runs on every storage.
//!
//! Names that begin with a letter and a number, or with `case`, are those of the list of generic behaviours that the store
//! takes from ZODB, mended where ZODB's own are wanting.
//!
//! | behaviours | where |
//! | --- | --- |
//! | B, H, I, V: storing, loading, history, iteration | `basic`, `iteration` |
//! | U, cases 1 to 3: undo | `undoing` |
//! | K, cases 4 to 8, 12, 13: packing | `packing` |
//! | Y, F7, F8: copying | `copying` |
//! | B7, B15, S: voting, finishing, aborting | `groups` |
//! | C, M, cases 14 to 19: conflicts, snapshots, savepoints | `tests::store`, `tests::transactions` |
//! | R: races | `tests::clients` |
//! | P, O, X, F, cases 9 to 11: what a device does | the other modules of `tests` |
//!
//! Held by types, so that there is nothing to test: a change without a begin, a vote or finish of another's transaction, a
//! second finish (B1, S1, S2, S5, S6), commits within a walk (I6, I7), several threads in a storage (T, B16). ZODB's answers
//! that are not ours: an undo copies states instead of pointing back at them (U13); of two changes of an object in one
//! transaction only the last is ever seen (case 20); there is no callback in a finish (case 20).

mod basic;
mod copying;
mod groups;
mod iteration;
mod layers;
mod packing;
mod properties;
mod undoing;

use super::support::{TestClock, formatted};
use crate::{DemoStorage, FileStorage, MappingStorage, MemoryDevice};

/// A storage under test and its clock.
struct Subject<S> {
    storage: S,
    clock: TestClock,
}

fn mapping() -> Subject<MappingStorage<TestClock>> {
    let clock = TestClock::default();
    Subject { storage: MappingStorage::new(clock.clone()), clock }
}

fn file() -> Subject<FileStorage<MemoryDevice, TestClock>> {
    let clock = TestClock::default();
    let (storage, _) = FileStorage::open(formatted(16, 64), clock.clone()).unwrap();
    Subject { storage, clock }
}

/// A log so narrow that nearly every commit begins a run.
fn narrow_file() -> Subject<FileStorage<MemoryDevice, TestClock>> {
    let clock = TestClock::default();
    let (storage, _) = FileStorage::open(formatted(200, 4), clock.clone()).unwrap();
    Subject { storage, clock }
}

/// Changes over an empty base.
fn demo() -> Subject<DemoStorage<MappingStorage<TestClock>, TestClock>> {
    let Subject { storage, clock } = mapping();
    Subject { storage: DemoStorage::over(storage, clock.clone()), clock }
}

macro_rules! on_every_storage {
    ($($name:ident)*) => {
        mod on_mapping { $(#[test] fn $name() { super::$name(super::super::mapping()); })* }
        mod on_file { $(#[test] fn $name() { super::$name(super::super::file()); })* }
        mod on_narrow_file { $(#[test] fn $name() { super::$name(super::super::narrow_file()); })* }
        mod on_demo { $(#[test] fn $name() { super::$name(super::super::demo()); })* }
    };
}
use on_every_storage;
