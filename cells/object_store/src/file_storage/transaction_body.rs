//! The body of a log batch: one transaction.
//!
//! The *head* (number, metadata, and a directory of object, length and checksum) comes first under its own checksum, so
//! that a transaction can be shown without reading its records. The records follow in the directory's order; each one's
//! checksum also covers its object and transaction, so that a load proves that it read the right bytes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::checksum::Seal;
use super::index::{Revision, TransactionEntry};
use crate::codec::{Reader, Writer};
use crate::{Change, ChangeInfo, Metadata, Oid, Staged, StorageError, Tid, TransactionInfo};

/// Bytes before the metadata: number, metadata length, changes, checksum of the head.
const FIXED: usize = 20;
/// Bytes of a directory entry.
const ENTRY: usize = 16;

/// What a transaction takes.
pub(crate) struct Sizes {
    metadata: usize,
    head: usize,
    total: u64,
}

impl Sizes {
    pub(crate) fn of(metadata: &Metadata, changes: &BTreeMap<Oid, Staged>) -> Result<Self, StorageError> {
        let metadata = metadata.encoded_length()?;
        let head = FIXED + metadata + ENTRY * changes.len();
        let mut total = head as u64;
        for staged in changes.values() {
            if let Change::Record(record) = &staged.change {
                total += record.encoded_length()? as u64;
            }
        }
        Ok(Self { metadata, head, total })
    }

    /// Bytes of the whole body.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

/// A transaction in the log, taken apart.
pub(crate) struct Located {
    pub(crate) entry: TransactionEntry,
    pub(crate) revisions: Vec<(Oid, Revision)>,
}

/// Appends a transaction to `output`, whose first byte will stand at `address`.
pub(crate) fn encode(
    seal: Seal,
    tid: Tid,
    metadata: &Metadata,
    changes: &BTreeMap<Oid, Staged>,
    sizes: &Sizes,
    output: &mut Vec<u8>,
    address: u64,
) -> Result<Located, StorageError> {
    let start = output.len();
    output.try_reserve(usize::try_from(sizes.total).map_err(|_| StorageError::OutOfMemory)?)?;
    output.resize(start + sizes.head, 0);
    let mut directory = Writer::with_capacity(ENTRY * changes.len())?;
    let mut revisions = Vec::new();
    revisions.try_reserve_exact(changes.len())?;
    for (&oid, staged) in changes {
        let position = output.len();
        if let Change::Record(record) = &staged.change {
            record.encode(output)?;
        }
        let bytes = output.get(position..).unwrap_or_default();
        let length = u32::try_from(bytes.len()).map_err(|_| StorageError::OutOfMemory)?;
        let checksum = record_checksum(seal, oid, tid, bytes);
        directory.u64(oid.number())?;
        directory.u32(length)?;
        directory.u32(checksum)?;
        revisions.push((oid, Revision { tid, address: address + position as u64, length, checksum }));
    }
    let head = encode_head(seal, tid, metadata, sizes.metadata, changes.len(), directory.bytes())?;
    output.get_mut(start..start + sizes.head).ok_or(StorageError::Malformed)?.copy_from_slice(&head);
    let entry = TransactionEntry { tid, address: address + start as u64, length: sizes.head as u32 };
    Ok(Located { entry, revisions })
}

fn encode_head(
    seal: Seal,
    tid: Tid,
    metadata: &Metadata,
    metadata_length: usize,
    changes: usize,
    directory: &[u8],
) -> Result<Vec<u8>, StorageError> {
    let mut fixed = Writer::with_capacity(FIXED)?;
    fixed.u64(tid.number())?;
    fixed.u32(metadata_length as u32)?;
    fixed.u32(changes as u32)?;
    let mut metadata_bytes = Vec::new();
    metadata.encode(&mut metadata_bytes)?;
    let checksum = seal.over(&[fixed.bytes(), &metadata_bytes, directory]);
    fixed.u32(checksum)?;
    fixed.put(&metadata_bytes)?;
    fixed.put(directory)?;
    Ok(fixed.into_bytes())
}

/// The checksum of a record: its object, its transaction, its bytes.
pub(crate) fn record_checksum(seal: Seal, oid: Oid, tid: Tid, bytes: &[u8]) -> u32 {
    seal.over(&[&oid.number().to_le_bytes(), &tid.number().to_le_bytes(), bytes])
}

/// The transaction at the start of `body`, which stands at `address`; `None` if it is none.
///
/// The records themselves are not looked at.
pub(crate) fn locate(seal: Seal, body: &[u8], address: u64) -> Option<Located> {
    let head = Head::decode(seal, body)?;
    let mut revisions = Vec::new();
    revisions.try_reserve_exact(head.directory.len() / ENTRY).ok()?;
    let mut position = head.length as u64;
    for (oid, length, checksum) in head.entries() {
        revisions.push((oid, Revision { tid: head.tid, address: address.checked_add(position)?, length, checksum }));
        position += u64::from(length);
    }
    let entry = TransactionEntry { tid: head.tid, address, length: u32::try_from(head.length).ok()? };
    (position <= body.len() as u64).then_some(Located { entry, revisions })
}

/// What the head at the start of `bytes` tells.
pub(crate) fn describe(seal: Seal, bytes: &[u8]) -> Option<TransactionInfo> {
    let head = Head::decode(seal, bytes)?;
    let mut changes = Vec::new();
    changes.try_reserve_exact(head.directory.len() / ENTRY).ok()?;
    for (oid, length, checksum) in head.entries() {
        let kind = Revision { tid: head.tid, address: 0, length, checksum }.kind();
        changes.push(ChangeInfo { oid, kind });
    }
    Some(TransactionInfo { tid: head.tid, metadata: Metadata::decode(head.metadata).ok()?, changes })
}

/// A verified head.
struct Head<'a> {
    tid: Tid,
    metadata: &'a [u8],
    directory: &'a [u8],
    length: usize,
}

impl<'a> Head<'a> {
    fn decode(seal: Seal, bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let fixed = reader.take(FIXED - 4)?;
        let checksum = reader.u32()?;
        let mut fields = Reader::new(fixed);
        let tid = Tid::new(fields.u64()?);
        let (metadata, changes) = (fields.u32()? as usize, fields.u32()? as usize);
        let metadata = reader.take(metadata)?;
        let directory = reader.take(changes.checked_mul(ENTRY)?)?;
        let length = FIXED + metadata.len() + directory.len();
        (seal.over(&[fixed, metadata, directory]) == checksum).then_some(Self { tid, metadata, directory, length })
    }

    fn entries(&self) -> impl Iterator<Item = (Oid, u32, u32)> + '_ {
        self.directory.chunks_exact(ENTRY).filter_map(|entry| {
            let mut reader = Reader::new(entry);
            Some((Oid::new(reader.u64()?), reader.u32()?, reader.u32()?))
        })
    }
}
