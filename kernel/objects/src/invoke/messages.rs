//! Endpoints and notifications, but for the messages themselves.

use abi::KernelError;
use abi::token::RawCap;
use capability::{ObjectKind, Rights};
use ledger::{AbiError, Endpoint, Replay};

use super::{Result, Words, object};
use crate::notification::Notification;
use crate::{Failure, scheduler};

pub(super) fn endpoint(raw: RawCap, rights: Rights) -> Result<*mut Endpoint> {
    let slot = object(raw, ObjectKind::Endpoint, rights)?;
    Ok(core::ptr::with_exposed_provenance_mut(slot.object() as usize))
}

pub(super) fn abi_failure(error: AbiError) -> Failure {
    match error {
        AbiError::LabelOutOfRange => Failure(KernelError::OutOfRange, u64::from(ledger::LABELS) - 1),
        AbiError::UnknownLabel => KernelError::UnknownLabel.into(),
        AbiError::WrongSignature => KernelError::WrongSignature.into(),
    }
}

pub(super) fn serve(raw: RawCap, words: &Words) -> Result<u64> {
    let endpoint = endpoint(raw, Rights::RECEIVE)?;
    let label = u32::try_from(words[0]).map_err(|_| abi_failure(AbiError::LabelOutOfRange))?;
    let replay = match words[2] {
        0 => Replay::Never,
        1 => Replay::Unanswered,
        _ => return Err(KernelError::InvalidArgument.into()),
    };
    // SAFETY: the capability names a live endpoint, and nothing else refers to it now.
    unsafe { (*endpoint).serve(label, words[1], replay) }.map_err(abi_failure)?;
    Ok(0)
}

pub(super) fn check(raw: RawCap, words: &Words) -> Result<u64> {
    let endpoint = endpoint(raw, Rights::SEND)?;
    let label = u32::try_from(words[0]).map_err(|_| abi_failure(AbiError::LabelOutOfRange))?;
    // SAFETY: the capability names a live endpoint.
    unsafe { (*endpoint).check(label, words[1]) }.map_err(abi_failure)?;
    Ok(0)
}

pub(super) fn info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let endpoint = endpoint(raw, Rights::empty())?;
    // SAFETY: the capability names a live endpoint.
    let count = unsafe { crate::ipc::count(endpoint) };
    words[0] = count.parked.into();
    words[1] = count.delivered.into();
    words[2] = count.deferred.into();
    // SAFETY: as above.
    Ok(unsafe { (*endpoint).epoch() })
}

pub(super) fn signal(raw: RawCap, words: &Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::Notification, Rights::SEND)?;
    let bits = if slot.badge() != 0 { slot.badge() } else { words[0] };
    // SAFETY: the capability names a live notification.
    unsafe { Notification::at(slot.object() as usize) }.signal(bits);
    scheduler::give_way();
    Ok(0)
}
