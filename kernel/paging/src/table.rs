//! Entries of page tables, and the window through which tables are reached.

use x86_64::PhysAddr;
use x86_64::structures::paging::PageTableFlags;

/// The bits of an entry that hold an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// One entry of a table of any level. All zero is "nothing here".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u64);

impl Entry {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) fn new(frame: PhysAddr, flags: PageTableFlags) -> Self {
        Self(frame.as_u64() & ADDRESS | flags.bits())
    }

    pub(crate) fn frame(self) -> PhysAddr {
        PhysAddr::new(self.0 & ADDRESS)
    }

    pub(crate) fn flags(self) -> PageTableFlags {
        PageTableFlags::from_bits_truncate(self.0)
    }

    pub(crate) fn is_present(self) -> bool {
        self.flags().contains(PageTableFlags::PRESENT)
    }

    pub(crate) fn is_large(self) -> bool {
        self.flags().contains(PageTableFlags::HUGE_PAGE)
    }
}

/// Where physical memory can be touched: byte `p` stands at `offset + p`. On the machine that is the physmap (and while booting
/// the trampoline's copy of it), in tests a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    offset: u64,
}

impl Window {
    /// # Safety
    /// Every frame that is ever passed to the methods is mapped, readable and writable, at `offset` plus its address, and
    /// used as a table by nobody but the holder of this value.
    pub(crate) const unsafe fn new(offset: u64) -> Self {
        Self { offset }
    }

    fn slot(self, table: PhysAddr, index: usize) -> *mut u64 {
        (self.offset.wrapping_add(table.as_u64()) as *mut u64).wrapping_add(index & 511)
    }

    pub(crate) fn read(self, table: PhysAddr, index: usize) -> Entry {
        // SAFETY: `table` is a table's frame, mapped at the window by the promise of `new`, and the index stays within it.
        // Volatile, because the processor sets accessed and dirty bits meanwhile.
        Entry(unsafe { self.slot(table, index).read_volatile() })
    }

    pub(crate) fn write(self, table: PhysAddr, index: usize, entry: Entry) {
        // SAFETY: as for `read`; the frame is a table's, so that no reference of Rust's points there.
        unsafe { self.slot(table, index).write_volatile(entry.0) };
    }

    pub(crate) fn clear(self, table: PhysAddr) {
        for index in 0..512 {
            self.write(table, index, Entry::EMPTY);
        }
    }
}
