//! What a capability allows. Rights only ever shrink.

use crate::ObjectKind;

bitflags::bitflags! {
    /// A set of rights. Each kind has its own subset, [`Rights::of`]; bits outside of it are dropped.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Rights: u8 {
        /// Endpoint: call or send. Notification: signal. Reply: answer.
        const SEND = 1 << 0;
        /// Endpoint: receive. Notification: wait.
        const RECEIVE = 1 << 1;
        /// Endpoint, Reply: let capabilities travel with the message.
        const GRANT = 1 << 2;
        /// Memory, Image, device: read.
        const READ = 1 << 3;
        /// Memory, device: write.
        const WRITE = 1 << 4;
        /// Image: start it. Loader: instantiate cells.
        const EXECUTE = 1 << 5;
    }
}

impl Rights {
    /// All the rights that mean something for a kind.
    ///
    /// | kind | rights |
    /// | --- | --- |
    /// | Endpoint | SEND, RECEIVE, GRANT |
    /// | Notification | SEND, RECEIVE |
    /// | Reply | SEND, GRANT |
    /// | Frame, Buf, DmaFrame, PciFunction, IoPort, Serial | READ, WRITE |
    /// | Image | READ, EXECUTE |
    /// | Loader | EXECUTE |
    /// | Untyped, CNode, Tcb, VSpace, Scope, Irq, Scheduler, Settle, Machine | none: to hold the capability is the whole authority, as in seL4 |
    #[must_use]
    pub const fn of(kind: ObjectKind) -> Rights {
        match kind {
            ObjectKind::Endpoint => Rights::SEND.union(Rights::RECEIVE).union(Rights::GRANT),
            ObjectKind::Notification => Rights::SEND.union(Rights::RECEIVE),
            ObjectKind::Reply => Rights::SEND.union(Rights::GRANT),
            ObjectKind::Frame
            | ObjectKind::Buf
            | ObjectKind::DmaFrame
            | ObjectKind::PciFunction
            | ObjectKind::IoPort
            | ObjectKind::Serial => Rights::READ.union(Rights::WRITE),
            ObjectKind::Image => Rights::READ.union(Rights::EXECUTE),
            ObjectKind::Loader => Rights::EXECUTE,
            ObjectKind::Untyped
            | ObjectKind::CNode
            | ObjectKind::Tcb
            | ObjectKind::VSpace
            | ObjectKind::Scope
            | ObjectKind::Irq
            | ObjectKind::Scheduler
            | ObjectKind::Settle
            | ObjectKind::Machine
            | ObjectKind::Replacement => Rights::empty(),
        }
    }
}
