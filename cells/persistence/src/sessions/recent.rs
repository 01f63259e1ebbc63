//! What the last commits changed, for clients that keep states between their transactions.
//!
//! One bounded queue serves all of them: each says up to which transaction it knows the state, and is told what others
//! changed since. Who has fallen too far behind, or kept states over the server's restart, has to forget everything.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use object_store::{Oid, Tid};
use serde::{Deserialize, Serialize};

/// The most objects that are remembered, each as often as it was changed.
pub const REMEMBERED: usize = 4_096;

/// What was asked for is not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    tid: Tid,
    /// The thread whose own cache has the state that was stored; `None` where nobody's has.
    by: Option<u64>,
    oid: Oid,
}

/// The changes, oldest first.
#[derive(Debug)]
pub struct Recent {
    changes: VecDeque<Change>,
    /// How many there ever were.
    noted: u64,
    /// Later changes are all known.
    known_from: Tid,
}

impl Recent {
    /// Without changes, in a store whose last commit was this one.
    #[must_use]
    pub fn new(last: Tid) -> Self {
        Recent { changes: VecDeque::with_capacity(REMEMBERED), noted: 0, known_from: last }
    }

    /// Since when all changes are known.
    #[must_use]
    pub fn known_from(&self) -> Tid {
        self.known_from
    }

    /// How many changes were noted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.noted
    }

    /// The changes that came after so many, as far as they are remembered, oldest first.
    pub fn after(&self, count: u64) -> impl Iterator<Item = Change> {
        let later = usize::try_from(self.noted.saturating_sub(count)).unwrap_or(usize::MAX);
        self.changes.iter().skip(self.changes.len().saturating_sub(later)).copied()
    }

    /// Goes on with what another instance of the server has noted.
    pub fn go_on(&mut self, known_from: Tid, changes: Vec<Change>) {
        self.known_from = known_from;
        changes.into_iter().filter(|change| change.tid > known_from).for_each(|change| self.push(change));
    }

    /// A thread has committed new states of these objects; of `foreign`, in ascending order, others than it
    /// had put.
    pub fn note(&mut self, tid: Tid, by: u64, written: impl Iterator<Item = Oid>, foreign: &[Oid]) {
        let own = written.filter(|oid| foreign.binary_search(oid).is_err()).map(|oid| (Some(by), oid));
        for (by, oid) in own.chain(foreign.iter().map(|oid| (None, *oid))) {
            self.push(Change { tid, by, oid });
        }
    }

    fn push(&mut self, change: Change) {
        if self.changes.len() == REMEMBERED
            && let Some(oldest) = self.changes.pop_front()
        {
            self.known_from = oldest.tid;
        }
        self.changes.push_back(change);
        self.noted += 1;
    }

    /// Nothing of before is known any more: a pack has dropped objects.
    pub fn forget(&mut self, last: Tid) {
        self.changes.clear();
        self.known_from = last;
    }

    /// What is new to a thread that knows the state after `since` and sees that after `snapshot`; `most` objects at most.
    ///
    /// # Errors
    /// [`Forgotten`], also where it is more.
    pub fn since(&self, since: Tid, snapshot: Tid, thread: u64, most: usize) -> Result<Vec<Oid>, Forgotten> {
        if since < self.known_from {
            return Err(Forgotten);
        }
        let from = self.changes.partition_point(|change| change.tid <= since);
        let new = self.changes.iter().skip(from).take_while(|change| change.tid <= snapshot);
        let mut oids: Vec<Oid> = new.filter(|change| change.by != Some(thread)).map(|change| change.oid).collect();
        oids.sort_unstable();
        oids.dedup();
        if oids.len() > most { Err(Forgotten) } else { Ok(oids) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: u64 = 1;
    const BOB: u64 = 2;

    fn oids(numbers: impl IntoIterator<Item = u64>) -> Vec<Oid> {
        numbers.into_iter().map(Oid::new).collect()
    }

    #[test]
    fn a_client_hears_of_what_others_changed_up_to_its_snapshot() {
        let mut recent = Recent::new(Tid::new(5));
        recent.note(Tid::new(6), ALICE, oids([1, 2]).into_iter(), &[]);
        recent.note(Tid::new(7), BOB, oids([2, 3]).into_iter(), &[]);
        recent.note(Tid::new(8), BOB, oids([4]).into_iter(), &[]);
        assert_eq!(recent.since(Tid::new(5), Tid::new(7), ALICE, 9), Ok(oids([2, 3])), "its own it has already");
        assert_eq!(recent.since(Tid::new(5), Tid::new(7), 9, 9), Ok(oids([1, 2, 3])));
        assert_eq!(recent.since(Tid::new(7), Tid::new(8), ALICE, 9), Ok(oids([4])));
        assert_eq!(recent.since(Tid::new(4), Tid::new(8), ALICE, 9), Err(Forgotten), "before the server knew anything");
        assert_eq!(recent.since(Tid::new(5), Tid::new(8), ALICE, 2), Err(Forgotten), "more than fits");
    }

    #[test]
    fn what_was_merged_is_new_to_its_own_writer() {
        let mut recent = Recent::new(Tid::ZERO);
        recent.note(Tid::new(1), ALICE, oids([1, 2]).into_iter(), &[Oid::new(2)]);
        assert_eq!(recent.since(Tid::ZERO, Tid::new(1), ALICE, 9), Ok(oids([2])));
    }

    #[test]
    fn the_queue_is_bounded_and_says_so() {
        let mut recent = Recent::new(Tid::ZERO);
        let room = recent.changes.capacity();
        for tid in 1..=REMEMBERED as u64 + 1 {
            recent.note(Tid::new(tid), ALICE, oids([1]).into_iter(), &[]);
        }
        let last = Tid::new(REMEMBERED as u64 + 1);
        assert_eq!(recent.since(Tid::ZERO, last, BOB, 9), Err(Forgotten));
        assert_eq!(recent.since(Tid::new(1), last, BOB, 9), Ok(oids([1])));
        assert_eq!(recent.changes.capacity(), room);
        recent.forget(last);
        assert_eq!(recent.since(Tid::new(1), last, BOB, 9), Err(Forgotten));
    }
}
