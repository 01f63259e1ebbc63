//! Images that come while the system runs.

use alloc::format;
use alloc::string::{String, ToString};

use abi::interfaces::process as codes;
use abi::token::{All, Cap, Image};
use object_store::Oid;
use runtime::objects::ImageNeeds;
use runtime::{objects, say};

use crate::catalogue::{self, Entry, Found, ImageObject, Stored};
use crate::factory::{Factory, Refusal};
use crate::reconciler::Reconciler;
use crate::subject::Subject;

/// Verifies a signed image and stores it, unless the graph has it already: an image is what its bytes are, and the same bytes under
/// another number would be of no use to anybody. Answers its object, and what there is to say of it.
///
/// # Errors
/// `IMAGE_REFUSED` where it does not verify, with the rule in the kernel's log; the store's.
pub fn import(bytes: &[u8], reconciler: &mut Reconciler) -> Result<(Oid, String), Refusal> {
    let Reconciler { factory, table, .. } = reconciler;
    let looked_at = look_at(bytes, factory);
    let allocations = factory.memory.take_allocations();
    factory.give_back(allocations);
    let image = looked_at?;
    let (name, version, build) = (&image.name, &image.version, image.build);
    let entry = match Subject::named(name, table) {
        Some(_) => Entry::Newest,
        None => Entry::Current,
    };
    let Stored { oid, tid, found } = catalogue::store_image(&mut factory.graph, &image, entry)?;
    let tid = tid.number();
    let already = match found {
        Found::New => "",
        Found::Known => " already",
    };
    say!(factory.console, "image {oid} of {name} {version} stored at TID {tid}{already}");
    let next = match entry {
        Entry::Newest => format!("`replace {name}` has it run"),
        Entry::Current => format!("`spawn {name}` starts it"),
    };
    let start = start(&image.hash);
    Ok((oid, format!("{name} {version} build {build} hash {start:016x} is {oid} at TID {tid}{already}; {next}")))
}

/// The first bytes of a hash, as they are shown.
fn start(hash: &[u8]) -> u64 {
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Has the kernel verify the bytes, in memory that is given back.
fn look_at(bytes: &[u8], factory: &mut Factory) -> Result<ImageObject, Refusal> {
    let image: Cap<Image, All> = spawner::image(&mut factory.memory, bytes)?;
    // The kernel verifies the image each time that it is asked about it: it is asked once for each.
    let mut room = [0; 64];
    let (name, version) = match objects::image_name(&factory.loader, &image, &mut room)?.split_once(' ') {
        Some((name, version)) => (name.to_string(), version.to_string()),
        None => return Err(Refusal(codes::IMAGE_REFUSED, 0)),
    };
    let ImageNeeds { hash, build, .. } = objects::image_needs(&factory.loader, &image)?;
    if bytes.is_empty() || name.is_empty() {
        return Err(Refusal(codes::IMAGE_REFUSED, 0));
    }
    Ok(ImageObject { name, version, build, hash: hash.to_vec(), bytes: bytes.to_vec() })
}
