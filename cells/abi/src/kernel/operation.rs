//! Kinds of objects, and what can be done with each.

/// Kinds of kernel objects, by the number that retype takes.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the objects of the design")]
pub enum Kind {
    Untyped = 1,
    Frame = 2,
    Tcb = 3,
    CNode = 4,
    VSpace = 5,
    Endpoint = 6,
    Notification = 7,
    Reply = 8,
    Buf = 9,
    Image = 10,
    Scope = 11,
    DmaFrame = 12,
    PciFunction = 13,
    Irq = 14,
    IoPort = 15,
    Loader = 16,
    Scheduler = 17,
    Serial = 18,
    Settle = 19,
    Machine = 20,
    Replacement = 21,
}

impl Kind {
    /// Every kind, in the order of the numbers.
    pub const ALL: [Kind; 21] = [
        Kind::Untyped,
        Kind::Frame,
        Kind::Tcb,
        Kind::CNode,
        Kind::VSpace,
        Kind::Endpoint,
        Kind::Notification,
        Kind::Reply,
        Kind::Buf,
        Kind::Image,
        Kind::Scope,
        Kind::DmaFrame,
        Kind::PciFunction,
        Kind::Irq,
        Kind::IoPort,
        Kind::Loader,
        Kind::Scheduler,
        Kind::Serial,
        Kind::Settle,
        Kind::Machine,
        Kind::Replacement,
    ];

    /// The kind of a number; `None` where it is none.
    pub fn from_number(number: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// Operations of [`telos_k_invoke`], by the object that they work on. Arguments stand in the order of the words.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Untyped: kind, size bits, CNode token (2 words), first slot, count.
    Retype = 0x0100,
    /// Untyped: answers bytes free; words out: size, whether anything is derived from it, address, note (2 words).
    UntypedInfo = 0x0101,
    /// CNode: source token (2 words), destination slot (0: any free one), rights, badge (0: unbadged). Answers the slot.
    Copy = 0x0200,
    /// CNode: source token, destination slot.
    Move = 0x0201,
    /// Any capability of the caller: deletes it.
    Delete = 0x0202,
    /// Any capability of the caller: deletes all that was derived from it.
    Revoke = 0x0203,
    /// CNode: slot; words out: a [`SlotInfo`].
    Inspect = 0x0204,
    /// Any capability of the caller but a device's: note (2 words), kept with it for its holder.
    Note = 0x0205,
    /// Frame or Buf: VSpace token; answers the address.
    Map = 0x0300,
    /// Tcb: tokens of CNode, VSpace, stack Frame and heap Frame, argument.
    TcbConfigure = 0x0400,
    /// Tcb: makes it runnable.
    TcbStart = 0x0401,
    /// Tcb: stops it.
    TcbStop = 0x0402,
    /// Tcb: Scheduler token, priority, ticks of the timer that it may run for at its own priority in each period (0: all of
    /// them), length of a period in ticks.
    TcbPriority = 0x0403,
    /// Tcb: Notification token, bits; its signals arrive at receive. Those among the bits also end a call that is parked.
    TcbBind = 0x0404,
    /// Tcb: answers its state; words out: thread identity, ticks of the timer that it ran for, present priority, its own priority, ticks of
    /// its budget and of the budget's period.
    TcbInfo = 0x0405,
    /// Tcb: tokens of Loader and Image, a [`Scratch`]. The instance, which has ended, is made ready to start again, its variables
    /// as in the image, its stack empty.
    TcbRestart = 0x0406,
    /// Tcb: address of a [`FaultReport`], written where the thread's instance failed.
    TcbFault = 0x0407,
    /// Tcb, the caller's own: address and length of the exported state ([`u64::MAX`]: it cannot be exported); 1 where it is to stand
    /// behind what was exported before, which an instance on trial may do, else 0. An instance that is to be frozen waits here,
    /// one that was asked for a copy does not. Answers an [`crate::kernel::Exported`].
    TcbExport = 0x0408,
    /// Tcb, the caller's own: address, capacity; answers the length of the state that is to be imported, as much of which was
    /// written as fits, words out: its schema. Refused where there is nothing to import.
    TcbImport = 0x0409,
    /// Tcb, the caller's own: 1 where the state was imported and holds, else 0. Waits until the service is the instance's, and
    /// answers the generation of the slot of its CNode; or, where that was a rehearsal with a copy, until there is the state itself
    /// to import, and answers 0.
    TcbThawed = 0x040a,
    /// Endpoint: label, signature, 1 where a request can be parked again once it was delivered, else 0. It serves the label.
    EndpointAbi = 0x0500,
    /// Endpoint: label, signature; refused unless served with just that signature.
    EndpointCheck = 0x0501,
    /// Endpoint: answers its epoch; words out: requests that are parked, that are with a server, and with a server but replayable.
    EndpointInfo = 0x0502,
    /// Notification: ORs the word into it.
    Signal = 0x0600,
    /// Image: address and length of signed bytes; verifies and keeps them.
    ImageFill = 0x0700,
    /// Image: offset, address, length; reads the pristine bytes back.
    ImageRead = 0x0701,
    /// Loader: Image token, VSpace token, Frame token; relocates the cell into the frame.
    Instantiate = 0x0800,
    /// Loader: Image token; words out: bytes of memory it needs, heap, stack, slots, build, hash (4 words), the schema
    /// of the state that it exports, 0 for none.
    ImageNeeds = 0x0801,
    /// Loader: Notification token, bits; signalled when an instance ends.
    WatchInstances = 0x0802,
    /// Loader: index into the boot archive, address, capacity; answers the length, words out: the name (4 words).
    ArchiveRead = 0x0803,
    /// Loader: Notification token, bits; signalled when a transaction was aborted and its objects are revoked.
    WatchAborts = 0x0805,
    /// Loader: Image token, address, capacity; answers the length of `name version`, as much of it as fits.
    ImageName = 0x0804,
    /// Loader: Image token, Endpoint token; refused, with the label, unless the image serves every label of the endpoint with the same
    /// signature.
    ImageServes = 0x0808,
    /// Loader: Image token, Endpoint token; the endpoint serves what the image's manifest says. Answers how many labels that are.
    ServeImage = 0x080b,
    /// Loader: Image token, address, capacity; answers how many schemas of state the image can read, as many of which were written as
    /// fit, in 4 bytes each; words out: how many labels it serves.
    ImageInterface = 0x080a,
    /// Loader: Tcb token, Image token, a [`Scratch`]. From now on the kernel itself lets this instance begin again
    /// whenever it ends, and stops the machine where that happens too often.
    Keep = 0x0806,
    /// Loader: Image token, offset into its text, address, capacity; answers the length of `function+offset`, as much of it as
    /// fits.
    ImageSymbol = 0x0807,
    /// Loader: address of a [`FaultReport`], written where the instance that the kernel keeps has failed since this was asked last;
    /// answers how many times it has ended within a short time. Refused where it has not.
    KeptFault = 0x0809,
    /// VSpace: answers its state; words out: exit status, text base, text end, bytes of heap, bytes that are
    /// mapped, threads.
    VSpaceInfo = 0x0900,
    /// Scope: Reply token, Settle token; the caller held in the reply becomes its beginner.
    ScopeAttach = 0x0a00,
    /// Scope: Settle token; keeps what hangs on it.
    ScopeSettle = 0x0a01,
    /// Scope: Settle token; revokes what hangs on it.
    ScopeAbort = 0x0a02,
    /// Scope: answers its [`ScopeState`]; words out: the number of its transaction, 0 for none.
    ScopeInfo = 0x0a03,
    /// Serial: address, length.
    SerialWrite = 0x0b00,
    /// Serial: address, capacity; answers the bytes read, 0 when there are none.
    SerialRead = 0x0b01,
    /// Serial: Notification token, bits; signalled when bytes arrive, when there is room for output, and when the kernel
    /// has logged a line for [`Operation::SerialLog`].
    SerialWatch = 0x0b02,
    /// Serial: address, capacity; answers the bytes of the kernel's log that were taken, 0 when there are none. From its
    /// first use on, and while the thread that watches lives, the log comes this way alone.
    SerialLog = 0x0b03,
    /// Irq: Notification token, bits.
    IrqBind = 0x0c00,
    /// Irq: ready for the next one.
    IrqAcknowledge = 0x0c01,
    /// PciFunction: offset, width; answers the value.
    PciRead = 0x0d00,
    /// PciFunction: offset, width, value.
    PciWrite = 0x0d01,
    /// PciFunction: BAR, VSpace token; maps it uncached and answers the address.
    PciMap = 0x0d02,
    /// PciFunction: a BAR of ports, offset, address, count; reads so many bytes of the one port.
    PciPortRead = 0x0d03,
    /// PciFunction: a BAR of ports, offset, address, count; writes so many bytes to the one port.
    PciPortWrite = 0x0d04,
    /// IoPort: port, width; answers the value.
    PortRead = 0x0e00,
    /// IoPort: port, width, value.
    PortWrite = 0x0e01,
    /// DmaFrame: VSpace token; answers the address, words out: physical address, length.
    DmaMap = 0x0f00,
    /// Machine: exit code; the machine stops at once, unclean.
    Halt = 0x1000,
    /// Machine: words out: time-stamp counter's frequency, bytes lost on the serial line, bytes of the kernel's heap in
    /// use, frames left for page tables.
    MachineInfo = 0x1001,
    /// Machine: address, capacity; answers the length of the boot command line.
    CommandLine = 0x1002,
    /// Machine: it is reset, and boots again.
    Reset = 0x1003,
    /// Replacement: Frame token (empty: the instance has no state of its own), Notification token, bits, a [`Scratch`] in the low
    /// half and an [`crate::kernel::Overdue`] in the high half, nanoseconds that a phase may take, nanoseconds and replies that the
    /// trial takes, schema of the state.
    ReplacementTerms = 0x1100,
    /// Replacement: tokens of Loader, old Tcb, new Tcb, and the Images that the two are of. Begins, for the endpoint in the old
    /// one's fixed slot. `InvalidArgument` where an instance with a state of its own was to end when it is overdue.
    ReplacementBegin = 0x1101,
    /// Replacement: answers its [`crate::kernel::ReplacementPhase`]; words out: the reason, as
    /// [`crate::kernel::ReplacementReason`], nanoseconds that the gate was shut, requests that were delivered when it was shut first,
    /// those that could be parked again, the most that were parked when it opened, replies of the trial.
    ReplacementInfo = 0x1102,
    /// Replacement: the old instance is to go on.
    ReplacementAbort = 0x1103,
    /// Replacement: the trial is over.
    ReplacementConfirm = 0x1104,
    /// Replacement, not open: a [`crate::kernel::ReplacementPhase`], Tcb token. For tests: as soon as the next replacement has entered
    /// that phase the thread's instance is stopped, once.
    ReplacementPlant = 0x1105,
}
