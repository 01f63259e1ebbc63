//! Who is to hear of which commits, and what the last commits changed.
//!
//! A client watches an object: it is signalled when a transaction ends that has written the object, or an object that refers
//! to it. References stand in a table of the record, so that the store's opaque payloads need not be read; and since a clone
//! refers to what it was cloned from, who watches a prototype hears of everything made of it. The signal says no more than
//! that something may have changed: [`Watches::since`] says what was. A transaction that was aborted is signalled too, for
//! those who took part in it, and a signal may come without a change.
//!
//! What is not watched costs a commit one comparison with zero, and each record that is stored a look at its references.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use object_store::{Oid, Tid};

/// The most watches.
pub const MOST: usize = 16;
/// The most changes that are remembered.
pub const REMEMBERED: usize = 1024;

/// One watch.
#[derive(Debug)]
struct Watch<N> {
    /// The badge of the client.
    client: u64,
    oid: Oid,
    signal: N,
}

/// What the last commits changed of what is watched is not known as far back as was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// The watches, each with a signal of type `N`, and the last changes that concerned one.
#[derive(Debug)]
pub struct Watches<N> {
    watches: Vec<Watch<N>>,
    changes: VecDeque<(Tid, Oid)>,
    /// How many there ever were.
    noted: u64,
    /// Later changes are all known.
    known_from: Tid,
}

impl<N> Watches<N> {
    /// Without watches, in a store whose last commit was this one.
    #[must_use]
    pub fn new(last: Tid) -> Self {
        let changes = VecDeque::with_capacity(REMEMBERED);
        Watches { watches: Vec::with_capacity(MOST), changes, noted: 0, known_from: last }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.watches.len()
    }

    /// Adds a watch. Answers the signal of the client's earlier one of the same object, which it takes the place of.
    ///
    /// # Errors
    /// The signal, where there are too many.
    pub fn add(&mut self, client: u64, oid: Oid, signal: N) -> Result<Option<N>, N> {
        let known = self.watches.iter_mut().find(|watch| watch.client == client && watch.oid == oid);
        if let Some(watch) = known {
            return Ok(Some(core::mem::replace(&mut watch.signal, signal)));
        }
        if self.watches.len() >= MOST {
            return Err(signal);
        }
        self.watches.push(Watch { client, oid, signal });
        Ok(None)
    }

    /// Whether a new state of an object, with these references, concerns anybody.
    #[must_use]
    pub fn concern(&self, oid: Oid, references: &[Oid]) -> bool {
        self.watches.iter().any(|watch| watch.oid == oid || references.contains(&watch.oid))
    }

    /// Signals everybody. Signals that reach nobody any more are taken out and answered.
    pub fn tell(&mut self, mut signal: impl FnMut(&N) -> bool) -> Vec<N> {
        let gone = self.watches.extract_if(.., |watch| !signal(&watch.signal));
        gone.map(|watch| watch.signal).collect()
    }

    /// A commit changed these objects, which somebody watches.
    pub fn note(&mut self, tid: Tid, changed: &BTreeSet<Oid>) {
        for oid in changed {
            if self.changes.len() == REMEMBERED
                && let Some((oldest, _)) = self.changes.pop_front()
            {
                self.known_from = oldest;
            }
            self.changes.push_back((tid, *oid));
            self.noted += 1;
        }
    }

    /// Each watch: its client, its object and its signal.
    pub fn all(&self) -> impl Iterator<Item = (u64, Oid, &N)> {
        self.watches.iter().map(|watch| (watch.client, watch.oid, &watch.signal))
    }

    /// Since when all changes are known.
    #[must_use]
    pub fn known_from(&self) -> Tid {
        self.known_from
    }

    /// Changes are known from an earlier commit on: those between have been noted here.
    pub fn know_from(&mut self, since: Tid) {
        self.known_from = since;
    }

    /// How many changes were noted so far.
    #[must_use]
    pub fn count_changes(&self) -> u64 {
        self.noted
    }

    /// The changes that came after so many, as far as they are remembered, oldest first.
    pub fn changes_after(&self, count: u64) -> impl Iterator<Item = (Tid, Oid)> {
        let later = usize::try_from(self.noted.saturating_sub(count)).unwrap_or(usize::MAX);
        self.changes.iter().skip(self.changes.len().saturating_sub(later)).copied()
    }

    /// What has changed after a commit, `most` objects at most, and up to which commit that is: `last`, the last one of
    /// all, unless there is more.
    ///
    /// # Errors
    /// [`Lost`], also where one commit changed more than `most`.
    pub fn since(&self, since: Tid, most: usize, last: Tid) -> Result<(Tid, Vec<Oid>), Lost> {
        if since < self.known_from {
            return Err(Lost);
        }
        let later: Vec<&(Tid, Oid)> = self.changes.iter().filter(|(tid, _)| *tid > since).collect();
        let oids = |changes: &[&(Tid, Oid)]| changes.iter().map(|(_, oid)| *oid).collect();
        let Some((next, _)) = later.get(most) else { return Ok((last, oids(&later))) };
        // A commit that does not fit whole waits for the next time.
        let whole = later.iter().take_while(|(tid, _)| tid < next).count();
        match later.get(..whole) {
            Some(page @ [.., (upto, _)]) => Ok((*upto, oids(page))),
            _ => Err(Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: Tid = Tid::new(10_000);

    fn changed(watches: &mut Watches<u8>, tid: u64, oids: core::ops::Range<u64>) {
        watches.note(Tid::new(tid), &oids.map(Oid::new).collect());
    }

    fn numbers(oids: &[Oid]) -> Vec<u64> {
        oids.iter().map(|oid| oid.number()).collect()
    }

    #[test]
    fn an_object_and_what_refers_to_it_concern_its_watch() {
        let mut watches = Watches::new(Tid::ZERO);
        assert!(!watches.concern(Oid::new(5), &[]));
        assert_eq!(watches.add(2, Oid::new(5), 'a'), Ok(None));
        assert!(watches.concern(Oid::new(5), &[]));
        assert!(watches.concern(Oid::new(9), &[Oid::new(4), Oid::new(5)]));
        assert!(!watches.concern(Oid::new(9), &[Oid::new(4)]));
    }

    #[test]
    fn a_client_watches_an_object_once_and_what_is_gone_makes_room() {
        let mut watches = Watches::new(Tid::ZERO);
        assert_eq!(watches.add(2, Oid::new(1), 1), Ok(None));
        assert_eq!(watches.add(2, Oid::new(1), 2), Ok(Some(1)), "a second one takes its place");
        for number in 2..=MOST {
            assert_eq!(watches.add(2, Oid::new(number as u64), number), Ok(None));
        }
        assert_eq!(watches.add(3, Oid::new(1), 99), Err(99));
        assert_eq!(watches.tell(|signal| *signal != 7), [7]);
        assert_eq!(watches.add(3, Oid::new(1), 99), Ok(None));
        assert_eq!(watches.count(), MOST);
    }

    #[test]
    fn changes_are_told_by_whole_commits() {
        let mut watches = Watches::new(Tid::new(5));
        changed(&mut watches, 6, 1..3);
        changed(&mut watches, 7, 3..5);
        assert_eq!(watches.since(Tid::new(4), 9, LAST), Err(Lost), "before the server knew anything");
        let all = watches.since(Tid::new(5), 9, LAST).map(|(upto, oids)| (upto, numbers(&oids)));
        assert_eq!(all, Ok((LAST, [1, 2, 3, 4].to_vec())));
        let first = watches.since(Tid::new(5), 3, LAST).map(|(upto, oids)| (upto.number(), numbers(&oids)));
        assert_eq!(first, Ok((6, [1, 2].to_vec())));
        let rest = watches.since(Tid::new(6), 3, LAST).map(|(upto, oids)| (upto, numbers(&oids)));
        assert_eq!(rest, Ok((LAST, [3, 4].to_vec())));
        assert_eq!(watches.since(Tid::new(6), 1, LAST), Err(Lost), "one commit is too long for the page");
    }

    #[test]
    fn what_is_forgotten_is_said_to_be_lost() {
        let mut watches = Watches::new(Tid::ZERO);
        let room = watches.changes.capacity();
        for tid in 1..=REMEMBERED as u64 + 1 {
            changed(&mut watches, tid, 1..2);
        }
        assert_eq!(watches.since(Tid::ZERO, 5000, LAST), Err(Lost));
        assert_eq!(watches.since(Tid::new(1), 5000, LAST).map(|(_, oids)| oids.len()), Ok(REMEMBERED));
        assert_eq!(watches.changes.capacity(), room);
    }
}
