//! The pool's operations on real untypeds.
//!
//! A split serves whoever comes next, too: it relies on the kernel not to hang it on the request, or on the transaction,
//! that is being served. Otherwise the end of one client's transaction would take a neighbour's memory.

use runtime::abi::KernelError;
use runtime::abi::token::{All, CNode, Cap, Untyped};
use runtime::objects;

use crate::pool::{Kernel, Note};
use crate::restore::Found;

/// Untypeds in this cell's own CNode.
#[derive(Debug)]
pub struct Untypeds {
    /// The CNode that takes what is made.
    pub cnode: Cap<CNode, All>,
}

impl Untypeds {
    /// Over the cell's CNode.
    pub fn new(cnode: Cap<CNode, All>) -> Self {
        Untypeds { cnode }
    }
}

impl Kernel for Untypeds {
    type Untyped = Cap<Untyped, All>;
    type Error = KernelError;

    fn split(&mut self, whole: &Self::Untyped, half_bits: u8) -> Result<[Self::Untyped; 2], KernelError> {
        let lower = objects::retype(whole, half_bits, &self.cnode)?;
        match objects::retype(whole, half_bits, &self.cnode) {
            Ok(upper) => Ok([lower, upper]),
            Err(error) => {
                objects::delete(lower);
                Err(error)
            }
        }
    }

    fn delete(&mut self, untyped: Self::Untyped) {
        objects::delete(untyped);
    }

    fn revoke(&mut self, untyped: &Self::Untyped) -> Result<(), KernelError> {
        objects::revoke(untyped)
    }

    fn is_whole(&mut self, untyped: &Self::Untyped) -> bool {
        objects::untyped_info(untyped).is_ok_and(|info| info.free == info.size)
    }

    fn size_bits(&mut self, untyped: &Self::Untyped) -> Option<u8> {
        let size = objects::untyped_info(untyped).ok()?.size;
        size.is_power_of_two().then(|| size.ilog2() as u8)
    }

    fn note(&mut self, untyped: &Self::Untyped, note: Note) -> Result<(), KernelError> {
        objects::note(untyped, note.to_words())
    }
}

/// What the kernel says of an untyped; `None` where there is none.
#[must_use]
pub fn found(untyped: Cap<Untyped, All>) -> Option<Found<Cap<Untyped, All>>> {
    let info = objects::untyped_info(&untyped).ok()?;
    Some(Found {
        address: info.address,
        size_bits: info.size.checked_ilog2()? as u8,
        is_used: info.is_used,
        note: Note::from_words(info.note),
        untyped,
    })
}
