//! What became of transactions, for whoever did not hear it: a commit whose caller's call was cut off, a server that took
//! part in its caller's transaction.
//!
//! The last [`REMEMBERED`] that ended are remembered, in memory alone: a server that starts anew knows none, and then the
//! graph has to be asked.

use alloc::collections::VecDeque;

use object_store::{Tid, TransactionId};

/// How many ends are remembered.
pub const REMEMBERED: usize = 1024;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    Open,
    /// It was committed under this number.
    Committed(Tid),
    /// Nothing of it was committed, and nothing will be.
    Aborted,
    /// It ended too long ago, or never was; or the device failed in its commit, and the next opening will tell.
    Unknown,
}

/// The ends that are remembered, oldest first.
#[derive(Debug)]
pub struct Outcomes {
    /// With the number of the commit, where there was one.
    ended: VecDeque<(TransactionId, Option<Tid>)>,
    /// How many there ever were.
    noted: u64,
}

impl Default for Outcomes {
    /// Without any; it never takes more memory than now.
    fn default() -> Self {
        Outcomes { ended: VecDeque::with_capacity(REMEMBERED), noted: 0 }
    }
}

impl Outcomes {
    /// A transaction has ended.
    pub fn note(&mut self, id: TransactionId, committed: Option<Tid>) {
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((id, committed));
        self.noted += 1;
    }

    /// How many transactions have ended so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.noted
    }

    /// The ends that came after so many, as far as they are remembered, oldest first.
    pub fn after(&self, count: u64) -> impl Iterator<Item = (TransactionId, Option<Tid>)> {
        let later = usize::try_from(self.noted.saturating_sub(count)).unwrap_or(usize::MAX);
        self.ended.iter().skip(self.ended.len().saturating_sub(later)).copied()
    }

    /// What became of a transaction that is not open.
    #[must_use]
    pub fn of(&self, id: TransactionId) -> Outcome {
        match self.ended.iter().rev().find(|(ended, _)| *ended == id) {
            Some((_, Some(tid))) => Outcome::Committed(*tid),
            Some((_, None)) => Outcome::Aborted,
            None => Outcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ends_are_remembered_and_take_no_more_memory() {
        let mut outcomes = Outcomes::default();
        let room = outcomes.ended.capacity();
        for number in 1..=REMEMBERED as u64 + 1 {
            let committed = number.is_multiple_of(2).then(|| Tid::new(100 + number));
            outcomes.note(TransactionId::new(number), committed);
        }
        assert_eq!(outcomes.of(TransactionId::new(1)), Outcome::Unknown);
        assert_eq!(outcomes.of(TransactionId::new(2)), Outcome::Committed(Tid::new(102)));
        assert_eq!(outcomes.of(TransactionId::new(REMEMBERED as u64 + 1)), Outcome::Aborted);
        assert_eq!(outcomes.ended.capacity(), room);
    }
}
