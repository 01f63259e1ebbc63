//! A Buf: frame-backed memory that can be lent with a call.

use core::ptr::with_exposed_provenance_mut;
use core::slice;

use abi::KernelError;
use abi::kernel::Operation;
use abi::token::{All, Buf as BufObject, Cap, RawCap, VSpace};

use crate::kernel::invoke;

/// Mapped memory of the cell that can be lent. The borrow of a call is what keeps the owner from it meanwhile: a lent
/// call cannot be given up before its reply, so that owner and server never hold the memory at once.
#[derive(Debug)]
pub struct Buf {
    cap: Cap<BufObject, All>,
    address: usize,
    length: usize,
}

impl Buf {
    /// Maps a Buf object.
    ///
    /// # Errors
    /// As for frames.
    pub fn map(cap: Cap<BufObject, All>, vspace: &Cap<VSpace, All>) -> Result<Buf, KernelError> {
        let vspace = vspace.raw();
        let mut words = [vspace.slot, vspace.generation, 0, 0, 0, 0, 0, 0, 0, 0];
        let address = invoke(Operation::Map, cap.raw(), &mut words)? as usize;
        Ok(Buf { cap, address, length: words[0] as usize })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the kernel mapped this range for this object; `self` is the only owner, and lending borrows it
        // mutably until the reply.
        unsafe { slice::from_raw_parts(with_exposed_provenance_mut(self.address), self.length) }
    }

    /// Its bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(with_exposed_provenance_mut(self.address), self.length) }
    }

    pub(crate) fn raw(&self) -> RawCap {
        self.cap.raw()
    }
}
