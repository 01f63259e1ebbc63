//! The file format of ZODB's FileStorage (ZODB, `FileStorage/format.py`): transactions one behind the other, each with its
//! length before and behind it, each revision with the place of the one before it.

use std::collections::BTreeMap;
use std::io::Write;

use object_store::{Oid, Tid};

use crate::failure::{Failure, Status};
use crate::point::civil;

/// The first bytes of a file whose pickles are Python 3's.
const MAGIC: &[u8; 4] = b"FS30";
/// Bytes of a transaction's header.
const TRANSACTION: usize = 23;
/// The longest user, description or extension, in bytes.
const LIMIT: usize = 65_535;
const MICROSECONDS: u64 = 1_000_000;

/// A transaction to be written.
pub(super) struct Transaction {
    pub(super) tid: Tid,
    pub(super) user: String,
    pub(super) description: String,
    /// A pickled dictionary.
    pub(super) extension: Vec<u8>,
    pub(super) changes: Vec<Change>,
}

/// A revision to be written.
pub(super) struct Change {
    pub(super) oid: Oid,
    /// The pickles of class and state; `None` where the object ended.
    pub(super) data: Option<Vec<u8>>,
}

/// Where the next transaction goes, and where the last revision of each object is.
pub(super) struct Writer {
    position: u64,
    last: BTreeMap<Oid, u64>,
}

impl Writer {
    /// Begins a file.
    pub(super) fn begin(out: &mut dyn Write) -> Result<Writer, Failure> {
        out.write_all(MAGIC)?;
        Ok(Writer { position: MAGIC.len() as u64, last: BTreeMap::new() })
    }

    /// Appends a transaction. Their numbers grow.
    pub(super) fn transaction(&mut self, out: &mut dyn Write, transaction: &Transaction) -> Result<(), Failure> {
        let tid = tid(transaction.tid).ok_or_else(|| {
            let text = format!("TID {} is no moment that ZODB has a number for", transaction.tid.number());
            Failure::new(Status::CannotWrite, text)
        })?;
        let (user, description) = (cut(&transaction.user), cut(&transaction.description));
        let extension = Some(transaction.extension.as_slice()).filter(|bytes| bytes.len() <= LIMIT).unwrap_or_default();
        let texts = [user, description, extension];
        let mut body: Vec<u8> = texts.concat();
        for change in &transaction.changes {
            let place = self.position + (TRANSACTION + body.len()) as u64;
            let previous = self.last.insert(change.oid, place).unwrap_or(0);
            let data = change.data.as_deref().unwrap_or_default();
            for word in [change.oid.number().to_be_bytes(), tid, previous.to_be_bytes(), self.position.to_be_bytes()] {
                body.extend(word);
            }
            body.extend([0, 0]);
            body.extend((data.len() as u64).to_be_bytes());
            // Without data stands the place of the revision whose data it has: none, the object has ended.
            body.extend(if data.is_empty() { &[0; 8] } else { data });
        }
        let length = ((TRANSACTION + body.len()) as u64).to_be_bytes();
        out.write_all(&tid)?;
        out.write_all(&length)?;
        out.write_all(b" ")?;
        for text in texts {
            out.write_all(&u16::try_from(text.len()).unwrap_or(0).to_be_bytes())?;
        }
        out.write_all(&body)?;
        out.write_all(&length)?;
        self.position += (TRANSACTION + body.len() + length.len()) as u64;
        Ok(())
    }
}

/// As much of a text as fits.
fn cut(text: &str) -> &[u8] {
    let end = (0..=text.len().min(LIMIT)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.as_bytes().get(..end).unwrap_or_default()
}

/// ZODB's number of a moment: minutes since 1900 in months of 31 days, and the second in units of 60/2^32 of one
/// (persistent, `timestamp.py`). Moments that differ by a microsecond have different numbers, in the same order.
fn tid(tid: Tid) -> Option<[u8; 8]> {
    let (seconds, micros) = (tid.number() / MICROSECONDS, tid.number() % MICROSECONDS);
    let (year, month, day) = civil(seconds / 86_400);
    let minute = seconds / 60 % 1440;
    let minutes = (((year.checked_sub(1900)? * 12 + month - 1) * 31 + day - 1) * 1440) + minute;
    let within = (seconds % 60 * MICROSECONDS + micros) as u128;
    let fraction = (within << 32) / (60 * u128::from(MICROSECONDS));
    let (high, low) = (u32::try_from(minutes).ok()?, u32::try_from(fraction).ok()?);
    Some((u64::from(high) << 32 | u64::from(low)).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_number_of_a_moment_is_zodb_s() {
        // `TimeStamp(2026, 11, 24, 4, 13, 49.5).raw()`.
        assert_eq!(tid(Tid::new(1_795_493_629_500_000)).map(u64::from_be_bytes), Some(EXPECTED));
    }

    const EXPECTED: u64 = 291_952_351_109_133_107;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn later_moments_have_greater_numbers(first in 0..100_000_000_000_000_000u64, more in 1..10_000_000u64) {
            prop_assert!(tid(Tid::new(first)) < tid(Tid::new(first + more)));
        }
    }
}
