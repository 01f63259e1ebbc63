//! What a cell is given at its start.

use alloc::collections::BTreeSet;

use abi::kernel::Start;
use abi::token::{All, CNode, Cap, Object, RawCap, Rights};

use crate::state::Trial;
use crate::{Heap, objects};

/// The capabilities that a cell starts with, each to be taken once.
#[derive(Debug)]
pub struct Environment {
    cnode: RawCap,
    argument: u64,
    taken: BTreeSet<u32>,
    heap: &'static Heap,
    pub(crate) trial: Option<Trial>,
}

impl Environment {
    /// # Safety
    /// `start` is the kernel's, and this is called once in the life of the cell.
    #[cfg(target_os = "none")]
    pub(crate) unsafe fn new(start: Start, heap: &'static Heap) -> Self {
        Environment { cnode: start.cnode, argument: start.argument, taken: BTreeSet::new(), heap, trial: None }
    }

    /// The numbers of what is in a slot, without taking it.
    pub(crate) fn peek(&self, slot: u32) -> Option<RawCap> {
        let info = self.inspect(slot)?;
        Some(RawCap { slot: slot.into(), generation: info.generation })
    }

    /// The cell has another CNode, whose own slot has this generation.
    pub(crate) fn renew(&mut self, generation: u64) {
        self.cnode.generation = generation;
    }

    /// What makes a server export its state, where it has one: to be given to [`crate::Server::exporting`].
    pub fn exporter(&self) -> Option<crate::state::Exporter> {
        let tcb = self.peek(abi::slots::TCB)?;
        Some(crate::state::Exporter { tcb, trial: self.trial })
    }

    /// The argument that the creator chose.
    pub fn argument(&self) -> u64 {
        self.argument
    }

    /// The cell's heap, to ask how much of it is in use.
    pub fn heap(&self) -> &'static Heap {
        self.heap
    }

    /// Takes the capability of a slot. `None` where the slot is empty, was taken already, holds another kind, or
    /// fewer rights.
    pub fn take<T: Object, R: Rights>(&mut self, slot: u32) -> Option<Cap<T, R>> {
        let info = objects::inspect_raw(self.cnode, slot)?;
        if info.kind != T::KIND as u8 || !objects::has_rights::<T, R>(info.rights) || !self.taken.insert(slot) {
            return None;
        }
        // SAFETY: the kernel just reported kind and rights, and `taken` keeps a second token from being made.
        Some(unsafe { Cap::adopt(RawCap { slot: slot.into(), generation: info.generation }) })
    }

    /// The slots that are filled and were not taken, in order: those from `first` on, and below it those of an earlier instance of
    /// the service, whose CNode is kept. To be asked before anything is made: that lands among them.
    pub fn left(&self, first: u32) -> alloc::vec::Vec<u32> {
        let own = objects::inspect_raw(self.cnode, abi::slots::CNODE);
        let end = own.map_or(0, |own| 1u32.checked_shl(own.size_bits.into()).unwrap_or(0));
        let filled = |slot: &u32| self.inspect(*slot).is_some_and(|info| *slot >= first || info.endowed == 0);
        (1..end).filter(|slot| !self.taken.contains(slot)).filter(filled).collect()
    }

    /// What is in a slot; `None` where it is empty.
    pub fn inspect(&self, slot: u32) -> Option<abi::kernel::SlotInfo> {
        objects::inspect_raw(self.cnode, slot).filter(|info| info.kind != 0)
    }

    /// Deletes what is in a slot, if it was not taken.
    pub fn discard(&mut self, slot: u32) {
        if let Some(info) = objects::inspect_raw(self.cnode, slot)
            && info.kind != 0
            && self.taken.insert(slot)
        {
            objects::Granted(RawCap { slot: slot.into(), generation: info.generation }).refuse();
        }
    }

    /// As [`Self::take`], for what the cell cannot do without: ends the cell by name where it is missing.
    pub fn need<T: Object, R: Rights>(&mut self, slot: u32, what: &str) -> Cap<T, R> {
        match self.take(slot) {
            Some(cap) => cap,
            None => panic!("this cell needs {what} ({:?}) in slot {slot}, and it is not there", T::KIND),
        }
    }

    /// The cell's own CNode once more, for a second part of the cell that receives capabilities: the kernel makes a copy.
    ///
    /// # Panics
    /// Where the CNode is full.
    pub fn cnode_again(&mut self) -> Cap<CNode, All> {
        match objects::copy_own_cnode(self.cnode) {
            Ok(cap) => cap,
            Err(error) => panic!("the CNode has no room for a capability to itself: {error:?}"),
        }
    }

    /// The cell's own CNode.
    pub fn cnode(&mut self) -> Cap<CNode, All> {
        self.need(abi::slots::CNODE, "its CNode")
    }
}
