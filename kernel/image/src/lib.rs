//! Cell images: what a cell file is, why one is refused, and how one is placed in memory.
//!
//! A cell file is an ELF relocatable object with a `.telos.manifest` section ([`Manifest`]), followed by a fixed
//! trailer ([`Trailer`]) that carries an ed25519 signature over every byte before it. The boot archive
//! ([`Archive`]) is one file that holds many of them in boot order.
//!
//! The order of work, in which a later step relies on the earlier ones:
//!
//! 1. [`verify`] looks at bytes only and fails closed: trailer, manifest, a hash for every section, the signature,
//!    then section kinds, symbols and relocations. Nothing is mapped before it says yes.
//! 2. [`VerifiedImage::layout`] says how many pages the parts need and where each part starts.
//! 3. [`VerifiedImage::relocate`] fills a buffer whose run-time address the caller names.
//!
//! Invariants: no function here panics or reads out of bounds for any input; a [`VerifiedImage`] exists only if every
//! rule held; nothing here allocates, except behind the host-only feature `write`. The crate proves who built an
//! image and that it keeps to the format. It says nothing about what the machine code does.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "write"))]
extern crate alloc;

mod archive;
mod elf;
mod layout;
mod list;
mod manifest;
mod refusal;
mod relocation;
mod symbols;
mod trailer;
mod verify;
#[cfg(any(test, feature = "write"))]
pub mod write;

#[cfg(test)]
mod tests;

pub use archive::{Archive, ArchiveError, ArchiveImage};
pub use layout::{Layout, Loaded, PAGE};
pub use list::List;
pub use manifest::{Demand, Dependency, Label, MANIFEST_FORMAT, Manifest, SectionRecord};
pub use refusal::{Name, Refusal, Structure};
pub use trailer::{TRAILER_FORMAT, TRAILER_LENGTH, Trailer, key_id};
pub use verify::{ENTRY, MAX_IMAGE, Trust, VerifiedImage, reopen, verify};

/// The SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}
