//! Boot memory: objects retyped from the untypeds that the kernel handed over.

use alloc::vec::Vec;

use abi::KernelError;
use abi::token::{All, CNode, Cap, Object, Untyped};
use runtime::{Environment, objects};
use spawner::Memory;

/// The first slot with boot memory.
const FIRST: u32 = 96;
/// The most pieces of it.
const MOST: u32 = 512;

/// The untypeds that are left, largest last.
#[derive(Debug)]
pub struct BootMemory {
    cnode: Cap<CNode, All>,
    /// With the size of each in bits, smallest first.
    pieces: Vec<(u8, Cap<Untyped, All>)>,
}

impl BootMemory {
    /// Collects what the kernel left.
    pub fn new(environment: &mut Environment, cnode: Cap<CNode, All>) -> Self {
        let mut pieces = Vec::new();
        for slot in FIRST..FIRST + MOST {
            let Some(cap) = environment.take::<Untyped, All>(slot) else { break };
            let bits = objects::untyped_info(&cap).map_or(0, |info| info.size.trailing_zeros() as u8);
            pieces.push((bits, cap));
        }
        pieces.sort_by_key(|(bits, _)| *bits);
        BootMemory { cnode, pieces }
    }

    /// The root task's CNode.
    pub fn cnode(&self) -> &Cap<CNode, All> {
        &self.cnode
    }

    /// An object that will not stay, from the largest piece: nothing else is made of that, so that it is whole again when the object
    /// is gone.
    ///
    /// # Errors
    /// As [`objects::retype`].
    pub fn make_for_now<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, KernelError> {
        let (_, piece) = self.pieces.last().ok_or(KernelError::NotEnoughMemory)?;
        objects::retype(piece, size_bits, &self.cnode)
    }

    /// Gives all of it away, largest first: the memory server takes over.
    pub fn take_pieces(&mut self) -> Vec<(u8, Cap<Untyped, All>)> {
        let mut pieces = core::mem::take(&mut self.pieces);
        pieces.reverse();
        pieces
    }
}

impl Memory for BootMemory {
    type Error = KernelError;

    /// From the smallest piece that has the room.
    fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, KernelError> {
        let mut failure = KernelError::NotEnoughMemory;
        for (_, piece) in &self.pieces {
            match objects::retype(piece, size_bits, &self.cnode) {
                Ok(cap) => return Ok(cap),
                Err(KernelError::NotEnoughMemory) => {}
                Err(error) => {
                    failure = error;
                    break;
                }
            }
        }
        Err(failure)
    }
}
