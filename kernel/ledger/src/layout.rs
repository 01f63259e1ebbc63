//! Where the parts of the records lie, in bytes: for the short forms of a call and an answer, which the kernel has in assembly.
//!
//! They do what [`Endpoint::deliver`], [`Reply::answer`] and [`Endpoint::wait`] do, and keep the same invariants.

use core::mem::offset_of;

use lists::List;

use crate::{Endpoint, Receiver, Reply, Request};

/// A bit for each label that is served.
pub const ENDPOINT_LABELS: usize = offset_of!(Endpoint, labels);
/// The receiver that the next request goes to, null for none.
pub const ENDPOINT_WAITING: usize = offset_of!(Endpoint, waiting);
/// The first parked request, null for none.
pub const ENDPOINT_PARKED: usize = offset_of!(Endpoint, parked) + List::FIRST;
/// The receiver that waited before this one.
pub const RECEIVER_NEXT: usize = offset_of!(Receiver, next);
/// Where it waits, null where it does not.
pub const RECEIVER_ENDPOINT: usize = offset_of!(Receiver, endpoint);
/// What holds its next request.
pub const RECEIVER_REPLY: usize = offset_of!(Receiver, reply);
/// The request that it holds, null for none.
pub const REPLY_REQUEST: usize = offset_of!(Reply, request);
/// The endpoint that it is bound to.
pub const REPLY_ENDPOINT: usize = offset_of!(Reply, endpoint);
/// Who stood ready with it last, null once that is forgotten.
pub const REPLY_RECEIVER: usize = offset_of!(Reply, receiver);
/// What holds it, null unless it is delivered.
pub const REQUEST_REPLY: usize = offset_of!(Request, reply);
