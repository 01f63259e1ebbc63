//! The memory server as a source of objects.

use abi::CallError;
use abi::KernelError;
use abi::interfaces::memory::{AllocateObject, AllocateUntyped, Free};
use abi::token::{All, CNode, CallOnly, Cap, Endpoint, Object, Untyped};
use alloc::vec::Vec;
use runtime::{Call, objects};
use spawner::Memory;

/// What was allocated, by the number that gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation(pub u64);

/// A client of the memory server. It notes what it has allocated until [`MemoryServer::take_allocations`].
#[derive(Debug)]
pub struct MemoryServer {
    endpoint: Cap<Endpoint, CallOnly>,
    cnode: Cap<CNode, All>,
    allocations: Vec<Allocation>,
    owner: u64,
}

/// Why there is no memory: the call's error, or a capability that was not of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory(pub CallError);

impl From<KernelError> for NoMemory {
    fn from(error: KernelError) -> Self {
        NoMemory(CallError::Kernel(error, 0))
    }
}

impl From<CallError> for NoMemory {
    fn from(error: CallError) -> Self {
        NoMemory(error)
    }
}

impl MemoryServer {
    /// A client whose capabilities arrive in this CNode, the caller's own.
    pub fn new(endpoint: Cap<Endpoint, CallOnly>, cnode: Cap<CNode, All>) -> Self {
        MemoryServer { endpoint, cnode, allocations: Vec::new(), owner: 0 }
    }

    /// The endpoint, for other calls.
    pub fn endpoint(&self) -> &Cap<Endpoint, CallOnly> {
        &self.endpoint
    }

    /// The caller's CNode.
    pub fn cnode(&self) -> &Cap<CNode, All> {
        &self.cnode
    }

    /// Untyped memory of 2^`size_bits` bytes.
    ///
    /// # Errors
    /// There is none left, or the quota is used up.
    pub fn untyped(&mut self, size_bits: u8) -> Result<Cap<Untyped, All>, NoMemory> {
        let size = 1 << size_bits;
        let answered = Call::new(&self.endpoint, AllocateUntyped { size, alignment: size }).send()?;
        self.allocations.push(Allocation(answered.value));
        let granted = answered.granted.ok_or(KernelError::TableFull)?;
        Ok(granted.claim(&self.cnode)?)
    }

    /// Objects that are made from now on carry a note: this number, and that of the allocation. 0 for no notes.
    pub fn note_owner(&mut self, owner: u64) {
        self.owner = owner;
    }

    /// What was allocated since the last time this was asked.
    pub fn take_allocations(&mut self) -> Vec<Allocation> {
        core::mem::take(&mut self.allocations)
    }

    /// The newest allocation, which is no longer noted: for what is given back at once.
    pub fn take_newest(&mut self) -> Option<Allocation> {
        self.allocations.pop()
    }

    /// Gives an allocation back, with everything that was made of it.
    ///
    /// # Errors
    /// It is not the caller's.
    pub fn free(&self, allocation: Allocation) -> Result<(), NoMemory> {
        Call::new(&self.endpoint, Free { capability: allocation.0 }).send()?;
        Ok(())
    }
}

impl Memory for MemoryServer {
    type Error = NoMemory;

    fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, NoMemory> {
        let method = AllocateObject { kind: T::KIND as u64, size_bits: size_bits.into() };
        let answered = Call::new(&self.endpoint, method).send()?;
        self.allocations.push(Allocation(answered.value));
        let granted = answered.granted.ok_or(KernelError::TableFull)?;
        let object = granted.claim(&self.cnode)?;
        if self.owner != 0 {
            objects::note(&object, [self.owner, answered.value])?;
        }
        Ok(object)
    }
}
