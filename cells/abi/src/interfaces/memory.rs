//! The memory server: sole policy for untyped memory.
//!
//! Codes: [`OUT_OF_MEMORY`], [`QUOTA_EXCEEDED`], [`BAD_SIZE`], [`NOT_ALLOCATED`].

use serde::{Deserialize, Serialize};

/// No free block is large enough; detail: the largest free block in bytes.
pub const OUT_OF_MEMORY: u32 = 1;
/// The client's quota would be exceeded; detail: bytes that it has left.
pub const QUOTA_EXCEEDED: u32 = 2;
/// Size or alignment is zero, no power of two where one is needed, or too large.
pub const BAD_SIZE: u32 = 3;
/// The capability was not allocated here, or not by this client.
pub const NOT_ALLOCATED: u32 = 4;

/// What the memory server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Bytes delegated to it.
    pub total: u64,
    /// Bytes free.
    pub free: u64,
    /// Largest block that can be allocated.
    pub largest: u64,
    /// Allocations alive.
    pub allocations: u64,
}

crate::interface! {
    /// What a client of the memory server asks.
    Memory {
        /// Allocates untyped memory; the capability comes with the reply.
        1 AllocateUntyped(size: u64, alignment: u64) -> u64;
        /// Gives a block back: the capability of it travels with the request.
        2 Free(capability: u64);
        /// Allocates an object: kind and size bits as retype takes them; the capability comes with the reply.
        3 AllocateObject(kind: u64, size_bits: u64) -> u64;
        /// What there is.
        4 GetStatistics() -> u64, Statistics;
    }
}
