//! Finding a device among the PCI functions that the kernel handed over.

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

/// The first function of a vendor with one of these device numbers, and its interrupt line.
pub fn find(
    environment: &mut Environment,
    vendor: u32,
    devices: &[u32],
) -> Option<(Cap<PciFunction, All>, Cap<Irq, All>)> {
    for index in 0..MOST {
        let Some(function) = environment.take::<PciFunction, All>(FUNCTIONS + index) else { continue };
        let Ok(identity) = objects::pci_read(&function, 0, 4) else { continue };
        if identity & 0xffff == vendor && devices.contains(&(identity >> 16)) {
            return environment.take(LINES + index).map(|irq| (function, irq));
        }
    }
    None
}
