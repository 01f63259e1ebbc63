//! Images that come while the system runs.

use alloc::format;
use alloc::string::String;

use abi::interfaces::process as codes;
use abi::token::{All, Cap, Image};
use object_store::Oid;
use runtime::{objects, say};

use crate::catalogue::{self, Entry, ImageObject};
use crate::factory::{Factory, Refusal};
use crate::identity::Identity;
use crate::reconciler::Reconciler;
use crate::subject::Subject;

/// Verifies a signed image and stores it. Answers its object, and what there is to say of it.
///
/// # Errors
/// `IMAGE_REFUSED` where it does not verify, with the rule in the kernel's log; the store's.
pub fn import(bytes: &[u8], reconciler: &mut Reconciler) -> Result<(Oid, String), Refusal> {
    let Reconciler { factory, table, .. } = reconciler;
    let looked_at = look_at(bytes, factory);
    let allocations = factory.memory.take_allocations();
    factory.give_back(allocations);
    let (Identity { name, version, hash: start }, hash, build) = looked_at?;
    let entry = match Subject::named(&name, table) {
        Some(_) => Entry::Newest,
        None => Entry::Current,
    };
    let object = ImageObject { name: name.clone(), hash: hash.to_vec(), bytes: bytes.to_vec() };
    let (oid, tid) = catalogue::store_image(&mut factory.graph, &object, &format!("{version} build {build}"), entry)?;
    let number = oid.number();
    say!(factory.console, "image #{number} of {name} {version} stored at TID {}", tid.number());
    let next = match entry {
        Entry::Newest => format!("`replace {name}` has it run"),
        Entry::Current => format!("`spawn {name}` starts it"),
    };
    let tid = tid.number();
    Ok((oid, format!("{name} {version} build {build} hash {start:016x} is #{number} at TID {tid}; {next}")))
}

/// Has the kernel verify the bytes, in memory that is given back.
fn look_at(bytes: &[u8], factory: &mut Factory) -> Result<(Identity, [u8; 32], u64), Refusal> {
    let image: Cap<Image, All> = spawner::image(&mut factory.memory, bytes)?;
    let identity = Identity::of(&factory.loader, &image)?;
    let needs = objects::image_needs(&factory.loader, &image)?;
    if bytes.is_empty() || identity.name.is_empty() {
        return Err(Refusal(codes::IMAGE_REFUSED, 0));
    }
    Ok((identity, needs.hash, needs.build))
}
