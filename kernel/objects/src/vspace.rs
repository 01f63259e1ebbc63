//! A VSpace: the regions of one cell instance, and what the instance is and has become.
//!
//! There is one address space, so a VSpace is no page table but the list of what one instance has mapped. When it goes, all of
//! it faults. Its size is chosen at retype and bounds the number of regions.

use core::cell::{Cell, UnsafeCell};
use core::mem::size_of;
use core::ptr::with_exposed_provenance;

use abi::KernelError;
use capability::ObjectHeader;
use lists::List;
use paging::layout::{REGIONS, REGIONS_END};

use crate::tcb::Tcb;
use crate::{Failure, lease, memory};

/// What became of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Outcome {
    /// It has not ended. Zero, as retype leaves it.
    Running = 0,
    /// It ended by itself.
    Exited = 1,
    /// It failed.
    Failed = 2,
}

/// A mapped range.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Region {
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

/// A VSpace. Zeroed memory is an empty one; the first 16 bytes belong to the object layer, and the table of regions follows.
#[repr(C)]
pub(crate) struct VSpace {
    header: [u64; 2],
    pub(crate) outcome: Cell<Outcome>,
    pub(crate) exit_status: Cell<u64>,
    pub(crate) entry: Cell<u64>,
    pub(crate) text: Cell<Region>,
    pub(crate) image: Cell<Region>,
    /// The part of the image that is variables.
    pub(crate) data: Cell<Region>,
    /// SHA-256 of the image.
    pub(crate) hash: Cell<[u8; 32]>,
    pub(crate) stack: Cell<Region>,
    pub(crate) heap: Cell<Region>,
    /// Whether it was started, so that its CNode has its endowment.
    pub(crate) is_endowed: Cell<bool>,
    /// Whether something that was unmapped is not in its table any more.
    has_forgotten: Cell<bool>,
    /// What its first thread is told.
    pub(crate) argument: Cell<u64>,
    threads: UnsafeCell<List>,
    pub(crate) name: Cell<[u8; 32]>,
    regions: Cell<u64>,
}

const _: () = assert!(size_of::<VSpace>() <= 256, "the smallest VSpace that can be made");
const EMPTY: Region = Region { start: 0, bytes: 0 };

impl VSpace {
    /// # Safety
    /// There is a VSpace at `address`, live for as long as the reference is used.
    pub(crate) unsafe fn at<'a>(address: usize) -> &'a VSpace {
        // SAFETY: the caller's word.
        unsafe { &*with_exposed_provenance(address) }
    }

    fn table(&self) -> &[Cell<Region>] {
        let address = core::ptr::from_ref(self).expose_provenance();
        // SAFETY: a VSpace begins with its header.
        let header = unsafe { ObjectHeader::at(address) };
        let bytes = (1usize << header.size_bits()).saturating_sub(size_of::<VSpace>());
        let first = with_exposed_provenance(address + size_of::<VSpace>());
        // SAFETY: the object has 2^size_bits bytes; the table takes those behind the fields, which nothing else uses, and
        // zero is a valid entry.
        unsafe { core::slice::from_raw_parts(first, bytes / size_of::<Region>()) }
    }

    /// Notes a mapped range.
    ///
    /// # Errors
    /// `TableFull`.
    pub(crate) fn add(&self, region: Region) -> Result<(), Failure> {
        if self.regions.get() as usize >= self.table().len() {
            self.forget_unmapped();
        }
        let entry = self.table().get(self.regions.get() as usize).ok_or(KernelError::TableFull)?;
        entry.set(region);
        self.regions.set(self.regions.get() + 1);
        Ok(())
    }

    /// Whether an address is, or was, in a range that was mapped for it.
    pub(crate) fn covers(&self, address: u64) -> bool {
        let regions = self.table().iter().take(self.regions.get() as usize).map(Cell::get);
        let within = |region: Region| address.wrapping_sub(region.start) < region.bytes;
        let may_have_been = self.has_forgotten.get() && (REGIONS..REGIONS_END).contains(&address);
        may_have_been || regions.chain([self.image.get()]).any(within)
    }

    /// A range that shows the registers of a device from this physical address on, if one was mapped.
    pub(crate) fn device(&self, physical: u64, bytes: u64) -> Option<Region> {
        let regions = self.table().iter().take(self.regions.get() as usize);
        regions.map(Cell::get).find(|region| region.bytes == bytes && memory::shows(*region, physical))
    }

    /// Strikes out what was unmapped with its capability.
    pub(crate) fn forget_unmapped(&self) {
        let mut kept = 0;
        for entry in self.table().iter().take(self.regions.get() as usize) {
            let region = entry.replace(EMPTY);
            if memory::is_mapped(region)
                && let Some(place) = self.table().get(kept)
            {
                place.set(region);
                kept += 1;
            }
        }
        self.has_forgotten.set(true);
        self.regions.set(kept as u64);
    }

    /// Two instances exchange what is mapped for capabilities of their CNodes; each keeps its stack and its heap.
    ///
    /// # Errors
    /// `TableFull` where one has no room for what the other has, `IllegalOperation` where a stack or a heap is gone; then nothing
    /// has changed.
    pub(crate) fn exchange_regions(&self, other: &VSpace) -> Result<(), Failure> {
        self.forget_unmapped();
        other.forget_unmapped();
        let (own, others) = (self.stack_and_heap(), other.stack_and_heap());
        let ([Some(stack), Some(heap)], [Some(other_stack), Some(other_heap)]) = (own, others) else {
            return Err(KernelError::IllegalOperation.into());
        };
        let most = self.regions.get().max(other.regions.get()) as usize;
        if most > self.table().len().min(other.table().len()) {
            return Err(KernelError::TableFull.into());
        }
        // What each keeps changes places within the pair first, then all do: so it comes back to where it belongs.
        for (first, second) in [(stack, other_stack), (heap, other_heap)] {
            first.swap(second);
        }
        for (first, second) in self.table().iter().zip(other.table()).take(most) {
            first.swap(second);
        }
        self.regions.swap(&other.regions);
        Ok(())
    }

    fn stack_and_heap(&self) -> [Option<&Cell<Region>>; 2] {
        [self.place(self.stack.get()), self.place(self.heap.get())]
    }

    /// The entry of a range that is mapped.
    fn place(&self, region: Region) -> Option<&Cell<Region>> {
        let entries = self.table().iter().take(self.regions.get() as usize);
        entries.into_iter().find(|entry| entry.get().start == region.start && region.bytes != 0)
    }

    /// Unmaps all that it has but what is lent; the image's addresses go back to the arena.
    pub(crate) fn unmap_all(&self) {
        for entry in self.table().iter().take(self.regions.get() as usize) {
            let region = entry.replace(EMPTY);
            if !lease::keep(region.start) {
                memory::unmap(region);
            }
        }
        self.regions.set(0);
        memory::free_image(self.image.replace(EMPTY));
    }

    /// Enters a new thread of the instance.
    pub(crate) fn add_thread(&self, thread: &Tcb) {
        // SAFETY: interrupts are off, and the list's functions call nothing outside it: no second reference exists.
        let threads = unsafe { &mut *self.threads.get() };
        // SAFETY: a new thread's link is on no list, and the thread leaves this one when it ends.
        unsafe { threads.push_back(thread.sibling.get()) };
    }

    /// Strikes a thread out that was entered.
    pub(crate) fn remove_thread(&self, thread: &Tcb) {
        // SAFETY: as above.
        let threads = unsafe { &mut *self.threads.get() };
        // SAFETY: the thread was entered, so its link is on this list.
        unsafe { threads.remove(thread.sibling.get()) };
    }

    /// A thread of the instance, if one is left.
    pub(crate) fn first_thread(&self) -> Option<&Tcb> {
        // SAFETY: as above.
        let first = unsafe { &*self.threads.get() }.first();
        // SAFETY: threads on the list are live: they leave it when they end.
        (!first.is_null()).then(|| unsafe { Tcb::of_sibling(first) })
    }

    /// How many threads the instance has.
    pub(crate) fn thread_count(&self) -> u64 {
        // SAFETY: as above.
        let threads = unsafe { &*self.threads.get() };
        let mut link = threads.first();
        let mut count = 0;
        while !link.is_null() {
            count += 1;
            // SAFETY: links on the list are of live threads.
            link = unsafe { threads.next(link) };
        }
        count
    }

    /// Bytes that are mapped for the instance, its code among them.
    pub(crate) fn mapped_bytes(&self) -> u64 {
        let regions = self.table().iter().take(self.regions.get() as usize).map(Cell::get);
        regions.filter(|region| memory::is_mapped(*region)).chain([self.image.get()]).map(|region| region.bytes).sum()
    }

    /// Whether the instance has another thread than this one of its own.
    pub(crate) fn has_other_than(&self, thread: &Tcb) -> bool {
        // SAFETY: as above.
        let threads = unsafe { &*self.threads.get() };
        let first = threads.first();
        // SAFETY: links on the list are of live threads.
        !first.is_null() && (first != thread.sibling.get() || !unsafe { threads.next(first) }.is_null())
    }

    /// The name of its cell.
    pub(crate) fn name(&self) -> Name {
        Name(self.name.get())
    }
}

/// A name of fixed capacity.
pub(crate) struct Name(pub(crate) [u8; 32]);

impl Name {
    pub(crate) fn new(text: &str) -> Self {
        let mut bytes = [0; 32];
        for (slot, byte) in bytes.iter_mut().zip(text.bytes()) {
            *slot = byte;
        }
        Name(bytes)
    }
}

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        f.write_str(core::str::from_utf8(self.0.get(..length).unwrap_or(&[])).unwrap_or("?"))
    }
}
