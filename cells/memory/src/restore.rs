//! The policy as the instance before this one left it, out of the kernel's tables.
//!
//! The untypeds of this server outlive its instances. Where each lies tells which is part of which; the [`Note`] that the
//! kernel keeps with each says which are roots, and who holds what. An instance that died in the middle of something
//! left one of three traces, each of which is cleared up here: one half of a split whose other half was not made, a
//! pair of free halves that was not merged, or a copy that its client never got.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use buddy::Block;

use crate::policy::{Held, Policy};
use crate::pool::{Holder, Kernel, Note, Pool};

/// An untyped that was found.
#[derive(Debug)]
pub struct Found<U> {
    /// The capability.
    pub untyped: U,
    /// Where it lies.
    pub address: u64,
    /// Logarithm of its size.
    pub size_bits: u8,
    /// Whether anything was made, or copied, of it.
    pub is_used: bool,
    /// What was noted with it.
    pub note: Note,
}

impl<U> Found<U> {
    fn end(&self) -> u64 {
        self.address.saturating_add(1 << self.size_bits)
    }
}

/// A policy over what was found, and the untypeds that are none of the pool's yet: to be entrusted.
pub fn restore<K: Kernel>(kernel: K, mut found: Vec<Found<K::Untyped>>) -> (Policy<K>, Vec<K::Untyped>) {
    // Wholes before their halves; an original, which its copy makes used, before the copy.
    found.sort_by_key(|each| (each.address, core::cmp::Reverse(each.size_bits), !each.is_used));
    let mut restorer = Restorer { pool: Pool::new(kernel), held: BTreeMap::new() };
    let mut strangers = Vec::new();
    let mut rest = found.into_iter().peekable();
    while let Some(top) = rest.next() {
        let mut inside = Vec::new();
        while let Some(next) = rest.next_if(|next| next.address < top.end()) {
            inside.push(next);
        }
        if top.note.is_root {
            restorer.root(top, inside);
        } else {
            strangers.push(top.untyped);
            strangers.extend(inside.into_iter().map(|each| each.untyped));
        }
    }
    let Restorer { pool, held } = restorer;
    (Policy::over(pool, held), strangers)
}

struct Restorer<K: Kernel> {
    pool: Pool<K>,
    held: BTreeMap<u64, Held>,
}

impl<K: Kernel> Restorer<K> {
    fn root(&mut self, top: Found<K::Untyped>, inside: Vec<Found<K::Untyped>>) {
        let Some(block) = self.pool.buddy.add(top.size_bits) else {
            runtime::bug!("a root of 2^{} bytes is none", top.size_bits)
        };
        self.pool.roots.insert(block);
        let mut leaves = Vec::new();
        self.block(block, top, inside, &mut leaves);
        for (block, holder) in leaves {
            if !self.pool.buddy.give(block) {
                runtime::bug!("block {block:?} is held twice");
            }
            self.held.insert(holder.id, Held { block, client: holder.client });
        }
    }

    /// Enters a block with what lies inside it. Answers whether it is free as a whole.
    fn block(
        &mut self,
        block: Block,
        found: Found<K::Untyped>,
        inside: Vec<Found<K::Untyped>>,
        leaves: &mut Vec<(Block, Holder)>,
    ) -> bool {
        let copies = |each: &Found<K::Untyped>| each.size_bits == found.size_bits;
        let (copies, inside): (Vec<_>, Vec<_>) = inside.into_iter().partition(copies);
        for copy in copies {
            self.pool.kernel.delete(copy.untyped);
        }
        let holder = found.note.holder;
        let middle = found.address + (1 << found.size_bits >> 1);
        self.pool.untypeds.insert(block, found.untyped);
        if let Some(holder) = holder {
            leaves.push((block, holder));
        }
        let (lower, upper): (Vec<_>, Vec<_>) = inside.into_iter().partition(|each| each.address < middle);
        match (holder, first(lower), first(upper)) {
            (None, Some((lower, in_lower)), Some((upper, in_upper))) => {
                let [low, high] = block.halves();
                let low_is_free = self.block(low, lower, in_lower, leaves);
                let high_is_free = self.block(high, upper, in_upper, leaves);
                if low_is_free && high_is_free {
                    self.drop_block(low);
                    self.drop_block(high);
                }
                low_is_free && high_is_free
            }
            (holder, lower, upper) => {
                // One half alone: the split was not finished, so nothing was made of it.
                for (half, inside) in [lower, upper].into_iter().flatten() {
                    self.pool.kernel.delete(half.untyped);
                    inside.into_iter().for_each(|each| self.pool.kernel.delete(each.untyped));
                }
                holder.is_none()
            }
        }
    }

    fn drop_block(&mut self, block: Block) {
        if let Some(untyped) = self.pool.untypeds.remove(&block) {
            self.pool.kernel.delete(untyped);
        }
    }
}

/// The whole of what was found, and what lies inside it.
fn first<U>(found: Vec<Found<U>>) -> Option<(Found<U>, Vec<Found<U>>)> {
    let mut rest = found.into_iter();
    rest.next().map(|first| (first, rest.collect()))
}
