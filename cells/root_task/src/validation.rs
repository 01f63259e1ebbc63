//! The plan's persistence validation, in two halves with a power cut between them.
//!
//! The first half runs with `nonce=TEXT` on the command line: the test process is made and runs, the nonce is stored in its
//! object, and the machine stops at once, unclean. The second half, with `validate`, runs on the same state: it asks the
//! persistence server for the object and checks what it finds. Neither trusts what the other said.

use alloc::string::{String, ToString};

use abi::token::{All, CallOnly, Cap, Endpoint, Machine};
use clients::{Graph, processes};
use genesis::{Image, State};
use object_model::{Object, Oid, SlotKind, Value};
use runtime::{Console, objects, say};

use crate::import;

/// What this boot is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Use.
    Normal,
    /// The first half of the validation, with its nonce.
    Prepare(String),
    /// The second half.
    Validate,
    /// An application that tests the system from within, in place of the shell: the name of its image.
    Test(&'static str),
    /// The benchmarks of the system, on a store in memory.
    Measure,
}

/// Exit code of the unclean stop.
const UNCLEAN: u64 = 2;
/// Exit code of a validation that failed.
const FAILED: u64 = 0x11;
const LONGEST: usize = 256;

impl Mode {
    /// As the boot command line says.
    pub fn of(machine: &Cap<Machine, All>) -> Mode {
        let mut room = [0; LONGEST];
        let length = objects::command_line(machine, &mut room).unwrap_or(0) as usize;
        let line = room.get(..length.min(LONGEST)).and_then(|line| core::str::from_utf8(line).ok()).unwrap_or("");
        for word in line.split_whitespace() {
            if let Some(nonce) = word.strip_prefix("nonce=") {
                return Mode::Prepare(nonce.to_string());
            }
            match word {
                "validate" => return Mode::Validate,
                "failure-points" => return Mode::Test("failure_points"),
                "transactions" => return Mode::Test("transactions"),
                "bench-system" => return Mode::Measure,
                _ => {}
            }
        }
        Mode::Normal
    }

    /// The image of the application that runs in place of the shell.
    pub fn application(&self) -> Option<&'static str> {
        match self {
            Mode::Test(name) => Some(name),
            Mode::Measure => Some("bench"),
            Mode::Normal | Mode::Prepare(_) | Mode::Validate => None,
        }
    }
}

/// After the test process was made: stores the nonce in its object when it has ended, and stops the machine.
pub fn first_half(
    graph: &mut Graph,
    server: &Cap<Endpoint, CallOnly>,
    process: Oid,
    mode: &Mode,
    say: &Console,
    machine: &Cap<Machine, All>,
) {
    let Mode::Prepare(nonce) = mode else { return };
    let ended = processes::wait(server, process);
    let stored = graph
        .begin()
        .and_then(|_| graph.object(process))
        .and_then(|mut object| {
            object.set("nonce", SlotKind::Data, Value::text(nonce));
            graph.put_object(process, &object)
        })
        .and_then(|()| graph.commit());
    match (ended, stored) {
        (Ok(_), Ok(tid)) => {
            say!(say, "nonce {nonce} stored in process {process} at TID {}; the machine stops unclean", tid.number());
            objects::halt(machine, UNCLEAN)
        }
        (ended, stored) => {
            say!(say, "the nonce is not stored: {ended:?}, {stored:?}");
            objects::halt(machine, FAILED)
        }
    }
}

/// Checks what a state holds and stops the machine.
pub fn second_half(graph: &mut Graph, root: Oid, say: &Console, machine: &Cap<Machine, All>) -> ! {
    match check(graph, root) {
        Ok(nonce) => {
            say.write(b"TelOS: nonce ");
            say.write(nonce.as_bytes());
            say.write(b"\nTelOS: Persistence validation successful.\n");
            objects::halt(machine, 0)
        }
        Err(what) => {
            say.write(b"TelOS: Persistence validation failed: ");
            say.write(what.as_bytes());
            say.write(b"\n");
            objects::halt(machine, FAILED)
        }
    }
}

/// Identity, slots and nonce of the test process; answers the nonce, or what is wrong.
fn check(graph: &mut Graph, root: Oid) -> Result<String, &'static str> {
    let mapping = graph.object(root).map_err(|_| "there is no root mapping: the state is empty")?;
    let found = import::process_of(graph, "test_proc").map_err(|_| "the list of processes cannot be read")?;
    let (oid, object) = found.ok_or("there is no Process object of test_proc")?;
    if object.get("oid") != Some(&Value::Int(oid.number().cast_signed())) {
        return Err("the object's own number is another");
    }
    if object.reference("parent") != mapping.reference("Process") || object.reference("parent").is_none() {
        return Err("the object is no clone of Process");
    }
    for slot in ["tcbCap", "cspaceCap", "vspaceCap", "image", "capabilities"] {
        if object.slot(slot).is_none() {
            return Err("a slot of the Process object is missing");
        }
    }
    if genesis::state(&object) != Some(State::Exited(0)) {
        return Err("the object does not say that its process has ended well");
    }
    let image = object.reference("image").ok_or("the object names no image")?;
    let image: Object = graph.object(image).map_err(|_| "the image object cannot be read")?;
    if Image::of(&image).is_none_or(|image| image.name != "test_proc") {
        return Err("the image object is not that of test_proc");
    }
    match object.get("nonce") {
        Some(Value::Text(nonce)) => Ok(nonce.clone()),
        _ => Ok("none".to_string()),
    }
}
