//! The buddy allocator together with the untypeds that belong to its blocks.
//!
//! Invariant: for every block of the allocator, free or given out, there is just one untyped here, and the same for
//! each whole that is split at present. A free block's untyped has nothing made of it.

use alloc::collections::{BTreeMap, BTreeSet};

use buddy::{Allocation, Block, Buddy, Step};

/// What the pool needs of the kernel.
pub trait Kernel {
    /// A capability to untyped memory.
    type Untyped;
    /// Why the kernel refused.
    type Error: Copy + core::fmt::Debug;

    /// Makes two untypeds of 2^`half_bits` bytes out of one of twice the size, the lower first. All or nothing.
    ///
    /// # Errors
    /// The kernel's; then nothing was made.
    fn split(&mut self, whole: &Self::Untyped, half_bits: u8) -> Result<[Self::Untyped; 2], Self::Error>;

    /// Deletes a capability out of which nothing is made.
    fn delete(&mut self, untyped: Self::Untyped);

    /// Takes back everything that was made or copied from an untyped.
    ///
    /// # Errors
    /// The kernel's, while a part of it is lent to a server.
    fn revoke(&mut self, untyped: &Self::Untyped) -> Result<(), Self::Error>;

    /// Whether nothing is made or copied from an untyped.
    fn is_whole(&mut self, untyped: &Self::Untyped) -> bool;

    /// Logarithm of an untyped's size; `None` where there is no such untyped.
    fn size_bits(&mut self, untyped: &Self::Untyped) -> Option<u8>;

    /// Keeps two words with an untyped, for the instance after this one.
    ///
    /// # Errors
    /// The kernel's.
    fn note(&mut self, untyped: &Self::Untyped, note: Note) -> Result<(), Self::Error>;
}

/// What the pool notes at an untyped, in the kernel's table: with where the untypeds lie, all that it has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Whether it is a root of the allocator.
    pub is_root: bool,
    /// To whom its block was given, and by which number; `None` for what is free, or split.
    pub holder: Option<Holder>,
}

/// Who holds a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The badge of the client that it is charged to.
    pub client: u64,
    /// The allocation's number, from 1 on.
    pub id: u64,
}

impl Note {
    /// As two words.
    #[must_use]
    pub fn to_words(self) -> [u64; 2] {
        let Holder { client, id } = self.holder.unwrap_or(Holder { client: 0, id: 0 });
        [client, id << 1 | u64::from(self.is_root)]
    }

    /// Out of two words; zeroes are the note of what nobody noted anything about.
    #[must_use]
    pub fn from_words([client, word]: [u64; 2]) -> Self {
        let id = word >> 1;
        Note { is_root: word & 1 != 0, holder: (id != 0).then_some(Holder { client, id }) }
    }
}

/// Why there is no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBlock<E> {
    /// No free block is large enough.
    TooLarge,
    /// The kernel refused a split; those before it were undone.
    Refused(E),
}

/// Free and given blocks, with their untypeds.
#[derive(Debug)]
pub struct Pool<K: Kernel> {
    pub(crate) kernel: K,
    pub(crate) buddy: Buddy,
    pub(crate) untypeds: BTreeMap<Block, K::Untyped>,
    pub(crate) roots: BTreeSet<Block>,
}

impl<K: Kernel> Pool<K> {
    /// A pool without memory.
    pub fn new(kernel: K) -> Self {
        Pool { kernel, buddy: Buddy::new(), untypeds: BTreeMap::new(), roots: BTreeSet::new() }
    }

    /// Adds a whole untyped. It comes back where its size is none that the allocator takes.
    ///
    /// # Errors
    /// The untyped.
    pub fn add(&mut self, untyped: K::Untyped) -> Result<(), K::Untyped> {
        let bits = self.kernel.size_bits(&untyped);
        match bits.and_then(|bits| self.buddy.add(bits)) {
            Some(root) => {
                // A root that is not known as one is entrusted again by the next instance, when it is whole.
                let _ = self.kernel.note(&untyped, Note { is_root: true, holder: None });
                self.untypeds.insert(root, untyped);
                self.roots.insert(root);
                Ok(())
            }
            None => Err(untyped),
        }
    }

    /// Takes a block out, splitting larger ones.
    ///
    /// # Errors
    /// [`NoBlock`]; then the pool is as it was.
    pub fn allocate(&mut self, size_bits: u8) -> Result<Block, NoBlock<K::Error>> {
        let allocation = self.buddy.allocate(size_bits).ok_or(NoBlock::TooLarge)?;
        for made in 0..allocation.splits.len() {
            if let Err(error) = self.split(&allocation, made) {
                match self.buddy.undo(allocation, made) {
                    Ok(merges) => self.merge(&merges),
                    Err(_) => runtime::bug!("an allocation was overtaken in one thread"),
                }
                return Err(NoBlock::Refused(error));
            }
        }
        Ok(allocation.block)
    }

    fn split(&mut self, allocation: &Allocation, index: usize) -> Result<(), K::Error> {
        let Some(Step { whole, halves }) = allocation.splits.get(index) else {
            runtime::bug!("an allocation has no split {index}")
        };
        let Some(untyped) = self.untypeds.get(whole) else { runtime::bug!("block {whole:?} has no untyped") };
        let made = self.kernel.split(untyped, whole.size_bits.saturating_sub(1))?;
        self.untypeds.extend(halves.iter().copied().zip(made));
        Ok(())
    }

    fn merge(&mut self, merges: &[Step]) {
        for half in merges.iter().flat_map(|merge| merge.halves) {
            match self.untypeds.remove(&half) {
                Some(untyped) => self.kernel.delete(untyped),
                None => runtime::bug!("block {half:?} has no untyped"),
            }
        }
    }

    /// Takes a block back with everything that was made of it, and merges it.
    ///
    /// # Errors
    /// The kernel's, while a part of it is lent; then the block stays given out.
    pub fn free(&mut self, block: Block) -> Result<(), K::Error> {
        let Some(untyped) = self.untypeds.get(&block) else { runtime::bug!("block {block:?} has no untyped") };
        self.kernel.revoke(untyped)?;
        self.note(block, None)?;
        match self.buddy.free(block) {
            Ok(merges) => self.merge(&merges),
            Err(_) => runtime::bug!("block {block:?} is not given out"),
        }
        Ok(())
    }

    /// Notes who holds a block.
    ///
    /// # Errors
    /// The kernel's.
    pub fn note(&mut self, block: Block, holder: Option<Holder>) -> Result<(), K::Error> {
        let Some(untyped) = self.untypeds.get(&block) else { runtime::bug!("block {block:?} has no untyped") };
        self.kernel.note(untyped, Note { is_root: self.roots.contains(&block), holder })
    }

    /// The untyped of a block.
    pub fn untyped(&self, block: Block) -> Option<&K::Untyped> {
        self.untypeds.get(&block)
    }

    /// Whether everything that was handed out of a block is gone.
    pub fn is_whole(&mut self, block: Block) -> bool {
        match self.untypeds.get(&block) {
            Some(untyped) => self.kernel.is_whole(untyped),
            None => false,
        }
    }

    /// The blocks.
    pub fn blocks(&self) -> &Buddy {
        &self.buddy
    }
}
