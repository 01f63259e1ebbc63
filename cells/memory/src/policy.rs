//! Who holds what: allocations by id, quotas by client, and how memory comes back.
//!
//! Invariants: what a client is charged is the sum of its allocations' blocks; a given block belongs to one allocation.
//! An id is never used again, so that a stale one names nothing.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use buddy::{Block, Quotas};
use runtime::abi::interfaces::memory::Statistics;

use crate::pool::{Holder, Kernel, NoBlock, Pool};

/// Name of an allocation, as the interface's result word.
pub type AllocationId = u64;

/// One block in a client's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it is.
    pub block: Block,
    /// The badge of the client that it is charged to.
    pub client: u64,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<E> {
    /// No free block is large enough.
    OutOfMemory {
        /// Bytes of the largest free block.
        largest: u64,
    },
    /// The client would hold more than it may.
    QuotaExceeded {
        /// Bytes that it may still take.
        left: u64,
    },
    /// The client has no such allocation.
    NotAllocated,
    /// The kernel does not take it back yet: a part of it is lent to a server.
    Kernel(E),
}

/// The policy over a pool.
#[derive(Debug)]
pub struct Policy<K: Kernel> {
    pool: Pool<K>,
    quotas: Quotas,
    held: BTreeMap<AllocationId, Held>,
    next: AllocationId,
    /// Entrusted memory that others still use: the parents of what was handed out at boot.
    in_use: Vec<K::Untyped>,
}

impl<K: Kernel> Policy<K> {
    /// A policy over no memory yet.
    pub fn new(kernel: K) -> Self {
        Policy { pool: Pool::new(kernel), quotas: Quotas::new(0), held: BTreeMap::new(), next: 1, in_use: Vec::new() }
    }

    /// A policy over a pool with blocks that are held already.
    pub(crate) fn over(pool: Pool<K>, held: BTreeMap<AllocationId, Held>) -> Self {
        let mut quotas = Quotas::new(pool.blocks().total_bytes() / 2);
        for held in held.values() {
            quotas.restore(held.client, held.block.size());
        }
        let next = held.last_key_value().map_or(1, |(id, _)| id + 1);
        Policy { pool, quotas, held, next, in_use: Vec::new() }
    }

    /// Numbers allocations from at least this one on: an instance goes on behind whatever the one before may have used.
    pub fn number_from(&mut self, id: AllocationId) {
        self.next = self.next.max(id);
    }

    /// Takes an untyped into its care: at once where it is whole, otherwise at the [`Self::sweep`] that finds it so.
    /// A client may hold half of everything by default.
    pub fn entrust(&mut self, untyped: K::Untyped) {
        if !self.pool.kernel.is_whole(&untyped) {
            self.in_use.push(untyped);
            return;
        }
        if let Err(odd) = self.pool.add(untyped) {
            self.in_use.push(odd);
        }
        let half = self.pool.blocks().total_bytes() / 2;
        self.quotas.set_default_limit(half);
    }

    /// Gives a client a limit of its own.
    pub fn set_limit(&mut self, client: u64, bytes: u64) {
        self.quotas.set_limit(client, bytes);
    }

    /// Allocates a block of 2^`size_bits` bytes for a client.
    ///
    /// # Errors
    /// `OutOfMemory`, also where the kernel has no slot for a split; `QuotaExceeded`. Nothing was charged then.
    pub fn allocate(&mut self, client: u64, size_bits: u8) -> Result<AllocationId, Refusal<K::Error>> {
        let bytes = 1u64.checked_shl(size_bits.into()).unwrap_or(u64::MAX);
        self.quotas.charge(client, bytes).map_err(|exceeded| Refusal::QuotaExceeded { left: exceeded.left })?;
        let block = match self.pool.allocate(size_bits) {
            Ok(block) => block,
            Err(NoBlock::TooLarge | NoBlock::Refused(_)) => {
                self.quotas.release(client, bytes);
                let largest = self.pool.blocks().largest();
                return Err(Refusal::OutOfMemory { largest });
            }
        };
        let id = self.next;
        if let Err(error) = self.pool.note(block, Some(Holder { client, id })) {
            self.quotas.release(client, bytes);
            self.pool.free(block).map_err(Refusal::Kernel)?;
            return Err(Refusal::Kernel(error));
        }
        self.next += 1;
        self.held.insert(id, Held { block, client });
        Ok(id)
    }

    /// Takes back an allocation at its client's wish. What was made of it is gone afterwards, wherever it was.
    ///
    /// # Errors
    /// `NotAllocated` for another client's, or none; `Kernel` while a part of it is lent.
    pub fn free(&mut self, client: u64, id: AllocationId) -> Result<Held, Refusal<K::Error>> {
        match self.held.get(&id) {
            Some(held) if held.client == client => self.reclaim(id),
            _ => Err(Refusal::NotAllocated),
        }
    }

    /// Takes back an allocation, whoever holds it.
    ///
    /// # Errors
    /// As [`Self::free`].
    pub fn reclaim(&mut self, id: AllocationId) -> Result<Held, Refusal<K::Error>> {
        let held = *self.held.get(&id).ok_or(Refusal::NotAllocated)?;
        self.pool.free(held.block).map_err(Refusal::Kernel)?;
        self.held.remove(&id);
        self.quotas.release(held.client, held.block.size());
        Ok(held)
    }

    /// Takes back what has been lost by its holders, and takes over what was in use when it was entrusted. Answers
    /// the allocations that ended.
    pub fn sweep(&mut self) -> Vec<(AllocationId, Held)> {
        let all: Vec<(AllocationId, Block)> = self.held.iter().map(|(id, held)| (*id, held.block)).collect();
        let mut ended = Vec::new();
        for (id, block) in all {
            if self.pool.is_whole(block)
                && let Ok(held) = self.reclaim(id)
            {
                ended.push((id, held));
            }
        }
        for untyped in core::mem::take(&mut self.in_use) {
            self.entrust(untyped);
        }
        ended
    }

    /// The untyped of an allocation.
    pub fn untyped(&self, id: AllocationId) -> Option<&K::Untyped> {
        self.pool.untyped(self.held.get(&id)?.block)
    }

    /// What there is.
    pub fn statistics(&self) -> Statistics {
        let blocks = self.pool.blocks();
        Statistics {
            total: blocks.total_bytes(),
            free: blocks.free_bytes(),
            largest: blocks.largest(),
            allocations: self.held.len() as u64,
        }
    }

    /// The kernel that its pool works on.
    pub fn kernel(&self) -> &K {
        &self.pool.kernel
    }

    /// The same, to change.
    pub fn kernel_mut(&mut self) -> &mut K {
        &mut self.pool.kernel
    }
}
