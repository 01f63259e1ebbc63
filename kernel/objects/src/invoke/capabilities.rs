//! Untyped memory and capabilities: making objects, copying, moving, deleting, revoking.

use abi::KernelError;
use abi::token::RawCap;
use capability::{Anchor, CNode, ObjectKind, Progress, Rights, Slot};

use super::{Result, Words, cnode, cnode_of, object, token};
use crate::tcb::{State, Tcb};
use crate::{authority, scheduler, scope};

pub(super) fn retype(raw: RawCap, words: &mut Words) -> Result<u64> {
    let me = scheduler::current();
    let source = object(raw, ObjectKind::Untyped, Rights::empty())?;
    let kind = u8::try_from(words[0]).ok().and_then(ObjectKind::from_code).ok_or(KernelError::InvalidArgument)?;
    let bits = u32::try_from(words[1]).map_err(|_| KernelError::OutOfRange)?;
    let destination = cnode_of(token(words, 2))?;
    let (first, count) = (words[4] as u32, words[5] as u32);
    let first = if first == 0 && count == 1 { vacant(destination)?.index() } else { first };
    // Splitting memory is the memory server's own affair, whoever asks for some: what hangs is what is made of it.
    let anchor = if kind == ObjectKind::Untyped { None } else { anchor(me)? };
    authority::with(|context| capability::retype(context, source, kind, bits, destination, first, count, anchor))?;
    words[0] = destination.slot(first)?.generation();
    Ok(first.into())
}

/// Where what a thread makes hangs: on the transaction that it works in, else on the request that it has not answered yet.
///
/// # Errors
/// `TransactionOver`: what would be made belongs to nobody any more.
fn anchor(me: &Tcb) -> Result<Option<&Anchor>> {
    match me.scope() {
        0 => Ok(me.serving().map(|reply| &reply.anchor)),
        identity => Ok(Some(&scope::find(identity).ok_or(KernelError::TransactionOver)?.anchor)),
    }
}

pub(super) fn untyped_info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::Untyped, Rights::empty())?;
    let status = authority::with(|context| capability::untyped_status(context, slot))?;
    words[0] = slot.object_bytes();
    words[1] = u64::from(!status.is_whole);
    words[2] = slot.object();
    [words[3], words[4]] = slot.note();
    Ok(status.bytes_free)
}

/// What a holder notes. With devices the kernel notes itself whether they are in use.
pub(super) fn note(raw: RawCap, words: &Words) -> Result<u64> {
    let slot = cnode().lookup(raw.slot as u32, raw.generation)?;
    if slot.is(ObjectKind::PciFunction) || slot.is(ObjectKind::Irq) {
        return Err(KernelError::WrongKind.into());
    }
    slot.set_note([words[0], words[1]])?;
    Ok(0)
}

fn rights(word: u64) -> Rights {
    Rights::from_bits_truncate(word as u8)
}

/// A free slot: what it takes is room in a table, not memory.
fn vacant(destination: CNode<'_>) -> Result<&Slot> {
    Ok(destination.vacant().map_err(|_| KernelError::TableFull)?)
}

fn place<'a>(destination: CNode<'a>, slot: u64) -> Result<&'a Slot> {
    Ok(match slot {
        0 => vacant(destination)?,
        index => destination.slot(index as u32)?,
    })
}

pub(super) fn copy(raw: RawCap, words: &mut Words) -> Result<u64> {
    let destination = place(cnode_of(raw)?, words[2])?;
    let source = cnode().lookup(words[0] as u32, words[1])?;
    let (rights, badge) = (rights(words[3]), words[4]);
    // An untyped that is handed out under a transaction comes back with it.
    let anchor = if source.is(ObjectKind::Untyped) { anchor(scheduler::current())? } else { None };
    authority::with(|context| match badge {
        0 => capability::copy(context, source, destination, rights),
        badge => capability::mint(context, source, destination, rights, badge),
    })?;
    if let Some(anchor) = anchor {
        authority::with(|context| capability::hang(context, destination, anchor))?;
    }
    words[0] = destination.generation();
    Ok(destination.index().into())
}

pub(super) fn move_(raw: RawCap, words: &mut Words) -> Result<u64> {
    let destination = place(cnode_of(raw)?, words[2])?;
    let source = cnode().lookup(words[0] as u32, words[1])?;
    crate::ipc::part(source);
    authority::with(|context| capability::move_(context, source, destination))?;
    words[0] = destination.generation();
    Ok(destination.index().into())
}

pub(super) fn delete(raw: RawCap) -> Result<u64> {
    let slot = cnode().lookup(raw.slot as u32, raw.generation)?;
    let _ = authority::with(|context| capability::delete(context, slot, authority::BUDGET))?;
    finish_reaping();
    Ok(0)
}

pub(super) fn revoke(raw: RawCap) -> Result<u64> {
    loop {
        // After each step others may have run: the slot is looked up again.
        let slot = cnode().lookup(raw.slot as u32, raw.generation)?;
        match authority::with(|context| capability::revoke_step(context, slot, authority::BUDGET)) {
            Progress::Done => break,
            Progress::Pinned => return Err(KernelError::Pinned.into()),
            Progress::More => leave_if_ended(),
        }
    }
    finish_reaping();
    Ok(0)
}

/// Empties what died, in steps between which interrupts are served.
pub(super) fn finish_reaping() {
    while authority::with(|context| context.has_pending()) {
        let progress = authority::with(|context| capability::reap_step(context, authority::BUDGET));
        if progress != Progress::More {
            break;
        }
        leave_if_ended();
    }
    if scheduler::current().state.get() == State::Ended {
        scheduler::abandon_context();
    }
}

pub(super) fn leave_if_ended() {
    if scheduler::current().state.get() == State::Ended {
        scheduler::abandon_context();
    }
    scheduler::preemption_point();
}

pub(super) fn inspect(raw: RawCap, words: &mut Words) -> Result<u64> {
    let slot = cnode_of(raw)?.slot(words[0] as u32)?;
    let kind = slot.kind().map_or(0, |kind| kind as u64);
    words[1] = kind
        | u64::from(slot.rights().bits()) << 8
        | u64::from(slot.size_bits()) << 16
        | u64::from(slot.is_endowed()) << 24;
    words[0] = slot.generation();
    words[2] = slot.badge();
    [words[3], words[4]] = slot.note();
    words[5] = if slot.is_empty() { 0 } else { slot.object() };
    Ok(0)
}
