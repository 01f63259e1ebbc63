//! Index blocks: sorted entries under a checksum, packed as differences from one to the next.
//!
//! Leaves hold the entries of the index, the blocks above hold one for each block below: the first key there, and where it
//! is. A block says which tree it belongs to and where it stands, so that neither a stale nor a misplaced one is believed.

use alloc::vec::Vec;

use super::checksum::Seal;
use super::entry::{Entry, Key, Place};
use crate::codec::{Reader, Writer};
use crate::device::SECTOR;
use crate::{Epoch, Oid, StorageError, Tid};

/// The first four bytes of an index block.
const MAGIC: [u8; 4] = *b"TelI";
/// Bytes before the entries.
const HEADER: usize = 32;
/// Where the checksum stands.
const CHECKSUM: usize = 28;
/// The most bytes of an entry: four variable numbers, a length, a checksum.
const ENTRY_BYTES: usize = 4 * 10 + 5 + 4;

/// The name of a block: everything that must be right about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockName {
    /// The generation of its tree.
    pub(crate) tree: Epoch,
    /// The device sector where it begins.
    pub(crate) sector: u64,
    /// Its height above the leaves.
    pub(crate) level: u8,
    /// Its checksum, which the block above or the root has.
    pub(crate) checksum: u32,
}

/// A block that is being filled.
#[derive(Default)]
pub(crate) struct BlockBuilder {
    bytes: Writer,
    first: Option<Key>,
    previous: Option<Entry>,
    count: u16,
}

impl BlockBuilder {
    /// The key of its first entry.
    pub(crate) fn first(&self) -> Option<Key> {
        self.first
    }

    /// Whether another entry is sure to fit a block of this many bytes.
    pub(crate) fn has_room(&self, block_bytes: usize) -> bool {
        HEADER + self.bytes.len() + ENTRY_BYTES <= block_bytes && self.count < u16::MAX
    }

    /// Adds an entry with a key greater than those before.
    pub(crate) fn push(&mut self, entry: &Entry) -> Result<(), StorageError> {
        let origin =
            Entry { key: Key::new(Oid::new(0), Tid::ZERO), place: Place { address: 0, length: 0, checksum: 0 } };
        let before = self.previous.unwrap_or(origin);
        self.bytes.variable(entry.key.oid.number().wrapping_sub(before.key.oid.number()))?;
        self.bytes.variable(zigzag(entry.key.tid.number().wrapping_sub(before.key.tid.number())))?;
        self.bytes.variable(zigzag(entry.place.address.wrapping_sub(before.place.address)))?;
        self.bytes.variable(u64::from(entry.place.length))?;
        self.bytes.u32(entry.place.checksum)?;
        self.first.get_or_insert(entry.key);
        self.previous = Some(*entry);
        self.count += 1;
        Ok(())
    }

    /// Appends the block to `output` and answers its checksum. The builder is as new.
    pub(crate) fn finish(
        &mut self,
        seal: Seal,
        tree: Epoch,
        sector: u64,
        level: u8,
        block_bytes: usize,
        output: &mut Vec<u8>,
    ) -> Result<u32, StorageError> {
        let mut header = Writer::with_capacity(HEADER)?;
        header.put(&MAGIC)?;
        header.put(&[level, 0])?;
        header.u16(self.count)?;
        header.u64(tree.number())?;
        header.u64(sector)?;
        header.u32(self.bytes.len() as u32)?;
        let start = output.len();
        output.try_reserve(block_bytes)?;
        let padding = block_bytes.saturating_sub(HEADER + self.bytes.len());
        output.extend_from_slice(header.bytes());
        output.extend_from_slice(&[0; 4]);
        output.extend_from_slice(self.bytes.bytes());
        output.resize(output.len() + padding, 0);
        let body = output.get(start + HEADER..).unwrap_or_default();
        let checksum = seal.over(&[header.bytes(), body]);
        let field = output.get_mut(start + CHECKSUM..start + HEADER).ok_or(StorageError::Malformed)?;
        field.copy_from_slice(&checksum.to_le_bytes());
        *self = Self::default();
        Ok(checksum)
    }
}

/// The entries of a block, in their order and at least one; `None` if it is not the one named.
pub(crate) fn decode(seal: Seal, name: BlockName, bytes: &[u8]) -> Option<Vec<Entry>> {
    let (header, body) = bytes.split_at_checked(HEADER)?;
    let (covered, checksum) = header.split_last_chunk::<4>()?;
    let checksum = u32::from_le_bytes(*checksum);
    if checksum != name.checksum || seal.over(&[covered, body]) != checksum {
        return None;
    }
    let mut reader = Reader::new(covered);
    let known = reader.array()? == MAGIC && reader.array()? == [name.level, 0];
    let count = reader.u16()?;
    let right = reader.u64()? == name.tree.number() && reader.u64()? == name.sector;
    let mut reader = Reader::new(body.get(..reader.u32()? as usize)?);
    if !known || !right || count == 0 {
        return None;
    }
    let mut entries: Vec<Entry> = Vec::new();
    entries.try_reserve_exact(usize::from(count).min(bytes.len() / 8)).ok()?;
    let (mut oid, mut tid, mut address) = (0u64, 0u64, 0u64);
    for _ in 0..count {
        oid = oid.checked_add(reader.variable()?)?;
        tid = tid.wrapping_add(unzigzag(reader.variable()?));
        address = address.wrapping_add(unzigzag(reader.variable()?));
        let (length, checksum) = (u32::try_from(reader.variable()?).ok()?, reader.u32()?);
        let key = Key::new(Oid::new(oid), Tid::new(tid));
        if entries.last().is_some_and(|last| last.key >= key) {
            return None;
        }
        entries.push(Entry { key, place: Place { address, length, checksum } });
    }
    reader.is_empty().then_some(entries)
}

/// A block's bytes in whole sectors.
pub(crate) fn block_bytes(sectors: u64) -> usize {
    sectors as usize * SECTOR
}

/// A difference as a number that is small if it is near zero, on either side.
fn zigzag(difference: u64) -> u64 {
    let signed = difference as i64;
    ((signed << 1) ^ (signed >> 63)) as u64
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        prop::collection::btree_map((any::<u64>(), any::<u64>()), (any::<u64>(), any::<u32>(), any::<u32>()), 1..40)
            .prop_map(|entries| {
                let entry = |((oid, tid), (address, length, checksum))| Entry {
                    key: Key::new(Oid::new(oid), Tid::new(tid)),
                    place: Place { address, length, checksum },
                };
                entries.into_iter().map(entry).collect()
            })
    }

    proptest! {
        #[test]
        fn entries_return_and_a_flipped_bit_is_noticed(entries in entries(), place in any::<prop::sample::Index>()) {
            let seal = Seal::new(&[7; 16]);
            let (mut builder, mut bytes) = (BlockBuilder::default(), Vec::new());
            for entry in &entries {
                prop_assert!(builder.has_room(4096));
                builder.push(entry).unwrap();
            }
            prop_assert_eq!(builder.first(), Some(entries[0].key));
            let checksum = builder.finish(seal, Epoch::new(3), 99, 1, 4096, &mut bytes).unwrap();
            let name = BlockName { tree: Epoch::new(3), sector: 99, level: 1, checksum };
            prop_assert_eq!(decode(seal, name, &bytes), Some(entries));
            for wrong in [
                BlockName { tree: Epoch::new(4), ..name },
                BlockName { sector: 98, ..name },
                BlockName { level: 0, ..name },
                BlockName { checksum: !checksum, ..name },
            ] {
                prop_assert_eq!(decode(seal, wrong, &bytes), None);
            }
            bytes[place.index(4096)] ^= 16;
            prop_assert_eq!(decode(seal, name, &bytes), None);
        }
    }
}
