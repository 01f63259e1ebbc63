//! Blocks, their halves and their buddies.

/// Largest size of a block, as a power of two: what the kernel's largest untyped has.
pub const MAX_BITS: u8 = 47;

/// A power-of-two range. The base is a multiple of the size, in an address space of the allocator's own: it orders
/// blocks and finds buddies, and is no physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Logarithm of its size.
    pub size_bits: u8,
    /// Its first byte.
    pub base: u64,
}

impl Block {
    /// Its size in bytes.
    pub const fn size(self) -> u64 {
        1 << self.size_bits
    }

    /// The address behind it.
    pub const fn end(self) -> u64 {
        self.base + self.size()
    }

    /// The halves of a block of at least two bytes, the lower first.
    pub const fn halves(self) -> [Block; 2] {
        Step::at(self).halves
    }

    /// The block of the same size with which it makes up a whole.
    pub(crate) const fn buddy(self) -> Block {
        Block { size_bits: self.size_bits, base: self.base ^ self.size() }
    }

    /// The whole of which it is one half.
    pub(crate) const fn whole(self) -> Block {
        Block { size_bits: self.size_bits + 1, base: self.base & !self.size() }
    }
}

/// One split, or one merge: the block and its two halves, the lower first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The block that is split, or that the halves become.
    pub whole: Block,
    /// Its halves.
    pub halves: [Block; 2],
}

impl Step {
    /// The step at a block of at least two bytes.
    pub(crate) const fn at(whole: Block) -> Step {
        let size_bits = whole.size_bits - 1;
        let lower = Block { size_bits, base: whole.base };
        Step { whole, halves: [lower, lower.buddy()] }
    }
}
