//! Finding a device among the PCI functions that the kernel handed over.

use alloc::vec::Vec;

use abi::token::{All, Cap, Irq, PciFunction};
use runtime::{Environment, objects};

/// Red Hat, whose number virtio devices carry (virtio 1.2, section 4.1.2).
pub const VIRTIO: u32 = 0x1af4;
/// Block devices: the transitional and the modern number.
pub const BLOCK: [u32; 2] = [0x1001, 0x1042];

/// The slots of functions, and those of their interrupt lines.
const FUNCTIONS: u32 = 32;
const LINES: u32 = 64;
const MOST: u32 = 32;

/// The number that devices of QEMU's own carry.
pub const QEMU: u32 = 0x1b36;
/// A 16550 behind a PCI function.
pub const SERIAL: [u32; 1] = [0x0002];

/// The functions of the machine that nobody has yet.
pub struct Functions(Vec<Function>);

struct Function {
    identity: u32,
    /// Its place among the slots.
    index: u32,
    function: Cap<PciFunction, All>,
}

impl Functions {
    /// Takes all of them.
    pub fn new(environment: &mut Environment) -> Functions {
        let look_at = |index| {
            let function: Cap<PciFunction, All> = environment.take(FUNCTIONS + index)?;
            let identity = objects::pci_read(&function, 0, 4).ok()?;
            Some(Function { identity, index, function })
        };
        Functions((0..MOST).filter_map(look_at).collect())
    }

    /// The first function of a vendor with one of these device numbers, and its interrupt line.
    pub fn find(
        &mut self,
        environment: &mut Environment,
        vendor: u32,
        devices: &[u32],
    ) -> Option<(Cap<PciFunction, All>, Cap<Irq, All>)> {
        let is_it = |found: &Function| found.identity & 0xffff == vendor && devices.contains(&(found.identity >> 16));
        let Function { index, function, .. } = self.0.remove(self.0.iter().position(is_it)?);
        environment.take(LINES + index).map(|irq| (function, irq))
    }
}
