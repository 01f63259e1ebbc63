//! Threads and the instances that they are: parts, start and stop, priority, restart.

use alloc::boxed::Box;

use abi::kernel::{FaultReport, Operation, Scratch, ThreadState};
use abi::token::{All, CNode, Cap, Frame, Image, Loader, Notification, Scheduler, Tcb, VSpace};

use super::{Result, invoke_with, words};
use crate::kernel::invoke;

/// What a new thread is made of.
#[derive(Debug)]
pub struct ThreadParts<'a> {
    /// Its CNode.
    pub cnode: &'a Cap<CNode, All>,
    /// Its cell's VSpace, with an image instantiated in it.
    pub vspace: &'a Cap<VSpace, All>,
    /// Its stack.
    pub stack: &'a Cap<Frame, All>,
    /// Its cell's heap.
    pub heap: &'a Cap<Frame, All>,
    /// What its environment's `argument` answers.
    pub argument: u64,
}

/// Gives a thread its parts; it does not run yet.
///
/// # Errors
/// `IllegalOperation` for one that has them already; `WrongKind`.
pub fn configure(tcb: &Cap<Tcb, All>, parts: &ThreadParts<'_>) -> Result<()> {
    let (cnode, vspace, stack, heap) = (parts.cnode.raw(), parts.vspace.raw(), parts.stack.raw(), parts.heap.raw());
    let given = [
        cnode.slot,
        cnode.generation,
        vspace.slot,
        vspace.generation,
        stack.slot,
        stack.generation,
        heap.slot,
        heap.generation,
        parts.argument,
    ];
    invoke_with(Operation::TcbConfigure, tcb.raw(), &given).map(drop)
}

/// Makes a thread runnable.
///
/// # Errors
/// `IllegalOperation` where it has no parts yet, or has ended.
pub fn start_thread(tcb: &Cap<Tcb, All>) -> Result<()> {
    invoke_with(Operation::TcbStart, tcb.raw(), &[]).map(drop)
}

/// Stops a thread for ever; a call that it was in is cancelled.
///
/// # Errors
/// `InvalidCapability`.
pub fn stop_thread(tcb: &Cap<Tcb, All>) -> Result<()> {
    invoke_with(Operation::TcbStop, tcb.raw(), &[]).map(drop)
}

/// Makes an instance that has ended ready to start again, from the image that it was made of: its variables and its stack as
/// at the beginning. Its memory stays, and of its capabilities what its creator gave it, or all.
///
/// # Errors
/// `IllegalOperation` while it runs, or where its memory was taken away; `ImageRefused` for another image.
pub fn restart(
    tcb: &Cap<Tcb, All>,
    loader: &Cap<Loader, All>,
    image: &Cap<Image, All>,
    scratch: Scratch,
) -> Result<()> {
    let (loader, image) = (loader.raw(), image.raw());
    let words = [loader.slot, loader.generation, image.slot, image.generation, scratch as u64];
    invoke_with(Operation::TcbRestart, tcb.raw(), &words).map(drop)
}

/// Has the kernel itself let an instance begin again, as [`restart`] does, whenever it ends.
///
/// # Errors
/// The kernel's.
pub fn keep(loader: &Cap<Loader, All>, tcb: &Cap<Tcb, All>, image: &Cap<Image, All>, scratch: Scratch) -> Result<()> {
    let (tcb, image) = (tcb.raw(), image.raw());
    let words = [tcb.slot, tcb.generation, image.slot, image.generation, scratch as u64];
    invoke_with(Operation::Keep, loader.raw(), &words).map(drop)
}

/// What was found when the instance of a thread failed; `None` where it did not.
pub fn fault(tcb: &Cap<Tcb, All>) -> Option<Box<FaultReport>> {
    let mut report = Box::new(FaultReport::NONE);
    let address = core::ptr::from_mut(&mut *report).expose_provenance() as u64;
    invoke_with(Operation::TcbFault, tcb.raw(), &[address]).ok()?;
    Some(report)
}

/// What was found when the instance that the kernel keeps failed last, once, and how many times it has ended within a short time;
/// `None` where it did not fail.
pub fn kept_fault(loader: &Cap<Loader, All>) -> Option<(Box<FaultReport>, u32)> {
    let mut report = Box::new(FaultReport::NONE);
    let address = core::ptr::from_mut(&mut *report).expose_provenance() as u64;
    let ends = invoke_with(Operation::KeptFault, loader.raw(), &[address]).ok()?;
    Some((report, u32::try_from(ends).unwrap_or(u32::MAX)))
}

/// What a thread may have of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its priority, 0 to 63.
    pub priority: u8,
    /// Ticks of the timer that it may run for at that priority in each period, before everybody else comes first; 0: all.
    pub allowance: u32,
    /// Length of a period, in ticks.
    pub period: u32,
}

impl Share {
    /// Without a limit.
    pub const fn unlimited(priority: u8) -> Share {
        Share { priority, allowance: 0, period: 0 }
    }
}

/// Sets a thread's priority, without a limit.
///
/// # Errors
/// `OutOfRange` above what the authority allows.
pub fn set_priority(tcb: &Cap<Tcb, All>, authority: &Cap<Scheduler, All>, priority: u8) -> Result<()> {
    set_share(tcb, authority, Share::unlimited(priority))
}

/// Sets a thread's priority and its budget, of which nothing is used then.
///
/// # Errors
/// `OutOfRange` above what the authority allows; `InvalidArgument` for an allowance longer than its period.
pub fn set_share(tcb: &Cap<Tcb, All>, authority: &Cap<Scheduler, All>, share: Share) -> Result<()> {
    let Share { priority, allowance, period } = share;
    let authority = authority.raw();
    let words = [authority.slot, authority.generation, priority.into(), allowance.into(), period.into()];
    invoke_with(Operation::TcbPriority, tcb.raw(), &words).map(drop)
}

/// What a thread has been doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadInfo {
    /// As the kernel attests it to servers; 0 before it has its parts.
    pub identity: u64,
    /// Ticks of the timer during which it ran.
    pub ticks: u64,
    /// Its present priority, with what callers lend.
    pub priority: u8,
    /// What it may have of the processor.
    pub share: Share,
    /// What it is doing.
    pub state: ThreadState,
}

/// Reads a thread's account.
///
/// # Errors
/// `InvalidCapability`.
pub fn thread_info(tcb: &Cap<Tcb, All>) -> Result<ThreadInfo> {
    let mut words = words(&[]);
    let state = match invoke(Operation::TcbInfo, tcb.raw(), &mut words)? {
        0 => ThreadState::Raw,
        1 => ThreadState::Ready,
        2 => ThreadState::Started,
        _ => ThreadState::Ended,
    };
    let [identity, ticks, priority, own, allowance, period, ..] = words;
    let share = Share { priority: own as u8, allowance: allowance as u32, period: period as u32 };
    Ok(ThreadInfo { identity, ticks, priority: priority as u8, share, state })
}

/// State of a cell instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instance {
    /// It has not started, or runs.
    Running,
    /// It ended by itself.
    Exited(u64),
    /// It failed.
    Failed,
}

/// State and text range of the instance in a VSpace.
///
/// # Errors
/// `InvalidCapability`.
pub fn instance_info(vspace: &Cap<VSpace, All>) -> Result<(Instance, u64, u64)> {
    let mut words = words(&[]);
    let state = invoke(Operation::VSpaceInfo, vspace.raw(), &mut words)?;
    let instance = match state {
        0 => Instance::Running,
        1 => Instance::Exited(words[0]),
        _ => Instance::Failed,
    };
    Ok((instance, words[1], words[2]))
}

/// What an instance takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of its heap.
    pub heap: u64,
    /// Bytes that are mapped for it: code, stack, heap, buffers, registers of devices.
    pub memory: u64,
    /// Its threads.
    pub threads: u64,
}

/// What the instance in a VSpace takes.
///
/// # Errors
/// `InvalidCapability`.
pub fn footprint(vspace: &Cap<VSpace, All>) -> Result<Footprint> {
    let mut words = words(&[]);
    invoke(Operation::VSpaceInfo, vspace.raw(), &mut words)?;
    let [_, _, _, heap, memory, threads, ..] = words;
    Ok(Footprint { heap, memory, threads })
}

/// Signals `bits` whenever the instance in some VSpace has ended.
///
/// # Errors
/// `InvalidCapability`.
pub fn watch_instances(loader: &Cap<Loader, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::WatchInstances, loader.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}
