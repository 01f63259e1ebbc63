//! A transaction in a log batch.
//!
//! The *head* (number, metadata, and a directory of object, length and checksum) comes first under its own checksum, so
//! that a transaction can be shown without reading its records. The records follow in the directory's order; each one's
//! checksum also covers its object and transaction, so that a load proves that it read the right bytes. A batch holds one
//! transaction behind the other.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::checksum::Seal;
use super::entry::{Entry, Key, Place};
use crate::codec::Reader;
use crate::{Change, ChangeInfo, Metadata, Oid, Staged, StorageError, Tid, TransactionInfo};

/// Bytes before the metadata: number, metadata length, changes, checksum of the head.
const FIXED: usize = 20;
/// Bytes of a directory entry.
const ENTRY: usize = 16;
/// The bit of a directory entry's length that says that the object did not exist before.
const CREATED: u32 = 1 << 31;

/// What a transaction takes.
pub(crate) struct Sizes {
    head: usize,
    total: u64,
}

impl Sizes {
    pub(crate) fn of(metadata: &Metadata, changes: &BTreeMap<Oid, Staged>) -> Result<Self, StorageError> {
        let head = FIXED + metadata.encoded_length()? + ENTRY * changes.len();
        let mut total = head as u64;
        for staged in changes.values() {
            if let Change::Record(record) = &staged.change {
                total += record.encoded_length() as u64;
            }
        }
        Ok(Self { head, total })
    }

    /// Bytes of the whole transaction.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

/// A transaction in the log, taken apart.
#[derive(Debug)]
pub(crate) struct Located {
    /// Its own entry and those of its revisions.
    pub(crate) entries: Vec<Entry>,
    /// How many objects did not exist before.
    pub(crate) created: u64,
}

/// One change, as the directory has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) oid: Oid,
    /// Whether the object did not exist before.
    pub(crate) created: bool,
    pub(crate) place: Place,
}

/// Appends a transaction to `output`; `created` says of each change whether the object is new. `output`'s first byte stands at
/// `origin`.
#[expect(clippy::too_many_arguments, reason = "each is another thing, and there is one caller")]
pub(crate) fn encode(
    seal: Seal,
    tid: Tid,
    metadata: &Metadata,
    changes: &BTreeMap<Oid, Staged>,
    created: impl Iterator<Item = bool>,
    sizes: &Sizes,
    output: &mut Vec<u8>,
    origin: u64,
) -> Result<Located, StorageError> {
    let start = output.len();
    output.try_reserve(usize::try_from(sizes.total).map_err(|_| StorageError::OutOfMemory)?)?;
    output.resize(start + sizes.head, 0);
    let mut listed = Vec::new();
    listed.try_reserve_exact(changes.len())?;
    for ((&oid, staged), created) in changes.iter().zip(created) {
        let position = output.len();
        if let Change::Record(record) = &staged.change {
            record.encode(output)?;
        }
        let bytes = output.get(position..).unwrap_or_default();
        let length =
            u32::try_from(bytes.len()).ok().filter(|&length| length < CREATED).ok_or(StorageError::OutOfMemory)?;
        let checksum = record_checksum(seal, oid, tid, bytes);
        let place = Place { address: origin + position as u64, length, checksum };
        listed.push(Listed { oid, created, place });
    }
    let mut metadata_bytes = Vec::new();
    metadata.encode(&mut metadata_bytes)?;
    let head = output.get_mut(start..start + sizes.head).unwrap_or_default();
    encode_head(seal, tid, &metadata_bytes, &listed, head).ok_or(StorageError::Malformed)?;
    let place = Place { address: origin + start as u64, length: sizes.head as u32, checksum: 0 };
    locate_listed(tid, place, listed.into_iter())
}

/// Appends to `output`, whose first byte stands at `origin`, what is left of a transaction: these changes, whose records
/// `record_of` gives.
pub(crate) fn encode_rest<'a>(
    seal: Seal,
    head: &Head<'_>,
    kept: &[Listed],
    record_of: impl Fn(&Listed) -> Option<&'a [u8]>,
    output: &mut Vec<u8>,
    origin: u64,
) -> Result<Located, StorageError> {
    let start = output.len();
    let length = FIXED + head.metadata.len() + ENTRY * kept.len();
    let records: usize = kept.iter().map(|change| change.place.length as usize).sum();
    output.try_reserve(length + records)?;
    output.resize(start + length, 0);
    let space = output.get_mut(start..).unwrap_or_default();
    encode_head(seal, head.tid, head.metadata, kept, space).ok_or(StorageError::Malformed)?;
    let mut moved = Vec::new();
    moved.try_reserve_exact(kept.len())?;
    for change in kept {
        let place = Place { address: origin + output.len() as u64, ..change.place };
        output.extend_from_slice(record_of(change).ok_or(StorageError::Malformed)?);
        moved.push(Listed { place, ..*change });
    }
    head.locate_listed(origin + start as u64, length, moved.into_iter())
}

/// Bytes that [`encode_rest`] will append.
pub(crate) fn rest_length(head: &Head<'_>, kept: &[Listed]) -> u64 {
    let records: u64 = kept.iter().map(|change| u64::from(change.place.length)).sum();
    (FIXED + head.metadata.len() + ENTRY * kept.len()) as u64 + records
}

/// Writes a head over zeros, which are as long as it is; `None` if they are not.
fn encode_head(seal: Seal, tid: Tid, metadata: &[u8], changes: &[Listed], head: &mut [u8]) -> Option<()> {
    let (fixed, rest) = head.split_at_mut_checked(FIXED)?;
    let (metadata_space, directory) = rest.split_at_mut_checked(metadata.len())?;
    if directory.len() != ENTRY * changes.len() {
        return None;
    }
    metadata_space.copy_from_slice(metadata);
    for (space, change) in directory.chunks_exact_mut(ENTRY).zip(changes) {
        let length = change.place.length | if change.created { CREATED } else { 0 };
        space.copy_from_slice(&packed(change.oid.number(), length, change.place.checksum));
    }
    let (numbers, checksum) = fixed.split_last_chunk_mut::<4>()?;
    numbers.copy_from_slice(&packed(tid.number(), metadata.len() as u32, changes.len() as u32));
    *checksum = seal.over(&[numbers, metadata, directory]).to_le_bytes();
    Some(())
}

/// Three numbers, one behind the other.
fn packed(first: u64, second: u32, third: u32) -> [u8; 16] {
    (u128::from(first) | u128::from(second) << 64 | u128::from(third) << 96).to_le_bytes()
}

fn locate_listed(
    tid: Tid,
    place: Place,
    changes: impl ExactSizeIterator<Item = Listed>,
) -> Result<Located, StorageError> {
    let mut entries = Vec::new();
    entries.try_reserve_exact(changes.len() + 1)?;
    entries.push(Entry { key: Key::transaction(tid), place });
    let mut created = 0;
    for change in changes {
        created += u64::from(change.created);
        entries.push(Entry { key: Key::new(change.oid, tid), place: change.place });
    }
    Ok(Located { entries, created })
}

/// The checksum of a record: its object, its transaction, its bytes.
pub(crate) fn record_checksum(seal: Seal, oid: Oid, tid: Tid, bytes: &[u8]) -> u32 {
    let key = u128::from(oid.number()) | u128::from(tid.number()) << 64;
    seal.over(&[&key.to_le_bytes(), bytes])
}

/// What the head at the start of `bytes` tells.
pub(crate) fn describe(seal: Seal, bytes: &[u8]) -> Option<TransactionInfo> {
    let head = Head::decode(seal, bytes)?;
    let mut changes = Vec::new();
    changes.try_reserve_exact(head.changes()).ok()?;
    changes.extend(head.listed(0).map(|change| ChangeInfo { oid: change.oid, kind: change.place.kind() }));
    Some(TransactionInfo { tid: head.tid, metadata: Metadata::decode(head.metadata).ok()?, changes })
}

/// A verified head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) tid: Tid,
    metadata: &'a [u8],
    directory: &'a [u8],
    length: usize,
}

impl<'a> Head<'a> {
    /// The head at the start of `bytes`; `None` if it is none.
    pub(crate) fn decode(seal: Seal, bytes: &'a [u8]) -> Option<Self> {
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

    /// How long what stands at the start of `bytes` says that it is, if it is a head.
    pub(crate) fn claimed_length(bytes: &[u8]) -> Option<u64> {
        let mut reader = Reader::new(bytes);
        let (_, metadata, changes) = (reader.u64()?, reader.u32()?, reader.u32()?);
        Some(FIXED as u64 + u64::from(metadata) + ENTRY as u64 * u64::from(changes))
    }

    /// What says that nothing is left of the transaction: no transaction has empty metadata.
    pub(crate) fn tombstone(self) -> Self {
        Self { metadata: &[], directory: &[], length: FIXED, ..self }
    }

    /// Whether it says that nothing is left of the transaction.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.metadata.is_empty()
    }

    /// What the transaction says of itself.
    pub(crate) fn metadata(&self) -> Option<Metadata> {
        Metadata::decode(self.metadata).ok()
    }

    /// How many changes there are.
    pub(crate) fn changes(&self) -> usize {
        self.directory.len() / ENTRY
    }

    /// The changes, and where their records are if the head stands at `address`.
    pub(crate) fn listed(&self, address: u64) -> impl ExactSizeIterator<Item = Listed> + '_ {
        let mut position = address.saturating_add(self.length as u64);
        self.directory.chunks_exact(ENTRY).map(move |entry| {
            let mut reader = Reader::new(entry);
            let (oid, length) = (reader.u64().unwrap_or_default(), reader.u32().unwrap_or_default());
            let checksum = reader.u32().unwrap_or_default();
            let (created, length) = (length & CREATED != 0, length & !CREATED);
            let place = Place { address: position, length, checksum };
            position = position.saturating_add(u64::from(length));
            Listed { oid: Oid::new(oid), created, place }
        })
    }

    /// Bytes of the whole transaction.
    pub(crate) fn total(&self) -> u64 {
        self.listed(0).last().map_or(self.length as u64, |last| last.place.address + u64::from(last.place.length))
    }

    /// The entries of the transaction, which stands at `address`.
    pub(crate) fn locate(&self, address: u64) -> Result<Located, StorageError> {
        self.locate_listed(address, self.length, self.listed(address))
    }

    fn locate_listed(
        &self,
        address: u64,
        length: usize,
        changes: impl ExactSizeIterator<Item = Listed>,
    ) -> Result<Located, StorageError> {
        let place = Place { address, length: length as u32, checksum: 0 };
        locate_listed(self.tid, if self.is_tombstone() { Place::GONE } else { place }, changes)
    }
}
