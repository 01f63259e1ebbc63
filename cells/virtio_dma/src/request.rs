//! A request as the device reads it. Virtio 1.1, section 5.2.6: a header, data, one byte of status.

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 16;
/// What the status byte holds until the device has written it: no status of the specification.
pub(crate) const UNWRITTEN: u8 = 0xff;

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;

/// What a chain asks for, with the bytes of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read { length: usize },
    Write { length: usize },
    Flush,
}

impl Operation {
    /// Its header. `sector` is 0 for a flush.
    pub(crate) fn header(self, sector: u64) -> [u8; HEADER_BYTES] {
        let kind = match self {
            Self::Read { .. } => IN,
            Self::Write { .. } => OUT,
            Self::Flush => FLUSH,
        };
        let word = u128::from(sector) << 64 | u128::from(kind);
        word.to_le_bytes()
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Done,
    /// The device reported an error, or nothing that the specification knows.
    Failed,
    /// The device does not know such a request.
    Unsupported,
}

impl Status {
    pub(crate) fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Done,
            2 => Self::Unsupported,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_specified() {
        let header = Operation::Write { length: 512 }.header(0x0102_0304_0506_0708);
        assert_eq!(header, [1, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(Operation::Flush.header(0)[0], 4);
        assert_eq!(Operation::Read { length: 1 }.header(0), [0; HEADER_BYTES]);
    }

    #[test]
    fn only_zero_is_success() {
        assert_eq!(Status::from_byte(0), Status::Done);
        assert_eq!(Status::from_byte(2), Status::Unsupported);
        for byte in [1, 3, UNWRITTEN] {
            assert_eq!(Status::from_byte(byte), Status::Failed);
        }
    }
}
