//! Endpoints and notifications, but for the messages themselves.

use abi::interface::Label;
use abi::kernel::Operation;
use abi::token::{All, CallOnly, Cap, Endpoint, Notification, ReceiveOnly, Rights, Tcb, bits};

use super::{Result, invoke_with, words};
use crate::kernel::{invoke, wait as kernel_wait};

/// The rights that a server's own endpoint needs, to serve and to hand out.
pub const ENDPOINT_RIGHTS: u8 = bits::CALL | bits::RECEIVE | bits::GRANT;

/// The right to receive, out of all rights: for a server that made its endpoint itself.
pub fn receiving(endpoint: Cap<Endpoint, All>) -> Cap<Endpoint, ReceiveOnly> {
    endpoint.narrow()
}

/// Declares which labels an endpoint serves.
///
/// # Errors
/// `OutOfRange` for a label above 63.
pub fn serve_labels<R: Rights>(endpoint: &Cap<Endpoint, R>, labels: &[Label]) -> Result<()> {
    for label in labels {
        let words = [label.number.into(), label.signature, label.is_replayable.into()];
        invoke_with(Operation::EndpointAbi, endpoint.raw(), &words)?;
    }
    Ok(())
}

/// Checks that an endpoint serves labels with just these signatures.
///
/// # Errors
/// `UnknownLabel`, `WrongSignature`.
pub fn check_labels(endpoint: &Cap<Endpoint, CallOnly>, labels: &'static [Label]) -> Result<()> {
    for label in labels {
        invoke_with(Operation::EndpointCheck, endpoint.raw(), &[label.number.into(), label.signature])?;
    }
    Ok(())
}

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointInfo {
    /// Instances that served it and are gone.
    pub epoch: u64,
    /// Requests that wait for a server.
    pub parked: u64,
    /// Requests that a server has.
    pub held: u64,
}

/// How an endpoint stands.
///
/// # Errors
/// `InvalidCapability`.
pub fn endpoint_info<R: Rights>(endpoint: &Cap<Endpoint, R>) -> Result<EndpointInfo> {
    let mut words = words(&[]);
    let epoch = invoke(Operation::EndpointInfo, endpoint.raw(), &mut words)?;
    let [parked, delivered, deferred, ..] = words;
    Ok(EndpointInfo { epoch, parked, held: delivered + deferred })
}

/// Signals a notification.
///
/// # Errors
/// `MissingRight`.
pub fn signal<R: Rights>(notification: &Cap<Notification, R>, bits: u64) -> Result<()> {
    invoke_with(Operation::Signal, notification.raw(), &[bits]).map(drop)
}

/// Waits for a notification, for so many nanoseconds at most, and takes its bits.
///
/// # Errors
/// `TimedOut`.
pub fn wait<R: Rights>(notification: &Cap<Notification, R>, timeout: u64) -> core::result::Result<u64, abi::CallError> {
    kernel_wait(notification.raw(), timeout)
}

/// Binds a notification to a thread: its signals end that thread's wait for requests.
///
/// # Errors
/// `IllegalOperation` where one of the two is bound already.
pub fn bind(tcb: &Cap<Tcb, All>, notification: &Cap<Notification, All>) -> Result<()> {
    bind_and_interrupt(tcb, notification, 0)
}

/// As [`bind`]; the signals among `bits` also end the thread's calls while no server has received them, so that what a thread
/// waits for does not keep it from what it has to do first: see [`crate::on_interrupt`].
///
/// # Errors
/// As [`bind`].
pub fn bind_and_interrupt(tcb: &Cap<Tcb, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::TcbBind, tcb.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}
