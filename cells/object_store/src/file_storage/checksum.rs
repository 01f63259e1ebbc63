//! Checksums: what tells a structure of this store from anything else.
//!
//! A [`Seal`] is CRC-32 (IEEE) that starts from a value derived from the state file's key. Someone who may choose a payload
//! but has never seen the key cannot put a valid batch into it, which would be found where a torn batch is scanned for.

use crc32fast::Hasher;

/// The keyed checksum of everything behind the root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal {
    start: u32,
}

impl Seal {
    /// The checksum of a state file with this key.
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self { start: plain(key) }
    }

    /// Over these parts, one after the other.
    pub(crate) fn over(self, parts: &[&[u8]]) -> u32 {
        let mut hasher = Hasher::new_with_initial(self.start);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

/// The checksum without a key, for the blocks that are read before the key is known.
pub(crate) fn plain(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The content of a block that ends in its own plain checksum, if that is right.
pub(crate) fn verified(block: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = block.split_last_chunk::<4>()?;
    (plain(content) == u32::from_le_bytes(*checksum)).then_some(content)
}
