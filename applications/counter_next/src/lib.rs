//! The next version of the counter: it keeps the sum of all counts, and its state is of schema 2.
//!
//! It shows what a version with another schema has to do: import what the version before it exports, and export that again, so
//! that the version before can go on where this one fails. `make push CELL=counter_next`, then `replace counter` at the prompt.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub use counter::Counter;
use counter::{Counts, decode, encode, serve};
use runtime::{Environment, State};

/// The schema of the first version, which this one reads and writes as well.
const FIRST: u32 = 1;
/// The schema of this one: the sum, and pairs of client and count.
const SECOND: u32 = 2;

/// Counts by client, with their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Second {
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl State for Second {
    fn export(&self, schema: u32) -> Option<Vec<u8>> {
        match schema {
            FIRST => encode(&self.counts),
            SECOND => postcard::to_allocvec(&(self.total, &self.counts)).ok(),
            _ => None,
        }
    }

    fn import(schema: u32, bytes: &[u8]) -> Option<Self> {
        match schema {
            FIRST => decode(bytes).map(Self::from_saved),
            SECOND => match postcard::take_from_bytes(bytes) {
                Ok(((total, counts), [])) => Some(Second { counts, total }),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Counts for Second {
    const VERSION: u64 = 2;

    fn from_saved(counts: BTreeMap<u64, u64>) -> Self {
        let total = counts.values().copied().fold(0, u64::wrapping_add);
        Second { counts, total }
    }

    fn counts(&self) -> &BTreeMap<u64, u64> {
        &self.counts
    }

    fn next(&mut self, client: u64) -> u64 {
        let count = self.counts.entry(client).or_insert(0);
        *count = count.wrapping_add(1);
        self.total = self.total.wrapping_add(1);
        *count
    }

    fn total(&self) -> u64 {
        self.total
    }
}

/// The entry of the cell.
pub fn main(environment: Environment) -> u64 {
    serve::<Second>(environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use counter::First;

    #[test]
    fn the_state_goes_there_and_back_between_the_versions() {
        let mut first = First::from_saved(BTreeMap::from([(7, 2)]));
        first.next(9);
        let bytes = first.export(FIRST).expect("it has a state");
        let mut second = Second::import(FIRST, &bytes).expect("it reads the state of the first");
        assert_eq!((second.total(), second.export(FIRST)), (3, Some(bytes)));
        second.next(7);
        let own = second.export(SECOND).expect("it has a state");
        assert_eq!(Second::import(SECOND, &own), Some(second.clone()));
        let back = second.export(FIRST).and_then(|bytes| First::import(FIRST, &bytes));
        assert_eq!(back.map(|first| first.total()), Some(4));
        assert_eq!(Second::import(3, &own), None);
    }
}
