//! Makes a cell instance out of an image and memory: the sequence that the root task and the process server share.
//!
//! An instance is a CNode, a VSpace, a thread, and frames for code, stack and heap. Where the objects come from is the
//! caller's: the root task retypes boot memory, the process server asks the memory server ([`Memory`]). The order is
//! fixed by what needs what: the image says how much of each; the code is relocated into its frame; the CNode gets its
//! fixed slots and then what the creator grants; only then is the thread configured, and it never runs before
//! [`Instance::start`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::token::{All, CNode, Cap, Frame, Image, Loader, Object, Rights, Scheduler, Tcb, VSpace};
use abi::{KernelError, slots};
use runtime::objects::{self, ImageNeeds, Share, ThreadParts};

/// Bytes before the signed bytes of an image object.
const IMAGE_HEADER: usize = 64;
/// 2^12 bytes: about 240 regions.
const VSPACE_BITS: u8 = 12;
const PAGE: u64 = 4096;

/// Where objects come from.
pub trait Memory {
    /// What can go wrong, beside the kernel.
    type Error: From<KernelError>;

    /// Makes one object; `size_bits` as retype takes it.
    ///
    /// # Errors
    /// There is no memory.
    fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, Self::Error>;
}

/// A cell instance, not necessarily started.
#[derive(Debug)]
pub struct Instance {
    /// Its CNode.
    pub cnode: Cap<CNode, All>,
    /// Its VSpace.
    pub vspace: Cap<VSpace, All>,
    /// Its first thread.
    pub tcb: Cap<Tcb, All>,
    /// Code, stack and heap.
    pub frames: [Cap<Frame, All>; 3],
}

/// The smallest power of two of at least `bytes`, and of at least a page, as its logarithm.
pub const fn page_bits(bytes: u64) -> u8 {
    let bytes = if bytes < PAGE { PAGE } else { bytes };
    bytes.next_power_of_two().trailing_zeros() as u8
}

/// The size of an image object for so many signed bytes, as a logarithm.
pub const fn image_bits(bytes: usize) -> u8 {
    page_bits((bytes + IMAGE_HEADER) as u64)
}

/// An image object with these signed bytes.
///
/// # Errors
/// `ImageRefused` where they do not verify.
pub fn image<M: Memory>(memory: &mut M, bytes: &[u8]) -> Result<Cap<Image, All>, M::Error> {
    let image = memory.make(image_bits(bytes.len()))?;
    if let Err(error) = objects::fill_image(&image, bytes) {
        objects::delete(image);
        return Err(error.into());
    }
    Ok(image)
}

impl Instance {
    /// Makes an instance of an image.
    ///
    /// # Errors
    /// Memory, or the image does not verify.
    pub fn new<M: Memory>(
        memory: &mut M,
        loader: &Cap<Loader, All>,
        image: &Cap<Image, All>,
    ) -> Result<Instance, M::Error> {
        let needs = objects::image_needs(loader, image)?;
        Self::with_needs(memory, loader, image, &needs)
    }

    /// As [`Self::new`], for a caller that knows what the image asks for: to read that is to verify the image.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_needs<M: Memory>(
        memory: &mut M,
        loader: &Cap<Loader, All>,
        image: &Cap<Image, All>,
        needs: &ImageNeeds,
    ) -> Result<Instance, M::Error> {
        let slots = needs.slots.max(32).next_power_of_two().trailing_zeros() as u8;
        let instance = Instance {
            tcb: memory.make(0)?,
            cnode: memory.make(slots)?,
            vspace: memory.make(VSPACE_BITS)?,
            frames: [
                memory.make(page_bits(needs.memory))?,
                memory.make(page_bits(needs.stack))?,
                memory.make(page_bits(needs.heap))?,
            ],
        };
        let [code, _, _] = &instance.frames;
        objects::instantiate(loader, image, &instance.vspace, code)?;
        instance.grant(slots::CNODE, &instance.cnode, 0)?;
        instance.grant(slots::VSPACE, &instance.vspace, 0)?;
        instance.grant(slots::TCB, &instance.tcb, 0)?;
        Ok(instance)
    }

    /// Copies a capability into a slot of its CNode, with the rights of the token's type, and a badge unless 0.
    ///
    /// # Errors
    /// `DeleteFirst` where the slot is filled.
    pub fn grant<T: Object, R: Rights>(&self, slot: u32, cap: &Cap<T, R>, badge: u64) -> Result<(), KernelError> {
        objects::copy(cap, &self.cnode, slot, R::BITS, badge).map(drop)
    }

    /// Moves a capability into a slot of its CNode.
    ///
    /// # Errors
    /// `DeleteFirst` where the slot is filled.
    pub fn give<T: Object, R: Rights>(&self, slot: u32, cap: Cap<T, R>) -> Result<(), KernelError> {
        objects::give(cap, &self.cnode, slot).map(drop)
    }

    /// Makes the thread ready to start.
    ///
    /// # Errors
    /// It has been done.
    pub fn configure(&self, scheduler: &Cap<Scheduler, All>, share: Share, argument: u64) -> Result<(), KernelError> {
        let [_, stack, heap] = &self.frames;
        let parts = ThreadParts { cnode: &self.cnode, vspace: &self.vspace, stack, heap, argument };
        objects::configure(&self.tcb, &parts)?;
        objects::set_share(&self.tcb, scheduler, share)
    }

    /// Starts it.
    ///
    /// # Errors
    /// It has no parts, or has ended.
    pub fn start(&self) -> Result<(), KernelError> {
        objects::start_thread(&self.tcb)
    }
}
