//! Where the parts of slots and tables lie, in bytes: for the short forms of a call and an answer, which the kernel
//! has in assembly.
//!
//! They do what [`CNode::lookup`](crate::CNode::lookup) does.

use core::mem::offset_of;

use crate::cnode::CNodeHeader;
use crate::link::Link;
use crate::{Anchor, Slot};

pub use crate::slot::SLOT_BYTES;

/// In a CNode: the number of its slots in 4 bytes, the header counted; 0 once it is shut. Slot `n` lies `n` times [`SLOT_BYTES`]
/// behind the CNode's address.
pub const CNODE_CAPACITY: usize = CNodeHeader::CAPACITY;
/// In a slot: the object's address.
pub const SLOT_OBJECT: usize = offset_of!(Slot, object);
/// The kind of the object in a byte: no kind has the number 0, which an empty slot has and, in this place, the header of a CNode
/// that is not shut.
pub const SLOT_KIND: usize = offset_of!(Slot, kind);
/// The rights in a byte.
pub const SLOT_RIGHTS: usize = offset_of!(Slot, rights);
/// The badge.
pub const SLOT_BADGE: usize = offset_of!(Slot, badge);
/// The generation.
pub const SLOT_GENERATION: usize = offset_of!(Slot, generation);
/// In an anchor: 0 where nothing has hung there since it was settled last. Not 0 where all that hung was taken off singly.
pub const ANCHOR_FIRST: usize = offset_of!(Anchor, ring) + Link::NEXT;

// The place of the kind falls on the link of objects that are being destroyed, which only such an object has.
const _: () = assert!(SLOT_KIND == crate::ObjectHeader::NEXT);
