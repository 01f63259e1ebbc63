//! Kernel objects and the authority over them.
//!
//! Every kernel object is made by [`retype()`] out of untyped memory and lives inside it; every use of
//! an object goes through a capability in a [`Slot`]. This crate keeps the slots, the derivation tree
//! between them, the watermarks of untyped memory and the number of capabilities to each object. What
//! an object *does* (the queue of an endpoint, the registers of a thread) belongs to other crates,
//! which hear of births and deaths through [`Hooks`].
//!
//! The rules are seL4's (reference manual, chapters 2, 3 and 10) except where a module says otherwise:
//!
//! - Memory is handed out once, upwards, and comes back only when the last capability derived from the
//!   untyped is gone ([`retype()`]). It is zeroed when an object is made, not when the untyped is
//!   reset.
//! - A derived capability never has more rights than its source ([`copy`], [`mint`]).
//! - [`revoke_step`] removes everything derived from a capability; [`delete`] removes one capability, and the
//!   object with the last of them.
//! - A Buf lent to a server is pinned ([`pin()`]): no revocation takes its memory back before [`unpin`].
//! - What is made under a [`Anchor`] (a transaction's Scope, a request's Reply) is kept or revoked as one.
//!
//! # Shape of the derivation tree
//!
//! The children of a slot form a ring through a sentinel in their parent ([`Slot`]); there is no pointer to the
//! parent. A slot is therefore moved, and deleted with its children handed to its own parent, in constant time
//! whatever the number of children. Every operation here is constant, or bounded by an argument, or split into
//! steps under a budget: none loops long with interrupts off, and none recurses.
//!
//! # Concurrency contract
//!
//! The kernel runs these functions on one processor with interrupts off. Exclusive access to all slots
//! and object headers is stood for by `&mut` [`Context`]: there is one context, and every function that
//! changes anything takes it. Slots themselves are [`Cell`](core::cell::Cell)s, so a `&Slot` may live
//! while they change, and none crosses a thread.
//!
//! # Validity contract
//!
//! Links are plain addresses of kernel memory that is mapped for as long as the kernel runs. Whoever
//! creates a reference from an address ([`Slot::at`], [`Anchor::at`], [`CNode::at`], [`CNode::of`])
//! promises that it is not used any more after the memory became part of another object: in practice,
//! that nothing obtained from a
//! `CNode` is kept from one kernel entry, or one step, to the next. Between steps a slot is looked up again.
//!
//! # What does not compile
//!
//! A capability is not made by writing a slot down, nor doubled by copying one, nor is an anchor moved
//! away from what hangs on it:
//!
//! ```compile_fail,E0451
//! let forged = capability::Slot { generation: core::cell::Cell::new(1), ..unreachable!() };
//! ```
//! ```compile_fail,E0277
//! fn double(slot: &capability::Slot) -> capability::Slot { capability::Slot::clone(slot) }
//! ```
//! ```compile_fail,E0507
//! fn displace(anchor: &capability::Anchor) -> capability::Anchor { *anchor }
//! ```
//! ```compile_fail,E0277
//! fn shared<T: Sync>() {}
//! shared::<capability::Slot>();
//! ```
#![no_std]

mod anchor;
mod cnode;
mod context;
mod derive;
mod error;
mod header;
mod kind;
pub mod layout;
mod link;
mod mapping;
mod pin;
mod remove;
mod retype;
mod revoke;
mod rights;
mod slot;
mod untyped;

pub use anchor::{Anchor, hang, revoke_all_step, settle};
pub use cnode::CNode;
pub use context::{Contents, Context, Hooks, ZERO_CHUNK};
pub use derive::{copy, exchange, mint, move_};
pub use error::{Error, LookupError, Progress};
pub use header::ObjectHeader;
pub use kind::{MAX_CNODE_BITS, MAX_UNTYPED_BITS, MIN_UNTYPED_BITS, ObjectKind};
pub use mapping::{clear_mapping, set_mapping};
pub use pin::{pin, unpin};
pub use remove::delete;
pub use retype::{MAX_RETYPE_COUNT, retype, retype_into};
pub use revoke::{reap_step, revoke_step};
pub use rights::Rights;
pub use slot::{SLOT_BYTES, Slot};
pub use untyped::{Children, Memory, UntypedStatus, children, grant, grant_untyped, untyped_status};
