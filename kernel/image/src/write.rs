//! Writing images and archives: the builder's half of the formats, on the host only.
//!
//! [`seal`] turns an object into a cell file. It does not judge: an object that breaks a rule is signed as it is, and
//! [`verify`](crate::verify()) refuses it. So the rules are stated once, and tests can sign what is forbidden.

use alloc::vec::Vec;

use ed25519_compact::{KeyPair, Seed};
use serde::Serialize;

use crate::elf::{Elf, Section};
use crate::list::List;
use crate::manifest::{self, Demand, Dependency, Label, MANIFEST_FORMAT, Manifest, SectionRecord};
use crate::refusal::{Name, Refusal, Structure};
use crate::{Trailer, archive, key_id, sha256};

/// What the builder says about a cell; the hashes of the sections are added by [`seal`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// As in [`Manifest::name`].
    pub name: &'a str,
    /// As in [`Manifest::version`].
    pub version: &'a str,
    /// As in [`Manifest::build`].
    pub build: u64,
    /// As in [`Manifest::compiler`].
    pub compiler: &'a str,
    /// As in [`Manifest::flags_hash`].
    pub flags_hash: u64,
    /// As in [`Manifest::kernel_abi`].
    pub kernel_abi: u64,
    /// As in [`Manifest::labels`].
    pub labels: &'a [Label],
    /// As in [`Manifest::schema_written`].
    pub schema_written: u32,
    /// As in [`Manifest::schemas_readable`].
    pub schemas_readable: &'a [u32],
    /// As in [`Manifest::demands`].
    pub demands: &'a [Demand<'a>],
    /// As in [`Manifest::dependencies`].
    pub dependencies: &'a [Dependency<'a>],
}

/// The key that signs images.
pub struct SigningKey(KeyPair);

impl SigningKey {
    /// The key that belongs to 32 secret random bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        SigningKey(KeyPair::from_seed(Seed::new(seed)))
    }

    /// The public half, for [`Trust::key`](crate::Trust::key).
    pub fn public(&self) -> [u8; 32] {
        *self.0.pk
    }
}

/// How many bytes the section `.telos.manifest` of this object needs. The object must already have a section of that
/// name, of any size.
///
/// # Errors
/// What does not hold together in the object.
pub fn manifest_size(object: &[u8], fields: &Fields<'_>) -> Result<usize, Refusal> {
    encode(object, fields).map(|(bytes, _)| bytes.len())
}

/// Writes the manifest into its section, which must have the size that [`manifest_size`] says, and signs.
///
/// # Errors
/// What does not hold together in the object, or [`Structure::Manifest`] if the section has another size.
pub fn seal(mut object: Vec<u8>, fields: &Fields<'_>, key: &SigningKey) -> Result<Vec<u8>, Refusal> {
    let (bytes, offset) = encode(&object, fields)?;
    let section = Elf::parse(&object)?.sections().find(is_manifest).map(|section| section.size());
    if section != Some(bytes.len() as u64) {
        return Err(Structure::Manifest.into());
    }
    object.get_mut(offset..offset + bytes.len()).ok_or(Structure::Manifest)?.copy_from_slice(&bytes);
    Ok(sign(object, offset, bytes.len(), key))
}

/// Appends the trailer to an object whose manifest stands at `offset`.
pub fn sign(mut object: Vec<u8>, offset: usize, length: usize, key: &SigningKey) -> Vec<u8> {
    object.extend_from_slice(&Trailer::signed_fields(offset as u32, length as u32, key_id(&key.public())));
    let signature = key.0.sk.sign(&object, None);
    object.extend_from_slice(&*signature);
    object
}

/// Signs a changed file again, with the sizes, flags and hashes of its sections as they are now as far as the file still
/// holds together. For tests and fuzzers, which want to get past the hashes to the rules behind them.
///
/// # Errors
/// [`Refusal::Unsigned`] or [`Refusal::TrailerFormat`] if the trailer is not whole.
pub fn resign(file: &[u8], key: &SigningKey) -> Result<Vec<u8>, Refusal> {
    let (object, _, trailer) = Trailer::split(file)?;
    let (start, length) = (trailer.manifest_offset as usize, trailer.manifest_length as usize);
    let mut object = object.to_vec();
    if let Some(manifest) = described_again(&object, start, length)
        && let Some(room) = object.get_mut(start..start.saturating_add(length))
        && room.len() == manifest.len()
    {
        room.copy_from_slice(&manifest);
    }
    Ok(sign(object, start, length, key))
}

/// The kernel ABI that a file's manifest names, 0 if there is none: for a fuzzer, which takes files from any build.
pub fn described_abi(file: &[u8]) -> u64 {
    let abi = || {
        let (object, _, trailer) = Trailer::split(file).ok()?;
        let start = trailer.manifest_offset as usize;
        let section = object.get(start..start.checked_add(trailer.manifest_length as usize)?)?;
        Some(Manifest::decode(section).ok()?.kernel_abi)
    };
    abi().unwrap_or(0)
}

/// The manifest at `start` with records of the sections as they are.
fn described_again(object: &[u8], start: usize, length: usize) -> Option<Vec<u8>> {
    let (encoded, _) = object.get(start..start.checked_add(length)?)?.split_last_chunk::<32>()?;
    let manifest: Manifest<'_> = postcard::from_bytes(encoded).ok()?;
    let manifest_itself =
        |section: &Section<'_>| section.kind() == object::elf::SHT_PROGBITS && section.offset() == start as u64;
    let sections = Elf::parse(object).ok()?.sections().filter(|section| !manifest_itself(section));
    let mut records = Vec::new();
    for (section, old) in sections.zip(manifest.sections.iter()) {
        let hash = section.data().map(sha256).unwrap_or(old.hash);
        records.push(SectionRecord { flags: section.flags(), size: section.size(), hash, ..old });
    }
    let records = items(&records);
    let manifest = Manifest { sections: List::from_encoded(&records), ..manifest };
    let mut bytes = postcard::to_allocvec(&manifest).ok()?;
    bytes.extend_from_slice(&sha256(&bytes));
    Some(bytes)
}

fn is_manifest(section: &Section<'_>) -> bool {
    section.raw_name().is_ok_and(|name| name == manifest::SECTION.as_bytes())
}

/// The contents of the manifest's section, and where that section starts.
fn encode(object: &[u8], fields: &Fields<'_>) -> Result<(Vec<u8>, usize), Refusal> {
    let elf = Elf::parse(object)?;
    let missing = Refusal::MissingSection { section: Name::new(manifest::SECTION) };
    let offset = elf.sections().find(is_manifest).ok_or(missing)?.offset() as usize;
    let mut sections = Vec::new();
    for section in elf.sections().filter(|section| !is_manifest(section)) {
        let name = core::str::from_utf8(section.raw_name()?).map_err(|_| Structure::Names)?;
        let hash = sha256(section.data()?);
        sections.push(SectionRecord { name, flags: section.flags(), size: section.size(), hash });
    }
    let (labels, readable, demands) = (items(fields.labels), items(fields.schemas_readable), items(fields.demands));
    let (dependencies, sections) = (items(fields.dependencies), items(&sections));
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        name: fields.name,
        version: fields.version,
        build: fields.build,
        compiler: fields.compiler,
        flags_hash: fields.flags_hash,
        kernel_abi: fields.kernel_abi,
        labels: List::from_encoded(&labels),
        schema_written: fields.schema_written,
        schemas_readable: List::from_encoded(&readable),
        demands: List::from_encoded(&demands),
        dependencies: List::from_encoded(&dependencies),
        sections: List::from_encoded(&sections),
    };
    let mut bytes = postcard::to_allocvec(&manifest).map_err(|_| Structure::Manifest)?;
    bytes.extend_from_slice(&sha256(&bytes));
    Ok((bytes, offset))
}

fn items<T: Serialize>(items: &[T]) -> Vec<u8> {
    // Writing into a vector cannot fail.
    items.iter().flat_map(|item| postcard::to_allocvec(item).unwrap_or_default()).collect()
}

/// Packs images, each with its cell's name, into a boot archive in the order given.
pub fn pack(images: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&archive::MAGIC);
    out.extend_from_slice(&archive::FORMAT.to_le_bytes());
    out.extend_from_slice(&(images.len() as u32).to_le_bytes());
    let mut offset = (archive::HEAD + images.len() * archive::ENTRY).next_multiple_of(16);
    for (name, bytes) in images {
        let mut field = [0; 32];
        for (to, from) in field.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        out.extend_from_slice(&field);
        out.extend_from_slice(&(offset as u64).to_le_bytes());
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        out.extend_from_slice(&sha256(bytes));
        offset = (offset + bytes.len()).next_multiple_of(16);
    }
    for (_, bytes) in images {
        out.resize(out.len().next_multiple_of(16), 0);
        out.extend_from_slice(bytes);
    }
    out
}
