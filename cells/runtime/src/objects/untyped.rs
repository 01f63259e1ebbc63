//! Untyped memory, and objects made out of it.

use abi::kernel::{Kind, Operation};
use abi::token::{All, CNode, Cap, Object, RawCap, Reply, Untyped};

use super::capabilities::{Granted, adopt};
use super::{Result, words};
use crate::kernel::invoke;

/// Makes one object of kind `T` out of untyped memory, in any free slot of the caller's CNode.
///
/// # Errors
/// `NotEnoughMemory`, `OutOfRange` for the size, `TableFull`.
pub fn retype<T: Object>(untyped: &Cap<Untyped>, size_bits: u8, cnode: &Cap<CNode, All>) -> Result<Cap<T, All>> {
    let raw = retype_raw(untyped, T::KIND, size_bits, cnode)?;
    adopt(cnode, raw)
}

/// As [`retype`], with the kind as a number: for servers that retype on request.
///
/// # Errors
/// As [`retype`]; `InvalidArgument` for a kind that cannot be made.
pub fn retype_any(untyped: &Cap<Untyped>, kind: Kind, size_bits: u8, cnode: &Cap<CNode, All>) -> Result<Granted> {
    retype_raw(untyped, kind, size_bits, cnode).map(Granted)
}

fn retype_raw(untyped: &Cap<Untyped>, kind: Kind, size_bits: u8, cnode: &Cap<CNode, All>) -> Result<RawCap> {
    let cnode = cnode.raw();
    let mut words = words(&[kind as u64, size_bits.into(), cnode.slot, cnode.generation, 0, 1]);
    let slot = invoke(Operation::Retype, untyped.raw(), &mut words)?;
    Ok(RawCap { slot, generation: words[0] })
}

/// An untyped, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UntypedInfo {
    /// Bytes that are left.
    pub free: u64,
    /// Bytes of the whole.
    pub size: u64,
    /// Whether anything was made, or copied, of it.
    pub is_used: bool,
    /// Where it lies: tells which untyped is part of which, and means nothing else.
    pub address: u64,
    /// The holder's note.
    pub note: [u64; 2],
}

/// What there is to know about an untyped.
///
/// # Errors
/// `InvalidCapability`.
pub fn untyped_info(untyped: &Cap<Untyped>) -> Result<UntypedInfo> {
    let mut words = words(&[]);
    let free = invoke(Operation::UntypedInfo, untyped.raw(), &mut words)?;
    let [size, used, address, first, second, ..] = words;
    Ok(UntypedInfo { free, size, is_used: used != 0, address, note: [first, second] })
}

/// Reply objects, fresh from untyped memory.
///
/// # Errors
/// As [`retype`].
pub fn reply_objects(
    untyped: &Cap<Untyped>,
    cnode: &Cap<CNode, All>,
    count: usize,
) -> Result<alloc::vec::Vec<Cap<Reply, All>>> {
    (0..count).map(|_| retype(untyped, 0, cnode)).collect()
}
