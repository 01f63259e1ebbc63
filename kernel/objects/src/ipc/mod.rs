//! Call, receive and reply: the hot path.
//!
//! What each call checks, in order: the reserve of stack, the slot and generation of the token, the kind, the right to
//! call, the label (see [`short`]). Then the ledger takes the request. Where a server waits it is switched to directly, at the priority of
//! its caller if that is the higher one, on the rest of the caller's time slice and with the caller's transaction; the run
//! queue is not touched. A reply that is followed by a receive switches back in the same way.
//!
//! The three words stay in the request, which lies in the caller's TCB; so does the body. Nothing is allocated. The kernel
//! reads and writes a cell's memory only while a thread of that cell runs, with nothing half done: where the memory was taken
//! away, the access faults, and the cell alone ends (see `fault`).
//!
//! * [`gate`]: how a cell gets in and out, in assembly;
//! * [`short`]: what nearly every call and answer needs, and nothing else, in assembly as well;
//! * [`call`], [`receive`]: everything else;
//! * [`transfer`]: what travels beside the words;
//! * [`shut`]: an endpoint while its server is replaced;
//! * [`end`]: waits that end otherwise: timeouts, deaths, endpoints that go.

mod call;
mod end;
pub mod gate;
mod receive;
mod short;
mod shut;
mod transfer;

pub use call::exchange;
pub use receive::reply;
pub use transfer::fetch;

pub(crate) use end::{abandon, destroy_endpoint, fail, forget, interrupt, part, release};
pub(crate) use shut::{ask_to_freeze, count, open, park_again, shut};
pub(crate) use transfer::note_signal;

use abi::KernelError;
use abi::token::RawCap;
use capability::{CNode, ObjectKind, Rights, Slot};

use crate::Failure;

/// The slot of a token, if it is of a kind and has a right.
#[inline(always)]
pub(crate) fn find(cnode: CNode<'_>, raw: RawCap, kind: ObjectKind, rights: Rights) -> Result<&Slot, Failure> {
    let slot = cnode.lookup(raw.slot as u32, raw.generation)?;
    if !slot.is(kind) {
        return Err(KernelError::WrongKind.into());
    }
    if !slot.rights().contains(rights) {
        return Err(KernelError::MissingRight.into());
    }
    Ok(slot)
}
