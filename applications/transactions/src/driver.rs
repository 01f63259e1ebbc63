//! Runs the tests.

use core::fmt;

use abi::slots;
use abi::token::{All, Cap, Machine, Notification, VSpace};
use abi::{CallError, KernelError};
use clients::{Graph, GraphError, MemoryServer, NoMemory};
use object_model::Oid;
use runtime::{Console, Environment, objects, sleep};

use crate::deaths::Hangar;
use crate::figures::{Figures, Servers};
use crate::mailbox::{self, Trace};
use crate::{handovers, upgrade};

/// The cell's own name: it is the image of its children.
const IMAGE: &str = "transactions";
/// The list of what children may have.
const LIST: &str = "userCapabilities";
/// Exit code of a test that failed.
const FAILED: u64 = 0x11;
/// Nanoseconds in which a thread that could run does so many times over.
const A_WHILE: u64 = 20_000_000;
/// Bytes of the command line that are looked at.
const LONGEST: usize = 256;
/// How many such whiles a test waits at most for what it watches.
const WHILES: u32 = 3000;

/// Why a test failed.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// A call did.
    Call(CallError),
    /// The graph refused.
    Graph(GraphError),
    /// Something is not as it should be.
    Wrong(&'static str),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Failure::Call(error)
    }
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Failure::Call(CallError::Kernel(error, 0))
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        Failure::Graph(error)
    }
}

impl From<NoMemory> for Failure {
    fn from(error: NoMemory) -> Self {
        Failure::Call(error.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Call(error) => write!(f, "{error}"),
            Failure::Graph(error) => write!(f, "{error}"),
            Failure::Wrong(what) => f.write_str(what),
        }
    }
}

/// What the tests work with.
#[derive(Debug)]
pub struct Test {
    console: Console,
    /// The servers.
    pub servers: Servers,
    /// The driver's own session.
    pub graph: Graph,
    /// Memory for drones.
    pub memory: MemoryServer,
    /// Where drones start.
    pub hangar: Hangar,
    /// The image of children.
    pub image: Oid,
    /// What they may have.
    pub list: Oid,
    /// Tells a drone that holds a transaction to go on.
    pub go: Option<Cap<Notification, All>>,
    mailbox: Oid,
    passed: u32,
    failed: u32,
}

/// A test and its name.
pub type Case = (&'static str, fn(&mut Test) -> Result<(), Failure>);

const CASES: [Case; 15] = [
    ("a_process_starts_at_its_caller_s_commit", Test::a_commit_starts_the_process),
    ("all_processes_of_a_transaction_start", Test::a_commit_starts_all_its_processes),
    ("an_abort_leaves_nothing", Test::an_abort_leaves_nothing),
    ("failures_in_a_transaction_leave_nothing", Test::failures_in_a_transaction_leave_nothing),
    ("a_conflict_leaves_nothing", Test::a_conflict_leaves_nothing),
    ("a_process_that_is_committed_as_ended_never_runs", Test::a_process_committed_as_ended_never_runs),
    ("giving_up_and_aborting_leaves_nothing", Test::giving_up_and_aborting_leaves_nothing),
    ("giving_up_and_committing_starts_what_was_made", Test::giving_up_and_committing_starts_what_was_made),
    ("a_server_that_is_late_makes_nothing", Test::a_server_that_is_late_makes_nothing),
    ("the_graph_stops_and_starts_processes", Test::the_graph_stops_and_starts_processes),
    ("commits_share_flushes", Test::commits_share_flushes),
    ("a_beginner_s_death_is_told", Test::a_death_is_told),
    ("a_beginner_s_death_takes_its_process", Test::a_death_takes_the_process),
    ("a_commit_is_whole_or_not_there", Test::a_commit_is_whole_or_not_there),
    ("a_thousand_deaths_leave_nothing", Test::deaths_leave_nothing),
];

/// Runs all, says what became of each, and stops the machine.
pub fn run(mut environment: Environment, graph: Graph) -> u64 {
    let machine: Cap<Machine, All> = environment.need(slots::FIRST_GRANTED, "the machine");
    let mut test = match Test::new(&mut environment, graph) {
        Ok(test) => test,
        Err(failure) => panic!("the tests cannot begin: {failure}"),
    };
    let mut room = [0; LONGEST];
    let length = objects::command_line(&machine, &mut room).unwrap_or(0) as usize;
    let line = room.get(..length.min(LONGEST)).and_then(|line| core::str::from_utf8(line).ok()).unwrap_or("");
    let is_wanted = |wanted: &str| line.split_whitespace().any(|word| word == wanted);
    let cases: &[Case] = match () {
        () if is_wanted(handovers::WANTED) => &handovers::CASES,
        () if is_wanted(upgrade::WANTED) => &upgrade::CASES,
        () => &CASES,
    };
    for (name, case) in cases {
        test.count(format_args!("{name}"), case);
    }
    if is_wanted(handovers::WANTED) {
        handovers::strikes(&mut test);
    }
    let (passed, failed) = (test.passed, test.failed);
    test.say(format_args!("{passed} passed, {failed} failed"));
    objects::halt(&machine, if failed == 0 { 0 } else { FAILED })
}

impl Test {
    fn new(environment: &mut Environment, mut graph: Graph) -> Result<Test, Failure> {
        let console = Console::new(environment.take(slots::CONSOLE), "test");
        let cnode = environment.cnode();
        let again = environment.cnode_again();
        let vspace: Cap<VSpace, All> = environment.need(slots::VSPACE, "its VSpace");
        let mut memory = MemoryServer::new(environment.need(slots::MEMORY, "the memory server"), cnode);
        let servers = Servers {
            persistence: objects::duplicate(graph.endpoint(), memory.cnode(), 0)?,
            memory: objects::duplicate(memory.endpoint(), memory.cnode(), 0)?,
            process: environment.need(slots::PROCESS, "the process server"),
        };
        let root = graph.root()?;
        let root = graph.object(root)?;
        let of_root =
            |name| root.reference(name).ok_or(Failure::Wrong("the root mapping lacks what genesis puts there"));
        let (images, list) = (of_root("images")?, of_root(LIST)?);
        let image = genesis::current_image(&graph.object(images)?, IMAGE).ok_or(Failure::Wrong("there is no image"))?;
        let mailbox = mailbox::make(&mut graph)?;
        let hangar = Hangar::new(&mut memory, again, vspace)?;
        Ok(Test { console, servers, graph, memory, hangar, image, list, mailbox, go: None, passed: 0, failed: 0 })
    }

    /// Runs a test, and says what became of it.
    pub fn count(&mut self, name: fmt::Arguments<'_>, case: impl FnOnce(&mut Test) -> Result<(), Failure>) {
        match case(self) {
            Ok(()) => {
                self.passed += 1;
                self.say(format_args!("test {name} ... ok"));
            }
            Err(failure) => {
                self.failed += 1;
                self.say(format_args!("test {name} ... FAILED: {failure}"));
                // What the next one begins must be its own.
                let _ = self.graph.abort();
            }
        }
    }

    /// Prints a line.
    pub fn say(&self, line: fmt::Arguments<'_>) {
        self.console.line(line);
    }

    /// Fails, with what was found.
    ///
    /// # Errors
    /// Always.
    pub fn wrong(&self, what: &'static str, found: fmt::Arguments<'_>) -> Result<(), Failure> {
        self.say(format_args!("{what}: {found}"));
        Err(Failure::Wrong(what))
    }

    /// Fails unless the figures are those of before, but for the heap of the persistence server, whose cache of records is
    /// another after whatever was read.
    ///
    /// # Errors
    /// They are not; both are printed.
    pub fn same(&self, before: Figures) -> Result<(), Failure> {
        let mut after = self.servers.figures()?;
        after.store.heap = before.store.heap;
        if after == before {
            return Ok(());
        }
        self.say(format_args!("before: {before:?}"));
        self.wrong("something is left", format_args!("{after:?}"))
    }

    /// What is in the mailbox.
    ///
    /// # Errors
    /// The graph's.
    pub fn trace(&mut self) -> Result<Trace, GraphError> {
        mailbox::read(&mut self.graph, self.mailbox)
    }

    /// Lets every thread run that can.
    pub fn let_others_run(&self) {
        sleep(A_WHILE);
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// It does not come to hold.
    pub fn until(&mut self, mut holds: impl FnMut(&mut Test) -> Result<bool, Failure>) -> Result<(), Failure> {
        for _ in 0..WHILES {
            if holds(self)? {
                return Ok(());
            }
            sleep(A_WHILE);
        }
        Err(Failure::Wrong("it did not come to pass"))
    }
}

/// Fails unless something holds.
///
/// # Errors
/// It does not.
pub fn check(holds: bool, otherwise: &'static str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Wrong(otherwise)) }
}
