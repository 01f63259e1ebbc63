//! Records of persistent objects, as the persistence server hands them out.

use alloc::vec::Vec;

use abi::CallError;
use abi::interface::Method;
use abi::interfaces::memory::{AllocateObject, Free};
use abi::interfaces::persistence::{
    BUFFER_TOO_SMALL, GetObject, GetObjectAt, History, Revision, RevisionSummary, Root,
};
use abi::kernel::{BODY_MAX, Kind};
use object_model::{Object, Record};
use runtime::{Buf, Call, abi};

use crate::failure::{Failure, Server};
use crate::servers::Servers;

/// The longest record that is read, as a power of two.
const MAX_RECORD_BITS: u32 = 24;
/// The smallest Buf, as a power of two.
const PAGE_BITS: u32 = 12;

/// The memory that long records are read through. It is kept from one to the next.
#[derive(Debug, Default)]
pub struct Records {
    lent: Option<Lent>,
    /// Whether a transaction is open: memory that was allocated in it would go with it.
    is_fixed: bool,
    /// Objects are read as they stood after this transaction; without one, as they were last committed.
    at: Option<u64>,
}

#[derive(Debug)]
struct Lent {
    buf: Buf,
    allocation: u64,
}

/// The root's OID.
///
/// # Errors
/// Those of the call.
pub fn root(servers: &Servers) -> Result<u64, Failure> {
    Call::new(servers.endpoint(Server::Persistence)?, Root {}).words().map_err(by_store)
}

/// The object of a record.
///
/// # Errors
/// `Corrupt`, `NoObject`.
pub fn object_of(oid: u64, record: &[u8]) -> Result<Object, Failure> {
    let record = Record::decode(record).map_err(|_| Failure::Corrupt(oid))?;
    Object::from_record(&record).map_err(|why| Failure::NoObject(oid, why))
}

fn by_store(error: CallError) -> Failure {
    Failure::Call(Server::Persistence, error)
}

fn by_memory(error: CallError) -> Failure {
    Failure::Call(Server::Memory, error)
}

impl Records {
    /// Allocates nothing from here on, or does again: nothing while a transaction is open.
    pub fn fix(&mut self, is_fixed: bool) {
        self.is_fixed = is_fixed;
    }

    /// Reads objects from now on as they stood after a transaction; without one, as they were last committed.
    pub fn view(&mut self, at: Option<u64>) {
        self.at = at;
    }

    /// The transaction that wrote what is read of an object.
    ///
    /// # Errors
    /// Those of the calls.
    pub fn revision(&self, servers: &Servers, oid: u64) -> Result<u64, Failure> {
        let endpoint = servers.endpoint(Server::Persistence)?;
        let Some(at) = self.at else { return Call::new(endpoint, Revision { oid }).value().map_err(by_store) };
        let mut room = [0; BODY_MAX];
        let method = History { oid, before: at.saturating_add(1) };
        let (_, length) = Call::new(endpoint, method).into_bytes(&mut room).map_err(by_store)?;
        let page: Vec<RevisionSummary<'_>> = postcard::from_bytes(room.get(..length).unwrap_or(&[]))
            .map_err(|_| Failure::BadReply(Server::Persistence))?;
        page.first().map(|revision| revision.tid).ok_or(Failure::BadReply(Server::Persistence))
    }

    /// An object.
    ///
    /// # Errors
    /// Those of the calls; `TooLong`, `Corrupt`, `NoObject`.
    pub fn object(&mut self, servers: &Servers, oid: u64) -> Result<Object, Failure> {
        object_of(oid, &self.read(servers, oid)?)
    }

    /// A record, through a message where it fits, otherwise through lent memory.
    ///
    /// # Errors
    /// Those of the calls; `TooLong`.
    pub fn read(&mut self, servers: &Servers, oid: u64) -> Result<Vec<u8>, Failure> {
        match self.at {
            None => self.load(servers, GetObject { oid }),
            Some(tid) => self.load(servers, GetObjectAt { oid, tid }),
        }
    }

    /// A record as it stood after a transaction, whatever is viewed.
    ///
    /// # Errors
    /// As [`Records::read`].
    pub fn read_past(&mut self, servers: &Servers, oid: u64, tid: u64) -> Result<Vec<u8>, Failure> {
        self.load(servers, GetObjectAt { oid, tid })
    }

    fn load<M: Method<Value = u64> + Copy>(&mut self, servers: &Servers, method: M) -> Result<Vec<u8>, Failure> {
        let endpoint = servers.endpoint(Server::Persistence)?;
        let mut room = [0; BODY_MAX];
        let long = match Call::new(endpoint, method).into_bytes(&mut room) {
            Ok((_, length)) => return Ok(room.get(..length).unwrap_or(&[]).to_vec()),
            Err(CallError::Server(BUFFER_TOO_SMALL, bytes)) => bytes,
            Err(error) => return Err(by_store(error)),
        };
        let buf = self.buf(servers, long)?;
        let length = Call::new(endpoint, method).lend(buf).send().map_err(by_store)?.value;
        usize::try_from(length)
            .ok()
            .and_then(|length| buf.bytes().get(..length))
            .map(<[u8]>::to_vec)
            .ok_or(Failure::BadReply(Server::Persistence))
    }

    /// Memory to lend, of so many bytes at least.
    fn buf(&mut self, servers: &Servers, bytes: u64) -> Result<&mut Buf, Failure> {
        let fits = self.lent.as_ref().is_some_and(|lent| lent.buf.bytes().len() as u64 >= bytes);
        if self.is_fixed && !fits {
            return Err(Failure::TransactionOpen);
        }
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
    let too_long = || Failure::TooLong(bytes);
    let size = bytes.checked_next_power_of_two().ok_or_else(too_long)?;
    let size_bits = size.ilog2().max(PAGE_BITS);
    if size_bits > MAX_RECORD_BITS {
        return Err(too_long());
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
