//! The segment table: what each segment is for.
//!
//! Segments are used in *runs* of one or more neighbours, so that a batch larger than a segment still is one contiguous
//! write. The first segment of a run carries the header, and the table the run's kind and generation: the [`Epoch`] whose
//! root published it. Generations order the log, and tell a segment's content from that of its earlier lives.

use alloc::vec::Vec;

use super::defect::Defect;
use super::geometry::SEGMENTS_LIMIT;
use crate::codec::{Reader, Writer};
use crate::{Epoch, SegmentId, StorageError};

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Free,
    /// The first segment of a run.
    Head(RunKind, Epoch),
    /// Belongs to the run before it.
    Continuation,
}

/// What a run holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunKind {
    /// Transactions.
    Log,
    /// A part of the index checkpoint.
    Index,
}

impl RunKind {
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Log => 1,
            Self::Index => 2,
        }
    }
}

/// Neighbouring segments used as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) kind: RunKind,
    pub(crate) head: SegmentId,
    pub(crate) span: u32,
    pub(crate) generation: Epoch,
}

/// The use of every segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentTable {
    uses: Vec<Use>,
}

impl SegmentTable {
    /// All free.
    pub(crate) fn new(segments: u32) -> Result<Self, StorageError> {
        let segments = segments.min(SEGMENTS_LIMIT) as usize;
        let mut uses = Vec::new();
        uses.try_reserve_exact(segments)?;
        uses.resize(segments, Use::Free);
        Ok(Self { uses })
    }

    /// The runs of a kind, oldest generation first, neighbours of one generation in the order of their places.
    pub(crate) fn runs(&self, kind: RunKind) -> Vec<Run> {
        let mut runs = Vec::new();
        for (index, entry) in self.uses.iter().enumerate() {
            if let Use::Head(found, generation) = *entry
                && found == kind
            {
                let continued = self.uses.iter().skip(index + 1).take_while(|next| **next == Use::Continuation).count();
                runs.push(Run { kind, head: SegmentId::new(index as u32), span: 1 + continued as u32, generation });
            }
        }
        runs.sort_by_key(|run| (run.generation, run.head));
        runs
    }

    /// Whether a segment is free.
    pub(crate) fn is_free(&self, segment: u32) -> bool {
        self.uses.get(segment as usize) == Some(&Use::Free)
    }

    /// How many segments are free.
    pub(crate) fn free(&self) -> u32 {
        self.uses.iter().filter(|entry| **entry == Use::Free).count() as u32
    }

    /// The first `span` neighbours that are free here and in `other`.
    pub(crate) fn find_free(&self, other: &Self, span: u32) -> Option<SegmentId> {
        let mut length = 0;
        for index in 0..self.uses.len() as u32 {
            let held = !other.is_free(index) && !Defect::SegmentReusedEarly.is_planted();
            length = if self.is_free(index) && !held { length + 1 } else { 0 };
            if length == span {
                return Some(SegmentId::new(index + 1 - span));
            }
        }
        None
    }

    /// Enters a run.
    pub(crate) fn occupy(&mut self, run: &Run) {
        let start = run.head.number() as usize;
        for (offset, entry) in self.uses.iter_mut().skip(start).take(run.span as usize).enumerate() {
            *entry = if offset == 0 { Use::Head(run.kind, run.generation) } else { Use::Continuation };
        }
    }

    /// Frees a run.
    pub(crate) fn release(&mut self, run: &Run) {
        for entry in self.uses.iter_mut().skip(run.head.number() as usize).take(run.span as usize) {
            *entry = Use::Free;
        }
    }

    pub(crate) fn encode(&self, writer: &mut Writer) -> Result<(), StorageError> {
        for entry in &self.uses {
            writer.u64(match *entry {
                Use::Free => 0,
                Use::Head(RunKind::Log, generation) => 1 << 62 | generation.number(),
                Use::Head(RunKind::Index, generation) => 2 << 62 | generation.number(),
                Use::Continuation => 3 << 62,
            })?;
        }
        Ok(())
    }

    /// Reads a table; `None` if an entry makes no sense or a generation is later than `epoch`.
    pub(crate) fn decode(reader: &mut Reader<'_>, segments: u32, epoch: Epoch) -> Option<Self> {
        let mut table = Self::new(segments).ok()?;
        let mut previous = Use::Free;
        for entry in &mut table.uses {
            let word = reader.u64()?;
            let generation = Epoch::new(word & (u64::MAX >> 2));
            *entry = match word >> 62 {
                0 if word == 0 => Use::Free,
                1 if generation <= epoch => Use::Head(RunKind::Log, generation),
                2 if generation <= epoch => Use::Head(RunKind::Index, generation),
                3 if generation.number() == 0 && previous != Use::Free => Use::Continuation,
                _ => return None,
            };
            previous = *entry;
        }
        let log = table.runs(RunKind::Log);
        log.windows(2).all(|pair| matches!(pair, [a, b] if a.generation < b.generation)).then_some(table)
    }
}
