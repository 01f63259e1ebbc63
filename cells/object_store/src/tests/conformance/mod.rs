//! What every storage does alike. Each case runs on every storage.
//!
//! Names that begin with a letter and a number, or with `case`, are those of the list of generic behaviours that the store
//! takes from ZODB, mended where ZODB's own are wanting.

mod basic;
mod copying;
mod groups;
mod iteration;
mod layers;
mod packing;
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
