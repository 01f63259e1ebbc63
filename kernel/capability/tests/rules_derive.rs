//! Acceptance rules 16 to 24 and 26: copies, badges, rights, moves, mappings.

mod support;

use capability::ObjectKind::*;
use capability::*;
use support::*;

#[test]
fn rule_16_copies_of_copies_are_siblings() {
    let mut world = World::new(4, 16);
    world.endpoint(1);
    world.copy(1, 2).unwrap();
    world.copy(2, 3).unwrap();
    assert_eq!(world.revoke(2), Progress::Done);
    assert_eq!(world.filled(&[1, 2, 3]), [1, 2, 3]);
    assert_eq!(world.revoke(1), Progress::Done);
    assert_eq!(world.filled(&[1, 2, 3]), [1]);
}

#[test]
fn rule_17_a_badge_is_a_level_of_its_own() {
    let mut world = World::new(4, 16);
    world.endpoint(1);
    world.mint(1, 2, 5).unwrap();
    world.copy(2, 3).unwrap();
    world.mint(1, 4, 5).unwrap();
    assert_eq!(world.revoke(2), Progress::Done);
    assert_eq!(world.filled(&[1, 2, 3, 4]), [1, 2, 4]);
}

#[test]
fn rule_18_a_badge_is_given_once() {
    let mut world = World::new(4, 16);
    world.endpoint(1);
    world.mint(1, 2, 5).unwrap();
    for badge in [0, 5, 6] {
        assert_eq!(world.mint(2, 3, badge), Err(Error::IllegalOperation));
    }
    world.copy(2, 3).unwrap();
    assert_eq!(world.slot(3).badge(), 5);
    assert_eq!(world.mint(3, 4, 5), Err(Error::IllegalOperation));
    world.mint(1, 4, 0).unwrap();
    assert!(!world.slot(4).is_original());
    assert_eq!(world.mint(4, 5, 7), Ok(()));
}

#[test]
fn rule_18_only_endpoints_notifications_and_schedulers_take_a_badge() {
    let mut world = World::new(4, 20);
    world.make(Frame, 12, 1, 1).unwrap();
    world.make(Tcb, 0, 2, 1).unwrap();
    world.make(Notification, 0, 3, 1).unwrap();
    assert_eq!(world.mint(1, 4, 5), Err(Error::IllegalOperation));
    assert_eq!(world.mint(2, 4, 5), Err(Error::IllegalOperation));
    assert_eq!(world.mint(3, 4, 5), Ok(()));
}

#[test]
fn rule_19_a_badge_from_a_copy_outlives_the_copys_revocation() {
    let mut world = World::new(4, 16);
    world.endpoint(1);
    world.copy(1, 2).unwrap();
    world.mint(2, 3, 5).unwrap();
    assert_eq!(world.revoke(2), Progress::Done);
    assert_eq!(world.filled(&[3]), [3]);
    assert_eq!(world.revoke(1), Progress::Done);
    assert_eq!(world.filled(&[2, 3]), []);
}

#[test]
fn rule_20_a_move_carries_the_power_to_revoke() {
    let mut world = World::new(4, 16);
    world.endpoint(1);
    world.copy(1, 2).unwrap();
    world.mint(1, 3, 5).unwrap();
    let stale = world.slot(1).generation();
    world.move_(1, 4).unwrap();
    assert!(world.node.lookup(1, stale).is_err());
    assert!(world.slot(4).is_original());
    world.copy(4, 5).unwrap();
    assert_eq!(world.revoke(4), Progress::Done);
    assert_eq!(world.filled(&[1, 2, 3, 4, 5]), [4]);
    assert!(!world.status().is_whole);
    world.delete(4);
    assert!(world.status().is_whole);
}

#[test]
fn capabilities_that_change_places_keep_all_but_what_belongs_to_the_place() {
    let mut world = World::new(4, 16);
    let (first, second) = (world.endpoint(1).object(), world.endpoint(2).object());
    world.copy(1, 3).unwrap();
    world.node.endow();
    world.copy(2, 4).unwrap();
    let stale = [1, 4].map(|slot| world.slot(slot).generation());
    world.exchange(1, 4).unwrap();
    assert_eq!([1, 4].map(|slot| world.slot(slot).object()), [second, first]);
    assert_eq!([1, 4].map(|slot| world.slot(slot).is_endowed()), [true, false]);
    assert!(world.node.lookup(1, stale[0]).is_err() && world.node.lookup(4, stale[1]).is_err());
    // What is derived from each follows it.
    assert_eq!(world.revoke(4), Progress::Done);
    assert_eq!(world.filled(&[1, 2, 3, 4]), [1, 2, 4]);
    assert_eq!(world.exchange(1, 5), Err(Error::FailedLookup));
    assert_eq!(world.filled(&[1, 5]), [1]);
}

#[test]
fn rule_21_copies_outlive_the_original() {
    let mut world = World::new(4, 16);
    let object = world.endpoint(1).object();
    world.copy(1, 2).unwrap();
    world.delete(1);
    assert!(!world.was_destroyed(object));
    world.mint(2, 3, 5).unwrap();
    world.delete(2);
    assert!(!world.was_destroyed(object));
    world.delete(3);
    assert!(world.was_destroyed(object));
    assert!(world.status().is_whole);
}

#[test]
fn rule_22_rights_never_grow() {
    let mut world = World::new(4, 16);
    let original = world.endpoint(1);
    let (thin, again, minted) = (world.slot(2), world.slot(3), world.slot(4));
    copy(&mut world.context, original, thin, Rights::RECEIVE).unwrap();
    copy(&mut world.context, thin, again, Rights::all()).unwrap();
    mint(&mut world.context, thin, minted, Rights::all(), 9).unwrap();
    for slot in [thin, again, minted] {
        assert_eq!(slot.rights(), Rights::RECEIVE);
    }
    assert_eq!(original.rights(), Rights::of(Endpoint));
    world.move_(2, 5).unwrap();
    assert_eq!(world.slot(5).rights(), Rights::RECEIVE);
}

#[test]
fn rule_23_replies_and_singletons_are_not_copied() {
    let mut world = World::new(4, 16);
    world.make(Reply, 0, 1, 1).unwrap();
    assert_eq!(world.copy(1, 9), Err(Error::IllegalOperation));
    assert_eq!(world.mint(1, 9, 5), Err(Error::IllegalOperation));
    assert_eq!(world.move_(1, 9), Ok(()));
    for (index, kind) in [(2, Loader), (3, Serial), (4, Settle)] {
        let slot = world.slot(index);
        capability::grant(&mut world.context, slot, kind, 0, 0).unwrap();
        assert_eq!(world.copy(index, 10), Err(Error::IllegalOperation));
        assert_eq!(world.move_(index, 10), Ok(()));
        world.delete(10);
    }
}

#[test]
fn rule_24_empty_slots_and_moves_onto_oneself() {
    let mut world = World::new(4, 16);
    world.endpoint(1);
    assert_eq!(world.copy(2, 3), Err(Error::FailedLookup));
    assert_eq!(world.mint(2, 3, 1), Err(Error::FailedLookup));
    assert_eq!(world.move_(2, 3), Err(Error::FailedLookup));
    assert_eq!(world.move_(1, 1), Err(Error::DeleteFirst));
    assert_eq!(world.copy(1, 1), Err(Error::DeleteFirst));
    let empty = world.slot(2);
    assert_eq!(delete(&mut world.context, empty, 1), Ok(Progress::Done));
    assert_eq!(revoke_step(&mut world.context, empty, 1), Progress::Done);
}

#[test]
fn rule_26_a_capability_is_mapped_once_and_unmapped_when_it_goes() {
    let mut world = World::new(4, 16);
    world.make(Frame, 12, 1, 1).unwrap();
    let (frame, alias) = (world.slot(1), world.slot(2));
    let context = &mut world.context;
    assert_eq!(set_mapping(context, frame, 0x1000), Ok(()));
    assert_eq!(set_mapping(context, frame, 0x1000), Ok(()));
    assert_eq!(set_mapping(context, frame, 0x2000), Err(Error::InvalidArgument(0)));
    copy(context, frame, alias, Rights::READ).unwrap();
    assert_eq!(alias.badge(), 0);
    assert_eq!(set_mapping(context, alias, 0x2000), Ok(()));
    assert_eq!(revoke_step(context, frame, PLENTY), Progress::Done);
    assert_eq!(context.hooks.events.last(), Some(&Event::CapRemoved(Frame, 0x2000)));
    world.move_(1, 3).unwrap();
    world.delete(3);
    assert_eq!(world.context.hooks.events.last(), Some(&Event::CapRemoved(Frame, 0x1000)));
}

#[test]
fn rule_27_the_end_of_a_vspace_leaves_the_frames() {
    let mut world = World::new(4, 16);
    world.make(VSpace, 12, 1, 1).unwrap();
    world.make(Frame, 12, 2, 1).unwrap();
    let (space, frame) = (world.slot(1).object(), world.slot(2));
    set_mapping(&mut world.context, frame, 0x1000).unwrap();
    world.delete(1);
    assert!(world.was_destroyed(space));
    assert_eq!(clear_mapping(&mut world.context, frame), Ok(Some(0x1000)));
    assert_eq!(set_mapping(&mut world.context, frame, 0x2000), Ok(()));
}

#[test]
fn rule_30_a_schedulers_maximum_only_shrinks() {
    let mut world = World::new(4, 16);
    let slot = world.slot(1);
    capability::grant(&mut world.context, slot, Scheduler, 0, 100).unwrap();
    assert_eq!(world.mint(1, 2, 101), Err(Error::RangeError { min: 0, max: 100 }));
    assert_eq!(world.mint(1, 2, 50), Ok(()));
    assert_eq!(world.mint(2, 3, 51), Err(Error::RangeError { min: 0, max: 50 }));
    assert_eq!(world.mint(2, 3, 0), Ok(()));
    assert_eq!(world.revoke(2), Progress::Done);
    assert_eq!(world.filled(&[1, 2, 3]), [1, 2]);
}
