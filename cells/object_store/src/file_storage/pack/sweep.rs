//! Sweeping: what the marks left, and what each segment still holds.

use alloc::vec::Vec;

use super::super::FileStorage;
use super::super::entry::{Key, TRANSACTIONS};
use super::super::walk::FIRST;
use super::mark::Mark;
use crate::device::BlockDevice;
use crate::{Clock, Oid, StorageError, Tid};

/// Entries that are looked at in a step.
const STEP: usize = 1 << 15;

/// What a walk through the index found.
pub(super) struct Sweep {
    /// Where the walk goes on; `None` at its end.
    next: Option<Key>,
    /// Objects that are not reachable, ascending.
    pub(super) collected: Vec<Oid>,
    /// Revisions that count no more, of objects that stay.
    pub(super) dead: u64,
    /// Of each segment, the bytes of records that count.
    pub(super) live: Vec<u64>,
    /// Of each segment, whether it holds a record of an object that is collected.
    pub(super) holds_collected: Vec<bool>,
}

impl Sweep {
    pub(super) fn new(segments: u32) -> Result<Self, StorageError> {
        let (mut live, mut holds_collected) = (Vec::new(), Vec::new());
        live.try_reserve_exact(segments as usize)?;
        live.resize(segments as usize, 0);
        holds_collected.try_reserve_exact(segments as usize)?;
        holds_collected.resize(segments as usize, false);
        Ok(Self { next: Some(FIRST), collected: Vec::new(), dead: 0, live, holds_collected })
    }

    /// The object number that the walk has come to.
    pub(super) fn done(&self) -> u64 {
        self.next.map_or(0, |key| key.oid.number())
    }
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Walks on; answers whether the walk is at its end.
    pub(super) fn sweep_step(&mut self, sweep: &mut Sweep, mark: &Mark, horizon: Tid) -> Result<bool, StorageError> {
        let Some(from) = sweep.next else {
            return Ok(true);
        };
        let geometry = self.volume.root().geometry;
        let entries = self.consult(|index, volume, _| index.some_from(volume, from, STEP))?;
        let complete = entries.len() < STEP;
        sweep.next = None;
        for (number, &entry) in entries.iter().enumerate() {
            let following = entries.get(number + 1);
            if entry.key.oid == TRANSACTIONS {
                break;
            }
            if following.is_none() && !complete {
                // What follows decides whether it counts: it is looked at again.
                sweep.next = Some(entry.key);
                break;
            }
            if entry.place.is_gone() {
                continue;
            }
            let segment = geometry.locate(entry.place.address).0.number() as usize;
            let marked = mark.is_marked(entry.key.oid);
            let dead = following.is_some_and(|next| next.key.oid == entry.key.oid && next.key.tid <= horizon);
            if let Some(holds) = sweep.holds_collected.get_mut(segment) {
                *holds |= !marked;
            }
            match (marked, dead) {
                (true, true) => sweep.dead += 1,
                (true, false) => {
                    if let Some(live) = sweep.live.get_mut(segment) {
                        *live += u64::from(entry.place.length);
                    }
                }
                (false, true) => {}
                (false, false) => {
                    sweep.collected.try_reserve(1)?;
                    sweep.collected.push(entry.key.oid);
                }
            }
        }
        Ok(sweep.next.is_none())
    }
}
