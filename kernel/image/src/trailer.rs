//! The trailer: the last bytes of a cell file, which say who signed it.
//!
//! Little endian, without padding: magic (8), format (4), offset of the manifest's section in the file (4), its length
//! (4), key id (8), ed25519 signature (64) over every byte before it, the trailer's own fields included. The
//! manifest's place stands here so that its hashes can name a damaged section even if the damage is in the table of
//! names.

use crate::refusal::{Refusal, Structure};
use crate::sha256;

/// The version of this format that is written and read.
pub const TRAILER_FORMAT: u32 = 1;
/// The trailer's length in bytes.
pub const TRAILER_LENGTH: usize = SIGNED + 64;

/// The length of what stands before the signature.
const SIGNED: usize = 28;
const MAGIC: [u8; 8] = *b"TelOSimg";

/// A trailer as it stands in a file. Nothing about it has been checked except its magic and format.
#[derive(Clone, Copy, Debug)]
pub struct Trailer {
    /// Where the manifest's section starts in the file.
    pub manifest_offset: u32,
    /// The length of the manifest's section.
    pub manifest_length: u32,
    /// [`key_id`] of the key that signed.
    pub key_id: [u8; 8],
    /// The signature over everything before it.
    pub signature: [u8; 64],
}

impl Trailer {
    /// Splits a file into the object, the signed bytes (the object and the trailer's fields) and the trailer.
    ///
    /// # Errors
    /// [`Refusal::Unsigned`] if there is no trailer, [`Refusal::TrailerFormat`] if it is of another format.
    pub fn split(file: &[u8]) -> Result<(&[u8], &[u8], Trailer), Refusal> {
        let (object, bytes) = file.split_last_chunk::<TRAILER_LENGTH>().ok_or(Refusal::Unsigned)?;
        let (fields, signature) = bytes.split_first_chunk::<SIGNED>().ok_or(Structure::Header)?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, f0, f1, f2, f3, o0, o1, o2, o3, l0, l1, l2, l3, key_id @ ..] = *fields;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
            return Err(Refusal::Unsigned);
        }
        let format = u32::from_le_bytes([f0, f1, f2, f3]);
        if format != TRAILER_FORMAT {
            return Err(Refusal::TrailerFormat { found: format });
        }
        let signed = file.get(..object.len() + SIGNED).ok_or(Structure::Header)?;
        let trailer = Trailer {
            manifest_offset: u32::from_le_bytes([o0, o1, o2, o3]),
            manifest_length: u32::from_le_bytes([l0, l1, l2, l3]),
            key_id,
            signature: signature.try_into().map_err(|_| Structure::Header)?,
        };
        Ok((object, signed, trailer))
    }

    /// The fields before the signature, as they stand in a file.
    #[cfg(any(test, feature = "write"))]
    pub fn signed_fields(manifest_offset: u32, manifest_length: u32, key_id: [u8; 8]) -> [u8; SIGNED] {
        let mut fields = [0; SIGNED];
        fields[..8].copy_from_slice(&MAGIC);
        fields[8..12].copy_from_slice(&TRAILER_FORMAT.to_le_bytes());
        fields[12..16].copy_from_slice(&manifest_offset.to_le_bytes());
        fields[16..20].copy_from_slice(&manifest_length.to_le_bytes());
        fields[20..].copy_from_slice(&key_id);
        fields
    }
}

/// The id of a public key: the first eight bytes of its SHA-256.
pub fn key_id(public: &[u8; 32]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = sha256(public);
    [a, b, c, d, e, f, g, h]
}
