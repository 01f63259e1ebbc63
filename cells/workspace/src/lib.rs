//! Tools over a graph of objects, for whoever works in it.
//!
//! * [`walk`]: every object that hangs on a root, once;
//! * [`search`]: which objects have a method of a selector, and which methods send it;
//! * [`understood`]: what a receiver that is named by a path of slots understands.
//!
//! Nothing here runs a program: what is found is read from slots and sources. Where objects come from is the caller's
//! ([`Objects`]).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod search;
#[cfg(test)]
mod tests;
pub mod understood;
pub mod walk;

use alloc::vec::Vec;

use object_model::{Object, Oid};

/// Where objects are read.
pub trait Objects {
    /// Why one cannot be read.
    type Error;

    /// An object, and what its record refers to; `None` where the record is there and is no object, or there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&mut self, oid: Oid) -> Result<Option<(Object, Vec<Oid>)>, Self::Error>;
}
