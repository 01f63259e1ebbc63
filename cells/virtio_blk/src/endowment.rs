//! What the cell is given: the fixed slots of every cell, and from the first granted slot on, in this order, its
//! device's function, its interrupt line, DMA memory, and memory for reply objects.

use abi::slots;
use abi::token::{
    All, CNode, Cap, DmaFrame, Endpoint, Irq, Notification, PciFunction, ReceiveOnly, Tcb, Untyped, VSpace,
};
use runtime::Environment;

const FUNCTION: u32 = slots::FIRST_GRANTED;
const IRQ: u32 = slots::FIRST_GRANTED + 1;
const FRAME: u32 = slots::FIRST_GRANTED + 2;
const UNTYPED: u32 = slots::FIRST_GRANTED + 3;

/// All that the driver cannot do without.
#[derive(Debug)]
pub(crate) struct Endowment {
    pub(crate) cnode: Cap<CNode, All>,
    pub(crate) vspace: Cap<VSpace, All>,
    pub(crate) tcb: Cap<Tcb, All>,
    pub(crate) endpoint: Cap<Endpoint, ReceiveOnly>,
    pub(crate) notification: Cap<Notification, All>,
    pub(crate) function: Cap<PciFunction, All>,
    pub(crate) irq: Cap<Irq, All>,
    pub(crate) frame: Cap<DmaFrame, All>,
    pub(crate) untyped: Cap<Untyped, All>,
}

impl Endowment {
    /// Takes it; ends the cell by name of what is missing.
    pub(crate) fn take(environment: &mut Environment) -> Self {
        Endowment {
            cnode: environment.cnode(),
            vspace: environment.need(slots::VSPACE, "its VSpace"),
            tcb: environment.need(slots::TCB, "its thread"),
            endpoint: environment.need(slots::ENDPOINT, "the endpoint to serve"),
            notification: environment.need(slots::NOTIFICATION, "a notification"),
            function: environment.need(FUNCTION, "the device's PCI function"),
            irq: environment.need(IRQ, "the device's interrupt line"),
            frame: environment.need(FRAME, "DMA memory"),
            untyped: environment.need(UNTYPED, "memory for reply objects"),
        }
    }
}
