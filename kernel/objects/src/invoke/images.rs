//! Images, the boot archive that they come from, and the memory that they and others are mapped into.

use core::fmt::Write;

use abi::KernelError;
use abi::token::RawCap;
use capability::{ObjectKind, Rights};
use ledger::Replay;

use super::{Result, Words, bytes, cnode, image, messages, object, put_bytes, read_part, room, token, vspace};
use crate::{Failure, instance, root};

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
    words[9] = verified.manifest().schema_written.into();
    Ok(0)
}

pub(super) fn image_serves(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let verified = image(token(words, 0))?.verified()?;
    let endpoint = messages::endpoint(token(words, 2), Rights::empty())?;
    // SAFETY: the capability names a live endpoint.
    for (label, signature) in unsafe { (*endpoint).labels() } {
        let served = verified.manifest().labels.iter().find(|served| served.number() == label);
        match served {
            Some(served) if served.signature == signature => {}
            Some(_) => return Err(Failure(KernelError::WrongSignature, label.into())),
            None => return Err(Failure(KernelError::UnknownLabel, label.into())),
        }
    }
    Ok(0)
}

pub(super) fn serve(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let verified = image(token(words, 0))?.verified()?;
    let endpoint = messages::endpoint(token(words, 2), Rights::empty())?;
    let mut served = 0;
    for label in verified.manifest().labels.iter() {
        let replay = if label.is_replayable() { Replay::Unanswered } else { Replay::Never };
        // SAFETY: the capability names a live endpoint, and nothing else refers to it now.
        unsafe { (*endpoint).serve(label.number(), label.signature, replay) }.map_err(messages::abi_failure)?;
        served += 1;
    }
    Ok(served)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn interface(raw: RawCap, words: &mut Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let verified = image(token(words, 0))?.verified()?;
    // SAFETY: the caller's word.
    let into = unsafe { room(words[2], words[3]) };
    let readable = verified.manifest().schemas_readable;
    for (place, schema) in into.chunks_exact_mut(4).zip(readable.iter()) {
        place.copy_from_slice(&schema.to_le_bytes());
    }
    words[0] = verified.manifest().labels.iter().count() as u64;
    Ok(readable.iter().count() as u64)
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
pub(super) unsafe fn symbol(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let verified = image(token(words, 0))?.verified()?;
    let (name, offset) = verified.symbol_at(words[2]).ok_or(KernelError::OutOfRange)?;
    // SAFETY: the caller's word.
    let mut text = Text { room: unsafe { room(words[3], words[4]) }, length: 0 };
    // A text that is cut is better than none. The alternate form leaves out the hashes of crates.
    let _ = match rustc_demangle::try_demangle(name) {
        Ok(name) => write!(text, "{name:#}+{offset:#x}"),
        Err(_) => write!(text, "{name}+{offset:#x}"),
    };
    Ok(text.length as u64)
}

/// Room for a text, which is cut where it ends.
struct Text<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for (slot, byte) in self.room.iter_mut().skip(self.length).zip(text.bytes()) {
            *slot = byte;
            self.length += 1;
        }
        Ok(())
    }
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
