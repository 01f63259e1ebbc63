//! Records as they travel: the store's own encoding, in a body or in lent memory, and how large they may be.

use object_store::{Record, RevisionKind, TransactionInfo};
use runtime::abi::interfaces::persistence::{RevisionSummary, TransactionSummary};
use runtime::abi::kernel::BODY_MAX;

use crate::sessions::Revision;

/// The longest record that is taken, in encoded bytes.
pub const RECORD_LIMIT: usize = 16 << 20;
/// The most references of one record: decoding a table takes eight times the bytes that it may have on the wire.
pub const REFERENCE_LIMIT: usize = 65_536;
/// Bytes of a transaction's user that a summary shows.
const USER_SHOWN: usize = 64;
/// Bytes of its description.
const DESCRIPTION_SHOWN: usize = 512;

/// Bytes of the names of slots in a conflict that are shown.
pub const SLOTS_SHOWN: usize = 256;

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRecord {
    /// They are not the encoding of one.
    Malformed,
    /// It is longer, or has more references, than is taken.
    TooLarge {
        /// The limit that it is above.
        limit: usize,
    },
}

/// Reads a record that a client sent.
///
/// # Errors
/// [`BadRecord`].
pub fn decode(bytes: &[u8]) -> Result<Record, BadRecord> {
    if bytes.len() > RECORD_LIMIT {
        return Err(BadRecord::TooLarge { limit: RECORD_LIMIT });
    }
    // Schema, version and number of references stand first.
    let head = postcard::take_from_bytes::<(u16, u16, usize)>(bytes);
    let ((_, _, references), _) = head.map_err(|_| BadRecord::Malformed)?;
    if references > REFERENCE_LIMIT {
        return Err(BadRecord::TooLarge { limit: REFERENCE_LIMIT });
    }
    Record::decode(bytes).map_err(|_| BadRecord::Malformed)
}

/// Writes a record to the start of `room`; answers its length.
///
/// # Errors
/// The length that it needs.
pub fn encode_into(record: &Record, room: &mut [u8]) -> Result<usize, usize> {
    let needed = record.encoded_length();
    let space = room.get_mut(..needed).ok_or(needed)?;
    postcard::to_slice(record, space).map(|written| written.len()).map_err(|_| needed)
}

/// A transaction as the interface tells it, its texts cut to what is shown.
pub fn summary(info: &TransactionInfo) -> TransactionSummary<'_> {
    TransactionSummary {
        tid: info.tid.number(),
        objects: u32::try_from(info.changes.len()).unwrap_or(u32::MAX),
        user: cut(&info.metadata.user, USER_SHOWN),
        description: cut(&info.metadata.description, DESCRIPTION_SHOWN),
    }
}

/// A revision as the interface tells it, its texts cut in the same way.
pub fn revision(revision: &Revision) -> RevisionSummary<'_> {
    let (deleted, bytes) = match revision.info.kind {
        RevisionKind::Data { bytes } => (false, bytes),
        RevisionKind::Deletion => (true, 0),
    };
    RevisionSummary {
        tid: revision.info.tid.number(),
        deleted,
        bytes,
        user: cut(&revision.metadata.user, USER_SHOWN),
        description: cut(&revision.metadata.description, DESCRIPTION_SHOWN),
    }
}

/// Fills a reply's body with summaries.
#[derive(Debug)]
pub struct Page {
    left: usize,
}

impl Default for Page {
    fn default() -> Self {
        // Two bytes tell how many there are.
        Page { left: BODY_MAX - 2 }
    }
}

impl Page {
    /// Whether one more fits; it is counted in.
    pub fn fits<T: serde::Serialize>(&mut self, summary: &T) -> bool {
        let size = postcard::serialize_with_flavor(summary, postcard::ser_flavors::Size::default());
        match size.ok().and_then(|size| self.left.checked_sub(size)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// The beginning of a text, of so many bytes at most.
pub fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or("")
}
