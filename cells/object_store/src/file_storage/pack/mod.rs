//! The pack: forgets history up to a horizon, collects what nothing refers to, and frees the segments.
//!
//! It goes in steps, between which commits go on. [`mark`] finds what is reachable: from the root as it was at the horizon,
//! from every record that was written later, and from the roots that the caller adds. [`sweep`] walks the index and finds the
//! rest. One batch then says where history begins and what ended: from there the pack is done as far as anyone can see, and
//! durable. [`clean`] copies what still counts out of the runs of the log before that batch, and frees them one by one; a
//! power cut there costs nothing, for the root says that runs are still to be cleaned.
//!
//! The numbers of objects and transactions stand in roots and batch headers, so that those of what a pack removes are never
//! issued again. A reference to an object that does not exist is reported and followed no further.

mod clean;
mod mark;
mod sweep;

use alloc::vec::Vec;

use clean::Clean;
use mark::Mark;
use sweep::Sweep;

use super::FileStorage;
use super::batch::{BatchKind, HEADER};
use super::frame::Content;
use super::geometry::BATCH_LIMIT;
use super::pack_body::{self, PackBody};
use super::volume::Reserve;
use crate::device::BlockDevice;
use crate::{Clock, Epoch, Garbage, Oid, PackError, PackProgress, PackReport, PackRequest, StorageError, Tid};

/// A pack in progress.
pub(crate) struct Pack {
    stage: Stage,
    report: PackReport,
    /// Objects that the caller holds.
    in_flight: Vec<Oid>,
    garbage: Garbage,
    /// What is to be done afterwards, where an older pack has to be ended first.
    then: Option<PackRequest>,
}

enum Stage {
    Mark(Mark),
    Sweep(Mark, Sweep),
    Clean(Clean),
}

/// What became of a step.
enum Advance {
    Working,
    Finished,
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    pub(crate) fn begin_pack(&mut self, request: PackRequest) -> Result<(), PackError> {
        self.check_running()?;
        self.check_settled()?;
        // One that a power cut left has ended for everyone but the segments: it is taken to its end first.
        if self.pack.as_ref().is_some_and(|pack| !pack.is_left_over()) {
            return Err(PackError::Running);
        }
        let horizon = request.horizon(self.last);
        self.pack_horizon = self.pack_horizon.max(horizon);
        let below = self.volume.root().clean_below;
        self.pack = Some(if below > Epoch::new(0) {
            Pack::resumed(self.horizon, below, Some(request))
        } else {
            self.new_pack(request)?
        });
        Ok(())
    }

    fn new_pack(&self, request: PackRequest) -> Result<Pack, StorageError> {
        let horizon = request.horizon(self.last);
        let mark = match request.garbage {
            Garbage::Collect => Mark::new(self.next_oid)?,
            Garbage::Keep => Mark::all(),
        };
        let report = PackReport::new(horizon);
        Ok(Pack {
            stage: Stage::Mark(mark),
            report,
            in_flight: request.in_flight,
            garbage: request.garbage,
            then: None,
        })
    }

    pub(crate) fn go_on_packing(&mut self, budget: usize) -> Result<PackProgress, PackError> {
        self.check_running()?;
        let mut pack = self.pack.take().ok_or(PackError::NotRunning)?;
        if pack.report.horizon <= self.horizon && !matches!(pack.stage, Stage::Clean(_)) {
            // Packed as far already.
            pack.report.horizon = self.horizon;
            return Ok(PackProgress::Done(pack.report));
        }
        match self.advance(&mut pack, budget)? {
            Advance::Working => {
                let (done, total) = pack.counts();
                self.pack = Some(pack);
                Ok(PackProgress::Working { done, total })
            }
            Advance::Finished => match pack.then.take() {
                None => Ok(PackProgress::Done(pack.report)),
                Some(request) => {
                    self.pack = Some(self.new_pack(request)?);
                    Ok(PackProgress::Working { done: 0, total: 0 })
                }
            },
        }
    }

    /// Whether segments are still to be freed after a pack, of this life or an earlier one: [`Storage::pack_step`] does it,
    /// and [`Storage::pack_start`] has it done first.
    ///
    /// [`Storage::pack_step`]: crate::Storage::pack_step
    /// [`Storage::pack_start`]: crate::Storage::pack_start
    #[must_use]
    pub fn packing(&self) -> bool {
        self.pack.is_some() || self.volume.root().clean_below > Epoch::new(0)
    }

    /// The horizon up to which history is gone, durably. A pack that has not dropped anything yet has moved
    /// [`Storage::horizon`](crate::Storage::horizon) only.
    #[must_use]
    pub fn packed_up_to(&self) -> Tid {
        self.horizon
    }

    fn advance(&mut self, pack: &mut Pack, budget: usize) -> Result<Advance, StorageError> {
        let horizon = pack.report.horizon;
        match &mut pack.stage {
            Stage::Mark(mark) => {
                if !mark.is_started() {
                    self.mark_roots(mark, horizon, &pack.in_flight)?;
                }
                if self.mark_step(mark, horizon, budget)? {
                    let sweep = Sweep::new(self.volume.root().geometry.segments, Oid::new(self.next_oid))?;
                    let mark = core::mem::replace(mark, Mark::all());
                    pack.stage = Stage::Sweep(mark, sweep);
                }
                Ok(Advance::Working)
            }
            Stage::Sweep(mark, sweep) => {
                if !self.sweep_step(sweep, mark, horizon, budget)? {
                    return Ok(Advance::Working);
                }
                // What was committed or voted since is followed to its end, and decided on in the same step.
                if pack.garbage == Garbage::Collect {
                    self.mark_voted(mark, horizon)?;
                    while !self.mark_step(mark, horizon, usize::MAX)? {}
                    sweep.spare(mark);
                }
                mark.dangling.sort_unstable();
                pack.report.dangling = core::mem::take(&mut mark.dangling);
                pack.report.dangling_count = mark.dangling_total;
                let collected = core::mem::take(&mut sweep.collected);
                let below = self.with_group_aside(|storage| storage.collect(horizon, &collected))?;
                pack.report.objects = collected.len() as u64;
                pack.report.revisions = sweep.dead + sweep.unreachable;
                pack.report.bytes = sweep.dead_bytes;
                pack.stage = Stage::Clean(Clean::after(below, sweep));
                Ok(Advance::Working)
            }
            Stage::Clean(clean) => {
                let report = &mut pack.report;
                let finished = self.with_group_aside(|storage| storage.clean_step(clean, report))?;
                Ok(if finished { Advance::Finished } else { Advance::Working })
            }
        }
    }

    /// Makes it durable that history begins at the horizon and that these objects ended. Runs of smaller generations than the
    /// answer are to be cleaned.
    fn collect(&mut self, horizon: Tid, collected: &[Oid]) -> Result<Epoch, StorageError> {
        let segment = self.volume.root().geometry.segment_bytes() - 2 * crate::device::SECTOR as u64;
        let room = segment.min(BATCH_LIMIT) as usize - HEADER - pack_body::FIXED;
        let mut below = None;
        let mut parts: Vec<&[Oid]> = collected.chunks((room / pack_body::OID_BYTES).max(1)).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for part in parts {
            let body = pack_body::encode(horizon, part)?;
            let length = (HEADER + body.len()) as u64;
            // The first one begins a run, so that all runs before it can be cleaned.
            let mut frame = match below {
                None => self.frame_in_new_run(length, Reserve::Open)?,
                Some(_) => self.frame(length, Reserve::Open)?,
            };
            let oid_reserved = self.oid_reserved;
            let publication = if frame.opens_run {
                let mut root = self.root_of(&frame, self.last, oid_reserved)?;
                let generation = *below.get_or_insert(root.epoch);
                root.horizon = horizon;
                root.clean_below = generation;
                Some(root.prepare()?)
            } else {
                None
            };
            frame.body().try_reserve(body.len())?;
            frame.body().extend_from_slice(&body);
            let content = Content { kind: BatchKind::Pack, transactions: 0, last: self.last, oid_reserved };
            self.append(frame, content, publication)?;
            self.horizon = horizon;
            self.objects = self.objects.saturating_sub(part.len() as u64);
            let body = PackBody { horizon, collected: part.to_vec() };
            self.index.insert(body.entries());
        }
        Ok(below.unwrap_or(self.volume.root().epoch))
    }
}

impl Pack {
    /// The pack that an earlier life left: runs below this generation are to be cleaned.
    pub(crate) fn resumed(horizon: Tid, below: Epoch, then: Option<PackRequest>) -> Self {
        let stage = Stage::Clean(Clean::resumed(below));
        Self { stage, report: PackReport::new(horizon), in_flight: Vec::new(), garbage: Garbage::Collect, then }
    }

    /// Whether nobody of this life has started it.
    fn is_left_over(&self) -> bool {
        self.then.is_none() && matches!(&self.stage, Stage::Clean(clean) if clean.is_resumed())
    }

    fn counts(&self) -> (u64, u64) {
        match &self.stage {
            Stage::Mark(mark) => (mark.done(), mark.known()),
            Stage::Sweep(mark, sweep) => (sweep.done(), mark.objects().max(sweep.done())),
            Stage::Clean(clean) => (clean.done(), clean.total()),
        }
    }
}
