//! The queue against a device in memory.

use std::cell::RefCell;
use std::rc::Rc;

use virtio_drivers::transport::{DeviceStatus, DeviceType};

use crate::fake::{Device, Registers, register_pool};
use crate::registers;
use crate::{BlockQueue, Error, SLOT_BYTES, Slot, Status};

const GOOD: u64 = 1 << 32 | 1 << 9;

type Pair = (Rc<RefCell<Device>>, BlockQueue<Registers>);

fn bring_up(device: Rc<RefCell<Device>>) -> Result<Pair, Error> {
    register_pool();
    let queue = BlockQueue::with_transport(registers::Registers::new(Registers(device.clone())), 8)?;
    Ok((device, queue))
}

fn good() -> Pair {
    bring_up(Device::new(GOOD | 1 << 28 | 1 << 29, 1024, 0)).expect("a good device")
}

#[test]
fn just_what_is_needed_is_negotiated() {
    let (device, queue) = good();
    assert_eq!(device.borrow().accepted, GOOD);
    assert!(device.borrow().status.contains(DeviceStatus::DRIVER_OK));
    assert_eq!(queue.sectors(), 1024);
    assert_eq!(queue.slots(), 8);
    assert_eq!(queue.request_bytes(), SLOT_BYTES);
}

#[test]
fn a_device_that_would_not_do_is_refused_in_words() {
    let refusal = |change: &dyn Fn(&mut Device)| {
        let device = Device::new(GOOD, 8, 0);
        change(&mut device.borrow_mut());
        let refused = bring_up(device.clone()).expect_err("refused");
        assert!(device.borrow().gave_up);
        assert_eq!(device.borrow().status, DeviceStatus::empty(), "left reset");
        refused
    };
    assert_eq!(refusal(&|device| device.features = 1 << 32), Error::NoFlush);
    assert_eq!(refusal(&|device| device.features = 1 << 9), Error::NoVersion1);
    assert_eq!(refusal(&|device| device.kind = DeviceType::Network), Error::NotBlock);
    assert_eq!(refusal(&|device| device.refuse_features = true), Error::FeaturesRefused);
    assert!(Error::NoFlush.to_string().contains("offers no flush"));
}

#[test]
fn a_read_only_device_says_so_and_need_not_flush() {
    assert!(!good().1.is_read_only());
    let device = Device::new(1 << 32 | 1 << 5, 8, 0);
    let (_, queue) = bring_up(device).expect("it can be read");
    assert!(queue.is_read_only());
}

#[test]
fn the_end_of_a_queue_resets_the_device() {
    let (device, queue) = good();
    drop(queue);
    assert_eq!(device.borrow().status, DeviceStatus::empty());
    let (device, queue) = good();
    device.borrow_mut().stuck = true;
    drop(queue);
    assert_ne!(device.borrow().status, DeviceStatus::empty(), "and it ended");
}

#[test]
fn the_largest_segment_bounds_a_request() {
    let (device, queue) = bring_up(Device::new(GOOD | 1 << 1, 8, 5000)).expect("a device");
    assert_eq!(device.borrow().accepted, GOOD | 1 << 1);
    assert_eq!(queue.request_bytes(), 4608);
    let refused = bring_up(Device::new(GOOD | 1 << 1, 8, 511)).expect_err("refused");
    assert_eq!(refused, Error::SegmentTooSmall);
}

#[test]
fn several_are_in_flight_and_complete_in_any_order() {
    let (device, mut queue) = good();
    for slot in 0..3 {
        let bytes = [slot as u8 + 1; 1024];
        queue.copy_in(Slot(slot), 0, &bytes).expect("idle");
        queue.submit_write(Slot(slot), 10 * slot as u64, 1024).expect("room");
    }
    queue.submit_read(Slot(3), 2, 512).expect("room");
    queue.submit_flush(Slot(4)).expect("room");
    assert_eq!(device.borrow().notified, 0);
    queue.announce();
    queue.announce();
    assert_eq!(device.borrow().notified, 1, "told once for all");
    assert_eq!(queue.poll_completed(), Ok(None));

    device.borrow_mut().take();
    let kinds: Vec<_> = device.borrow().taken.iter().map(|taken| taken.kind).collect();
    assert_eq!(kinds, [1, 1, 1, 0, 4]);
    let sectors: Vec<_> = device.borrow().taken.iter().map(|taken| taken.sector).collect();
    assert_eq!(sectors, [0, 10, 20, 2, 0]);
    device.borrow_mut().finish(2, 0);
    device.borrow_mut().finish(0, 0);
    assert_eq!(queue.poll_completed(), Ok(Some((Slot(2), Status::Done))));
    assert_eq!(queue.poll_completed(), Ok(Some((Slot(0), Status::Done))));
    assert_eq!(queue.poll_completed(), Ok(None));
    device.borrow_mut().finish(2, 2);
    device.borrow_mut().finish(0, 1);
    assert_eq!(queue.poll_completed(), Ok(Some((Slot(4), Status::Unsupported))));
    assert_eq!(queue.poll_completed(), Ok(Some((Slot(1), Status::Failed))));
    assert_eq!(device.borrow().disk[..1024], [1; 1024]);
    assert_eq!(device.borrow().disk[20 * 512..22 * 512], [3; 1024]);
    assert_eq!(device.borrow().disk[10 * 512..12 * 512], [0; 1024]);
}

#[test]
fn what_is_read_is_what_stands_there() {
    let (device, mut queue) = good();
    for (byte, value) in device.borrow_mut().disk.iter_mut().zip((0..251u8).cycle()) {
        *byte = value;
    }
    queue.submit_read(Slot(7), 64, SLOT_BYTES).expect("room");
    queue.announce();
    device.borrow_mut().take();
    device.borrow_mut().finish(0, 0);
    queue.acknowledge().expect("healthy");
    assert_eq!(device.borrow().interrupt, 0);
    assert_eq!(queue.poll_completed(), Ok(Some((Slot(7), Status::Done))));
    let mut bytes = vec![0; SLOT_BYTES - 100];
    queue.copy_out(Slot(7), 100, &mut bytes).expect("idle");
    assert_eq!(bytes[..], device.borrow().disk[64 * 512 + 100..64 * 512 + SLOT_BYTES]);
}

#[test]
fn a_slot_in_flight_is_out_of_reach() {
    let (device, mut queue) = good();
    queue.submit_write(Slot(1), 0, 512).expect("room");
    assert_eq!(queue.copy_in(Slot(1), 0, &[1]), Err(Error::SlotBusy));
    assert_eq!(queue.copy_out(Slot(1), 0, &mut [1]), Err(Error::SlotBusy));
    assert_eq!(queue.submit_flush(Slot(1)), Err(Error::SlotBusy));
    assert_eq!(queue.copy_in(Slot(8), 0, &[1]), Err(Error::OutOfSlot));
    assert_eq!(queue.copy_in(Slot(0), SLOT_BYTES, &[1]), Err(Error::OutOfSlot));
    assert_eq!(queue.copy_out(Slot(0), usize::MAX, &mut [1]), Err(Error::OutOfSlot));
    for length in [0, 100, SLOT_BYTES + 512] {
        assert_eq!(queue.submit_read(Slot(0), 0, length), Err(Error::OutOfSlot));
    }
    queue.announce();
    device.borrow_mut().take();
    device.borrow_mut().finish(0, 0);
    assert_eq!(queue.poll_completed(), Ok(Some((Slot(1), Status::Done))));
    assert_eq!(queue.copy_in(Slot(1), 0, &[1]), Ok(()));
}

#[test]
fn every_slot_at_once_fits_and_goes_round() {
    let (device, mut queue) = good();
    for round in 0..100u64 {
        for slot in 0..queue.slots() {
            queue.submit_read(Slot(slot), round, 512).expect("room");
        }
        queue.announce();
        device.borrow_mut().take();
        for left in (1..=queue.slots()).rev() {
            device.borrow_mut().finish(round as usize % left, 0);
        }
        let mut back: Vec<_> =
            core::iter::from_fn(|| queue.poll_completed().expect("sane")).map(|(slot, _)| slot.0).collect();
        back.sort_unstable();
        assert_eq!(back, (0..queue.slots()).collect::<Vec<_>>());
    }
}

#[test]
fn a_quiet_device_is_not_told() {
    let (device, mut queue) = good();
    device.borrow_mut().quiet(1);
    queue.submit_flush(Slot(0)).expect("room");
    queue.announce();
    assert_eq!(device.borrow().notified, 0);
    device.borrow_mut().quiet(0);
    queue.submit_flush(Slot(1)).expect("room");
    queue.announce();
    assert_eq!(device.borrow().notified, 1);
}

#[test]
fn a_device_that_breaks_the_rules_is_found_out() {
    let (device, mut queue) = good();
    device.borrow_mut().give_back(5);
    assert_eq!(queue.poll_completed(), Err(Error::UnknownCompletion(5)));
    let (device, mut queue) = good();
    device.borrow_mut().give_back(999);
    assert_eq!(queue.poll_completed(), Err(Error::UnknownCompletion(999)));
    device.borrow_mut().interrupt = 2;
    assert_eq!(queue.acknowledge(), Ok(()));
    device.borrow_mut().interrupt = 2;
    device.borrow_mut().status |= DeviceStatus::DEVICE_NEEDS_RESET;
    assert_eq!(queue.acknowledge(), Err(Error::NeedsReset));
}

#[test]
fn a_chain_that_comes_back_twice_is_found_out() {
    let (device, mut queue) = good();
    queue.submit_flush(Slot(0)).expect("room");
    queue.announce();
    device.borrow_mut().take();
    device.borrow_mut().finish(0, 0);
    device.borrow_mut().give_back(0);
    assert_eq!(queue.poll_completed(), Ok(Some((Slot(0), Status::Done))));
    assert_eq!(queue.poll_completed(), Err(Error::UnknownCompletion(0)));
}
