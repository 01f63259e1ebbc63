//! A stop of each instance that takes part in a replacement, in each of its phases, one after another.
//!
//! Memory server, block driver and process server are replaced, and when that enters a phase the old instance, the new one, or the process
//! server, which has begun it, is stopped. Whatever happens, somebody serves in the end, one instance each; the image
//! on trial is none, the current one what serves; and a process can be made. Then what was struck is replaced once more, undisturbed, and
//! everything
//! must be as before.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::interfaces::memory::{self, GetStatistics};
use abi::interfaces::process::{
    CellSummary, Cells, GetUsage, Kill, NO_SUCH_PROCESS, PlantFailure, Progress, Replace, ReplacementSummary,
    Replacements, State, Strike, Top, Usage, Use, Victim, WaitReplaced, Why,
};
use abi::kernel::{BODY_MAX, Clock, Overdue, ReplacementPhase as Phase};
use abi::{CallError, KernelError};
use clients::GraphError;
use object_store::Oid;
use runtime::Call;

use crate::{Failure, Outcome, Report, Servers, equal};

/// What is replaced.
const SERVICES: [&str; 3] = ["memory", "virtio_blk", "process"];
/// The phases of a replacement of a service without a state of its own. The last one needs another failure to be entered, as has
/// `Restoring`.
const PHASES: [Phase; 7] = [
    Phase::Draining,
    Phase::Freezing,
    Phase::Thawing,
    Phase::Probation,
    Phase::Restoring,
    Phase::Confirmed,
    Phase::Returned,
];
/// Nanoseconds after which what has to happen is taken for what never will.
const PATIENCE: u64 = 20_000_000_000;
/// Nanoseconds between two looks at what comes by itself.
const PAUSE: u64 = 1_000_000;

/// What must be the same when it is all over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Before {
    memory: memory::Statistics,
    prepared: u32,
    capabilities: u32,
}

/// All cases.
pub fn run(servers: &mut Servers, report: &mut Report) {
    // All are instances that the process server has made from now on.
    for service in SERVICES {
        report.count(format_args!("{service}_is_replaced"), undisturbed(servers, service, Overdue::GoesOn));
    }
    for service in SERVICES {
        report.count(format_args!("{service}_is_replaced_by_force"), undisturbed(servers, service, Overdue::Ends));
    }
    for service in SERVICES {
        for phase in PHASES {
            for victim in Victim::ALL {
                // The process server is a third one for one of the others; that is enough.
                if service == "memory" || victim != Victim::ProcessServer {
                    let outcome = case(servers, service, Strike { phase, victim });
                    let (who, when) = (name_of(victim), alloc::format!("{phase:?}").to_lowercase());
                    report.count(format_args!("{service}_is_replaced_with_{who}_stopped_when_{when}"), outcome);
                }
            }
        }
    }
}

const fn name_of(victim: Victim) -> &'static str {
    match victim {
        Victim::Old => "the_old_instance",
        Victim::New => "the_new_instance",
        Victim::ProcessServer => "the_process_server",
    }
}

/// One strike.
fn case(servers: &mut Servers, service: &'static str, strike: Strike) -> Outcome {
    let images = images(servers, service)?;
    let before = observe(servers)?;
    let (served, instances) = (serving(servers, service)?, instances(servers, "process")?);
    Call::new(&servers.process, PlantFailure { point: strike.to_point() }).words()?;
    match begin(servers, service, Overdue::GoesOn) {
        // It was the server itself that was struck.
        Ok(()) | Err(CallError::Kernel(KernelError::ServerDied, _)) => {}
        Err(error) => return Err(error.into()),
    }
    if matches!(strike.phase, Phase::Restoring | Phase::Returned) {
        end_trial(servers, service)?;
    }
    equal("how it ended", ended(servers, service)?, expected(strike))?;
    equal("how that is listed", listed(servers, service)?, Some(expected(strike)))?;
    equal("the image that serves", serving(servers, service)?, served)?;
    for each in SERVICES {
        serving(servers, each)?;
    }
    if strike.victim == Victim::ProcessServer {
        equal("instances of the process server", self::instances(servers, "process")?, instances + 1)?;
    }
    equal("the images, current and on trial", self::images(servers, service)?, images)?;
    equal("a process runs", servers.can_spawn()?, true)?;
    // What has proven itself starts with a clean record; and it can be replaced still.
    undisturbed(servers, service, Overdue::GoesOn)?;
    if strike.victim == Victim::ProcessServer {
        undisturbed(servers, "process", Overdue::GoesOn)?;
    }
    equal("what there is", observe(servers)?, before)
}

/// How a replacement ends that suffers a strike. An instance without a state has ended when it was frozen: there is nobody to
/// strike then.
fn expected(strike: Strike) -> Progress {
    match (strike.phase, strike.victim) {
        (Phase::Draining, Victim::Old) => Progress::Returned(Why::OldEnded),
        (Phase::Draining | Phase::Freezing | Phase::Thawing | Phase::Probation, Victim::New) => {
            Progress::Returned(Why::NewEnded)
        }
        (Phase::Restoring, Victim::Old) => Progress::Lost,
        (Phase::Restoring | Phase::Returned, _) => Progress::Returned(Why::NewEnded),
        _ => Progress::Confirmed,
    }
}

/// A replacement that nobody disturbs.
fn undisturbed(servers: &Servers, service: &str, overdue: Overdue) -> Outcome {
    begin(servers, service, overdue)?;
    equal("how it ended, undisturbed", ended(servers, service)?, Progress::Confirmed)?;
    serving(servers, service).map(drop)
}

fn begin(servers: &Servers, service: &str, overdue: Overdue) -> Result<(), CallError> {
    let method = Replace { image: 0, force: overdue as u64 };
    Call::new(&servers.process, method).bytes(service.as_bytes()).timeout(PATIENCE).send().map(drop)
}

/// Stops the instance on trial, as soon as there is one.
fn end_trial(servers: &Servers, service: &str) -> Outcome {
    let stopped = || match Call::new(&servers.process, Kill {}).bytes(service.as_bytes()).timeout(PATIENCE).send() {
        Ok(_) | Err(CallError::Kernel(KernelError::ServerDied, _)) => Ok(Some(())),
        Err(CallError::Server(NO_SUCH_PROCESS, _)) => Ok(None),
        Err(error) => Err(error.into()),
    };
    in_time("an instance on trial", stopped)
}

/// Waits until a replacement is over and the process server has done its part; answers how it ended.
fn ended(servers: &Servers, service: &str) -> Result<Progress, Failure> {
    let mut room = [0; BODY_MAX];
    in_time("the end of the replacement", || {
        let call = Call::new(&servers.process, WaitReplaced {}).bytes(service.as_bytes()).timeout(PATIENCE);
        match call.into_bytes(&mut room) {
            Ok((_, length)) => {
                let summary: Result<ReplacementSummary<'_>, _> =
                    postcard::from_bytes(room.get(..length).unwrap_or(&[]));
                summary.map(|summary| Some(summary.progress)).map_err(|error| Failure::Wrong(error.to_string()))
            }
            Err(CallError::Kernel(KernelError::ServerDied, _)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
}

/// How the last replacement of a service stands in the list of them.
fn listed(servers: &Servers, service: &str) -> Result<Option<Progress>, Failure> {
    let mut room = [0; BODY_MAX];
    let (_, length) = Call::new(&servers.process, Replacements {}).timeout(PATIENCE).into_bytes(&mut room)?;
    let all: Vec<ReplacementSummary<'_>> =
        postcard::from_bytes(room.get(..length).unwrap_or(&[])).map_err(|error| Failure::Wrong(error.to_string()))?;
    Ok(all.iter().find(|each| each.name == service).map(|each| each.progress))
}

/// The hash of the image that a service is of, once just one instance of it runs and answers.
fn serving(servers: &Servers, service: &str) -> Result<u64, Failure> {
    let hash = in_time("one instance that runs", || {
        let found: Vec<(u64, State)> = cells(servers)?
            .into_iter()
            .filter(|(name, ..)| name == service)
            .map(|(_, hash, state)| (hash, state))
            .collect();
        match found.as_slice() {
            [(hash, State::Running)] => Ok(Some(*hash)),
            [_] => Ok(None),
            _ => Err(Failure::Wrong(alloc::format!("{} instances of {service} are listed", found.len()))),
        }
    })?;
    observe(servers)?;
    Ok(hash)
}

/// Name, hash and state of all cells.
fn cells(servers: &Servers) -> Result<Vec<(String, u64, State)>, Failure> {
    let (mut all, mut room) = (Vec::new(), [0; BODY_MAX]);
    loop {
        let call = Call::new(&servers.process, Cells { from: all.len() as u64 }).timeout(PATIENCE);
        let (answered, length) = call.into_bytes(&mut room)?;
        let page: Vec<CellSummary<'_>> = postcard::from_bytes(room.get(..length).unwrap_or(&[]))
            .map_err(|error| Failure::Wrong(error.to_string()))?;
        all.extend(page.iter().map(|cell| (cell.name.to_string(), cell.hash, cell.state)));
        if page.is_empty() || all.len() as u64 >= answered.value {
            return Ok(all);
        }
    }
}

/// How many instances of a service have ended.
fn instances(servers: &Servers, service: &str) -> Result<u64, Failure> {
    let mut room = [0; BODY_MAX];
    let (_, length) = Call::new(&servers.process, Top { from: 0 }).timeout(PATIENCE).into_bytes(&mut room)?;
    let all: Vec<Use<'_>> =
        postcard::from_bytes(room.get(..length).unwrap_or(&[])).map_err(|error| Failure::Wrong(error.to_string()))?;
    let requests = all.iter().find(|each| each.name == service).and_then(|each| each.requests);
    requests.map(|(_, _, epoch)| epoch).ok_or_else(|| Failure::Wrong(alloc::format!("`Top` does not list {service}")))
}

/// The current image of a name, and the one on trial.
fn images(servers: &mut Servers, name: &str) -> Result<(Option<Oid>, Option<Oid>), Failure> {
    let root = servers.graph.root()?;
    let root = servers.graph.object(root)?;
    let images = servers.graph.object(root.reference("images").ok_or(GraphError::Record)?)?;
    let on_trial = genesis::trial_image(&images, name);
    equal("what is on trial", on_trial, None)?;
    Ok((genesis::current_image(&images, name), on_trial))
}

fn observe(servers: &Servers) -> Result<Before, Failure> {
    let memory = Call::new(&servers.memory, GetStatistics {}).timeout(PATIENCE).decode(|_, body| body)?;
    let usage: Usage = Call::new(&servers.process, GetUsage {}).timeout(PATIENCE).decode(|_, body| body)?;
    Ok(Before { memory, prepared: usage.prepared, capabilities: usage.capabilities })
}

/// Looks again and again until something is there.
fn in_time<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
    let end = runtime::clock(Clock::Monotonic) + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if runtime::clock(Clock::Monotonic) > end {
            return Err(Failure::Wrong(alloc::format!("{what}: not in time")));
        }
        runtime::sleep(PAUSE);
    }
}
