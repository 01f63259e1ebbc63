//! The memory server as a source of objects.

use abi::CallError;
use abi::KernelError;
use abi::interfaces::memory::{AllocateObject, AllocateUntyped, Free};
use abi::token::{All, CNode, CallOnly, Cap, Endpoint, Object, Untyped};
use alloc::vec::Vec;
use runtime::{Call, objects};
use spawner::Memory;

/// What was allocated, by the number that gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allocation(pub u64);

/// A client of the memory server. It notes what it has allocated until [`MemoryServer::take_allocations`].
#[derive(Debug)]
pub struct MemoryServer {
    endpoint: Cap<Endpoint, CallOnly>,
    cnode: Cap<CNode, All>,
    allocations: Vec<Allocation>,
    owner: Owner,
}

/// Whose objects are made: kept with each capability, for the next instance of the client to know its own by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// A number of the client's choice.
    pub number: u64,
    /// What the number stands for, of the client's choice; 0 for nothing: no note is kept.
    pub role: u8,
}

/// Where the role stands in the second word of a note, above the allocation.
const ROLE_SHIFT: u32 = 56;

impl Owner {
    /// The note of an object of an allocation.
    #[must_use]
    pub fn note(self, allocation: Allocation) -> [u64; 2] {
        [self.number, u64::from(self.role) << ROLE_SHIFT | allocation.0]
    }

    /// What a note says.
    #[must_use]
    pub fn of(note: [u64; 2]) -> (Owner, Allocation) {
        let [number, second] = note;
        let role = (second >> ROLE_SHIFT) as u8;
        (Owner { number, role }, Allocation(second & ((1 << ROLE_SHIFT) - 1)))
    }
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
        MemoryServer { endpoint, cnode, allocations: Vec::new(), owner: Owner::default() }
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
        let untyped = granted.claim(&self.cnode)?;
        self.note(&untyped, Allocation(answered.value))?;
        Ok(untyped)
    }

    fn note<T: Object>(&self, object: &Cap<T, All>, allocation: Allocation) -> Result<(), KernelError> {
        if self.owner.role == 0 { Ok(()) } else { objects::note(object, self.owner.note(allocation)) }
    }

    /// Objects that are made from now on carry a note: this owner, and the allocation. Without a role they carry none.
    pub fn note_owner(&mut self, owner: Owner) {
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
        self.note(&object, Allocation(answered.value))?;
        Ok(object)
    }
}
