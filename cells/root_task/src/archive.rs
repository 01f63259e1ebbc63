//! The boot archive, as the loader lets it be read.

use alloc::vec;
use alloc::vec::Vec;

use abi::token::{All, Cap, Loader};
use runtime::objects;

/// The signed bytes of an entry, `None` behind the last.
pub fn read(loader: &Cap<Loader, All>, index: u64) -> Option<Vec<u8>> {
    let length = objects::archive_read(loader, index, &mut [])?;
    let mut bytes = vec![0; length as usize];
    objects::archive_read(loader, index, &mut bytes)?;
    Some(bytes)
}
