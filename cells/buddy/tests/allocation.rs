//! Allocation against a model of the kernel's untypeds, in which each step must be possible when it is carried out.

use std::collections::BTreeSet;

use buddy::{Block, Buddy, NotAllocated, Step};
use proptest::prelude::*;

/// The untypeds out of which nothing has been made.
#[derive(Default)]
struct Kernel {
    leaves: BTreeSet<Block>,
}

impl Kernel {
    fn split(&mut self, step: &Step) {
        let [lower, upper] = step.halves;
        assert_eq!((lower.base, lower.end()), (step.whole.base, upper.base));
        assert_eq!(upper.end(), step.whole.end());
        assert!(self.leaves.remove(&step.whole), "no such untyped: {step:?}");
        self.leaves.extend(step.halves);
    }

    fn merge(&mut self, step: &Step) {
        for half in step.halves {
            assert!(self.leaves.remove(&half), "no such untyped: {step:?}");
        }
        self.leaves.insert(step.whole);
    }
}

#[derive(Clone, Debug)]
enum Action {
    Allocate(u8),
    /// Allocates, and the kernel refuses the split of this number.
    Refused(u8, usize),
    Free(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        3 => (4u8..16).prop_map(Action::Allocate),
        1 => (4u8..16, 0usize..8).prop_map(|(bits, at)| Action::Refused(bits, at)),
        2 => any::<usize>().prop_map(Action::Free),
    ];
    prop::collection::vec(action, 0..120)
}

fn check(buddy: &Buddy, kernel: &Kernel, roots: &[Block]) {
    let mut blocks: Vec<Block> = buddy.free_blocks().chain(buddy.given_blocks()).collect();
    assert_eq!(blocks.iter().copied().collect::<BTreeSet<_>>(), kernel.leaves);
    blocks.sort_by_key(|block| block.base);
    for pair in blocks.windows(2) {
        assert!(pair[0].end() <= pair[1].base, "overlap: {pair:?}");
    }
    for block in &blocks {
        assert_eq!(block.base % block.size(), 0);
        let inside = |root: &&Block| root.base <= block.base && block.end() <= root.end();
        assert!(roots.iter().find(inside).is_some());
    }
    let sum = |blocks: &mut dyn Iterator<Item = Block>| blocks.map(Block::size).sum::<u64>();
    assert_eq!(sum(&mut buddy.free_blocks()), buddy.free_bytes());
    assert_eq!(sum(&mut blocks.into_iter()), buddy.total_bytes());
}

proptest! {
    #[test]
    fn every_byte_is_in_one_block_and_every_step_is_possible(
        sizes in prop::collection::vec(8u8..16, 1..5),
        actions in actions(),
    ) {
        let mut buddy = Buddy::new();
        let mut kernel = Kernel::default();
        let roots: Vec<Block> = sizes.iter().filter_map(|bits| buddy.add(*bits)).collect();
        prop_assert_eq!(roots.len(), sizes.len());
        kernel.leaves.extend(&roots);
        let untouched = buddy.clone();
        let mut held: Vec<Block> = Vec::new();
        for action in actions {
            let largest = buddy.largest();
            match action {
                Action::Allocate(bits) => match buddy.allocate(bits) {
                    None => prop_assert!(largest < 1 << bits),
                    Some(allocation) => {
                        prop_assert_eq!(allocation.block.size_bits, bits);
                        allocation.splits.iter().for_each(|split| kernel.split(split));
                        held.push(allocation.block);
                    }
                },
                Action::Refused(bits, at) => {
                    let before = buddy.clone();
                    if let Some(allocation) = buddy.allocate(bits) {
                        let made = at.min(allocation.splits.len());
                        allocation.splits.iter().take(made).for_each(|split| kernel.split(split));
                        let merges = buddy.undo(allocation, made).expect("nothing came between");
                        prop_assert_eq!(merges.len(), made);
                        merges.iter().for_each(|merge| kernel.merge(merge));
                    }
                    prop_assert_eq!(&buddy, &before);
                }
                Action::Free(index) if !held.is_empty() => {
                    let block = held.swap_remove(index % held.len());
                    let merges = buddy.free(block).expect("it is given out");
                    merges.iter().for_each(|merge| kernel.merge(merge));
                    prop_assert_eq!(buddy.free(block), Err(NotAllocated));
                }
                Action::Free(_) => {}
            }
            check(&buddy, &kernel, &roots);
        }
        for block in held {
            buddy.free(block).expect("it is given out").iter().for_each(|merge| kernel.merge(merge));
        }
        prop_assert_eq!(buddy, untouched);
    }
}

#[test]
fn the_smallest_block_that_fits_is_taken() {
    let mut buddy = Buddy::new();
    let large = buddy.add(16).expect("room");
    let small = buddy.add(12).expect("room");
    let allocation = buddy.allocate(11).expect("room");
    assert_eq!(allocation.block.base, small.base);
    assert_eq!(allocation.splits.len(), 1);
    assert_eq!(buddy.largest(), large.size());
}

#[test]
fn neighbouring_roots_do_not_merge() {
    let mut buddy = Buddy::new();
    buddy.add(12).expect("room");
    buddy.add(12).expect("room");
    let both = [buddy.allocate(12), buddy.allocate(12)].map(|taken| taken.expect("room").block);
    for block in both {
        assert_eq!(buddy.free(block), Ok(vec![]));
    }
    assert!(buddy.allocate(13).is_none());
}

#[test]
fn an_undo_that_comes_too_late_changes_nothing() {
    let mut buddy = Buddy::new();
    buddy.add(12).expect("room");
    let first = buddy.allocate(10).expect("room");
    buddy.allocate(11).expect("room").splits.clear();
    let before = buddy.clone();
    assert_eq!(buddy.undo(first, 0), Err(NotAllocated));
    assert_eq!(buddy, before);
}

#[test]
fn sizes_beyond_every_machine_are_refused() {
    let mut buddy = Buddy::new();
    assert_eq!(buddy.add(64), None);
    buddy.add(12).expect("room");
    assert!(buddy.allocate(63).is_none());
    assert!(buddy.allocate(255).is_none());
}
