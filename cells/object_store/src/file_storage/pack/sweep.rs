//! Sweeping: what the marks left, and what each segment still holds.

use alloc::vec::Vec;

use super::super::FileStorage;
use super::super::entry::Key;
use super::super::walk::FIRST;
use super::mark::Mark;
use crate::device::BlockDevice;
use crate::{Clock, Oid, StorageError, Tid};

/// Entries that are looked at in a step.
const STEP: usize = 1 << 15;

/// Entries that are looked at in the smallest step, so that a walk gets further than commits can push its end.
const STEP_LEAST: usize = 64;

/// What a walk through the index found.
pub(super) struct Sweep {
    /// Where the walk goes on; `None` at its end.
    next: Option<Key>,
    /// Objects from this number on are younger than the walk, which does not wait for them.
    limit: Oid,
    /// Objects that are not reachable, ascending.
    pub(super) collected: Vec<Oid>,
    /// Revisions that count no more, of objects that stay.
    pub(super) dead: u64,
    /// Revisions of objects that are collected.
    pub(super) unreachable: u64,
    /// Bytes of both.
    pub(super) dead_bytes: u64,
    /// Of each segment, the bytes of records that count.
    pub(super) live: Vec<u64>,
    /// Of each segment, whether it holds a record of an object that is collected.
    pub(super) holds_collected: Vec<bool>,
}

impl Sweep {
    pub(super) fn new(segments: u32, limit: Oid) -> Result<Self, StorageError> {
        let (mut live, mut holds_collected) = (Vec::new(), Vec::new());
        live.try_reserve_exact(segments as usize)?;
        live.resize(segments as usize, 0);
        holds_collected.try_reserve_exact(segments as usize)?;
        holds_collected.resize(segments as usize, false);
        Ok(Self {
            next: Some(FIRST),
            limit,
            collected: Vec::new(),
            dead: 0,
            unreachable: 0,
            dead_bytes: 0,
            live,
            holds_collected,
        })
    }

    /// Leaves out of the collected objects those that have been marked since.
    pub(super) fn spare(&mut self, mark: &Mark) {
        let before = self.collected.len();
        self.collected.dedup();
        self.collected.retain(|&oid| !mark.is_marked(oid));
        self.unreachable = self.unreachable.saturating_sub((before - self.collected.len()) as u64);
    }

    /// The object number that the walk has come to.
    pub(super) fn done(&self) -> u64 {
        self.next.map_or(0, |key| key.oid.number())
    }
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Walks on; answers whether the walk is at its end.
    pub(super) fn sweep_step(
        &mut self,
        sweep: &mut Sweep,
        mark: &Mark,
        horizon: Tid,
        budget: usize,
    ) -> Result<bool, StorageError> {
        let Some(from) = sweep.next else {
            return Ok(true);
        };
        let geometry = self.volume.root().geometry;
        let step = budget.clamp(STEP_LEAST, STEP);
        let last = self.last;
        let entries = self.consult(|index, volume, _| index.some_from(volume, from, step))?;
        let complete = entries.len() < step;
        sweep.next = None;
        // What is only voted is not looked at.
        for (number, &entry) in entries.iter().enumerate() {
            let following = entries.get(number + 1);
            if entry.key.oid >= sweep.limit {
                break;
            }
            if following.is_none() && !complete {
                // What follows decides whether it counts: it is looked at again.
                sweep.next = Some(entry.key);
                break;
            }
            if entry.place.is_gone() || entry.key.tid > last {
                continue;
            }
            let segment = geometry.locate(entry.place.address).0.number() as usize;
            let marked = mark.is_marked(entry.key.oid);
            let dead = following.is_some_and(|next| next.key.oid == entry.key.oid && next.key.tid <= horizon);
            if let Some(holds) = sweep.holds_collected.get_mut(segment) {
                *holds |= !marked;
            }
            let bytes = u64::from(entry.place.length);
            sweep.dead_bytes += if dead || !marked { bytes } else { 0 };
            match (marked, dead) {
                (true, true) => sweep.dead += 1,
                (true, false) => {
                    if let Some(live) = sweep.live.get_mut(segment) {
                        *live += bytes;
                    }
                }
                (false, true) => sweep.unreachable += 1,
                (false, false) => {
                    sweep.unreachable += 1;
                    sweep.collected.try_reserve(1)?;
                    sweep.collected.push(entry.key.oid);
                }
            }
        }
        Ok(sweep.next.is_none())
    }
}
