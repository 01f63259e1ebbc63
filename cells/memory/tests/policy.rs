//! The policy over a model of the kernel's untypeds, which can refuse splits and hold blocks pinned.

use std::collections::{BTreeMap, BTreeSet};

use memory::policy::{Policy, Refusal};
use memory::pool::{Holder, Kernel, Note};
use memory::restore::{Found, restore};
use proptest::prelude::*;

/// Derivations among untypeds, by number.
#[derive(Default)]
struct Model {
    next: u32,
    bits: BTreeMap<u32, u8>,
    children: BTreeMap<u32, BTreeSet<u32>>,
    /// Untypeds of which a client holds a copy, or an object.
    handed_out: BTreeSet<u32>,
    pinned: BTreeSet<u32>,
    notes: BTreeMap<u32, Note>,
    /// Where each lies.
    addresses: BTreeMap<u32, u64>,
    /// Splits that are carried out before one is refused.
    splits_left: Option<u32>,
}

impl Model {
    /// A new untyped of its own.
    fn untyped(&mut self, bits: u8) -> u32 {
        let address = u64::from(self.next + 1) << 32;
        self.untyped_at(bits, address)
    }

    fn untyped_at(&mut self, bits: u8, address: u64) -> u32 {
        self.next += 1;
        self.bits.insert(self.next, bits);
        self.addresses.insert(self.next, address);
        self.next
    }

    /// All that the server's CNode holds, as the kernel tells it.
    fn found(&mut self) -> Vec<Found<u32>> {
        let all: Vec<u32> = self.bits.keys().copied().collect();
        let describe = |untyped: u32| Found {
            untyped,
            address: self.addresses[&untyped],
            size_bits: self.bits[&untyped],
            is_used: !self.is_whole(&untyped),
            note: self.notes.get(&untyped).copied().unwrap_or_default(),
        };
        all.into_iter().map(describe).collect()
    }
}

impl Kernel for Model {
    type Untyped = u32;
    type Error = &'static str;

    fn split(&mut self, whole: &u32, half_bits: u8) -> Result<[u32; 2], &'static str> {
        if let Some(left) = &mut self.splits_left {
            *left = left.checked_sub(1).ok_or("no slot left")?;
        }
        assert!(self.is_whole(whole), "split of an untyped that is in use");
        assert_eq!(self.bits[whole], half_bits + 1);
        let lower = self.addresses[whole];
        let halves = [self.untyped_at(half_bits, lower), self.untyped_at(half_bits, lower + (1 << half_bits))];
        self.children.insert(*whole, halves.into());
        Ok(halves)
    }

    fn delete(&mut self, untyped: u32) {
        assert!(self.is_whole(&untyped), "delete of an untyped that is in use");
        self.bits.remove(&untyped).expect("it exists");
        self.notes.remove(&untyped);
        self.children.values_mut().for_each(|children| {
            children.remove(&untyped);
        });
    }

    fn revoke(&mut self, untyped: &u32) -> Result<(), &'static str> {
        if self.pinned.contains(untyped) {
            return Err("lent");
        }
        self.handed_out.remove(untyped);
        Ok(())
    }

    fn is_whole(&mut self, untyped: &u32) -> bool {
        let split = self.children.get(untyped).is_some_and(|children| !children.is_empty());
        !split && !self.handed_out.contains(untyped)
    }

    fn size_bits(&mut self, untyped: &u32) -> Option<u8> {
        self.bits.get(untyped).copied()
    }

    fn note(&mut self, untyped: &u32, note: Note) -> Result<(), &'static str> {
        self.notes.insert(*untyped, note);
        Ok(())
    }
}

fn policy(roots: &[u8]) -> Policy<Model> {
    let mut policy = Policy::new(Model::default());
    for bits in roots {
        let untyped = policy.kernel_mut().untyped(*bits);
        policy.entrust(untyped);
    }
    policy
}

fn hand_out(policy: &mut Policy<Model>, client: u64, bits: u8) -> u64 {
    let id = policy.allocate(client, bits).expect("room and quota");
    let untyped = *policy.untyped(id).expect("it is held");
    policy.kernel_mut().handed_out.insert(untyped);
    id
}

#[test]
fn a_client_frees_its_own_and_nobody_else_s() {
    let mut policy = policy(&[16]);
    let id = hand_out(&mut policy, 3, 12);
    assert_eq!(policy.free(4, id), Err(Refusal::NotAllocated));
    assert_eq!(policy.free(0, id), Err(Refusal::NotAllocated));
    assert!(policy.free(3, id).is_ok());
    assert_eq!(policy.free(3, id), Err(Refusal::NotAllocated));
    assert_eq!(policy.statistics().largest, 1 << 16);
}

#[test]
fn by_default_a_client_may_hold_half() {
    let mut policy = policy(&[15, 15]);
    hand_out(&mut policy, 3, 14);
    assert_eq!(policy.allocate(3, 15), Err(Refusal::QuotaExceeded { left: 1 << 14 }));
    hand_out(&mut policy, 3, 14);
    assert_eq!(policy.allocate(3, 7), Err(Refusal::QuotaExceeded { left: 0 }));
    hand_out(&mut policy, 4, 15);
    let nothing = Err(Refusal::OutOfMemory { largest: 0 });
    assert_eq!(policy.allocate(0, 7), nothing, "no quota, but no memory either");
}

#[test]
fn a_refused_split_leaves_no_trace() {
    for allowed in 0..5 {
        let mut policy = policy(&[16]);
        policy.kernel_mut().splits_left = Some(allowed);
        let refused = Err(Refusal::OutOfMemory { largest: 1 << 16 });
        assert_eq!(policy.allocate(3, 10), refused);
        assert_eq!(policy.kernel().bits.len(), 1);
        policy.kernel_mut().splits_left = None;
        assert!(policy.allocate(3, 15).is_ok(), "nothing is charged");
    }
}

#[test]
fn what_is_lent_stays_held_until_it_is_not() {
    let mut policy = policy(&[16]);
    let id = hand_out(&mut policy, 3, 15);
    let untyped = *policy.untyped(id).expect("it is held");
    policy.kernel_mut().pinned.insert(untyped);
    assert_eq!(policy.free(3, id), Err(Refusal::Kernel("lent")));
    assert_eq!(policy.allocate(3, 15), Err(Refusal::QuotaExceeded { left: 0 }));
    policy.kernel_mut().pinned.clear();
    assert!(policy.free(3, id).is_ok());
    assert!(policy.allocate(3, 15).is_ok(), "its charge is gone too");
}

#[test]
fn a_sweep_takes_back_what_was_revoked_elsewhere() {
    let mut policy = policy(&[16]);
    let kept = hand_out(&mut policy, 3, 12);
    let lost = hand_out(&mut policy, 3, 12);
    assert!(policy.sweep().is_empty());
    let untyped = *policy.untyped(lost).expect("it is held");
    policy.kernel_mut().handed_out.remove(&untyped);
    let ended: Vec<u64> = policy.sweep().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, [lost]);
    assert!(policy.untyped(kept).is_some());
    assert_eq!(policy.statistics().free, (1 << 16) - (1 << 12));
}

#[test]
fn memory_in_use_is_taken_over_when_it_is_whole() {
    let mut policy = policy(&[]);
    let parent = policy.kernel_mut().untyped(16);
    policy.kernel_mut().handed_out.insert(parent);
    policy.entrust(parent);
    policy.sweep();
    assert_eq!(policy.statistics().total, 0);
    policy.kernel_mut().handed_out.remove(&parent);
    policy.sweep();
    assert_eq!(policy.statistics().largest, 1 << 16);
    assert!(policy.allocate(3, 15).is_ok(), "the default limit follows");
}

#[test]
fn a_new_instance_knows_what_the_last_one_gave_out() {
    let mut policy = policy(&[16, 14]);
    let first = hand_out(&mut policy, 3, 12);
    let second = hand_out(&mut policy, 4, 14);
    let before = policy.statistics();
    let mut policy = restarted(policy);
    assert_eq!(policy.statistics(), before);
    assert_eq!(policy.free(4, first), Err(Refusal::NotAllocated));
    assert!(policy.allocate(5, 7).expect("there is room") > second, "numbers go on");
    assert!(policy.free(3, first).is_ok() && policy.free(4, second).is_ok());
}

#[test]
fn memory_in_use_is_no_root_for_the_next_instance_either() {
    let mut policy = policy(&[14]);
    let parent = policy.kernel_mut().untyped(16);
    policy.kernel_mut().handed_out.insert(parent);
    policy.entrust(parent);
    let mut policy = restarted(policy);
    assert_eq!(policy.statistics().total, 1 << 14);
    policy.kernel_mut().handed_out.remove(&parent);
    policy.sweep();
    assert_eq!(policy.statistics().total, (1 << 14) + (1 << 16));
}

#[test]
fn what_a_dying_instance_left_half_done_is_cleared_up() {
    // One half of a split.
    let mut policy = policy(&[16]);
    let id = hand_out(&mut policy, 3, 14);
    let (untouched, untypeds) = (policy.statistics(), policy.kernel().bits.len());
    let [half, _] = {
        let kernel = policy.kernel_mut();
        let whole = *kernel.bits.iter().find(|(_, bits)| **bits == 15).expect("the other half is free").0;
        let whole = [whole, whole + 1].into_iter().find(|half| kernel.is_whole(half)).expect("one half is free");
        kernel.split(&whole, 14).expect("it is whole")
    };
    policy.kernel_mut().delete(half);
    let mut policy = restarted(policy);
    assert_eq!(policy.statistics(), untouched);
    assert_eq!(policy.kernel().bits.len(), untypeds);
    // A pair of halves of which nothing was made.
    let kernel = policy.kernel_mut();
    let whole =
        *kernel.bits.iter().find(|(half, bits)| **bits == 14 && !kernel.notes.contains_key(half)).expect("free").0;
    policy.kernel_mut().split(&whole, 13).expect("it is whole");
    let mut policy = restarted(policy);
    assert_eq!(policy.statistics(), untouched);
    assert_eq!(policy.kernel().bits.len(), untypeds);
    // A copy that its client never got.
    let kernel = policy.kernel_mut();
    let holder = Holder { client: 3, id };
    let held = *kernel.notes.iter().find(|(_, note)| note.holder == Some(holder)).expect("it is held").0;
    let address = kernel.addresses[&held];
    let copy = kernel.untyped_at(14, address);
    let policy = restarted(policy);
    assert_eq!(policy.statistics(), untouched);
    assert_eq!(policy.kernel().bits.len(), untypeds);
    assert!(!policy.kernel().bits.contains_key(&copy));
}

#[derive(Clone, Debug)]
enum Action {
    Allocate(u64, u8),
    Free(u64, usize),
    Lose(usize),
    Refuse(u32),
    Restart,
}

/// The policy of the next instance, which knows nothing but what the kernel tells.
fn restarted(mut policy: Policy<Model>) -> Policy<Model> {
    let mut kernel = core::mem::take(policy.kernel_mut());
    let found = kernel.found();
    let (mut policy, strangers) = restore(kernel, found);
    strangers.into_iter().for_each(|untyped| policy.entrust(untyped));
    policy
}

proptest! {
    #[test]
    fn everything_comes_back(actions in prop::collection::vec(prop_oneof![
        4 => (0u64..4, 7u8..15).prop_map(|(client, bits)| Action::Allocate(client, bits)),
        2 => (0u64..4, any::<usize>()).prop_map(|(client, index)| Action::Free(client, index)),
        1 => any::<usize>().prop_map(Action::Lose),
        1 => (0u32..6).prop_map(Action::Refuse),
        1 => Just(Action::Restart),
    ], 0..100)) {
        let mut policy = policy(&[15, 14, 12]);
        let untouched = policy.statistics();
        let mut ids: Vec<(u64, u64)> = Vec::new();
        for action in actions {
            match action {
                Action::Restart => {}
                Action::Allocate(client, bits) => if let Ok(id) = policy.allocate(client, bits) {
                    let untyped = *policy.untyped(id).expect("it is held");
                    policy.kernel_mut().handed_out.insert(untyped);
                    ids.push((id, client));
                },
                Action::Free(client, index) if !ids.is_empty() => {
                    let index = index % ids.len();
                    let (id, owner) = ids[index];
                    prop_assert_eq!(policy.free(client, id).is_ok(), client == owner);
                    if client == owner { ids.swap_remove(index); }
                }
                Action::Lose(index) if !ids.is_empty() => {
                    let (id, _) = ids.swap_remove(index % ids.len());
                    let untyped = *policy.untyped(id).expect("it is held");
                    policy.kernel_mut().handed_out.remove(&untyped);
                    prop_assert_eq!(policy.sweep().len(), 1);
                }
                Action::Refuse(after) => policy.kernel_mut().splits_left = Some(after),
                Action::Free(..) | Action::Lose(_) => {}
            }
            prop_assert_eq!(policy.statistics().allocations, ids.len() as u64);
            if matches!(action, Action::Restart) {
                let before = policy.statistics();
                policy = restarted(policy);
                prop_assert_eq!(policy.statistics(), before);
            }
        }
        for (id, owner) in ids {
            prop_assert!(policy.free(owner, id).is_ok());
        }
        prop_assert_eq!(policy.statistics(), untouched);
        prop_assert_eq!(policy.kernel().bits.len(), 3);
    }
}
