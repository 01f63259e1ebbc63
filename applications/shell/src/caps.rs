//! What a cell holds: its capabilities, slot by slot.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;

use runtime::Call;
use runtime::abi::interfaces::process::{Capabilities, Capability};
use runtime::abi::kernel::{BODY_MAX, Kind};
use runtime::abi::token::bits;

use crate::command::Target;
use crate::failure::{Failure, Server};
use crate::processes::{self, Found};
use crate::records::Records;
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::{Badge, Bytes};

/// Lists the capabilities of a process or service, in as many replies as it takes.
///
/// # Errors
/// Those of the calls; `NoProcess`, `Ambiguous`.
pub fn list(servers: &Servers, records: &mut Records, target: &Target) -> Result<String, Failure> {
    let (process, name) = match processes::find(servers, records, target)? {
        Found::Process(oid) => (oid, ""),
        Found::Service(name) => (0, name),
    };
    let endpoint = servers.endpoint(Server::Process)?;
    let mut listing = Listing::default();
    let mut room = [0; BODY_MAX];
    let mut from = 0;
    loop {
        let answered = Call::new(endpoint, Capabilities { process, from }).bytes(name.as_bytes()).into_bytes(&mut room);
        let (answered, length) = answered.map_err(|error| processes::refused(error, servers, records, target))?;
        listing.append(room.get(..length).unwrap_or(&[]))?;
        match answered.value {
            // Slots grow from reply to reply; a server that does not keep to that is not asked for ever.
            next if next > from => from = next,
            _ => return Ok(listing.table().to_string()),
        }
    }
}

/// A list that grows by replies. Equal capabilities in slots behind each other are one line.
#[derive(Default)]
struct Listing {
    lines: Vec<Line>,
}

struct Line {
    first: u32,
    last: u32,
    /// Kind, rights, badge, from whom, and what it is.
    texts: [String; 5],
}

impl Listing {
    fn append(&mut self, body: &[u8]) -> Result<(), Failure> {
        let page: Vec<Capability<'_>> = postcard::from_bytes(body).map_err(|_| Failure::BadReply(Server::Process))?;
        for capability in &page {
            let (slot, texts) = (capability.slot, texts(capability));
            match self.lines.last_mut() {
                Some(line) if line.last.checked_add(1) == Some(slot) && line.texts == texts => line.last = slot,
                _ => self.lines.push(Line { first: slot, last: slot, texts }),
            }
        }
        Ok(())
    }

    fn table(&mut self) -> Table {
        let mut table = Table::new(&[
            ("SLOT", Side::Left),
            ("KIND", Side::Left),
            ("RIGHTS", Side::Left),
            ("BADGE", Side::Right),
            ("FROM", Side::Left),
            ("WHAT IT IS", Side::Left),
        ]);
        for Line { first, last, texts: [kind, rights, badge, from, what] } in mem::take(&mut self.lines) {
            let slots = if first == last { first.to_string() } else { format!("{first}-{last}") };
            table.row([&slots, &kind, &rights, &badge, &from, &what]);
        }
        table
    }
}

fn texts(capability: &Capability<'_>) -> [String; 5] {
    let kind = Kind::from_number(capability.kind);
    let named = kind.map_or_else(|| format!("kind {}", capability.kind), |kind| format!("{kind:?}"));
    let badge = match (capability.badge, kind) {
        (badge, Some(Kind::Endpoint | Kind::Notification)) if badge > 0 => Badge(badge).to_string(),
        _ => "-".to_string(),
    };
    let from = if capability.endowed { "creator" } else { "itself" };
    [named, rights(capability.rights), badge, from.to_string(), what(capability, kind)]
}

/// The rights by name; those of kinds without any are the whole authority.
fn rights(rights: u8) -> String {
    const NAMES: [(u8, &str); 6] = [
        (bits::CALL, "call"),
        (bits::RECEIVE, "receive"),
        (bits::GRANT, "grant"),
        (bits::READ, "read"),
        (bits::WRITE, "write"),
        (bits::EXECUTE, "execute"),
    ];
    let held: Vec<&str> = NAMES.iter().filter(|(bit, _)| rights & bit != 0).map(|(_, name)| *name).collect();
    if held.is_empty() { "all".to_string() } else { held.join(" ") }
}

fn what(capability: &Capability<'_>, kind: Option<Kind>) -> String {
    let Capability { object, badge, of, size_bits, .. } = *capability;
    let size = 1u64.checked_shl(size_bits.into()).unwrap_or(0);
    let owner = if of.is_empty() { String::new() } else { format!("of {of}") };
    match kind {
        Some(Kind::Untyped) => format!("{}, {} free", Bytes(size), Bytes(size.saturating_sub(badge))),
        Some(Kind::Frame | Kind::Buf | Kind::DmaFrame) => {
            let mapped = if badge == 0 { "" } else { ", mapped" };
            let space = if of.is_empty() { "" } else { " " };
            format!("{}{space}{owner}{mapped}", Bytes(size))
        }
        Some(Kind::PciFunction) => {
            format!("{:02x}:{:02x}.{}", object >> 8 & 0xff, object >> 3 & 0x1f, object & 7)
        }
        Some(Kind::Irq) => format!("line {object}"),
        Some(Kind::IoPort) => format!("ports {object:#x} to {:#x}", object.saturating_add(badge).saturating_sub(1)),
        Some(Kind::Scheduler) => format!("priorities up to {badge}"),
        _ if of.is_empty() => "-".to_string(),
        _ => owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CALL: Capability<'static> = Capability {
        slot: 8,
        kind: Kind::Endpoint as u8,
        rights: bits::CALL | bits::GRANT,
        size_bits: 4,
        endowed: true,
        badge: 28,
        object: 0,
        of: "persistence",
    };

    fn shown(pages: &[&[Capability<'_>]]) -> String {
        let mut listing = Listing::default();
        for page in pages {
            listing.append(&postcard::to_allocvec(page).expect("it is encodable")).expect("well-formed");
        }
        listing.table().to_string()
    }

    #[test]
    fn a_capability_is_a_line() {
        let untyped =
            Capability { slot: 100, kind: Kind::Untyped as u8, rights: 0, size_bits: 16, badge: 8192, of: "", ..CALL };
        let frame = Capability { kind: Kind::Frame as u8, badge: 1, of: "shell", ..untyped };
        let ports = Capability { slot: 21, kind: Kind::IoPort as u8, rights: 24, badge: 8, object: 0x3f8, ..untyped };
        let function = Capability { kind: Kind::PciFunction as u8, object: 0x28, endowed: false, ..untyped };
        let expected = "\
SLOT  KIND         RIGHTS      BADGE  FROM     WHAT IT IS
8     Endpoint     call grant     28  creator  of persistence
100   Untyped      all             -  creator  64 KiB, 56 KiB free
100   Frame        all             -  creator  64 KiB of shell, mapped
21    IoPort       read write      -  creator  ports 0x3f8 to 0x3ff
100   PciFunction  all             -  itself   00:05.0
100   kind 99      all             -  creator  -
";
        let unknown = Capability { kind: 99, ..untyped.clone() };
        assert_eq!(shown(&[&[CALL, untyped, frame, ports, function, unknown]]), expected);
    }

    #[test]
    fn equal_ones_behind_each_other_are_one_line() {
        let reply = |slot| Capability { slot, kind: Kind::Reply as u8, badge: 0, of: "", ..CALL };
        let text = shown(&[&[reply(8), reply(9), reply(10)], &[reply(11), reply(13), CALL]]);
        let slots: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(slots, ["SLOT", "8-11", "13", "8"]);
    }

    proptest! {
        #[test]
        fn any_reply_is_shown_or_refused(
            (slot, kind, rights, size_bits) in any::<(u32, u8, u8, u8)>(),
            (endowed, badge, object) in any::<(bool, u64, u64)>(),
            of in "(?s).{0,30}",
            cut: prop::sample::Index,
        ) {
            let capability = Capability { slot, kind, rights, size_bits, endowed, badge, object, of: &of };
            let bytes = postcard::to_allocvec(&[capability].as_slice()).expect("it is encodable");
            for length in [bytes.len(), cut.index(bytes.len())] {
                let mut listing = Listing::default();
                let appended = listing.append(&bytes[..length]);
                prop_assert_eq!(appended.is_ok(), length == bytes.len());
                prop_assert!(!listing.table().to_string().replace('\n', "").contains(char::is_control));
            }
        }
    }
}
