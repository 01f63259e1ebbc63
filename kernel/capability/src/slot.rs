//! A capability, in the place that holds it.
//!
//! A slot lies in a CNode or is embedded in another object (a pin in a Reply, the roots in a TCB). It
//! never changes its address; capabilities are moved from slot to slot. All-zero memory is an empty
//! slot.
//!
//! The tree: `children` is the sentinel of the ring of the slots derived from this one, `siblings` the
//! slot's membership in its parent's ring. Slots without a parent (made at boot, or orphaned by the
//! deletion of such a one) are in rings without a sentinel.

use core::cell::Cell;
use core::mem::{offset_of, size_of};
use core::ptr;

use crate::header::ObjectHeader;
use crate::link::Link;
use crate::{Error, ObjectKind, Rights};

/// Size of a slot. The size of a CNode, and so what fits in an untyped, depends on it.
pub const SLOT_BYTES: usize = 96;
const _: () = assert!(size_of::<Slot>() == SLOT_BYTES);
const _: () = assert!(align_of::<Slot>() == 8);
// `CNodeHeader` keeps a zero there, so that index 0 is never found.
const _: () = assert!(offset_of!(Slot, generation) == 24);

bitflags::bitflags! {
    /// Facts about a capability that are not rights.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Flags: u8 {
        /// Copies become children of this capability, and so can be revoked by it (seL4's `mdbRevocable`).
        const ORIGINAL = 1 << 0;
        /// The memory is a device's: never read, written or zeroed by the kernel.
        const DEVICE = 1 << 1;
        /// A Buf lent to a server: no revocation removes it.
        const PINNED = 1 << 2;
        /// Stands in the tree for a CNode that is being emptied.
        const TOMBSTONE = 1 << 3;
        /// Belongs to whom the CNode was made for, and not to the one that uses it for a time.
        const ENDOWED = 1 << 4;
    }
}

/// A place for a capability. Opaque: the operations of this crate fill, move and empty it.
#[derive(Debug)]
#[repr(C)]
pub struct Slot {
    pub(crate) object: Cell<u64>,
    pub(crate) kind: Cell<u8>,
    pub(crate) rights: Cell<u8>,
    pub(crate) size_bits: Cell<u8>,
    pub(crate) flags: Cell<u8>,
    /// Position in the CNode, 0 for an embedded slot. Belongs to the place, not to the capability.
    pub(crate) index: Cell<u32>,
    pub(crate) badge: Cell<u64>,
    pub(crate) generation: Cell<u64>,
    /// While empty: membership in the CNode's ring of free slots.
    pub(crate) siblings: Link,
    pub(crate) children: Link,
    pub(crate) hang: Link,
    /// For a pin: the generation of the slot whose revocation has already passed it by. Otherwise the second word of the
    /// holder's note.
    pub(crate) mark: Cell<u64>,
    /// The first word of the holder's note.
    pub(crate) payload: Cell<u64>,
}

impl Slot {
    /// An empty slot, for a place outside of objects. It must not move once something was put there.
    #[expect(clippy::declare_interior_mutable_const, reason = "each use is a new empty slot, which is what it is for")]
    // SAFETY: a slot is made of `Cell`s of integers, and all-zero memory is an empty one.
    pub const EMPTY: Slot = unsafe { core::mem::MaybeUninit::<Slot>::zeroed().assume_init() };

    /// The slot at an address.
    ///
    /// # Safety
    /// `address` is 8-aligned, its provenance is exposed, and the `SLOT_BYTES` there are zeroed memory
    /// or a slot. They are nothing else, and are changed by
    /// this crate alone, for as long as the reference or a capability in the slot lives. An embedded
    /// slot is reported by [`Hooks::contents`](crate::Hooks::contents), or emptied by the kernel,
    /// before its memory is used otherwise.
    #[must_use]
    pub unsafe fn at<'a>(address: usize) -> &'a Slot {
        // SAFETY: aligned, exposed and a slot, as the caller promises; slots are made of `Cell`s of
        // integers, for which zeroes are valid and shared references may overlap.
        unsafe { &*ptr::with_exposed_provenance(address) }
    }

    /// Address of the slot.
    #[must_use]
    pub fn address(&self) -> usize {
        ptr::from_ref(self).expose_provenance()
    }

    /// Whether there is no capability here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.generation.get() == 0
    }

    /// Kind of the object, `None` for an empty slot.
    #[must_use]
    pub fn kind(&self) -> Option<ObjectKind> {
        ObjectKind::from_code(self.kind.get())
    }

    /// Whether the capability is of this kind: one comparison, for the hot path.
    #[inline(always)]
    #[must_use]
    pub fn is(&self, kind: ObjectKind) -> bool {
        self.kind.get() == kind as u8
    }

    /// Address of the object, or its number for kinds that have no memory.
    #[inline(always)]
    #[must_use]
    pub fn object(&self) -> u64 {
        self.object.get()
    }

    /// The rights of the capability.
    #[inline(always)]
    #[must_use]
    pub fn rights(&self) -> Rights {
        Rights::from_bits_retain(self.rights.get())
    }

    /// The badge; for an Untyped the watermark, for memory the address at which it is mapped.
    #[inline(always)]
    #[must_use]
    pub fn badge(&self) -> u64 {
        self.badge.get()
    }

    /// The number that this filling of the slot, and no other filling of any slot, has. 0 while empty.
    #[inline(always)]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// The size as the retype gave it: bits of memory, of slots for a CNode.
    #[must_use]
    pub fn size_bits(&self) -> u8 {
        self.size_bits.get()
    }

    /// Position in the CNode, 0 for an embedded slot.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index.get()
    }

    /// Bytes of memory of the object, 0 for kinds that have none.
    #[must_use]
    pub fn object_bytes(&self) -> u64 {
        let bits = self.kind().and_then(|kind| kind.object_bits(u32::from(self.size_bits())).ok());
        bits.map_or(0, |bits| 1 << bits)
    }

    /// Whether copies of this capability can be revoked by it.
    #[must_use]
    pub fn is_original(&self) -> bool {
        self.has(Flags::ORIGINAL)
    }

    /// Whether the memory belongs to a device.
    #[must_use]
    pub fn is_device(&self) -> bool {
        self.has(Flags::DEVICE)
    }

    /// Whether this is a pin.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.has(Flags::PINNED)
    }

    /// Whether it was in its CNode when that was endowed.
    #[must_use]
    pub fn is_endowed(&self) -> bool {
        self.has(Flags::ENDOWED)
    }

    /// Whether anything is derived from this capability.
    #[must_use]
    pub fn has_children(&self) -> bool {
        !self.children.is_alone()
    }

    /// Two words of whoever holds the capability, for a server that has to know its own again after a restart. They move
    /// with the capability, are 0 in a new one and in a pin, and mean nothing to the kernel.
    #[must_use]
    pub fn note(&self) -> [u64; 2] {
        if self.is_pinned() { [0; 2] } else { [self.payload.get(), self.mark.get()] }
    }

    /// Sets the holder's words.
    ///
    /// # Errors
    /// `IllegalOperation` for a pin.
    pub fn set_note(&self, note: [u64; 2]) -> Result<(), Error> {
        if self.is_pinned() {
            return Err(Error::IllegalOperation);
        }
        let [first, second] = note;
        self.payload.set(first);
        self.mark.set(second);
        Ok(())
    }

    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.flags.get() & flag.bits() != 0
    }

    /// The header of the object, for kinds that have one.
    pub(crate) fn header(&self) -> Option<&ObjectHeader> {
        if !self.kind()?.has_header() {
            return None;
        }
        // SAFETY: only a retype fills slots with kinds that have a header, after writing the header at
        // the address that the slot holds, and the object lives while a slot holds it.
        Some(unsafe { ObjectHeader::at(self.object.get() as usize) })
    }

    /// The first slot derived from this one.
    pub(crate) fn first_child(&self) -> Option<&Slot> {
        (!self.children.is_alone()).then(|| Slot::of_sibling(self.children.next()))
    }

    /// The slot whose `siblings` link is at `address`, the address of a member of a ring of children.
    pub(crate) fn of_sibling<'a>(address: usize) -> &'a Slot {
        // SAFETY: rings of children hold the `siblings` links of filled slots only, sentinels apart,
        // which callers exclude.
        unsafe { Slot::at(address - offset_of!(Slot, siblings)) }
    }

    /// The slot whose `hang` link is at `address`, the address of a member of an anchor's ring.
    pub(crate) fn of_hang<'a>(address: usize) -> &'a Slot {
        // SAFETY: rings of anchors hold the `hang` links of filled slots only, the anchor apart, which
        // callers exclude.
        unsafe { Slot::at(address - offset_of!(Slot, hang)) }
    }
}
