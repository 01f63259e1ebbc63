//! The frames that page tables are made of.

use crate::layout::PAGE;
use crate::range::PhysRange;
use crate::table::{Entry, Window};
use x86_64::PhysAddr;

/// No frame is left in the kernel's reserve. The kernel's own limit; the caller can free mappings and try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramesExhausted;

/// A pool of frames carved at boot. Free frames form a list through their own first words, so it needs no memory and each operation
/// is constant, but for the zeroing.
#[derive(Debug)]
pub struct FrameReserve {
    window: Window,
    fresh: PhysRange,
    list: Option<PhysAddr>,
    available: u64,
}

impl FrameReserve {
    /// Takes over a range.
    ///
    /// # Safety
    /// The range is whole pages of memory that nobody else uses, mapped writable at `window` plus its address for good.
    pub const unsafe fn new(range: PhysRange, window: u64) -> Self {
        let range = range.shrink_to_pages();
        // SAFETY: the only frames passed to the window are those of the range and what `free` takes back, all mapped there.
        let window = unsafe { Window::new(window) };
        Self { window, fresh: range, list: None, available: range.size() / PAGE }
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// How many frames are left.
    pub fn available(&self) -> u64 {
        self.available
    }

    /// Takes a frame, filled with zeros.
    pub fn allocate(&mut self) -> Result<PhysAddr, FramesExhausted> {
        let frame = match self.list {
            Some(frame) => {
                let next = self.window.read(frame, 0);
                self.list = next.is_present().then(|| next.frame());
                frame
            }
            None if self.fresh.is_empty() => return Err(FramesExhausted),
            None => {
                let frame = PhysAddr::new(self.fresh.start());
                self.fresh = PhysRange::new(self.fresh.start() + PAGE, self.fresh.end());
                frame
            }
        };
        self.window.clear(frame);
        self.available -= 1;
        Ok(frame)
    }

    /// Gives a frame back.
    ///
    /// # Safety
    /// It came from [`allocate`](Self::allocate), was not given back since, and nothing refers to it.
    pub unsafe fn free(&mut self, frame: PhysAddr) {
        let next = match self.list {
            Some(next) => Entry::new(next, x86_64::structures::paging::PageTableFlags::PRESENT),
            None => Entry::EMPTY,
        };
        self.window.write(frame, 0, next);
        self.list = Some(frame);
        self.available += 1;
    }
}
