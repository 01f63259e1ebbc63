//! What is stored: the state of one object, and what a transaction says of itself.
//!
//! A [`Record`] is opaque but for its table of references, which the store reads to keep the graph closed: the payload
//! names other objects by index into that table, so that no client can hide a reference. Both types are postcard on disk.

use alloc::string::String;
use alloc::vec::Vec;

use postcard::ser_flavors::{Flavor, Size};
use serde::{Deserialize, Serialize};

use crate::codec::{Reader, put_variable, variable_length};
use crate::{Oid, StorageError};

/// The longest user, description or extension, in bytes.
pub const METADATA_LIMIT: usize = 65_535;

/// The state of one object in one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which kind of object this is, in its owner's numbering.
    pub schema: u16,
    /// Which version of that kind's layout the payload follows.
    pub version: u16,
    /// The objects that this one refers to. Each must exist when the record is committed.
    pub references: Vec<Oid>,
    /// Recipes of capabilities, written only by servers that hold the live token; never part of the payload.
    #[serde(with = "bytes")]
    pub capabilities: Vec<u8>,
    /// The object's own data.
    #[serde(with = "bytes")]
    pub payload: Vec<u8>,
}

/// What a transaction says of itself, kept with it in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// On whose behalf.
    pub user: String,
    /// What for.
    pub description: String,
    /// Anything else, opaque.
    #[serde(with = "bytes")]
    pub extension: Vec<u8>,
}

impl Record {
    /// The length of the encoded record in bytes.
    #[must_use]
    pub fn encoded_length(&self) -> usize {
        let fixed = variable_length(self.schema.into()) + variable_length(self.version.into());
        let references: usize = self.references.iter().map(|oid| variable_length(oid.number())).sum();
        let counted = |count: usize| variable_length(count as u64) + count;
        let lists = counted(self.capabilities.len()) + counted(self.payload.len());
        fixed + variable_length(self.references.len() as u64) + references + lists
    }

    /// Appends the encoded record; on an error, `output` is unchanged.
    ///
    /// The bytes are those that postcard makes of this type. They are written here because every commit and every load comes
    /// by, and serde's way takes several times as long.
    ///
    /// # Errors
    /// [`StorageError::OutOfMemory`].
    pub fn encode(&self, output: &mut Vec<u8>) -> Result<(), StorageError> {
        output.try_reserve(self.encoded_length())?;
        put_variable(output, self.schema.into());
        put_variable(output, self.version.into());
        put_variable(output, self.references.len() as u64);
        for reference in &self.references {
            put_variable(output, reference.number());
        }
        for bytes in [&self.capabilities, &self.payload] {
            put_variable(output, bytes.len() as u64);
            output.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Reads a whole record; nothing may follow it.
    ///
    /// # Errors
    /// [`StorageError::Malformed`] for what is no record, [`StorageError::OutOfMemory`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let mut reader = Reader::new(bytes);
        let parts = RecordParts::read(&mut reader).filter(|_| reader.is_empty()).ok_or(StorageError::Malformed)?;
        let mut references = Vec::new();
        references.try_reserve_exact(parts.reference_count)?;
        let mut encoded = Reader::new(parts.references);
        while let Some(reference) = encoded.variable() {
            references.push(Oid::new(reference));
        }
        let (capabilities, payload) = (copied(parts.capabilities)?, copied(parts.payload)?);
        Ok(Self { schema: parts.schema, version: parts.version, references, capabilities, payload })
    }
}

/// Where the parts of an encoded record are.
struct RecordParts<'a> {
    schema: u16,
    version: u16,
    reference_count: usize,
    references: &'a [u8],
    capabilities: &'a [u8],
    payload: &'a [u8],
}

impl<'a> RecordParts<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let schema = u16::try_from(reader.variable()?).ok()?;
        let version = u16::try_from(reader.variable()?).ok()?;
        let reference_count = usize::try_from(reader.variable()?).ok()?;
        let start = reader.rest();
        for _ in 0..reference_count {
            reader.variable()?;
        }
        let references = start.get(..start.len() - reader.rest().len())?;
        let capabilities = reader.counted()?;
        let payload = reader.counted()?;
        Some(Self { schema, version, reference_count, references, capabilities, payload })
    }
}

fn copied(bytes: &[u8]) -> Result<Vec<u8>, StorageError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

impl Metadata {
    /// Metadata with a user and a description.
    #[must_use]
    pub fn new(user: &str, description: &str) -> Self {
        Self { user: user.into(), description: description.into(), extension: Vec::new() }
    }

    /// Refuses fields longer than [`METADATA_LIMIT`].
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        let fits = [self.user.len(), self.description.len(), self.extension.len()]
            .iter()
            .all(|&length| length <= METADATA_LIMIT);
        if fits { Ok(()) } else { Err(StorageError::MetadataTooLarge { limit: METADATA_LIMIT }) }
    }

    pub(crate) fn encode(&self, output: &mut Vec<u8>) -> Result<(), StorageError> {
        append(self, output)
    }

    pub(crate) fn encoded_length(&self) -> Result<usize, StorageError> {
        length(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        decode(bytes)
    }
}

fn length(value: &impl Serialize) -> Result<usize, StorageError> {
    postcard::serialize_with_flavor(value, Size::default()).map_err(|_| StorageError::Malformed)
}

/// Appends what postcard makes of a value; on an error, `output` is unchanged.
///
/// # Errors
/// [`StorageError::OutOfMemory`].
pub fn append(value: &impl Serialize, output: &mut Vec<u8>) -> Result<(), StorageError> {
    let start = output.len();
    match postcard::serialize_with_flavor(value, Growing(output)) {
        Ok(()) => Ok(()),
        Err(error) => {
            output.truncate(start);
            Err(match error {
                postcard::Error::SerializeBufferFull => StorageError::OutOfMemory,
                _ => StorageError::Malformed,
            })
        }
    }
}

/// Bytes to which more are appended, as long as there is memory.
struct Growing<'a>(&'a mut Vec<u8>);

impl Flavor for Growing<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.try_reserve(bytes.len()).map_err(|_| postcard::Error::SerializeBufferFull)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StorageError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(StorageError::Malformed),
    }
}

/// Byte strings as one copy, where serde would go byte by byte. The encoding is the same.
mod bytes {
    use alloc::vec::Vec;
    use core::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(Copy)
    }

    struct Copy;

    impl Visitor<'_> for Copy {
        type Value = Vec<u8>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            let mut copy = Vec::new();
            copy.try_reserve_exact(bytes.len()).map_err(|_| E::custom("out of memory"))?;
            copy.extend_from_slice(bytes);
            Ok(copy)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against serde's way, which the format is defined by.
        #[test]
        fn records_are_postcard(
            schema: u16,
            version: u16,
            references in prop::collection::vec(any::<u64>().prop_map(|number| Oid::new(number >> (number % 64))), 0..40),
            capabilities in prop::collection::vec(any::<u8>(), 0..200),
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let record = Record { schema, version, references, capabilities, payload };
            let mut bytes = alloc::vec![9];
            record.encode(&mut bytes).unwrap();
            prop_assert_eq!(&bytes[1..], &postcard::to_allocvec(&record).unwrap());
            prop_assert_eq!(record.encoded_length(), bytes.len() - 1);
            prop_assert_eq!(Record::decode(&bytes[1..]), Ok(record));
            bytes.push(0);
            prop_assert_eq!(Record::decode(&bytes[1..]), Err(StorageError::Malformed));
        }

        /// What postcard reads, this reads; what it does not read is refused by postcard too.
        #[test]
        fn any_bytes_decode_as_with_postcard_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let theirs = match postcard::take_from_bytes::<Record>(&bytes) {
                Ok((record, [])) => Some(record),
                _ => None,
            };
            match Record::decode(&bytes) {
                Ok(ours) => prop_assert!(theirs.is_none_or(|theirs| theirs == ours)),
                Err(_) => prop_assert_eq!(theirs, None),
            }
        }
    }
}
