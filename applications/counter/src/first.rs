//! The first version: a count for each client, and nothing else. Its state is of schema 1: pairs of client and count.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use runtime::State;

use crate::Counts;

/// The schema of [`First`].
const SCHEMA: u32 = 1;

/// Counts by client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct First {
    counts: BTreeMap<u64, u64>,
}

/// Counts in schema 1.
pub fn encode(counts: &BTreeMap<u64, u64>) -> Option<Vec<u8>> {
    postcard::to_allocvec(counts).ok()
}

/// The counts in bytes of schema 1; `None` where they are none.
pub fn decode(bytes: &[u8]) -> Option<BTreeMap<u64, u64>> {
    match postcard::take_from_bytes(bytes) {
        Ok((counts, [])) => Some(counts),
        _ => None,
    }
}

impl State for First {
    fn export(&self, schema: u32) -> Option<Vec<u8>> {
        if schema == SCHEMA { encode(&self.counts) } else { None }
    }

    fn import(schema: u32, bytes: &[u8]) -> Option<Self> {
        if schema == SCHEMA { decode(bytes).map(|counts| First { counts }) } else { None }
    }
}

impl Counts for First {
    const VERSION: u64 = 1;

    fn from_saved(counts: BTreeMap<u64, u64>) -> Self {
        First { counts }
    }

    fn counts(&self) -> &BTreeMap<u64, u64> {
        &self.counts
    }

    fn next(&mut self, client: u64) -> u64 {
        let count = self.counts.entry(client).or_insert(0);
        *count = count.wrapping_add(1);
        *count
    }

    fn total(&self) -> u64 {
        self.counts.values().copied().fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_a_count_of_its_own_and_the_state_goes_on() {
        let mut first = First::default();
        assert_eq!([first.next(7), first.next(9), first.next(7)], [1, 1, 2]);
        let bytes = first.export(SCHEMA).expect("it has a state");
        assert_eq!(First::import(SCHEMA, &bytes), Some(first.clone()));
        assert_eq!((first.export(2), First::import(2, &bytes), first.total()), (None, None, 3));
        assert_eq!(First::import(SCHEMA, &bytes[1..]), None);
    }
}
