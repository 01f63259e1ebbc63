//! The BARs that the kernel mapped for this cell: from physical to virtual addresses.
//!
//! A window is registered once and stays for the life of the cell. Where windows of two BARs overlapped, the device
//! would have been set up wrongly by the firmware; the first one found is used.

use alloc::vec::Vec;
use core::ptr::NonNull;

use spin::Mutex;

static WINDOWS: Mutex<Vec<Window>> = Mutex::new(Vec::new());

/// A mapped BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its physical address.
    pub(crate) physical: u64,
    /// Where it is mapped, its provenance exposed.
    pub(crate) address: usize,
    /// Its bytes.
    pub(crate) length: u64,
}

impl Window {
    /// Where a range of physical addresses is mapped; `None` where it is not all inside.
    fn translate(&self, physical: u64, size: u64) -> Option<usize> {
        let offset = physical.checked_sub(self.physical)?;
        let end = offset.checked_add(size)?;
        (end <= self.length).then(|| self.address + offset as usize)
    }
}

/// Adds a window. The caller has had it mapped by the kernel, for good.
pub(crate) fn register(window: Window) {
    WINDOWS.lock().push(window);
}

/// Where a range of a BAR is mapped; `None` where no window holds it all.
pub(crate) fn find(physical: u64, size: usize) -> Option<NonNull<u8>> {
    let windows = WINDOWS.lock();
    let address = windows.iter().find_map(|window| window.translate(physical, size as u64))?;
    NonNull::new(core::ptr::with_exposed_provenance_mut(address))
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn a_window_translates_what_lies_inside_it_alone() {
        let window = Window { physical: 0xfe00_0000, address: 0x1000, length: 0x4000 };
        assert_eq!(window.translate(0xfe00_0000, 0x4000), Some(0x1000));
        assert_eq!(window.translate(0xfe00_3fff, 1), Some(0x4fff));
        assert_eq!(window.translate(0xfe00_3fff, 2), None);
        assert_eq!(window.translate(0xfdff_ffff, 1), None);
        assert_eq!(window.translate(0xfe00_0001, u64::MAX), None);
    }
}
