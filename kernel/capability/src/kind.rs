//! The closed set of object kinds: which take memory, how much of it, and what may be done with their
//! capabilities.

use crate::{Error, SLOT_BYTES};

/// Smallest untyped, as a power of two.
pub const MIN_UNTYPED_BITS: u8 = 4;
/// Largest untyped, and so the largest object, as a power of two.
pub const MAX_UNTYPED_BITS: u8 = 47;
/// Most slots of a CNode, as a power of two.
pub const MAX_CNODE_BITS: u8 = 24;
/// Smallest frame: a page.
const PAGE_BITS: u8 = 12;
/// Smallest VSpace: a header and a few regions.
const MIN_VSPACE_BITS: u8 = 8;

/// What a capability names. The numbers are stable: they are the `kind` argument of a retype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// Memory out of which objects are made.
    Untyped = 1,
    /// Memory to map.
    Frame = 2,
    /// A thread.
    Tcb = 3,
    /// A table of capabilities.
    CNode = 4,
    /// The set of regions that a process owns.
    VSpace = 5,
    /// Where requests and servers meet.
    Endpoint = 6,
    /// A word of signals.
    Notification = 7,
    /// The one answer that a request is owed.
    Reply = 8,
    /// Memory that can be lent along with a request.
    Buf = 9,
    /// The signed bytes of a cell.
    Image = 10,
    /// A transaction, as the kernel sees it.
    Scope = 11,
    /// Physically contiguous memory whose physical address its holder may know.
    DmaFrame = 12,
    /// One function of a PCI device; the object word is its number.
    PciFunction = 13,
    /// One interrupt line; the object word is its number.
    Irq = 14,
    /// A range of ports; the object word is the first, the badge the number of them.
    IoPort = 15,
    /// Authority to instantiate cells.
    Loader = 16,
    /// Authority to set priorities up to the badge.
    Scheduler = 17,
    /// The console device.
    Serial = 18,
    /// Authority to settle scopes.
    Settle = 19,
    /// Authority to stop the machine.
    Machine = 20,
    /// The replacement of an instance by another.
    Replacement = 21,
}

impl ObjectKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [ObjectKind; 21] = [
        ObjectKind::Untyped,
        ObjectKind::Frame,
        ObjectKind::Tcb,
        ObjectKind::CNode,
        ObjectKind::VSpace,
        ObjectKind::Endpoint,
        ObjectKind::Notification,
        ObjectKind::Reply,
        ObjectKind::Buf,
        ObjectKind::Image,
        ObjectKind::Scope,
        ObjectKind::DmaFrame,
        ObjectKind::PciFunction,
        ObjectKind::Irq,
        ObjectKind::IoPort,
        ObjectKind::Loader,
        ObjectKind::Scheduler,
        ObjectKind::Serial,
        ObjectKind::Settle,
        ObjectKind::Machine,
        ObjectKind::Replacement,
    ];

    /// The kind with this number; `None` for 0 (an empty slot) and for numbers that are not given out.
    #[must_use]
    pub fn from_code(code: u8) -> Option<ObjectKind> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Bits of memory that one object takes, where the kind alone decides it.
    #[must_use]
    pub const fn fixed_bits(self) -> Option<u8> {
        match self {
            ObjectKind::Tcb => Some(12),
            ObjectKind::Endpoint => Some(10),
            ObjectKind::Notification => Some(7),
            ObjectKind::Reply => Some(8),
            ObjectKind::Scope => Some(7),
            ObjectKind::Replacement => Some(10),
            _ => None,
        }
    }

    /// Whether objects of this kind are made out of untyped memory, and not by the kernel at boot.
    #[must_use]
    pub const fn is_retypable(self) -> bool {
        (self as u8) <= ObjectKind::DmaFrame as u8 || matches!(self, ObjectKind::Replacement)
    }

    /// Whether device memory can become this: only what the kernel itself never reads or writes.
    #[must_use]
    pub const fn is_device_capable(self) -> bool {
        matches!(self, ObjectKind::Untyped | ObjectKind::Frame)
    }

    /// Whether the object begins with an [`ObjectHeader`](crate::ObjectHeader), and dies with its last
    /// capability. Plain memory has none: it lives as long as the derivation tree says.
    #[must_use]
    pub const fn has_header(self) -> bool {
        self.is_retypable() && !self.is_memory() && !matches!(self, ObjectKind::Untyped)
    }

    /// Whether it is memory that is mapped somewhere: the badge word is the address, 0 while it is not mapped.
    #[must_use]
    pub const fn is_memory(self) -> bool {
        matches!(self, ObjectKind::Frame | ObjectKind::Buf | ObjectKind::DmaFrame)
    }

    /// Whether a capability may be copied. A Reply answers once; the kernel's singletons have one
    /// holder, and are moved.
    #[must_use]
    pub const fn is_copyable(self) -> bool {
        !matches!(self, ObjectKind::Reply | ObjectKind::Loader | ObjectKind::Serial | ObjectKind::Settle)
    }

    /// The bits of memory of one object, given the `size_bits` argument of a retype (position 1).
    ///
    /// For a CNode the argument counts slots: slot 0 is the header, and behind the last slot there is
    /// room for the tombstone (see the `cnode` module), so 2^n slots of 96 bytes take 2^(n+7) bytes,
    /// and never less than 2^9. Fixed kinds ignore the argument, except that no argument may reach the
    /// width of a word.
    ///
    /// # Errors
    /// `InvalidArgument(0)` for a kind that is not made of memory, `InvalidArgument(1)` for one too small,
    /// `RangeError` for one too large.
    pub fn object_bits(self, size_bits: u32) -> Result<u8, Error> {
        if !self.is_retypable() {
            return Err(Error::InvalidArgument(0));
        }
        let too_large = Error::RangeError { min: 0, max: u64::from(MAX_UNTYPED_BITS) };
        if size_bits >= u64::BITS {
            return Err(too_large);
        }
        if let Some(bits) = self.fixed_bits() {
            return Ok(bits);
        }
        let minimum = match self {
            ObjectKind::Untyped => u32::from(MIN_UNTYPED_BITS),
            ObjectKind::CNode => 1,
            ObjectKind::VSpace => u32::from(MIN_VSPACE_BITS),
            _ => u32::from(PAGE_BITS),
        };
        if size_bits < minimum {
            return Err(Error::InvalidArgument(1));
        }
        let bits = if self == ObjectKind::CNode { cnode_bits(size_bits) } else { size_bits };
        if bits > u32::from(MAX_UNTYPED_BITS) {
            return Err(too_large);
        }
        if self == ObjectKind::CNode && size_bits > u32::from(MAX_CNODE_BITS) {
            return Err(Error::RangeError { min: 1, max: u64::from(MAX_CNODE_BITS) });
        }
        u8::try_from(bits).map_err(|_| too_large)
    }
}

/// Bits of memory of a CNode of 2^`size_bits` slots.
const fn cnode_bits(size_bits: u32) -> u32 {
    if size_bits < 2 { 9 } else { size_bits + 7 }
}

// The slots and the tombstone fit, at the smallest sizes and by linearity at all others.
const _: () = assert!(SLOT_BYTES * 3 <= 1 << cnode_bits(1));
const _: () = assert!(SLOT_BYTES * 5 <= 1 << cnode_bits(2));
