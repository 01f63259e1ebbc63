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
mod progress;
mod sweep;

pub use progress::{Dangling, PackPhase, PackProgress, PackReport};

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
use crate::{Clock, Epoch, Oid, StorageError, Tid};

/// A pack in progress.
pub(crate) struct Pack {
    horizon: Tid,
    stage: Stage,
    report: PackReport,
}

enum Stage {
    Mark(Mark),
    Sweep(Mark, Sweep),
    Clean(Clean),
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Begins a pack: history up to `horizon`, or up to the last transaction if that is earlier, will be forgotten. The caller
    /// must not give a horizon later than what a snapshot that is still open may read. Besides what is reachable from the
    /// root and from later records, `roots` and what is reachable from them are kept.
    ///
    /// A pack that a power cut interrupted while it freed segments goes on by itself with [`pack_step`](Self::pack_step).
    ///
    /// # Errors
    /// [`StorageError::Busy`]: a pack is in progress already. [`StorageError::ReadOnly`], [`StorageError::Stopped`],
    /// [`StorageError::OutOfMemory`].
    pub fn pack_begin(&mut self, horizon: Tid, roots: &[Oid]) -> Result<(), StorageError> {
        self.check_running()?;
        if self.pack.is_some() {
            return Err(StorageError::Busy);
        }
        let horizon = horizon.min(self.last);
        if horizon <= self.horizon {
            return Ok(());
        }
        let mark = Mark::new(self.next_oid, roots)?;
        self.pack = Some(Pack { horizon, stage: Stage::Mark(mark), report: PackReport::default() });
        Ok(())
    }

    /// Does a bounded piece of the pack in progress. Commits may go on between the steps.
    ///
    /// # Errors
    /// [`StorageError::Busy`]: a transaction is voted; finish or abort it first. [`StorageError::OutOfSpace`]: the pack waits;
    /// nothing is lost. [`StorageError::Rot`]: a record that must be followed or kept is damaged; the pack waits.
    /// [`StorageError::OutOfMemory`], [`StorageError::Device`], [`StorageError::Stopped`], [`StorageError::ReadOnly`].
    pub fn pack_step(&mut self) -> Result<PackProgress, StorageError> {
        self.check_writable()?;
        let Some(mut pack) = self.pack.take() else {
            return Ok(PackProgress::nothing());
        };
        let finished = self.advance(&mut pack);
        let progress = pack.progress(matches!(finished, Ok(true)));
        if !matches!(finished, Ok(true)) {
            self.pack = Some(pack);
        }
        finished.map(|_| progress)
    }

    /// Gives up a pack that has not collected anything yet; one that has goes on.
    pub fn pack_cancel(&mut self) {
        self.pack.take_if(|pack| !matches!(pack.stage, Stage::Clean(_)));
    }

    /// Where history begins: of the revisions up to this transaction, only the last of each object counts.
    #[must_use]
    pub fn horizon(&self) -> Tid {
        self.horizon
    }

    /// Whether a pack is in progress.
    #[must_use]
    pub fn packing(&self) -> bool {
        self.pack.is_some()
    }

    fn advance(&mut self, pack: &mut Pack) -> Result<bool, StorageError> {
        match &mut pack.stage {
            Stage::Mark(mark) => {
                if self.mark_step(mark, pack.horizon)? {
                    let sweep = Sweep::new(self.volume.root().geometry.segments)?;
                    let mark = core::mem::replace(mark, Mark::empty());
                    pack.stage = Stage::Sweep(mark, sweep);
                }
                Ok(false)
            }
            Stage::Sweep(mark, sweep) => {
                if !self.sweep_step(sweep, mark, pack.horizon)? {
                    return Ok(false);
                }
                // What was committed since is followed to its end, and decided on in the same step.
                while !self.mark_step(mark, pack.horizon)? {}
                sweep.collected.retain(|&oid| !mark.is_marked(oid));
                sweep.collected.dedup();
                pack.report.dangling = core::mem::take(&mut mark.dangling);
                pack.report.dangling_total = mark.dangling_total;
                if sweep.collected.is_empty() && sweep.dead == 0 {
                    return Ok(true);
                }
                let below = self.collect(pack.horizon, &sweep.collected)?;
                pack.report.collected = sweep.collected.len() as u64;
                pack.stage = Stage::Clean(Clean::after(below, sweep));
                Ok(false)
            }
            Stage::Clean(clean) => self.clean_step(clean, &mut pack.report),
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
    pub(crate) fn resumed(horizon: Tid, below: Epoch) -> Self {
        Self { horizon, stage: Stage::Clean(Clean::resumed(below)), report: PackReport::default() }
    }

    fn progress(&self, finished: bool) -> PackProgress {
        let (phase, done, total) = match &self.stage {
            _ if finished => (PackPhase::Done, 1, 1),
            Stage::Mark(mark) => (PackPhase::Mark, mark.done(), mark.known()),
            Stage::Sweep(mark, sweep) => (PackPhase::Sweep, sweep.done(), mark.objects()),
            Stage::Clean(clean) => (PackPhase::Clean, clean.done(), clean.total()),
        };
        PackProgress { phase, done, total, report: self.report.clone() }
    }
}
