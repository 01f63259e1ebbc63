//! The root task: the first cell. It holds everything at start, builds the system, gives everything away and ends.
//!
//! Each step is logged by whoever did it, when it was done. The order is that of the design: console and block driver,
//! the persistence server on the driver, then what the graph names.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod bench;
mod boot_memory;
mod import;
mod pci;
mod probe;
mod services;
mod validation;

use alloc::vec::Vec;

use abi::interfaces::persistence::Root;
use abi::slots::FIRST_GRANTED;
use abi::token::{All, Buf as BufObject, CallOnly, Cap, Endpoint, Loader, Machine, Scheduler, VSpace};
use clients::Graph;
use object_model::Oid;
use runtime::{Buf, Call, Console, Environment, objects, say};
use spawner::Memory;

use boot_memory::BootMemory;
use validation::Mode;

/// Everything that the kernel handed over and that is not given away at once.
struct Authority {
    memory: BootMemory,
    loader: Cap<Loader, All>,
    scheduler: Cap<Scheduler, All>,
    machine: Cap<Machine, All>,
}

/// Statuses with which the root task ends when the system cannot be built.
mod failure {
    pub const NO_DISK: u64 = 1;
    pub const NO_STORE: u64 = 2;
    pub const NO_GENESIS: u64 = 3;
    pub const NO_PROCESS: u64 = 4;
}

/// Bytes of the Buf in which large records travel: the largest image, as a power of two.
const BUF_BITS: u8 = 21;
/// Badge of the root task at the persistence server.
const BADGE: u64 = 1;

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    let cnode = environment.cnode();
    let mut authority = Authority {
        loader: environment.need(FIRST_GRANTED, "the loader"),
        scheduler: environment.need(FIRST_GRANTED + 1, "the scheduler"),
        machine: environment.need(FIRST_GRANTED + 4, "the machine"),
        memory: BootMemory::new(&mut environment, cnode),
    };
    let mode = Mode::of(&authority.machine);
    let serial = environment.need(FIRST_GRANTED + 3, "the serial line");
    let console = services::console(&mut authority, serial);
    let say = Console::new(Some(console.client(&authority, 0)), "root_task");
    say!(say, "console started at its endpoint");
    if bench::is_wanted(&authority.machine) {
        return bench::start(authority, &console);
    }
    if probe::is_wanted(&authority.machine) {
        return probe::start(authority, &mut environment, &console);
    }
    match build(&mut environment, authority, console, &say, &mode) {
        Ok(()) => 0,
        Err((status, machine)) => {
            say!(say, "the system cannot be built: status {status}; the machine stops");
            objects::halt(&machine, FAILED)
        }
    }
}

/// Nanoseconds in which the persistence server has to have opened the disk.
const OPENING: u64 = 60_000_000_000;
/// Exit code of a boot that failed.
const FAILED: u64 = 0x11;

type Built = Result<(), (u64, Cap<Machine, All>)>;

/// The steps after the console, in order.
fn build(
    environment: &mut Environment,
    mut authority: Authority,
    console: services::Service,
    say: &Console,
    mode: &Mode,
) -> Built {
    let vspace: Cap<VSpace, All> = environment.need(abi::slots::VSPACE, "its VSpace");
    let mut functions = pci::Functions::new(environment);
    let block = match mode {
        // What is measured does not depend on a disk.
        Mode::Measure => None,
        _ => services::block(&mut authority, &mut functions, environment, &console),
    };
    if block.is_none() && *mode != Mode::Measure {
        say!(say, "no virtio block device: give the machine a disk (-drive id=p_disk,...)");
        return Err((failure::NO_DISK, authority.machine));
    }
    let settle = environment.need(FIRST_GRANTED + 2, "the authority over scopes");
    let persistence = services::persistence(&mut authority, settle, block.as_ref(), &console);
    let mut graph = session(&vspace, &mut authority, &persistence);
    // Opening may scan the whole disk; a driver that does not work answers nothing at all.
    let root =
        match Call::new(graph.endpoint(), Root {}).timeout(OPENING).send().map(|answered| Oid::new(answered.value)) {
            Ok(root) => root,
            Err(error) => {
                say!(say, "the persistence server does not serve: {error}");
                return Err((failure::NO_STORE, authority.machine));
            }
        };
    say!(say, "persistence started at its endpoint");
    if *mode == Mode::Validate {
        validation::second_half(&mut graph, root, say, &authority.machine);
    }
    if let Err(error) = import::bring_up_to_date(&mut graph, root, &mut authority, say) {
        say!(say, "the graph cannot be brought up to date: {error}");
        return Err((failure::NO_GENESIS, authority.machine));
    }
    let memory = services::memory(&mut authority, &mut graph, &console);
    let process = services::process(&mut authority, &mut graph, &console, &persistence, &memory);
    let port = services::image_port(&mut authority, &mut functions, environment, &console);
    if let Some(port) = &port {
        services::grant_call(port, abi::slots::PROCESS, &process);
        port.start(&authority, services::share::IMAGE_PORT);
    }
    let delegated = services::delegate(&mut authority, &memory);
    say!(say, "untyped of {delegated} bytes delegated to the memory server");
    memory.start(&authority, services::share::MEMORY);
    say!(say, "memory started at its endpoint");
    let server = process.client(&authority, 0);
    let Authority { loader, scheduler, machine, .. } = authority;
    let others: Vec<&services::Service> =
        [&console].into_iter().chain(&block).chain([&persistence, &memory]).chain(&port).collect();
    let machine = services::endow_process(&process, &others, loader, scheduler, machine);
    say!(say, "process started at its endpoint");
    match first_processes(&mut graph, &server, say, mode) {
        Ok(Some(test_process)) => validation::first_half(&mut graph, &server, test_process, mode, say, &machine),
        Ok(None) => {}
        Err(error) => {
            say!(say, "{error}");
            return Err((failure::NO_PROCESS, machine));
        }
    }
    say!(say, "everything is given away");
    Ok(())
}

/// A session with the persistence server.
fn session(vspace: &Cap<VSpace, All>, authority: &mut Authority, persistence: &services::Service) -> Graph {
    let buf: Cap<BufObject, All> =
        authority.memory.make(BUF_BITS).unwrap_or_else(|error| panic!("no memory for a Buf: {error:?}"));
    let buf = Buf::map(buf, vspace).unwrap_or_else(|error| panic!("a Buf cannot be mapped: {error:?}"));
    Graph::new(persistence.client(authority, BADGE), Some(buf))
}

/// Asks for what is to run and is not in the graph yet; answers the test process if it was made now.
fn first_processes(
    graph: &mut Graph,
    server: &Cap<Endpoint, CallOnly>,
    say: &Console,
    mode: &Mode,
) -> Result<Option<Oid>, import::Failure> {
    let mut made = None;
    if import::process_of(graph, "test_proc")?.is_none() {
        say!(say, "test_proc requested from the process server");
        made = Some(import::create_process(graph, server, "test_proc", "onceCapabilities")?);
    }
    if let Some(name) = mode.application() {
        // The test compares what was before and after: nothing else may be under way.
        if let Some(process) = made {
            let _ = clients::processes::wait(server, process);
        }
        import::create_process(graph, server, name, "shellCapabilities")?;
    }
    if *mode == Mode::Normal && import::running_process_of(graph, "shell")?.is_none() {
        say!(say, "shell requested from the process server");
        import::create_process(graph, server, "shell", "shellCapabilities")?;
    }
    Ok(made)
}
