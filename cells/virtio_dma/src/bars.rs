//! The base address registers as `virtio-drivers` sees them.
//!
//! It learns a BAR's length as firmware does: by writing ones, reading the mask back, and restoring. The kernel lets
//! no driver move a BAR, and rightly. So the registers are shown from here: what the kernel reported, and a mask made
//! of the length that it mapped. No write reaches the device. The encoding is that of PCI Local Bus 3.0, 6.2.5.1.

/// Registers in a function's header.
pub(crate) const COUNT: usize = 6;
/// The register's flag of a port BAR.
const PORTS: u32 = 1;
/// Bits that give the type of a memory BAR, and the type with 64 bits of address.
const TYPE: u32 = 0b110;
const WIDE: u32 = 0b100;
/// The flags of a memory BAR, below its address.
const FLAGS: u32 = 0b1111;

/// The six registers, and the masks of those that are mapped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bars {
    registers: [u32; COUNT],
    masks: [u32; COUNT],
    sizing: [bool; COUNT],
}

impl Bars {
    /// Registers as the device has them; all of length 0 until [`Self::set_length`].
    pub(crate) fn new(registers: [u32; COUNT]) -> Self {
        Bars { registers, ..Self::default() }
    }

    /// The physical address of a memory BAR; `None` for a port BAR, or one without an address.
    pub(crate) fn address(&self, bar: u8) -> Option<u64> {
        let low = *self.registers.get(usize::from(bar))?;
        if low & PORTS != 0 {
            return None;
        }
        let high = match low & TYPE {
            WIDE => *self.registers.get(usize::from(bar) + 1)?,
            _ => 0,
        };
        let address = u64::from(high) << 32 | u64::from(low & !FLAGS);
        (address != 0).then_some(address)
    }

    /// Sets the length of a memory BAR: a power of two, at least 16. `None` where it is neither.
    pub(crate) fn set_length(&mut self, bar: u8, length: u64) -> Option<()> {
        if !length.is_power_of_two() || length <= u64::from(FLAGS) {
            return None;
        }
        let low = *self.registers.get(usize::from(bar))?;
        let mask = !(length - 1);
        *self.masks.get_mut(usize::from(bar))? = mask as u32 | low & FLAGS;
        if low & TYPE == WIDE {
            *self.masks.get_mut(usize::from(bar) + 1)? = (mask >> 32) as u32;
        }
        Some(())
    }

    /// What a read of a register answers.
    pub(crate) fn read(&self, bar: usize) -> u32 {
        let from = match self.sizing.get(bar) {
            Some(true) => &self.masks,
            _ => &self.registers,
        };
        from.get(bar).copied().unwrap_or(u32::MAX)
    }

    /// What a write does: ones begin sizing, anything else ends it.
    pub(crate) fn write(&mut self, bar: usize, value: u32) {
        if let Some(sizing) = self.sizing.get_mut(bar) {
            *sizing = value == u32::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bars;
    use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction, PciRoot};

    const FUNCTION: DeviceFunction = DeviceFunction { bus: 0, device: 0, function: 0 };

    /// The library's own sizing, over these registers.
    struct Access(Bars);

    impl ConfigurationAccess for Access {
        fn read_word(&self, _: DeviceFunction, offset: u8) -> u32 {
            match offset {
                0x10..0x28 => self.0.read(usize::from(offset - 0x10) / 4),
                _ => 0,
            }
        }
        fn write_word(&mut self, _: DeviceFunction, offset: u8, data: u32) {
            if let 0x10..0x28 = offset {
                self.0.write(usize::from(offset - 0x10) / 4, data);
            }
        }
        unsafe fn unsafe_clone(&self) -> Self {
            Access(self.0.clone())
        }
    }

    fn sized(bars: &Bars, bar: u8) -> Option<(u64, u64)> {
        let info = PciRoot::new(Access(bars.clone())).bar_info(FUNCTION, bar);
        info.expect("a valid type")?.memory_address_size()
    }

    #[test]
    fn the_library_finds_addresses_and_lengths() {
        // As QEMU has them: ports, a 32-bit table, and the registers in a wide prefetchable BAR above 4 GiB.
        let mut bars = Bars::new([0xc001, 0xfebd_1000, 0, 0, 0x0000_000c, 0x80]);
        assert_eq!(bars.address(0), None);
        assert_eq!(bars.address(1), Some(0xfebd_1000));
        assert_eq!(bars.address(4), Some(0x80_0000_0000));
        assert_eq!(bars.set_length(1, 0x1000), Some(()));
        assert_eq!(bars.set_length(4, 0x4000), Some(()));
        assert_eq!(sized(&bars, 1), Some((0xfebd_1000, 0x1000)));
        assert_eq!(sized(&bars, 4), Some((0x80_0000_0000, 0x4000)));
        assert_eq!(sized(&bars, 2), None);
    }

    #[test]
    fn odd_lengths_are_refused() {
        let mut bars = Bars::new([0xfebd_1000, 0, 0, 0, 0, 0]);
        for length in [0, 8, 0x1800] {
            assert_eq!(bars.set_length(0, length), None);
        }
        assert_eq!(bars.set_length(6, 0x1000), None);
    }
}
