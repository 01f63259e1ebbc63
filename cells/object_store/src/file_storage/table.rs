//! The segment table: what each segment is for.
//!
//! Segments are used in *runs* of one or more neighbours, so that a batch larger than a segment still is one contiguous
//! write. The first segment of a run carries the header, and the table the run's kind and generation: the [`Epoch`] whose
//! root published it. Generations order the log, and tell a segment's content from that of its earlier lives. A run of the
//! log that is *closed* says where its last batch ends, so that one missing at the end is noticed although the run that came
//! next may be gone.

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
    Head {
        kind: RunKind,
        generation: Epoch,
        /// The sector of the run behind its last batch, once no batch will follow.
        end: Option<u32>,
    },
    /// Belongs to the run before it.
    Continuation,
}

/// What a run holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunKind {
    /// Transactions.
    Log,
    /// Blocks of the index tree of this generation.
    Index,
}

/// Bits of a table entry below the kind: the end above the generation.
const GENERATION_BITS: u32 = 38;
const END_BITS: u32 = 24;

/// Neighbouring segments used as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) kind: RunKind,
    pub(crate) head: SegmentId,
    pub(crate) span: u32,
    pub(crate) generation: Epoch,
    /// The sector behind its last batch, if it is closed.
    pub(crate) end: Option<u32>,
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
            if let Use::Head { kind: found, generation, end } = *entry
                && found == kind
            {
                let continued = self.uses.iter().skip(index + 1).take_while(|next| **next == Use::Continuation).count();
                let (head, span) = (SegmentId::new(index as u32), 1 + continued as u32);
                runs.push(Run { kind, head, span, generation, end });
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

    /// Writes down where the last batch of a run of the log ends.
    pub(crate) fn close(&mut self, run: &Run, sector: u64) {
        if let Some(Use::Head { end, .. }) = self.uses.get_mut(run.head.number() as usize) {
            *end = u32::try_from(sector).ok();
        }
    }

    /// Enters a run.
    pub(crate) fn occupy(&mut self, run: &Run) {
        let start = run.head.number() as usize;
        for (offset, entry) in self.uses.iter_mut().skip(start).take(run.span as usize).enumerate() {
            *entry = match offset {
                0 => Use::Head { kind: run.kind, generation: run.generation, end: run.end },
                _ => Use::Continuation,
            };
        }
    }

    /// Frees a run.
    pub(crate) fn release(&mut self, run: &Run) {
        for entry in self.uses.iter_mut().skip(run.head.number() as usize).take(run.span as usize) {
            *entry = Use::Free;
        }
    }

    /// Frees the runs of an index tree.
    pub(crate) fn release_tree(&mut self, tree: Epoch) {
        for entry in &mut self.uses {
            if matches!(*entry, Use::Head { kind: RunKind::Index, generation, .. } if generation == tree) {
                *entry = Use::Free;
            }
        }
    }

    pub(crate) fn encode(&self, writer: &mut Writer) -> Result<(), StorageError> {
        for entry in &self.uses {
            let word = match *entry {
                Use::Free => 0,
                Use::Head { kind, generation, end } => {
                    let kind = if kind == RunKind::Log { 1 } else { 2 };
                    kind << 62 | u64::from(end.unwrap_or(0)) << GENERATION_BITS | generation.number()
                }
                Use::Continuation => 3 << 62,
            };
            writer.u64(word)?;
        }
        Ok(())
    }

    /// Reads a table; `None` if an entry makes no sense or a generation is later than `epoch`.
    pub(crate) fn decode(reader: &mut Reader<'_>, segments: u32, epoch: Epoch) -> Option<Self> {
        let mut table = Self::new(segments).ok()?;
        let mut previous = Use::Free;
        for entry in &mut table.uses {
            let word = reader.u64()?;
            let generation = Epoch::new(word & (u64::MAX >> (64 - GENERATION_BITS)));
            let end = (word >> GENERATION_BITS) as u32 & ((1 << END_BITS) - 1);
            let head = |kind| Use::Head { kind, generation, end: (end > 0).then_some(end) };
            *entry = match word >> 62 {
                0 if word == 0 => Use::Free,
                1 if generation <= epoch => head(RunKind::Log),
                2 if generation <= epoch && end == 0 => head(RunKind::Index),
                3 if word << 2 == 0 && matches!(previous, Use::Continuation | Use::Head { kind: RunKind::Log, .. }) => {
                    Use::Continuation
                }
                _ => return None,
            };
            previous = *entry;
        }
        let log = table.runs(RunKind::Log);
        let ordered = log.windows(2).all(|pair| match pair {
            [a, b] => a.generation < b.generation && a.end.is_some(),
            _ => false,
        });
        ordered.then_some(table)
    }
}
