//! A server with a state, in two versions and with every flaw that a new version can have; and its clients.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::interface::Method;
use abi::token::{All, CallOnly, Cap, Endpoint, Notification};
use abi::{CallError, slots as fixed};
use runtime::{Environment, Event, Request, Server, State, objects};

use super::{ask, ending, failed, slots};
use crate::protocol::counting::{Counting, GetVersion, Hard, Mark, Next};
use crate::task::Task;

/// Which version of the server an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Version {
    /// Schema 1: a count for each caller.
    First = 1,
    /// Schema 2: all counts together as well. It reads and writes schema 1 too.
    Second = 2,
    /// As the second, but what it reads in schema 1 it cannot write in it.
    WithoutWayBack = 3,
    /// It cannot read any schema.
    Unreadable = 4,
    /// It never comes to an end of reading.
    HangsInThaw = 5,
    /// It asks for more memory than it has while it reads.
    TooLarge = 6,
    /// It fails at its first request.
    FailsAtOnce = 7,
    /// It fails at its third request.
    FailsLater = 8,
    /// It does not answer its third request.
    HangsLater = 9,
    /// It reads a state once, and no other.
    ReadsOnce = 10,
}

const VERSIONS: [Version; 10] = [
    Version::First,
    Version::Second,
    Version::WithoutWayBack,
    Version::Unreadable,
    Version::HangsInThaw,
    Version::TooLarge,
    Version::FailsAtOnce,
    Version::FailsLater,
    Version::HangsLater,
    Version::ReadsOnce,
];

/// Requests that a flawed version answers before its flaw shows.
const GOOD_REQUESTS: u32 = 2;
/// Bytes that no heap of a peer has.
const TOO_MUCH: usize = 1 << 28;
/// Whether this instance has read a state.
static HAS_READ: AtomicBool = AtomicBool::new(false);

/// Counts by badge, as the version `V` keeps them.
struct Tally<const V: u8> {
    counts: BTreeMap<u64, u64>,
    /// All together; of schema 2.
    total: u64,
}

impl<const V: u8> Tally<V> {
    fn next(&mut self, badge: u64) -> u64 {
        let count = self.counts.entry(badge).or_insert(0);
        *count += 1;
        self.total += 1;
        *count
    }
}

impl<const V: u8> State for Tally<V> {
    fn export(&self, schema: u32) -> Option<Vec<u8>> {
        let counts: Vec<(u64, u64)> = self.counts.iter().map(|(badge, count)| (*badge, *count)).collect();
        match schema {
            1 if V == Version::WithoutWayBack as u8 => None,
            1 => postcard::to_allocvec(&counts).ok(),
            2 if V != Version::First as u8 => postcard::to_allocvec(&(self.total, counts)).ok(),
            _ => None,
        }
    }

    fn import(schema: u32, bytes: &[u8]) -> Option<Self> {
        match VERSIONS.into_iter().find(|version| *version as u8 == V)? {
            Version::Unreadable => return None,
            Version::ReadsOnce if HAS_READ.swap(true, Ordering::Relaxed) => return None,
            Version::HangsInThaw => ending::run_for_ever(),
            Version::TooLarge => drop(core::hint::black_box(Vec::<u8>::with_capacity(TOO_MUCH))),
            _ => {}
        }
        let (total, counts): (u64, Vec<(u64, u64)>) = match schema {
            1 => {
                let counts: Vec<(u64, u64)> = postcard::from_bytes(bytes).ok()?;
                (counts.iter().map(|(_, count)| count).sum(), counts)
            }
            2 if V != Version::First as u8 => postcard::from_bytes(bytes).ok()?,
            _ => return None,
        };
        Some(Tally { counts: counts.into_iter().collect(), total })
    }
}

/// Serves as a version.
pub fn serve(environment: Environment, version: u64) -> Result<u64, CallError> {
    match version {
        1 => run::<1>(environment),
        2 => run::<2>(environment),
        3 => run::<3>(environment),
        4 => run::<4>(environment),
        5 => run::<5>(environment),
        6 => run::<6>(environment),
        7 => run::<7>(environment),
        8 => run::<8>(environment),
        9 => run::<9>(environment),
        10 => run::<10>(environment),
        version => panic!("bug: a server of version {version}"),
    }
}

fn run<const V: u8>(mut environment: Environment) -> Result<u64, CallError> {
    let begun = || Tally::<V> { counts: BTreeMap::new(), total: 0 };
    let mut state: Tally<V> = environment.thaw().unwrap_or_else(begun);
    let endpoint = environment.need(fixed::ENDPOINT, "an endpoint to serve");
    let reply = environment.need(fixed::REPLY, "a reply object");
    let witness: Option<Cap<Notification, All>> = environment.take(slots::WITNESS);
    let mut server = Server::new(endpoint, Vec::from([reply])).exporting(environment.exporter());
    let mut seen = 0;
    loop {
        match server.next_event_with(&state) {
            Event::Request(request) => {
                seen += 1;
                show_flaw::<V>(seen);
                answer(request, &mut state, witness.as_ref())?;
            }
            Event::Signal(_) => {}
        }
    }
}

fn show_flaw<const V: u8>(seen: u32) {
    if V == Version::FailsAtOnce as u8 || V == Version::FailsLater as u8 && seen > GOOD_REQUESTS {
        panic!("a flaw of version {V} at request {seen}");
    }
    if V == Version::HangsLater as u8 && seen > GOOD_REQUESTS {
        ending::run_for_ever();
    }
}

fn answer<const V: u8>(
    request: Request<'_>,
    state: &mut Tally<V>,
    witness: Option<&Cap<Notification, All>>,
) -> Result<(), CallError> {
    match Counting::decode(request.label(), request.words()) {
        Some(Counting::Next(_) | Counting::Hard(_)) => {
            let next = state.next(request.badge());
            request.ok(next);
        }
        Some(Counting::Mark(_)) => {
            if let Some(witness) = witness {
                objects::signal(witness, 1).map_err(failed)?;
            }
            let next = state.next(request.badge());
            request.ok(next);
        }
        Some(Counting::GetVersion(_)) => request.ok(V.into()),
        None => panic!("bug: a label that is not served"),
    }
    Ok(())
}

/// Counts along, as often as the task says or until that is enough.
pub fn count(
    target: &Cap<Endpoint, CallOnly>,
    enough: Option<&Cap<Notification, All>>,
    task: Task,
) -> Result<u64, CallError> {
    for expected in 1..=task.value {
        if enough.is_some_and(|enough| objects::wait(enough, 0).is_ok()) {
            return Ok(expected - 1);
        }
        let is_other = expected % 8 == 0;
        let count = match task.label {
            Mark::LABEL if is_other => ask(target, Mark {})?,
            Hard::LABEL if is_other => ask(target, Hard {})?,
            _ => ask(target, Next {})?,
        };
        if count != expected {
            panic!("after {} came {count}", expected - 1);
        }
    }
    Ok(task.value)
}

/// The version that serves.
pub fn version(target: &Cap<Endpoint, CallOnly>) -> Result<u64, CallError> {
    ask(target, GetVersion {})
}
