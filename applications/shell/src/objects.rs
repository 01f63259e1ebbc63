//! Records of persistent objects.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use abi::CallError;
use abi::interfaces::memory::{AllocateObject, Free};
use abi::interfaces::persistence::{Abort, BUFFER_TOO_SMALL, BeginTransaction, GetObject, NO_TRANSACTION, Root};
use abi::kernel::{BODY_MAX, Kind};
use runtime::{Buf, Call, abi};

use crate::failure::{Failure, Server};
use crate::servers::Servers;
use crate::text::Oid;

/// The longest record that is read, as a power of two.
const MAX_RECORD_BITS: u32 = 24;
/// The smallest Buf, as a power of two.
const PAGE_BITS: u32 = 12;

/// The memory that long records are read through. It is kept from one to the next.
#[derive(Debug, Default)]
pub struct Records {
    lent: Option<Lent>,
}

#[derive(Debug)]
struct Lent {
    buf: Buf,
    allocation: u64,
}

/// An object's record, the root's without an OID.
///
/// # Errors
/// Those of the calls; [`Failure::TooLong`].
pub fn inspect(servers: &Servers, records: &mut Records, oid: Option<u64>) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Persistence)?;
    let oid = match oid {
        Some(oid) => oid,
        None => Call::new(endpoint, Root {}).words().map_err(by_store)?,
    };
    let record = match records.read(servers, oid) {
        // Reading takes a snapshot, which a transaction has; this one changes nothing.
        Err(Failure::Call(Server::Persistence, CallError::Server(NO_TRANSACTION, _))) => {
            Call::new(endpoint, BeginTransaction {}).words().map_err(by_store)?;
            let record = records.read(servers, oid);
            Call::new(endpoint, Abort {}).words().map_err(by_store)?;
            record
        }
        read => read,
    }?;
    Ok(format!("object {}: {} bytes\n{}", Oid(oid), record.len(), render(&record)))
}

fn by_store(error: CallError) -> Failure {
    Failure::Call(Server::Persistence, error)
}

fn by_memory(error: CallError) -> Failure {
    Failure::Call(Server::Memory, error)
}

impl Records {
    /// A record, through a message where it fits, otherwise through lent memory.
    fn read(&mut self, servers: &Servers, oid: u64) -> Result<Vec<u8>, Failure> {
        let endpoint = servers.endpoint(Server::Persistence)?;
        let mut room = [0; BODY_MAX];
        let long = match Call::new(endpoint, GetObject { oid }).into_bytes(&mut room) {
            Ok((_, length)) => return Ok(room.get(..length).unwrap_or(&[]).to_vec()),
            Err(CallError::Server(BUFFER_TOO_SMALL, bytes)) => bytes,
            Err(error) => return Err(by_store(error)),
        };
        let buf = self.buf(servers, long)?;
        let length = Call::new(endpoint, GetObject { oid }).lend(buf).send().map_err(by_store)?.value;
        usize::try_from(length)
            .ok()
            .and_then(|length| buf.bytes().get(..length))
            .map(<[u8]>::to_vec)
            .ok_or(Failure::BadReply(Server::Persistence))
    }

    /// Memory to lend, of so many bytes at least.
    fn buf(&mut self, servers: &Servers, bytes: u64) -> Result<&mut Buf, Failure> {
        let fitting = self.lent.take_if(|lent| (lent.buf.bytes().len() as u64) < bytes);
        if let Some(Lent { allocation, .. }) = fitting {
            give_back(servers, allocation)?;
        }
        let lent = match self.lent.take() {
            Some(lent) => lent,
            None => allocate(servers, bytes)?,
        };
        Ok(&mut self.lent.insert(lent).buf)
    }
}

fn allocate(servers: &Servers, bytes: u64) -> Result<Lent, Failure> {
    let too_long = Failure::TooLong(bytes);
    let size = bytes.checked_next_power_of_two().ok_or(too_long)?;
    let size_bits = size.ilog2().max(PAGE_BITS);
    if size_bits > MAX_RECORD_BITS {
        return Err(too_long);
    }
    let wish = AllocateObject { kind: Kind::Buf as u64, size_bits: size_bits.into() };
    let answered = Call::new(servers.endpoint(Server::Memory)?, wish).send().map_err(by_memory)?;
    let granted = answered.granted.ok_or(Failure::BadReply(Server::Memory))?;
    let mapped = granted.claim(&servers.cnode).and_then(|cap| Buf::map(cap, &servers.vspace));
    match mapped {
        Ok(buf) => Ok(Lent { buf, allocation: answered.value }),
        Err(error) => {
            give_back(servers, answered.value)?;
            Err(Failure::Kernel(error))
        }
    }
}

/// The memory server takes the Buf back with the memory, so that it need not travel.
fn give_back(servers: &Servers, allocation: u64) -> Result<(), Failure> {
    let request = Free { capability: allocation };
    Call::new(servers.endpoint(Server::Memory)?, request).words().map_err(by_memory)
}

/// A record as rows of 16 bytes: offset, hexadecimal, and the ASCII among it.
pub fn render(record: &[u8]) -> String {
    let mut text = String::new();
    for (index, bytes) in record.chunks(16).enumerate() {
        let _ = write!(text, "{:06x} ", index * 16);
        for byte in bytes {
            let _ = write!(text, " {byte:02x}");
        }
        text.extend(core::iter::repeat_n("   ", 16 - bytes.len()));
        text.push_str("  ");
        text.extend(bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_of_sixteen() {
        let expected = "\
000000  74 65 6c 6f 73 20 00 ff 0a 7f 61 62 63 64 65 66  telos ....abcdef
000010  67                                               g
";
        assert_eq!(render(b"telos \x00\xff\n\x7fabcdefg"), expected);
        assert_eq!(render(b""), "");
    }

    proptest! {
        #[test]
        fn any_record_is_rendered(record in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = render(&record);
            prop_assert!(text.is_ascii() && !text.replace('\n', "").contains(char::is_control));
            prop_assert_eq!(text.lines().count(), record.len().div_ceil(16));
        }
    }
}
