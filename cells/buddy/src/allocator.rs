//! The allocator: free blocks, blocks given out, and the steps between.
//!
//! Invariants: every byte of every root lies in exactly one block, free or given out; no two free blocks of one root
//! are buddies; a block lies inside its root.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::block::{Block, MAX_BITS, Step};

/// The bookkeeping of several roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buddy {
    /// Logarithm of each root's size, by its base.
    roots: BTreeMap<u64, u8>,
    /// Ordered by size, then by base: the smallest block that fits is the first of a range.
    free: BTreeSet<Block>,
    given: BTreeSet<Block>,
    free_bytes: u64,
    total_bytes: u64,
}

/// A block that was given out, and the splits that it takes, from the largest down. They stand in the bookkeeping
/// already: carry them out in order, and hand the allocation to [`Buddy::undo`] if one is refused.
#[must_use = "the splits of an allocation have to be carried out, or undone"]
#[derive(Debug, PartialEq, Eq)]
pub struct Allocation {
    /// What was given out.
    pub block: Block,
    /// The splits on the way to it.
    pub splits: Vec<Step>,
}

/// The block is not given out here. The caller's mistake; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAllocated;

impl Buddy {
    /// An allocator without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a root of 2^`size_bits` bytes, all of it free. `None` where the size is none, or the address space is full.
    pub fn add(&mut self, size_bits: u8) -> Option<Block> {
        if size_bits > MAX_BITS {
            return None;
        }
        let end = self.roots.last_key_value().map_or(0, |(base, bits)| base + (1 << bits));
        let base = end.checked_next_multiple_of(1 << size_bits)?;
        base.checked_add(1 << size_bits)?;
        let root = Block { size_bits, base };
        self.roots.insert(base, size_bits);
        self.free.insert(root);
        self.free_bytes += root.size();
        self.total_bytes += root.size();
        Some(root)
    }

    /// Gives out a block of just 2^`size_bits` bytes, out of the smallest free one that is large enough. `None` where
    /// there is none: [`Self::largest`] tells what there is.
    pub fn allocate(&mut self, size_bits: u8) -> Option<Allocation> {
        let least = Block { size_bits, base: 0 };
        let mut block = *self.free.range(least..).next()?;
        self.free.remove(&block);
        let mut splits = Vec::new();
        while block.size_bits > size_bits {
            let split = Step::at(block);
            let [lower, upper] = split.halves;
            self.free.insert(upper);
            splits.push(split);
            block = lower;
        }
        self.given.insert(block);
        self.free_bytes -= block.size();
        Some(Allocation { block, splits })
    }

    /// Gives out just this block, which is free or lies within a free one, as it was given out once before: the splits on
    /// the way to it are those that were carried out then. `false` where it is not free.
    pub fn give(&mut self, block: Block) -> bool {
        let around = (block.size_bits..=MAX_BITS)
            .map(|size_bits| Block { size_bits, base: block.base >> size_bits << size_bits });
        let Some(mut whole) = around.into_iter().find(|around| self.free.contains(around)) else {
            return false;
        };
        self.free.remove(&whole);
        while whole.size_bits > block.size_bits {
            let [lower, upper] = Step::at(whole).halves;
            let (inside, other) = if block.base < upper.base { (lower, upper) } else { (upper, lower) };
            self.free.insert(other);
            whole = inside;
        }
        self.given.insert(block);
        self.free_bytes -= block.size();
        true
    }

    /// Takes an allocation back of whose splits only the first `made` were carried out. Answers the merges that undo
    /// those, to be carried out in order; it must follow the allocation at once.
    ///
    /// # Errors
    /// [`NotAllocated`] where the allocator has moved on since.
    pub fn undo(&mut self, allocation: Allocation, made: usize) -> Result<Vec<Step>, NotAllocated> {
        let Allocation { block, splits } = allocation;
        let imagined = splits.get(made..).unwrap_or(&[]);
        let stands = self.given.contains(&block) && imagined.iter().all(|split| self.free.contains(&split.halves[1]));
        if !stands {
            return Err(NotAllocated);
        }
        for split in imagined {
            self.free.remove(&split.halves[1]);
        }
        self.given.remove(&block);
        self.free_bytes += block.size();
        Ok(self.merge(imagined.first().map_or(block, |split| split.whole)))
    }

    /// Takes a block back. Answers the merges that follow, from the smallest up, to be carried out in order.
    ///
    /// # Errors
    /// [`NotAllocated`].
    pub fn free(&mut self, block: Block) -> Result<Vec<Step>, NotAllocated> {
        if !self.given.remove(&block) {
            return Err(NotAllocated);
        }
        self.free_bytes += block.size();
        Ok(self.merge(block))
    }

    /// Enters a free block, merged with its buddy as long as that is free too and the root is not reached.
    fn merge(&mut self, mut block: Block) -> Vec<Step> {
        let root_bits = self.root_bits(block);
        let mut merges = Vec::new();
        while block.size_bits < root_bits && self.free.remove(&block.buddy()) {
            block = block.whole();
            merges.push(Step::at(block));
        }
        self.free.insert(block);
        merges
    }

    fn root_bits(&self, block: Block) -> u8 {
        self.roots.range(..=block.base).next_back().map_or(block.size_bits, |(_, bits)| *bits)
    }

    /// Whether a block is given out.
    pub fn is_given(&self, block: Block) -> bool {
        self.given.contains(&block)
    }

    /// Bytes of the largest free block, 0 where nothing is free.
    pub fn largest(&self) -> u64 {
        self.free.last().map_or(0, |block| block.size())
    }

    /// Bytes that are free.
    pub fn free_bytes(&self) -> u64 {
        self.free_bytes
    }

    /// Bytes of all roots.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// The free blocks, the smallest first.
    pub fn free_blocks(&self) -> impl Iterator<Item = Block> + '_ {
        self.free.iter().copied()
    }

    /// The blocks given out, the smallest first.
    pub fn given_blocks(&self) -> impl Iterator<Item = Block> + '_ {
        self.given.iter().copied()
    }
}
