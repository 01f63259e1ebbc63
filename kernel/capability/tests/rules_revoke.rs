//! Acceptance rules 14, 15 and 28, pins and anchors: how capabilities and objects end.

mod support;

use capability::ObjectKind::*;
use capability::*;
use support::*;

#[test]
fn rule_14_grandchildren_of_a_deleted_untyped_go_to_the_grandparent() {
    let mut world = World::new(4, 16);
    world.make(Untyped, 14, 1, 1).unwrap();
    world.make_from(1, Untyped, 12, 2).unwrap();
    world.make_from(2, Endpoint, 0, 3).unwrap();
    world.delete(2);
    assert_eq!(world.filled(&[3]), [3]);
    let ours: Vec<_> = children(&world.context, world.slot(1)).map(Slot::index).collect();
    assert_eq!(ours, [3]);
    assert_eq!(world.copy(1, 4), Err(Error::RevokeFirst));
    assert_eq!(world.make_from(1, Endpoint, 0, 4), Ok(()));
    assert_eq!(world.slot(4).object(), world.untyped.object() + 4096, "no reset while it lives");
    assert_eq!(world.revoke(1), Progress::Done);
    assert_eq!(world.filled(&[3, 4]), []);
}

#[test]
fn rule_15_what_only_a_destroyed_cnode_held_is_destroyed() {
    let mut world = World::new(4, 16);
    world.make(CNode, 3, 1, 1).unwrap();
    let inner = node(world.slot(1));
    let object = world.endpoint(2).object();
    let from = world.slot(2);
    move_(&mut world.context, from, inner.slot(5).unwrap()).unwrap();
    world.delete(1);
    assert!(world.was_destroyed(object));
    assert!(world.status().is_whole);
}

#[test]
fn rule_15_a_cnode_that_holds_itself_is_reclaimed_by_revocation() {
    let mut world = World::new(4, 16);
    world.make(CNode, 3, 1, 1).unwrap();
    let (outer, inner) = (world.slot(1), node(world.slot(1)));
    let object = outer.object();
    copy(&mut world.context, outer, inner.slot(2).unwrap(), Rights::all()).unwrap();
    world.delete(1);
    assert!(!world.was_destroyed(object), "its own capability keeps it, as in seL4");
    assert_eq!(revoke_step(&mut world.context, world.untyped, PLENTY), Progress::Done);
    assert!(world.was_destroyed(object));
    assert!(world.status().is_whole);
}

#[test]
fn rule_15_a_cnode_whose_only_capability_is_inside_of_it() {
    let mut world = World::new(4, 16);
    world.make(CNode, 3, 1, 1).unwrap();
    let (outer, inner) = (world.slot(1), node(world.slot(1)));
    move_(&mut world.context, outer, inner.slot(2).unwrap()).unwrap();
    assert_eq!(revoke_step(&mut world.context, world.untyped, 1), Progress::More);
    while revoke_step(&mut world.context, world.untyped, 1) == Progress::More {}
    assert!(world.status().is_whole);
}

#[test]
fn rule_15_cnodes_that_hold_each_other_block_their_memory_until_both_are_empty() {
    let mut world = World::new(4, 16);
    world.make(CNode, 3, 1, 2).unwrap();
    let (first, second) = (world.slot(1), world.slot(2));
    let (in_first, in_second) = (node(first).slot(7).unwrap(), node(second).slot(7).unwrap());
    move_(&mut world.context, second, in_first).unwrap();
    move_(&mut world.context, first, in_second).unwrap();
    let mut steps = 0;
    while revoke_step(&mut world.context, world.untyped, 1) == Progress::More {
        assert_eq!(world.status().is_whole, !world.untyped.has_children());
        assert!(world.context.has_pending() <= world.untyped.has_children(), "memory freed under a dying CNode");
        steps += 1;
        assert!(steps < 100);
    }
    assert!(world.status().is_whole);
    assert!(steps > 7, "it went slot by slot");
}

#[test]
fn rule_15_a_long_chain_of_cnodes_does_not_recurse() {
    let mut world = World::new(4, 24);
    world.make(CNode, 1, 1, 1).unwrap();
    for _ in 0..20_000 {
        world.make(CNode, 1, 2, 1).unwrap();
        let (outer, inner) = (world.slot(2), world.slot(1));
        let place = node(outer).slot(1).unwrap();
        move_(&mut world.context, inner, place).unwrap();
        world.move_(2, 1).unwrap();
    }
    world.delete(1);
    assert!(world.status().is_whole);
}

#[test]
fn a_dying_cnode_is_shut_and_keeps_its_untyped_busy() {
    let mut world = World::new(4, 16);
    world.make(CNode, 3, 1, 1).unwrap();
    let inner = node(world.slot(1));
    world.endpoint(2);
    let place = inner.slot(5).unwrap();
    world.copy(2, 3).unwrap();
    let from = world.slot(3);
    move_(&mut world.context, from, place).unwrap();
    let generation = place.generation();
    let last = world.slot(1);
    assert_eq!(delete(&mut world.context, last, 1), Ok(Progress::More));
    assert!(last.is_empty());
    assert_eq!(inner.lookup(5, generation).err(), Some(LookupError::OutOfRange));
    assert_eq!(inner.slot(5).err(), Some(Error::FailedLookup));
    world.delete(2);
    assert_eq!(reap_step(&mut world.context, PLENTY), Progress::Done);
    assert!(world.status().is_whole);
}

#[test]
fn rule_28_revocation_goes_on_where_it_stopped() {
    let mut world = World::new(8, 20);
    world.endpoint(1);
    for index in 2..200 {
        world.copy(1, index).unwrap();
    }
    let slot = world.slot(1);
    let mut left = 198;
    loop {
        let progress = revoke_step(&mut world.context, slot, 7);
        let now = children(&world.context, slot).count();
        assert!(left - now <= 7);
        left = now;
        if progress == Progress::Done {
            break;
        }
        if left == 100 {
            // Somebody else makes another in between.
            world.copy(1, 250).unwrap();
            left += 1;
        }
    }
    assert_eq!(left, 0);
    assert!(!slot.is_empty());
}

#[test]
fn rule_28_a_deep_tree_takes_constant_steps() {
    let mut world = World::new(12, 16);
    world.make(Untyped, 12, 1, 1).unwrap();
    for index in 1..4000 {
        world.copy(index, index + 1).unwrap();
    }
    for left in (1..4000).rev() {
        let slot = world.slot(1);
        assert_eq!(revoke_step(&mut world.context, slot, 1), Progress::More);
        assert_eq!(world.node.used(), left);
    }
    assert_eq!(world.revoke(1), Progress::Done);
}

#[test]
fn rule_28_a_revocation_that_removes_its_own_slot_ends() {
    let mut world = World::new(4, 16);
    world.make(Untyped, 14, 1, 1).unwrap();
    world.make_from(1, CNode, 3, 2).unwrap();
    let inside = node(world.slot(2)).slot(3).unwrap();
    let outside = world.slot(1);
    move_(&mut world.context, outside, inside).unwrap();
    let mut steps = 0;
    while revoke_step(&mut world.context, inside, 1) == Progress::More {
        steps += 1;
        assert!(steps < 100);
    }
    assert!(inside.is_empty());
    assert!(world.status().is_whole);
}

/// A client's Buf in slot 2, out of its untyped in slot 1; a server's Reply in slot 3, out of another.
fn lent() -> (World, &'static Slot) {
    let mut world = World::new(4, 18);
    world.make(Untyped, 16, 1, 1).unwrap();
    world.make(Reply, 0, 3, 1).unwrap();
    world.make_from(1, Buf, 12, 2).unwrap();
    let (buf, lease) = (world.slot(2), embedded(world.slot(3).object(), 0));
    pin(&mut world.context, buf, lease, Rights::READ).unwrap();
    (world, lease)
}

#[test]
fn pin_survives_the_clients_revocation_and_keeps_its_memory() {
    let (mut world, lease) = lent();
    world.make_from(1, Endpoint, 0, 4).unwrap();
    assert_eq!(world.revoke(1), Progress::Pinned);
    assert_eq!(world.filled(&[2, 4]), []);
    assert_eq!(lease.rights(), Rights::READ);
    assert_eq!(world.copy(1, 5), Err(Error::RevokeFirst));
    world.make_from(1, Frame, 12, 5).unwrap();
    assert_ne!(world.slot(5).object(), lease.object());
    assert_eq!(world.revoke(1), Progress::Pinned);
    assert_eq!(unpin(&mut world.context, lease), Ok(()));
    assert_eq!(world.revoke(1), Progress::Done);
    let status = untyped_status(&world.context, world.slot(1)).unwrap();
    assert!(status.is_whole);
}

#[test]
fn pin_survives_the_deletion_of_all_its_ancestors() {
    let (mut world, lease) = lent();
    world.delete(2);
    world.delete(1);
    assert_eq!(revoke_step(&mut world.context, world.untyped, PLENTY), Progress::Done);
    assert!(world.status().is_whole, "the Reply lay in the same untyped, so its lease went with it");
    assert!(lease.is_empty());
}

#[test]
fn pin_ends_with_the_reply_that_holds_it() {
    let (mut world, lease) = lent();
    assert_eq!(world.revoke(1), Progress::Pinned);
    world.delete(3);
    assert!(lease.is_empty());
    let status = untyped_status(&world.context, world.slot(1)).unwrap();
    assert!(status.is_whole);
}

#[test]
fn pin_can_be_lent_on_and_refuses_everything_else() {
    let (mut world, lease) = lent();
    let second = embedded(world.slot(3).object(), 1);
    assert_eq!(pin(&mut world.context, lease, second, Rights::all()), Ok(()));
    assert_eq!(second.rights(), Rights::READ);
    let free = world.slot(9);
    let buf = world.slot(2);
    assert_eq!(pin(&mut world.context, buf, second, Rights::all()), Err(Error::DeleteFirst));
    assert_eq!(pin(&mut world.context, buf, free, Rights::all()), Err(Error::IllegalOperation));
    assert_eq!(pin(&mut world.context, free, lone_slot(), Rights::all()), Err(Error::FailedLookup));
    let untyped = world.slot(1);
    assert_eq!(pin(&mut world.context, untyped, lone_slot(), Rights::all()), Err(Error::InvalidCapability));
    assert_eq!(copy(&mut world.context, lease, free, Rights::all()), Err(Error::IllegalOperation));
    assert_eq!(move_(&mut world.context, lease, free), Err(Error::IllegalOperation));
    assert_eq!(delete(&mut world.context, lease, 1), Err(Error::IllegalOperation));
    assert_eq!(unpin(&mut world.context, buf), Err(Error::IllegalOperation));
    assert_eq!(unpin(&mut world.context, free), Err(Error::FailedLookup));
    assert_eq!(unpin(&mut world.context, lease), Ok(()));
    assert_eq!(world.revoke(1), Progress::Pinned);
    assert_eq!(unpin(&mut world.context, second), Ok(()));
    assert_eq!(world.revoke(1), Progress::Done);
}

#[test]
fn pins_do_not_stall_a_revocation_in_steps() {
    let mut world = World::new(6, 20);
    world.make(Untyped, 18, 1, 1).unwrap();
    for index in 2..40 {
        world.make_from(1, Buf, 12, index).unwrap();
        let buf = world.slot(index);
        pin(&mut world.context, buf, lone_slot(), Rights::all()).unwrap();
    }
    let slot = world.slot(1);
    let mut steps = 1;
    let progress = loop {
        match revoke_step(&mut world.context, slot, 1) {
            Progress::More => steps += 1,
            progress => break progress,
        }
    };
    assert_eq!(progress, Progress::Pinned);
    assert!(steps <= 2 * 38 + 1, "{steps} steps");
    assert_eq!(world.node.used(), 1);
    assert_eq!(children(&world.context, slot).filter(|child| child.is_pinned()).count(), 38);
}

#[test]
fn anchor_settled_keeps_and_revoked_takes() {
    let mut world = World::new(4, 18);
    world.make(Scope, 0, 1, 1).unwrap();
    let anchor = anchor_of(world.slot(1).object());
    let make = |world: &mut World, first| {
        retype(&mut world.context, world.untyped, Endpoint, 0, world.node, first, 2, Some(anchor))
    };
    make(&mut world, 2).unwrap();
    settle(&mut world.context, anchor);
    assert!(anchor.is_empty());
    make(&mut world, 4).unwrap();
    world.copy(4, 6).unwrap();
    world.copy(2, 7).unwrap();
    world.move_(5, 8).unwrap();
    while revoke_all_step(&mut world.context, anchor, 1) == Progress::More {}
    assert_eq!(world.filled(&[2, 3, 4, 5, 6, 7, 8]), [2, 3, 7]);
    world.delete(2);
    world.delete(3);
    assert_eq!(world.filled(&[7]), [7]);
}

#[test]
fn anchor_that_dies_unsettled_condemns_what_hangs_there() {
    let mut world = World::new(4, 18);
    world.make(Reply, 0, 1, 1).unwrap();
    let anchor = anchor_of(world.slot(1).object());
    retype(&mut world.context, world.untyped, Endpoint, 0, world.node, 2, 3, Some(anchor)).unwrap();
    world.copy(2, 5).unwrap();
    let reply = world.slot(1);
    assert_eq!(delete(&mut world.context, reply, 1), Ok(Progress::More));
    world.move_(3, 6).unwrap();
    assert_eq!(reap_step(&mut world.context, PLENTY), Progress::Done);
    assert_eq!(world.filled(&[1, 2, 3, 4, 5, 6]), []);
    assert!(world.status().is_whole);
}

#[test]
fn hang_takes_a_slot_from_one_anchor_to_another() {
    let mut world = World::new(4, 16);
    let (first, second) = (lone_anchor(), lone_anchor());
    let slot = world.endpoint(1);
    hang(&mut world.context, slot, first).unwrap();
    hang(&mut world.context, slot, second).unwrap();
    assert!(first.is_empty());
    assert_eq!(revoke_all_step(&mut world.context, first, PLENTY), Progress::Done);
    assert!(!slot.is_empty());
    assert_eq!(revoke_all_step(&mut world.context, second, PLENTY), Progress::Done);
    assert!(slot.is_empty());
    assert_eq!(hang(&mut world.context, slot, second), Err(Error::FailedLookup));
}

#[test]
fn capabilities_embedded_in_a_thread_go_with_it() {
    let mut world = World::new(4, 18);
    world.make(Tcb, 0, 1, 1).unwrap();
    world.make(CNode, 3, 2, 1).unwrap();
    let object = world.endpoint(3).object();
    let held = world.slot(3);
    let place = node(world.slot(2)).slot(1).unwrap();
    move_(&mut world.context, held, place).unwrap();
    let (root, home) = (world.slot(2), embedded(world.slot(1).object(), 1));
    move_(&mut world.context, root, home).unwrap();
    world.delete(1);
    assert!(world.was_destroyed(object));
    assert!(world.status().is_whole);
}
