//! What a pack tells.

use alloc::vec::Vec;

use crate::Oid;

/// What a pack is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackPhase {
    /// Following references; the counts are of objects.
    Mark,
    /// Looking for objects that nothing refers to; the counts are of object numbers.
    Sweep,
    /// Freeing segments; the counts are of runs of the log. What was collected is gone already.
    Clean,
    /// Nothing is left to do.
    Done,
}

/// How far a pack is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackProgress {
    /// What it is doing.
    pub phase: PackPhase,
    /// How much of that is done.
    pub done: u64,
    /// How much there is, as far as it is known.
    pub total: u64,
    /// What came of it so far.
    pub report: PackReport,
}

/// What came of a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackReport {
    /// Objects that were collected.
    pub collected: u64,
    /// Segments that were freed.
    pub freed_segments: u64,
    /// Bytes of records and heads that were copied.
    pub moved_bytes: u64,
    /// References to objects that do not exist, a thousand at most.
    pub dangling: Vec<Dangling>,
    /// How many there are.
    pub dangling_total: u64,
}

/// A reference to an object that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// The object that refers.
    pub from: Oid,
    /// The object that does not exist.
    pub to: Oid,
}

impl PackProgress {
    /// No pack is in progress.
    pub(super) fn nothing() -> Self {
        Self { phase: PackPhase::Done, done: 0, total: 0, report: PackReport::default() }
    }
}
