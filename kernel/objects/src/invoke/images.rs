//! Images, the boot archive that they come from, and the memory that they and others are mapped into.

use abi::KernelError;
use abi::token::RawCap;
use capability::{ObjectKind, Rights};

use super::{Result, Words, bytes, cnode, image, object, put_bytes, read_part, room, token, vspace};
use crate::{instance, root};

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn fill(raw: RawCap, words: &Words) -> Result<u64> {
    // SAFETY: the words are the range that the caller answers for.
    image(raw)?.fill(unsafe { bytes(words[0], words[1]) }).map(|()| 0)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn read(raw: RawCap, words: &Words) -> Result<u64> {
    // SAFETY: the caller's word.
    let into = unsafe { room(words[1], words[2]) };
    read_part(image(raw)?.bytes(), words[0], into)
}

pub(super) fn instantiate(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let frame = object(token(words, 4), ObjectKind::Frame, Rights::READ | Rights::WRITE)?;
    instance::instantiate(image(token(words, 0))?, vspace(token(words, 2))?, frame).map(|()| 0)
}

pub(super) fn image_needs(raw: RawCap, words: &mut Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let verified = image(token(words, 0))?.verified()?;
    let (heap, stack, slots) = instance::demands(&verified);
    words[0] = verified.layout().bytes();
    words[1] = heap;
    words[2] = stack;
    words[3] = slots;
    words[4] = verified.manifest().build;
    if let Some(rest) = words.get_mut(5..9) {
        put_bytes(rest, verified.hash());
    }
    Ok(0)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn name(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let verified = image(token(words, 0))?.verified()?;
    let manifest = verified.manifest();
    // SAFETY: the caller's word.
    let into = unsafe { room(words[2], words[3]) };
    let text = manifest.name.bytes().chain([b' ']).chain(manifest.version.bytes());
    for (slot, byte) in into.iter_mut().zip(text) {
        *slot = byte;
    }
    Ok((manifest.name.len() + 1 + manifest.version.len()) as u64)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn archive_read(raw: RawCap, words: &mut Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let entry = root::archive_entry(words[0]).ok_or(KernelError::OutOfRange)?;
    // SAFETY: the caller's word.
    let length = read_part(entry.bytes, 0, unsafe { room(words[1], words[2]) })?;
    put_bytes(words, entry.name.as_bytes());
    Ok(length)
}

pub(super) fn map(raw: RawCap, words: &mut Words) -> Result<u64> {
    let cnode = cnode();
    let slot = cnode.lookup(raw.slot as u32, raw.generation)?;
    if !slot.is(ObjectKind::Frame) && !slot.is(ObjectKind::Buf) {
        return Err(KernelError::WrongKind.into());
    }
    let region = instance::map(slot, vspace(token(words, 0))?)?;
    words[0] = region.bytes;
    Ok(region.start)
}
