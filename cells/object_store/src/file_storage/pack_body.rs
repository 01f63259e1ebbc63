//! The body of a pack batch: where history begins, and what ended with it.

use alloc::vec::Vec;

use super::entry::{Entry, Key, Place};
use crate::codec::{Reader, Writer};
use crate::{Oid, StorageError, Tid};

/// The most bytes of a collected object in the body.
pub(crate) const OID_BYTES: usize = 10;
/// Bytes before the objects.
pub(crate) const FIXED: usize = 8;

/// A pack batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackBody {
    /// Of the revisions up to this transaction, only the last of each object counts.
    pub(crate) horizon: Tid,
    /// Objects that nothing refers to: their revisions, all of them up to the horizon, count no more. Ascending.
    pub(crate) collected: Vec<Oid>,
}

impl PackBody {
    /// The entries that say so in the index.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.collected.iter().map(|&oid| Entry { key: Key::new(oid, self.horizon), place: Place::GONE })
    }
}

/// The body of a pack batch.
pub(crate) fn encode(horizon: Tid, collected: &[Oid]) -> Result<Vec<u8>, StorageError> {
    let mut writer = Writer::default();
    writer.u64(horizon.number())?;
    let mut previous = 0;
    for oid in collected {
        writer.variable(oid.number() - previous)?;
        previous = oid.number();
    }
    Ok(writer.into_bytes())
}

/// Reads a body; `None` if it is none.
pub(crate) fn decode(body: &[u8]) -> Option<PackBody> {
    let mut reader = Reader::new(body);
    let horizon = Tid::new(reader.u64()?);
    let mut collected: Vec<Oid> = Vec::new();
    collected.try_reserve_exact(body.len()).ok()?;
    while !reader.is_empty() {
        let before = collected.last().map_or(0, |oid| oid.number());
        let oid = Oid::new(before.checked_add(reader.variable()?)?);
        if collected.last().is_some_and(|&last| last >= oid) {
            return None;
        }
        collected.push(oid);
    }
    Some(PackBody { horizon, collected })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bodies_return(horizon: u64, collected in prop::collection::btree_set(any::<u64>(), 0..50)) {
            let horizon = Tid::new(horizon);
            let collected: Vec<Oid> = collected.into_iter().map(Oid::new).collect();
            let bytes = encode(horizon, &collected).unwrap();
            prop_assert!(bytes.len() <= FIXED + collected.len() * OID_BYTES);
            prop_assert_eq!(decode(&bytes), Some(PackBody { horizon, collected }));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }
}
