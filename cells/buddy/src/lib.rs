//! Buddy allocation over several power-of-two blocks of untyped memory, and quotas by client: bookkeeping alone.
//!
//! * [`Buddy`]: which blocks are free, which are given out, and in which steps a block is split or merged;
//! * [`Quotas`]: how much each client holds and may hold.
//!
//! Nothing here touches memory. Each [`Step`] is one operation that the owner of the untypeds carries out: a split of
//! a block of 2^n bytes retypes its untyped into two of 2^(n-1), and a merge deletes the capabilities of both halves,
//! whereupon the kernel takes the whole as unused again. A split that the kernel refuses is undone by [`Buddy::undo`].
//!
//! The method is Knowlton's ("A fast storage allocator", CACM 8:10, 1965): a block's buddy differs from it in the one
//! address bit of their size, so that merging needs no search.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod allocator;
mod block;
mod quotas;

pub use allocator::{Allocation, Buddy, NotAllocated};
pub use block::{Block, MAX_BITS, Step};
pub use quotas::{Exceeded, Quotas, UNLIMITED};
