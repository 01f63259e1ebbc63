//! What a cell is an instance of.

use alloc::string::{String, ToString};

use abi::KernelError;
use abi::token::{All, Cap, Image, Loader};
use runtime::objects;

/// Name, version and hash of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cell's name.
    pub name: String,
    /// Version of the image.
    pub version: String,
    /// First bytes of the image's hash.
    pub hash: u64,
}

impl Identity {
    /// Of an image.
    ///
    /// # Errors
    /// It is not filled.
    pub fn of(loader: &Cap<Loader, All>, image: &Cap<Image, All>) -> Result<Identity, KernelError> {
        let mut room = [0; 64];
        let named = objects::image_name(loader, image, &mut room)?;
        let (name, version) = named.split_once(' ').unwrap_or((named, ""));
        let (name, version) = (name.to_string(), version.to_string());
        let [h0, h1, h2, h3, h4, h5, h6, h7, ..] = objects::image_needs(loader, image)?.hash;
        Ok(Identity { name, version, hash: u64::from_be_bytes([h0, h1, h2, h3, h4, h5, h6, h7]) })
    }
}

/// The function at an offset into the text of an image.
pub fn symbol(loader: &Cap<Loader, All>, image: &Cap<Image, All>, offset: u64) -> Option<String> {
    let mut room = [0; 160];
    objects::image_symbol(loader, image, offset, &mut room).ok().map(ToString::to_string)
}
