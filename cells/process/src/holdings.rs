//! What cells hold: the capabilities of a CNode, each with the cell that its object belongs to.
//!
//! The kernel's tables say which object a capability is to, as a number without a name. This server knows the names: it holds a
//! capability to everything that services and processes are made of, and to their endpoints, so equal numbers in
//! its own CNode tell whose an object is.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::process::services::{EACH, END, FIRST};
use abi::interfaces::process::{self as codes, Capability};
use abi::kernel::{Kind, SlotInfo};
use abi::token::{All, CNode, Cap};
use object_store::Oid;
use runtime::objects;
use spawner::Instance;

use crate::factory::Refusal;
use crate::services;
use crate::table::Process;

/// Capabilities of one reply, at most: they fit a message with names as long as manifests have them.
const PAGE: usize = 20;

/// The cells that objects belong to, by kind and number of the object.
#[derive(Debug, Default)]
struct Owners(BTreeMap<(u8, u64), String>);

impl Owners {
    fn find(own: &Cap<CNode, All>, table: &[Process]) -> Owners {
        let mut owners = Owners::default();
        for (number, first) in (FIRST..END).step_by(EACH as usize).enumerate() {
            let Some(name) = services::name_of(number) else { break };
            (first..first + EACH).for_each(|slot| owners.note(own, slot, &name));
        }
        for Process { name, instance, image, endpoint, .. } in table {
            let Some(Instance { tcb, cnode, vspace, frames }) = instance else { continue };
            let slots = [tcb.raw(), cnode.raw(), vspace.raw()].into_iter().chain(frames.iter().map(Cap::raw));
            let slots = slots.chain(image.as_ref().map(Cap::raw)).chain(endpoint.as_ref().map(Cap::raw));
            slots.for_each(|raw| owners.note(own, raw.slot as u32, name));
        }
        owners
    }

    fn note(&mut self, own: &Cap<CNode, All>, slot: u32, name: &str) {
        if let Some(info) = objects::inspect(own, slot) {
            self.0.insert((info.kind, info.object), name.into());
        }
    }

    fn of(&self, info: &SlotInfo) -> &str {
        self.0.get(&(info.kind, info.object)).map_or("", String::as_str)
    }
}

/// What the CNode of a process, or of a service, holds from a slot on, encoded; with the slot to go on from, 0 where that was all.
///
/// # Errors
/// `NO_SUCH_PROCESS` where it does not run.
pub fn page(
    own: &Cap<CNode, All>,
    table: &[Process],
    process: u64,
    name: &str,
    from: u32,
) -> Result<(u64, Vec<u8>), Refusal> {
    let nobody = || Refusal(codes::NO_SUCH_PROCESS, process);
    let owners = Owners::find(own, table);
    let read = |cnode: &Cap<CNode, All>| encoded(cnode, from, &owners);
    match process {
        0 => {
            let number = services::number_of(name).ok_or_else(nobody)?;
            services::look_at(number, |_, _, cnode| read(cnode)).ok_or_else(nobody)
        }
        number => {
            let process = table.iter().find(|process| process.oid == Oid::new(number)).ok_or_else(nobody)?;
            process.instance.as_ref().map(|instance| read(&instance.cnode)).ok_or_else(nobody)
        }
    }
}

/// Bytes of the untyped memory in a CNode, each byte once: an untyped may be part of another.
pub fn untyped(cnode: &Cap<CNode, All>) -> u64 {
    let mut next = 1;
    let filled = core::iter::from_fn(|| {
        let info = objects::next_filled(cnode, next)?;
        next = info.slot + 1;
        Some(info)
    });
    let untyped = filled.filter(|info| info.kind == Kind::Untyped as u8);
    covered(untyped.map(|info| (info.object, 1u64.checked_shl(info.size_bits.into()).unwrap_or(0))).collect())
}

/// How much of the number line ranges cover, given as start and length.
fn covered(mut ranges: Vec<(u64, u64)>) -> u64 {
    ranges.sort_unstable();
    let mut end = 0;
    let mut bytes = 0;
    for (start, length) in ranges {
        let first = start.max(end);
        let behind = start.saturating_add(length);
        bytes += behind.saturating_sub(first);
        end = end.max(behind);
    }
    bytes
}

fn encoded(cnode: &Cap<CNode, All>, from: u32, owners: &Owners) -> (u64, Vec<u8>) {
    let mut next = from.max(1);
    let filled = core::iter::from_fn(|| {
        let info = objects::next_filled(cnode, next)?;
        next = info.slot + 1;
        Some(info)
    });
    let infos: Vec<SlotInfo> = filled.take(PAGE).collect();
    let page: Vec<Capability<'_>> = infos.iter().map(|info| capability(info, owners)).collect();
    let goes_on = objects::next_filled(cnode, next).map_or(0, |info| info.slot);
    let body = postcard::to_allocvec(&page).unwrap_or_else(|_| runtime::bug!("a page is encodable"));
    (goes_on.into(), body)
}

fn capability<'a>(info: &SlotInfo, owners: &'a Owners) -> Capability<'a> {
    // Where memory and objects lie, and where that is mapped, is nobody's business.
    let is_one_of = |kinds: [Kind; 3]| kinds.iter().any(|kind| *kind as u8 == info.kind);
    let is_device = is_one_of([Kind::PciFunction, Kind::Irq, Kind::IoPort]);
    let is_mapped = is_one_of([Kind::Frame, Kind::Buf, Kind::DmaFrame]) && info.badge != 0;
    Capability {
        slot: info.slot,
        kind: info.kind,
        rights: info.rights,
        size_bits: info.size_bits,
        endowed: info.endowed == 1,
        badge: if is_mapped { 1 } else { info.badge },
        object: if is_device { info.object } else { 0 },
        of: owners.of(info),
    }
}

#[cfg(test)]
mod tests {
    use super::covered;
    use proptest::prelude::*;

    #[test]
    fn what_lies_in_another_counts_once() {
        assert_eq!(covered(alloc::vec![(64, 64), (64, 16), (80, 16), (256, 8)]), 72);
        assert_eq!(covered(alloc::vec![(u64::MAX - 1, 8)]), 1);
    }

    proptest! {
        #[test]
        fn covered_is_the_number_of_places(ranges in prop::collection::vec((0u64..60, 0u64..20), 0..8)) {
            let inside = |place: &u64| ranges.iter().any(|(start, length)| (*start..start + length).contains(place));
            prop_assert_eq!(covered(ranges.clone()), (0..80).filter(inside).count() as u64);
        }
    }
}
