//! Acceptance rules 1 to 13: making objects. The numbers are those of the list of rules taken from seL4.

mod support;

use capability::ObjectKind::*;
use capability::*;
use support::*;

#[test]
fn rule_01_count_is_1_to_256() {
    let mut world = World::new(10, 20);
    let range = Err(Error::RangeError { min: 1, max: 256 });
    assert_eq!(world.make(Endpoint, 0, 1, 0), range);
    assert_eq!(world.make(Endpoint, 0, 1, 257), range);
    assert_eq!(world.make(Endpoint, 0, 1, 256), Ok(()));
}

#[test]
fn rule_02_sizes_are_checked_before_they_are_shifted() {
    let mut world = World::new(4, 16);
    assert_eq!(world.make(Untyped, 3, 1, 1), Err(Error::InvalidArgument(1)));
    assert_eq!(world.make(CNode, 0, 1, 1), Err(Error::InvalidArgument(1)));
    assert_eq!(world.make(Frame, 11, 1, 1), Err(Error::InvalidArgument(1)));
    let too_large = Err(Error::RangeError { min: 0, max: 47 });
    assert_eq!(world.make(Untyped, 48, 1, 1), too_large);
    assert_eq!(world.make(CNode, 41, 1, 1), too_large);
    assert_eq!(world.make(CNode, 25, 1, 1), Err(Error::RangeError { min: 1, max: 24 }));
    for kind in [Untyped, CNode, Tcb, Endpoint] {
        assert_eq!(world.make(kind, 64, 1, 1), too_large);
        assert_eq!(world.make(kind, u32::MAX, 1, 1), too_large);
    }
    assert_eq!(world.make(Tcb, 63, 1, 1), Ok(()));
    assert_eq!(world.make(CNode, 1, 2, 1), Ok(()));
    assert_eq!(world.slot(2).object_bytes(), 512);
}

#[test]
fn rule_03_one_filled_slot_in_the_window_stops_everything() {
    let mut world = World::new(4, 16);
    world.endpoint(6);
    let before = world.status();
    assert_eq!(world.make(Endpoint, 0, 4, 3), Err(Error::DeleteFirst));
    assert_eq!(world.filled(&[4, 5, 6]), [6]);
    assert_eq!(world.status(), before);
}

#[test]
fn rule_04_window_ends_with_the_cnode() {
    let mut world = World::new(4, 20);
    assert_eq!(world.make(Endpoint, 0, 14, 4), Err(Error::RangeError { min: 1, max: 2 }));
    assert_eq!(world.make(Endpoint, 0, 14, 3), Err(Error::RangeError { min: 1, max: 2 }));
    let bad_slot = Err(Error::RangeError { min: 1, max: 15 });
    assert_eq!(world.make(Endpoint, 0, 16, 1), bad_slot);
    assert_eq!(world.make(Endpoint, 0, 0, 1), bad_slot);
    assert_eq!(world.make(Endpoint, 0, u32::MAX, 2), bad_slot);
    let count = Err(Error::RangeError { min: 1, max: 256 });
    assert_eq!(world.make(Endpoint, 0, 14, 1 << 31), count);
    assert_eq!(world.make(Endpoint, 0, 14, u32::MAX - 13), count);
    assert_eq!(world.make(Endpoint, 0, 14, 2), Ok(()));
}

#[test]
fn rule_05_destination_is_a_cnode() {
    let mut world = World::new(4, 16);
    let endpoint = world.endpoint(1);
    for slot in [endpoint, world.slot(2)] {
        // SAFETY: it is none, as is asserted.
        let node = unsafe { capability::CNode::of(slot) };
        assert_eq!(node.err(), Some(Error::FailedLookup));
    }
    assert_eq!(world.make_from(1, Endpoint, 0, 3), Err(Error::InvalidCapability));
    assert_eq!(world.make_from(2, Endpoint, 0, 3), Err(Error::InvalidCapability));
}

#[test]
fn rule_06_watermark_is_monotone_and_aligned_up() {
    let mut world = World::new(4, 12);
    world.endpoint(1);
    assert_eq!(world.make(Untyped, 11, 2, 1), Ok(()));
    assert_eq!(world.slot(2).object(), world.untyped.object() + 2048);
    assert_eq!(world.make(Endpoint, 0, 3, 1), Err(Error::NotEnoughMemory { bytes_left: 0 }));
}

#[test]
fn rule_07_deleting_one_of_two_children_gives_nothing_back() {
    let mut world = World::new(4, 11);
    world.make(Endpoint, 0, 1, 2).unwrap();
    world.delete(2);
    assert_eq!(world.make(Endpoint, 0, 3, 1), Err(Error::NotEnoughMemory { bytes_left: 0 }));
}

#[test]
fn rule_08_deleting_the_last_child_gives_everything_back() {
    let mut world = World::new(4, 11);
    world.make(Endpoint, 0, 1, 2).unwrap();
    world.delete(1);
    world.delete(2);
    assert_eq!(world.status().bytes_free, 2048);
    assert_eq!(world.make(Endpoint, 0, 1, 2), Ok(()));
}

#[test]
fn rule_09_a_failed_retype_leaves_the_watermark_alone() {
    let mut world = World::new(4, 12);
    world.endpoint(1);
    assert_eq!(world.make(Untyped, 12, 2, 1), Err(Error::NotEnoughMemory { bytes_left: 3072 }));
    assert_eq!(world.make(Endpoint, 0, 2, 4), Err(Error::NotEnoughMemory { bytes_left: 3072 }));
    assert_eq!(world.status().watermark, 1024);
    assert_eq!(world.make(Endpoint, 0, 2, 3), Ok(()));
}

#[test]
fn rule_10_fit_is_tested_on_the_bytes_before_alignment() {
    let mut world = World::new(4, 12);
    world.make(Notification, 0, 1, 1).unwrap();
    assert_eq!(world.make(Endpoint, 0, 2, 4), Err(Error::NotEnoughMemory { bytes_left: 4096 - 128 }));
    assert_eq!(world.make(Endpoint, 0, 2, 3), Ok(()));
    assert_eq!(world.slot(4).object() + 1024, world.untyped.object() + 4096);
}

#[test]
fn rule_11_memory_is_zeroed_when_an_object_is_made() {
    let mut world = World::new(4, 15);
    world.make(Frame, 13, 1, 2).unwrap();
    let frame = world.slot(1).object();
    assert!(is_zero(frame, 2 << 13));
    assert_eq!(world.context.hooks.zeroed, 2 << 13);
    assert!(world.context.hooks.largest_chunk <= ZERO_CHUNK);
    fill(frame, 1 << 13, 0x55);
    world.delete(1);
    world.delete(2);
    assert!(!is_zero(frame, 1 << 13), "the reset itself zeroes nothing");
    world.make(Untyped, 14, 1, 1).unwrap();
    assert_eq!(world.context.hooks.zeroed, 2 << 13, "nor does splitting");
    assert_eq!(world.make_from(1, Frame, 13, 2), Ok(()));
    assert_eq!(world.slot(2).object(), frame);
    assert!(is_zero(frame, 1 << 13));
}

#[test]
fn rule_12_two_capabilities_do_not_hand_out_the_same_memory() {
    let mut world = World::new(4, 14);
    world.make(Untyped, 12, 1, 1).unwrap();
    world.make_from(1, Endpoint, 0, 2).unwrap();
    assert_eq!(world.copy(1, 3), Err(Error::RevokeFirst));
    world.delete(2);
    assert_eq!(world.copy(1, 3), Ok(()));
    assert_eq!(world.make_from(1, Endpoint, 0, 4), Err(Error::NotEnoughMemory { bytes_left: 0 }));
    assert_eq!(world.make_from(3, Endpoint, 0, 4), Ok(()));
    assert_eq!(world.revoke(1), Progress::Done);
    assert_eq!(world.filled(&[1, 3, 4]), [1]);
    assert_eq!(world.make_from(1, Endpoint, 0, 4), Ok(()));
}

#[test]
fn rule_12_the_original_recovers_when_its_copy_goes() {
    let mut world = World::new(4, 14);
    world.make(Untyped, 12, 1, 1).unwrap();
    world.copy(1, 2).unwrap();
    world.copy(2, 3).unwrap();
    world.delete(2);
    assert_eq!(world.make_from(1, Endpoint, 0, 4), Err(Error::NotEnoughMemory { bytes_left: 0 }));
    world.delete(3);
    assert_eq!(world.make_from(1, Endpoint, 0, 4), Ok(()));
}

#[test]
fn rule_13_device_memory_makes_frames_and_untypeds_only() {
    let mut world = World::new(4, 12);
    let device = lone_slot();
    endow(&mut world.context, device, 16, Memory::Device);
    let mut make = |kind, bits, index| retype(&mut world.context, device, kind, bits, world.node, index, 1, None);
    for kind in [Endpoint, Tcb, CNode, Buf, Image, DmaFrame, VSpace, Scope] {
        assert_eq!(make(kind, 12, 1), Err(Error::InvalidArgument(0)));
    }
    assert_eq!(make(Frame, 12, 1), Ok(()));
    assert_eq!(make(Untyped, 13, 2), Ok(()));
    assert_eq!(world.make_from(2, Frame, 12, 3), Ok(()));
    assert_eq!(world.make_from(2, Endpoint, 0, 4), Err(Error::InvalidArgument(0)));
    assert_eq!(world.copy(3, 4), Ok(()));
    for index in 1..=4 {
        assert!(world.slot(index).is_device());
    }
    assert_eq!(world.context.hooks.zeroed, 0);
}

#[test]
fn what_the_kernel_makes_is_not_retyped() {
    let mut world = World::new(4, 16);
    for kind in [PciFunction, Irq, IoPort, Loader, Scheduler, Serial, Settle] {
        assert_eq!(world.make(kind, 12, 1, 1), Err(Error::InvalidArgument(0)));
    }
    let slot = world.slot(1);
    assert_eq!(capability::grant(&mut world.context, slot, Endpoint, 0, 0), Err(Error::InvalidArgument(0)));
}

#[test]
fn a_thousand_endpoints_come_out_of_one_untyped_and_go_back() {
    let mut world = World::new(11, 20);
    for round in 0..2 {
        for first in [1, 251, 501, 751] {
            assert_eq!(world.make(Endpoint, 0, first, 250), Ok(()), "round {round}");
        }
        let base = world.untyped.object();
        for index in 1..=1000 {
            assert_eq!(world.slot(index).object(), base + (u64::from(index) - 1) * 1024);
        }
        assert_eq!(children(&world.context, world.untyped).count(), 1000);
        assert_eq!(world.node.used(), 1000);
        assert_eq!(revoke_step(&mut world.context, world.untyped, PLENTY), Progress::Done);
        assert!(world.status().is_whole);
        assert_eq!(world.node.used(), 0);
    }
}

#[test]
fn look_up_wants_the_generation_of_this_very_filling() {
    let mut world = World::new(4, 16);
    let generation = world.endpoint(3).generation();
    assert!(world.node.lookup(3, generation).is_ok());
    assert_eq!(world.node.lookup(16, generation).err(), Some(LookupError::OutOfRange));
    assert_eq!(world.node.lookup(3, generation + 1).err(), Some(LookupError::Stale));
    for index in 0..16 {
        assert_eq!(world.node.lookup(index, 0).err(), Some(LookupError::Stale));
    }
    world.move_(3, 4).unwrap();
    world.move_(4, 3).unwrap();
    assert_eq!(world.node.lookup(3, generation).err(), Some(LookupError::Stale));
}

#[test]
fn vacant_finds_every_free_slot_once() {
    let mut world = World::new(4, 16);
    world.make(Endpoint, 0, 1, 1).unwrap();
    for index in [2, 5, 9] {
        world.copy(1, index).unwrap();
    }
    world.delete(2);
    let mut seen = vec![];
    while let Ok(slot) = world.node.vacant() {
        seen.push(slot.index());
        let first = world.slot(1);
        copy(&mut world.context, first, slot, Rights::all()).unwrap();
    }
    seen.sort_unstable();
    assert_eq!(seen, [2, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14, 15]);
    assert_eq!(world.node.used(), 15);
    world.delete(7);
    assert_eq!(world.node.vacant().map(Slot::index), Ok(7));
}

#[test]
fn vacant_passes_what_was_filled_ahead_of_it() {
    let mut world = World::new(3, 16);
    world.endpoint(5);
    world.copy(5, 2).unwrap();
    let mut seen = vec![];
    while let Ok(slot) = world.node.vacant() {
        seen.push(slot.index());
        let source = world.slot(5);
        copy(&mut world.context, source, slot, Rights::all()).unwrap();
    }
    assert_eq!(seen, [1, 3, 4, 6, 7]);
}
