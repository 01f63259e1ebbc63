//! Ends of processes that the graph refused to be told of, for the store is full or has stopped: when it is told again.
//!
//! Every transaction that wrote a Process object signals this server when it ends, its own aborted ones too. Without a rest
//! between two attempts a store that refuses would be asked for ever, and nobody below this server's priority would run.

use alloc::collections::BTreeSet;

use object_model::Oid;

/// Nanoseconds before the second attempt; each further one waits twice as long.
const FIRST: u64 = 100_000_000;
/// The longest rest.
const LONGEST: u64 = 60_000_000_000;

/// The processes of which the graph has not been told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unnoted {
    refused: BTreeSet<Oid>,
    rest: u64,
    again: u64,
}

impl Unnoted {
    /// Whether it is too early to tell of a process again.
    pub fn rests(&self, oid: Oid, now: u64) -> bool {
        now < self.again && self.refused.contains(&oid)
    }

    /// The graph refused to be told. Refusals of one round count once.
    pub fn refuse(&mut self, oid: Oid, now: u64) {
        self.refused.insert(oid);
        if now >= self.again {
            self.rest = self.rest.saturating_mul(2).clamp(FIRST, LONGEST);
            self.again = now.saturating_add(self.rest);
        }
    }

    /// The graph knows of a process: it can be told of the others too.
    pub fn note(&mut self, oid: Oid) {
        self.refused.remove(&oid);
        (self.rest, self.again) = (0, 0);
    }

    /// Forgets those of which there is nothing to tell any more.
    pub fn retain(&mut self, is_unnoted: impl Fn(Oid) -> bool) {
        self.refused.retain(|oid| is_unnoted(*oid));
    }

    /// When the next attempt is due, in nanoseconds since boot.
    pub fn next_due(&self) -> Option<u64> {
        (!self.refused.is_empty()).then_some(self.again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_followed_by_a_rest_that_grows() {
        let (one, other) = (Oid::new(1), Oid::new(2));
        let mut unnoted = Unnoted::default();
        assert_eq!(unnoted.next_due(), None);
        let mut now = 5;
        let mut rests = alloc::vec::Vec::new();
        for _ in 0..12 {
            unnoted.refuse(one, now);
            unnoted.refuse(other, now + 1);
            assert!(unnoted.rests(one, now + 1) && !unnoted.rests(Oid::new(3), now + 1));
            let due = unnoted.next_due().expect("due");
            assert!(!unnoted.rests(one, due) && !unnoted.rests(other, due));
            rests.push(due - now);
            now = due;
        }
        assert_eq!(rests[..3], [FIRST, 2 * FIRST, 4 * FIRST]);
        assert_eq!(rests[11], LONGEST);
    }

    #[test]
    fn who_is_noted_lets_the_others_be_told_at_once() {
        let mut unnoted = Unnoted::default();
        unnoted.refuse(Oid::new(1), 7);
        unnoted.refuse(Oid::new(2), 7);
        unnoted.note(Oid::new(1));
        assert!(!unnoted.rests(Oid::new(2), 8));
        assert_eq!(unnoted.next_due(), Some(0));
        unnoted.refuse(Oid::new(2), 9);
        assert_eq!(unnoted.next_due(), Some(9 + FIRST));
        unnoted.retain(|_| false);
        assert_eq!(unnoted.next_due(), None);
    }
}
