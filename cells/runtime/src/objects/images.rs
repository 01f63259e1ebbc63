//! Images, the boot archive that they come from, and the memory that they are mapped into.

use alloc::vec::Vec;

use abi::kernel::Operation;
use abi::token::{All, Cap, Endpoint, Frame, Image, Loader, Rights, VSpace};

use super::{Result, invoke_with, words};
use crate::kernel::invoke;

/// Reads the signed bytes of an image from an offset on, as many as there is room for; answers the length of the whole.
///
/// # Errors
/// `OutOfRange` beyond the end.
pub fn image_read(image: &Cap<Image, All>, offset: u64, into: &mut [u8]) -> Result<u64> {
    let given = [offset, into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    invoke_with(Operation::ImageRead, image.raw(), &given)
}

/// Fills an image object with signed bytes.
///
/// # Errors
/// `ImageRefused` where they do not verify, with the rule in the kernel's log; `TooLarge`.
pub fn fill_image(image: &Cap<Image, All>, bytes: &[u8]) -> Result<()> {
    invoke_with(Operation::ImageFill, image.raw(), &[bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64])
        .map(drop)
}

/// What an image asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageNeeds {
    /// Bytes of text and data.
    pub memory: u64,
    /// Bytes of heap.
    pub heap: u64,
    /// Bytes of stack.
    pub stack: u64,
    /// Slots of its CNode.
    pub slots: u64,
    /// Its build number.
    pub build: u64,
    /// SHA-256 of the signed file.
    pub hash: [u8; 32],
    /// The schema of the state that it exports when it is replaced; 0 where that is in the graph or the kernel's tables.
    pub schema: u32,
}

/// What the image of an object asks for.
///
/// # Errors
/// `IllegalOperation` where it is not filled.
pub fn image_needs(loader: &Cap<Loader, All>, image: &Cap<Image, All>) -> Result<ImageNeeds> {
    let image = image.raw();
    let mut words = words(&[image.slot, image.generation]);
    invoke(Operation::ImageNeeds, loader.raw(), &mut words)?;
    let [memory, heap, stack, slots, build, h0, h1, h2, h3, schema] = words;
    let mut hash = [0; 32];
    for (part, word) in hash.chunks_exact_mut(8).zip([h0, h1, h2, h3]) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    Ok(ImageNeeds { memory, heap, stack, slots, build, hash, schema: schema as u32 })
}

/// Checks that an image serves every label of an endpoint, each with the same signature.
///
/// # Errors
/// `UnknownLabel`, `WrongSignature`, with the label.
pub fn image_serves<R: Rights>(
    loader: &Cap<Loader, All>,
    image: &Cap<Image, All>,
    endpoint: &Cap<Endpoint, R>,
) -> core::result::Result<(), abi::CallError> {
    let (image, endpoint) = (image.raw(), endpoint.raw());
    let mut words = words(&[image.slot, image.generation, endpoint.slot, endpoint.generation]);
    crate::kernel::invoke_in_full(Operation::ImageServes, loader.raw(), &mut words).map(drop)
}

/// Has an endpoint serve what the manifest of an image says; answers how many labels that are.
///
/// # Errors
/// `IllegalOperation` where the image is not filled; `OutOfRange` for a label that no endpoint has.
pub fn serve_image<R: Rights>(
    endpoint: &Cap<Endpoint, R>,
    loader: &Cap<Loader, All>,
    image: &Cap<Image, All>,
) -> Result<u64> {
    let (image, endpoint) = (image.raw(), endpoint.raw());
    let given = [image.slot, image.generation, endpoint.slot, endpoint.generation];
    invoke_with(Operation::ServeImage, loader.raw(), &given)
}

/// Schemas that are told of, at most.
const SCHEMAS: usize = 16;

/// What an image serves, and can go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInterface {
    /// How many labels it serves.
    pub labels: u64,
    /// The schemas of state that it can read, the first 16 of them.
    pub readable: Vec<u32>,
}

/// What an image serves, and can go on with.
///
/// # Errors
/// `IllegalOperation` where it is not filled.
pub fn image_interface(loader: &Cap<Loader, All>, image: &Cap<Image, All>) -> Result<ImageInterface> {
    let (image, mut room) = (image.raw(), [0; 4 * SCHEMAS]);
    let mut given =
        words(&[image.slot, image.generation, room.as_mut_ptr().expose_provenance() as u64, room.len() as u64]);
    let count = invoke(Operation::ImageInterface, loader.raw(), &mut given)? as usize;
    let [labels, ..] = given;
    let (schemas, _) = room.as_chunks();
    let readable = schemas.iter().take(count).map(|schema| u32::from_le_bytes(*schema)).collect();
    Ok(ImageInterface { labels, readable })
}

/// Relocates an image into a frame, as the code of a VSpace.
///
/// # Errors
/// `ImageRefused`, `NotEnoughMemory`, `IllegalOperation` where the VSpace has an image already.
pub fn instantiate(
    loader: &Cap<Loader, All>,
    image: &Cap<Image, All>,
    vspace: &Cap<VSpace, All>,
    frame: &Cap<Frame, All>,
) -> Result<()> {
    let (image, vspace, frame) = (image.raw(), vspace.raw(), frame.raw());
    let given = [image.slot, image.generation, vspace.slot, vspace.generation, frame.slot, frame.generation];
    invoke_with(Operation::Instantiate, loader.raw(), &given).map(drop)
}

/// An entry of the boot archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveEntry {
    /// Bytes of the signed image.
    pub length: u64,
    name: [u8; 32],
}

impl ArchiveEntry {
    /// The cell's name.
    pub fn name(&self) -> &str {
        let length = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        self.name.get(..length).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("?")
    }
}

/// Copies as much of an entry of the boot archive as fits. `None` behind the last.
pub fn archive_read(loader: &Cap<Loader, All>, index: u64, into: &mut [u8]) -> Option<ArchiveEntry> {
    let mut words = words(&[index, into.as_mut_ptr().expose_provenance() as u64, into.len() as u64]);
    let length = invoke(Operation::ArchiveRead, loader.raw(), &mut words).ok()?;
    let mut name = [0; 32];
    for (part, word) in name.chunks_exact_mut(8).zip(words) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    Some(ArchiveEntry { length, name })
}

/// Writes `name version` of an image into a buffer; answers the part of it that fitted.
///
/// # Errors
/// `IllegalOperation` where the image is not filled.
pub fn image_name<'a>(loader: &Cap<Loader, All>, image: &Cap<Image, All>, into: &'a mut [u8]) -> Result<&'a str> {
    let image = image.raw();
    let given = [image.slot, image.generation, into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    let length = invoke_with(Operation::ImageName, loader.raw(), &given)? as usize;
    let text = into.get(..length.min(into.len())).unwrap_or(&[]);
    Ok(core::str::from_utf8(text).unwrap_or("?"))
}

/// The function that an offset into the text of an image lies in, as `function+offset`, or as much of that as fits.
///
/// # Errors
/// `OutOfRange` where there is none.
pub fn image_symbol<'a>(
    loader: &Cap<Loader, All>,
    image: &Cap<Image, All>,
    offset: u64,
    into: &'a mut [u8],
) -> Result<&'a str> {
    let image = image.raw();
    let given = [image.slot, image.generation, offset, into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    let length = invoke_with(Operation::ImageSymbol, loader.raw(), &given)? as usize;
    let text = into.get(..length.min(into.len())).unwrap_or(&[]);
    Ok(core::str::from_utf8(text).unwrap_or("?"))
}

/// Maps a frame into a VSpace; answers the address.
///
/// # Errors
/// `IllegalOperation` where it is mapped already, `TableFull`, `OutOfKernelMemory`.
pub fn map_frame(frame: &Cap<Frame, All>, vspace: &Cap<VSpace, All>) -> Result<u64> {
    let vspace = vspace.raw();
    invoke_with(Operation::Map, frame.raw(), &[vspace.slot, vspace.generation])
}
