//! Configuration space by way of the kernel: the function's registers, its BARs, its place on the bus.

use abi::token::{All, Cap, PciFunction, VSpace};
use runtime::objects::{pci_map, pci_read, pci_write};
use virtio_drivers::PAGE_SIZE;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction, PCI_CAP_ID_VNDR, PciRoot};
use virtio_drivers::transport::pci::{
    VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_CAP_NOTIFY_CFG,
};

use crate::bars::{self, Bars};
use crate::error::Error;
use crate::windows::{self, Window};

/// The capability names one function, so its place on the bus says nothing here.
pub(crate) const FUNCTION: DeviceFunction = DeviceFunction { bus: 0, device: 0, function: 0 };

const COMMAND: u16 = 0x04;
const BAR0: u8 = 0x10;
const BARS_END: u8 = BAR0 + 4 * bars::COUNT as u8;
/// Offset of the BAR's number in a virtio capability.
const CAPABILITY_BAR: u8 = 4;
/// Command register: answer at memory addresses; be a bus master; raise no INTx.
const MEMORY_SPACE: u32 = 1 << 1;
const BUS_MASTER: u32 = 1 << 2;
const INTERRUPT_DISABLE: u32 = 1 << 10;

/// The function's configuration space, for `virtio-drivers` to read. What it writes stays here: see [`Bars`].
#[derive(Debug)]
pub(crate) struct Configuration<'a> {
    function: &'a Cap<PciFunction, All>,
    bars: Bars,
}

impl<'a> Configuration<'a> {
    /// Reads the BARs, and maps those that hold virtio structures, as windows.
    ///
    /// # Errors
    /// The kernel's; `OddBar`.
    pub(crate) fn map(function: &'a Cap<PciFunction, All>, vspace: &Cap<VSpace, All>) -> Result<Self, Error> {
        let mut registers = [0; bars::COUNT];
        for (offset, register) in (u16::from(BAR0)..).step_by(4).zip(&mut registers) {
            *register = pci_read(function, offset, 4)?;
        }
        let mut configuration = Configuration { function, bars: Bars::new(registers) };
        for bar in configuration.bars_in_use() {
            let Some(physical) = configuration.bars.address(bar) else {
                continue;
            };
            let (address, length) = pci_map(function, bar, vspace)?;
            configuration
                .bars
                .set_length(bar, length)
                .filter(|()| length.is_multiple_of(PAGE_SIZE as u64))
                .ok_or(Error::OddBar(bar))?;
            windows::register(Window { physical, address: address as usize, length });
        }
        Ok(configuration)
    }

    /// The BARs that the function's virtio capabilities point into, each once.
    fn bars_in_use(&self) -> impl Iterator<Item = u8> + use<> {
        let root = PciRoot::new(Configuration { function: self.function, bars: self.bars.clone() });
        let mut used = [false; bars::COUNT];
        for capability in root.capabilities(FUNCTION) {
            let kind = (capability.private_header >> 8) as u8;
            let structure = matches!(
                kind,
                VIRTIO_PCI_CAP_COMMON_CFG
                    | VIRTIO_PCI_CAP_NOTIFY_CFG
                    | VIRTIO_PCI_CAP_ISR_CFG
                    | VIRTIO_PCI_CAP_DEVICE_CFG
            );
            if capability.id != PCI_CAP_ID_VNDR || !structure {
                continue;
            }
            let bar = self.read_word(FUNCTION, capability.offset.wrapping_add(CAPABILITY_BAR)) as u8;
            if let Some(used) = used.get_mut(usize::from(bar)) {
                *used = true;
            }
        }
        (0u8..).zip(used).filter_map(|(bar, used)| used.then_some(bar))
    }
}

impl ConfigurationAccess for Configuration<'_> {
    fn read_word(&self, _: DeviceFunction, offset: u8) -> u32 {
        match offset {
            BAR0..BARS_END => self.bars.read(usize::from(offset - BAR0) / 4),
            // As the bus answers where nothing is.
            _ => pci_read(self.function, offset.into(), 4).unwrap_or(u32::MAX),
        }
    }

    fn write_word(&mut self, _: DeviceFunction, offset: u8, data: u32) {
        // Nothing else that `virtio-drivers` writes is needed: it stops the function from decoding while it sizes a
        // BAR, and no BAR is really sized.
        if let BAR0..BARS_END = offset {
            self.bars.write(usize::from(offset - BAR0) / 4, data);
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Configuration { function: self.function, bars: self.bars.clone() }
    }
}

/// Lets the function answer at its BARs and raise INTx, but not touch memory.
///
/// # Errors
/// The kernel's.
pub(crate) fn enable_registers(function: &Cap<PciFunction, All>) -> Result<(), Error> {
    let command = pci_read(function, COMMAND, 2)?;
    let command = (command | MEMORY_SPACE) & !(INTERRUPT_DISABLE | BUS_MASTER);
    Ok(pci_write(function, COMMAND, 2, command)?)
}

/// Lets the function touch memory. It must have been reset: an earlier driver's queues may still be set in it.
///
/// # Errors
/// The kernel's.
pub(crate) fn enable_dma(function: &Cap<PciFunction, All>) -> Result<(), Error> {
    let command = pci_read(function, COMMAND, 2)?;
    Ok(pci_write(function, COMMAND, 2, command | BUS_MASTER)?)
}
