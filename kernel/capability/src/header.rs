//! What stands at the beginning of every object that is more than memory.

use core::cell::Cell;
use core::mem::size_of;
use core::ptr;

use crate::ObjectKind;

/// The first 16 bytes of an object. They belong to this crate; the rest is the kind's own.
#[derive(Debug)]
#[repr(C)]
pub struct ObjectHeader {
    cap_count: Cell<u32>,
    kind: Cell<u8>,
    size_bits: Cell<u8>,
    reserved: Cell<u16>,
    /// The next object in the context's list of those that are being destroyed.
    next: Cell<usize>,
}

const _: () = assert!(size_of::<ObjectHeader>() == 16);

impl ObjectHeader {
    pub(crate) const NEXT: usize = core::mem::offset_of!(ObjectHeader, next);

    /// The header of the object at an address.
    ///
    /// # Safety
    /// At `address` there is exposed, 16-aligned memory that holds an object with a header, or zeroes,
    /// for as long as the reference lives.
    #[must_use]
    pub unsafe fn at<'a>(address: usize) -> &'a ObjectHeader {
        // SAFETY: the caller's promise; a header is made of `Cell`s of integers, for which zeroes are valid.
        unsafe { &*ptr::with_exposed_provenance(address) }
    }

    /// Number of capabilities to the object. It is destroyed when this comes to 0.
    #[must_use]
    pub fn cap_count(&self) -> u32 {
        self.cap_count.get()
    }

    /// Kind of the object.
    #[must_use]
    pub fn kind(&self) -> Option<ObjectKind> {
        ObjectKind::from_code(self.kind.get())
    }

    /// Size of the object as the retype gave it.
    #[must_use]
    pub fn size_bits(&self) -> u8 {
        self.size_bits.get()
    }

    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).expose_provenance()
    }

    pub(crate) fn initialise(&self, kind: ObjectKind, size_bits: u8) {
        self.cap_count.set(0);
        self.kind.set(kind as u8);
        self.size_bits.set(size_bits);
    }

    /// One capability more. A slot takes 96 bytes, so 2^32 of them do not fit in any machine's memory.
    pub(crate) fn retain(&self) {
        self.cap_count.set(self.cap_count.get() + 1);
    }

    /// One capability less; answers whether that was the last.
    pub(crate) fn release(&self) -> bool {
        let left = self.cap_count.get() - 1;
        self.cap_count.set(left);
        left == 0
    }

    pub(crate) fn next(&self) -> usize {
        self.next.get()
    }

    pub(crate) fn set_next(&self, next: usize) {
        self.next.set(next);
    }
}
