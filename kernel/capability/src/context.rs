//! The state of the authority layer that is in no object, and what it asks of the rest of the kernel.

use crate::header::ObjectHeader;
use crate::slot::Flags;
use crate::{Anchor, ObjectKind, Rights, Slot};

/// Most bytes that [`Hooks::zero`] is asked for at a time.
pub const ZERO_CHUNK: u64 = 4096;

/// What lies inside an object and has to go with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contents<'a> {
    /// Embedded slots. Pins among them are unpinned, capabilities deleted, all at once: so they are
    /// few, and the kernel puts no capability to an object there that itself embeds slots (CNodes
    /// excepted, which are emptied in steps).
    pub slots: &'a [Slot],
    /// The embedded anchor. What still hangs there is condemned.
    pub anchor: Option<&'a Anchor>,
}

/// What the kernel does when capabilities and objects come and go. Called in the middle of an
/// operation: it must not call back into this crate (it has no context to do so), nor run another
/// thread.
///
/// # Safety
/// `zero` makes the bytes zero, and `contents` reports every slot and anchor inside of an object, and
/// nothing else.
pub unsafe trait Hooks {
    /// An object was made: its memory is zero but for the [`ObjectHeader`], or untouched if it is
    /// untyped or a device's.
    fn created(&mut self, kind: ObjectKind, address: usize, size_bits: u8);

    /// A capability is about to go: a mapped frame has to be unmapped. The slot still shows what it held.
    fn cap_removed(&mut self, slot: &Slot);

    /// The last capability to an object with a header is gone: its queues have to be emptied. The
    /// memory stays intact until the operation ends.
    fn destroyed(&mut self, kind: ObjectKind, address: usize, size_bits: u8);

    /// Zeroes ordinary memory, at most [`ZERO_CHUNK`] bytes. Interrupts may be served between two calls.
    fn zero(&mut self, address: usize, bytes: u64);

    /// A capability was moved, and `to` shows it.
    fn moved(&mut self, from: &Slot, to: &Slot) {
        let _ = (from, to);
    }

    /// What lies inside an object that is about to be destroyed. Not asked for CNodes.
    fn contents<'a>(&mut self, kind: ObjectKind, address: usize) -> Contents<'a> {
        let _ = (kind, address);
        Contents::default()
    }
}

/// The one context; to hold it by `&mut` is to have the authority layer for oneself.
#[derive(Debug)]
pub struct Context<'k, H: Hooks> {
    /// The rest of the kernel.
    pub hooks: H,
    last_generation: u64,
    /// First of the CNodes that are being emptied, through [`ObjectHeader::next`]; 0 if none.
    pub(crate) dying: usize,
    /// First of the other objects that this operation destroys; 0 between operations.
    pub(crate) doomed: usize,
    /// What hung on anchors that were destroyed.
    pub(crate) condemned: &'k Anchor,
}

/// What a slot is filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    pub(crate) object: u64,
    pub(crate) kind: ObjectKind,
    pub(crate) rights: Rights,
    pub(crate) size_bits: u8,
    pub(crate) flags: Flags,
    pub(crate) badge: u64,
}

impl<'k, H: Hooks> Context<'k, H> {
    /// A context for a kernel without any capability yet. `condemned` is an anchor of the kernel's own,
    /// used for nothing else.
    pub fn new(hooks: H, condemned: &'k Anchor) -> Self {
        Context { hooks, last_generation: 0, dying: 0, doomed: 0, condemned }
    }

    /// Whether [`reap_step`](crate::reap_step) has work: objects whose last capability is gone wait to
    /// be emptied.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.dying != 0 || !self.condemned.is_empty()
    }

    /// A generation that was never used: at a thousand million fills a second, the numbers last 584 years.
    pub(crate) fn generation(&mut self) -> u64 {
        self.last_generation += 1;
        self.last_generation
    }

    /// Fills an empty slot, and counts the capability. The caller links it into the tree.
    pub(crate) fn fill(&mut self, slot: &Slot, fill: Fill) {
        slot.occupy();
        slot.object.set(fill.object);
        slot.kind.set(fill.kind as u8);
        slot.rights.set(fill.rights.bits());
        slot.size_bits.set(fill.size_bits);
        slot.flags.set(fill.flags.bits());
        slot.badge.set(fill.badge);
        slot.generation.set(self.generation());
        if let Some(header) = slot.header() {
            header.retain();
        }
    }

    /// Takes the first object off one of the two lists of objects that are being destroyed.
    pub(crate) fn pop<'a>(list: &mut usize) -> Option<&'a ObjectHeader> {
        if *list == 0 {
            return None;
        }
        // SAFETY: the lists hold addresses of objects with headers that have not been destroyed yet.
        let header = unsafe { ObjectHeader::at(*list) };
        *list = header.next();
        header.set_next(0);
        Some(header)
    }

    /// Puts an object on one of the two lists.
    pub(crate) fn push(list: &mut usize, header: &ObjectHeader) {
        header.set_next(*list);
        *list = header.address();
    }
}
