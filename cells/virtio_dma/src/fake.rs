//! A block device for tests: it reads the rings and buffers that it was told the addresses of, as hardware does.

use std::alloc::{Layout, alloc_zeroed};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Once;

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::pool;

/// What physical addresses are above virtual ones, so that a mix-up cannot go unseen.
const DISTANCE: u64 = 1 << 44;

/// Makes the pool of the test process, once.
pub(crate) fn register_pool() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let length = 16 << 20;
        let layout = Layout::from_size_align(length, 4096).expect("a layout");
        // SAFETY: the layout has a size.
        let address = unsafe { alloc_zeroed(layout) }.expose_provenance();
        // SAFETY: fresh memory, never freed and used by nothing else.
        let registered = unsafe { pool::register(address, address as u64 + DISTANCE, length) };
        registered.expect("the first pool");
    });
}

/// A chain that the device took and has not returned.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    head: u16,
    pub(crate) kind: u32,
    pub(crate) sector: u64,
    data: Option<(PhysAddr, usize, bool)>,
    status: PhysAddr,
}

/// The device's side.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) features: u64,
    pub(crate) accepted: u64,
    pub(crate) kind: DeviceType,
    pub(crate) refuse_features: bool,
    /// Whether it does not come out of reset.
    pub(crate) stuck: bool,
    /// Whether it was told that the driver gave up.
    pub(crate) gave_up: bool,
    pub(crate) status: DeviceStatus,
    pub(crate) configuration: [u8; 12],
    pub(crate) disk: Vec<u8>,
    pub(crate) taken: Vec<Taken>,
    pub(crate) notified: usize,
    pub(crate) interrupt: u32,
    rings: [PhysAddr; 3],
    size: u16,
    next: u16,
    returned: u16,
}

impl Device {
    pub(crate) fn new(features: u64, sectors: u64, segment_max: u32) -> Rc<RefCell<Self>> {
        let mut configuration = [0; 12];
        configuration[..8].copy_from_slice(&sectors.to_le_bytes());
        configuration[8..].copy_from_slice(&segment_max.to_le_bytes());
        Rc::new(RefCell::new(Device {
            features,
            accepted: 0,
            kind: DeviceType::Block,
            refuse_features: false,
            stuck: false,
            gave_up: false,
            status: DeviceStatus::empty(),
            configuration,
            disk: vec![0; sectors as usize * 512],
            taken: Vec::new(),
            notified: 0,
            interrupt: 0,
            rings: [0; 3],
            size: 0,
            next: 0,
            returned: 0,
        }))
    }

    /// Takes every chain that is available.
    pub(crate) fn take(&mut self) {
        let [_, available, _] = self.rings;
        while self.next != load::<u16>(available + 2) {
            let head: u16 = load(available + 4 + 2 * u64::from(self.next % self.size));
            self.next = self.next.wrapping_add(1);
            let chain = self.chain(head);
            let taken = Taken {
                head,
                kind: load(chain[0].0),
                sector: load(chain[0].0 + 8),
                data: (chain.len() == 3).then(|| chain[1]),
                status: chain[chain.len() - 1].0,
            };
            assert!(chain[chain.len() - 1].2, "the status is the device's to write");
            self.taken.push(taken);
        }
    }

    fn chain(&self, head: u16) -> Vec<(PhysAddr, usize, bool)> {
        let mut chain = Vec::new();
        let mut next = Some(head);
        while let Some(index) = next {
            let at = self.rings[0] + 16 * u64::from(index);
            let flags: u16 = load(at + 12);
            chain.push((load(at), load::<u32>(at + 8) as usize, flags & 2 != 0));
            next = (flags & 1 != 0).then(|| load(at + 14));
        }
        chain
    }

    /// Does one of the chains that it took, and returns it with this status.
    pub(crate) fn finish(&mut self, index: usize, status: u8) {
        let taken = self.taken.remove(index);
        if let (Some((address, length, device_writes)), 0) = (taken.data, status) {
            let start = taken.sector as usize * 512;
            for (byte, address) in self.disk[start..start + length].iter_mut().zip(address..) {
                assert_eq!(device_writes, taken.kind == 0, "direction of the data");
                if device_writes {
                    store(address, *byte);
                } else {
                    *byte = load(address);
                }
            }
        }
        store(taken.status, status);
        self.give_back(taken.head);
    }

    /// Returns a chain, whether it had it or not.
    pub(crate) fn give_back(&mut self, head: u16) {
        let [_, _, used] = self.rings;
        let at = used + 4 + 8 * u64::from(self.returned % self.size);
        store(at, u32::from(head));
        store(at + 4, 1u32);
        self.returned = self.returned.wrapping_add(1);
        store(used + 2, self.returned);
        self.interrupt |= 1;
    }

    /// Asks not to be told of new chains, or to be told again.
    pub(crate) fn quiet(&mut self, quiet: u16) {
        store(self.rings[2], quiet);
    }
}

fn load<T: Copy>(address: PhysAddr) -> T {
    let address = (address - DISTANCE) as usize;
    // SAFETY: the driver told the device this address, which lies in the registered pool, and lets it use it now.
    unsafe { core::ptr::with_exposed_provenance::<T>(address).read_volatile() }
}

fn store<T>(address: PhysAddr, value: T) {
    let address = (address - DISTANCE) as usize;
    // SAFETY: as in `load`.
    unsafe { core::ptr::with_exposed_provenance_mut::<T>(address).write_volatile(value) }
}

/// The registers of a [`Device`].
#[derive(Debug)]
pub(crate) struct Registers(pub(crate) Rc<RefCell<Device>>);

impl Transport for Registers {
    fn device_type(&self) -> DeviceType {
        self.0.borrow().kind
    }
    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().features
    }
    fn write_driver_features(&mut self, features: u64) {
        self.0.borrow_mut().accepted = features;
    }
    fn max_queue_size(&mut self, _: u16) -> u32 {
        256
    }
    fn notify(&mut self, _: u16) {
        self.0.borrow_mut().notified += 1;
    }
    fn get_status(&self) -> DeviceStatus {
        self.0.borrow().status
    }
    fn set_status(&mut self, status: DeviceStatus) {
        let mut device = self.0.borrow_mut();
        if device.stuck {
            return;
        }
        device.status = status;
        device.gave_up |= status.contains(DeviceStatus::FAILED);
        if device.refuse_features {
            device.status.remove(DeviceStatus::FEATURES_OK);
        }
    }
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, _: u16, size: u32, desc: PhysAddr, avail: PhysAddr, used: PhysAddr) {
        let mut device = self.0.borrow_mut();
        device.size = size as u16;
        device.rings = [desc, avail, used];
    }
    fn queue_unset(&mut self, _: u16) {}
    fn queue_used(&mut self, _: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(core::mem::take(&mut self.0.borrow_mut().interrupt))
    }
    fn read_config_generation(&self) -> u32 {
        0
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let device = self.0.borrow();
        let bytes = device.configuration.get(offset..offset + size_of::<T>());
        let bytes = bytes.ok_or(Error::ConfigSpaceTooSmall)?;
        T::read_from_bytes(bytes).map_err(|_| Error::ConfigSpaceTooSmall)
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> Result<()> {
        Err(Error::Unsupported)
    }
}
