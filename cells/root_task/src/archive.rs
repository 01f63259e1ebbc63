//! The boot archive, as the loader lets it be read.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use abi::token::{All, Cap, Loader};
use runtime::objects;

/// An image of the archive.
#[derive(Debug)]
pub struct Entry {
    /// The cell's name.
    pub name: String,
    /// Its signed bytes.
    pub bytes: Vec<u8>,
}

/// The entry at an index, `None` behind the last.
pub fn read(loader: &Cap<Loader, All>, index: u64) -> Option<Entry> {
    let entry = objects::archive_read(loader, index, &mut [])?;
    let mut bytes = vec![0; entry.length as usize];
    objects::archive_read(loader, index, &mut bytes)?;
    Some(Entry { name: entry.name().to_string(), bytes })
}

/// The entry of a name.
pub fn find(loader: &Cap<Loader, All>, name: &str) -> Option<Entry> {
    (0..)
        .map_while(|index| objects::archive_read(loader, index, &mut []).map(|entry| (index, entry)))
        .find(|(_, entry)| entry.name() == name)
        .and_then(|(index, _)| read(loader, index))
}
