//! Bytes in and out of fixed layouts, without panics.
//!
//! [`Reader`] answers `None` where the input ends or makes no sense, [`Writer`] refuses instead of aborting when memory is
//! short. Fixed numbers are little-endian; variable ones are LEB128 of at most ten bytes.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// A cursor over untrusted bytes.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Bytes behind their number.
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.variable()?).ok()?;
        self.take(count)
    }

    pub(crate) fn variable(&mut self) -> Option<u64> {
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Some(byte.into());
        }
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// A growing buffer whose growth can fail.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Result<Self, TryReserveError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity)?;
        Ok(Self { bytes })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), TryReserveError> {
        self.bytes.try_reserve(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn u16(&mut self, value: u16) -> Result<(), TryReserveError> {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> Result<(), TryReserveError> {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> Result<(), TryReserveError> {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn variable(&mut self, value: u64) -> Result<(), TryReserveError> {
        self.bytes.try_reserve(variable_length(value))?;
        put_variable(&mut self.bytes, value);
        Ok(())
    }

    /// Adds zeros up to a length; a buffer that is longer stays as it is.
    pub(crate) fn pad_to(&mut self, length: usize) -> Result<(), TryReserveError> {
        let missing = length.saturating_sub(self.bytes.len());
        self.bytes.try_reserve(missing)?;
        self.bytes.resize(self.bytes.len() + missing, 0);
        Ok(())
    }
}

/// Bytes of a variable number.
pub(crate) fn variable_length(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Appends a variable number to a buffer that has room for it.
pub(crate) fn put_variable(output: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        output.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    output.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_numbers_return() {
        let mut writer = Writer::default();
        let values = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        for value in values {
            let before = writer.len();
            writer.variable(value).unwrap();
            assert_eq!(writer.len() - before, variable_length(value));
        }
        let mut reader = Reader::new(writer.bytes());
        for value in values {
            assert_eq!(reader.variable(), Some(value));
        }
        assert!(reader.is_empty());
    }

    #[test]
    fn overlong_and_short_numbers_are_refused() {
        assert_eq!(Reader::new(&[0xff; 10]).variable(), None);
        assert_eq!(Reader::new(&[0x80]).variable(), None);
        assert_eq!(Reader::new(&[1, 2, 3]).u32(), None);
    }
}
