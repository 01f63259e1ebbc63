//! One instance takes the place of another, under load.

use alloc::vec::Vec;

use abi::interface::Method;
use abi::kernel::{Overdue, ReplacementPhase, ReplacementReason, Scratch};
use abi::token::{All, CallOnly, Cap, Endpoint, Frame, Notification, Replacement, Untyped};
use abi::{CallError, KernelError};
use runtime::objects::{self, Replaced, ReplacementTerms, Share};
use spawner::Instance;

use crate::cells::{End, OWN, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal, holds};
use crate::peer::tally::{self, Version};
use crate::protocol::counting::{Counting, Hard, Mark, Next};
use crate::protocol::methods;
use crate::rig::{Rig, Within, ask};
use crate::task::{Reported, Role, Task};

tests! {
    a_server_with_a_state_is_replaced_back_and_forth_under_load,
    every_flaw_of_a_new_version_leaves_the_old_one_serving_the_same_counts,
    nobody_waits_while_a_new_version_is_rehearsed,
    a_server_without_a_state_is_replaced_by_a_restart,
    what_cannot_be_parked_again_is_waited_for_and_no_longer_than_said,
    by_force_what_is_waited_for_in_vain_fails_and_what_can_be_parked_again_does_not,
    whoever_dies_somebody_serves,
    whoever_is_stopped_in_whatever_phase_a_state_that_was_handed_over_goes_on,
    a_record_that_is_deleted_gives_the_requests_back,
    what_is_no_replacement_is_refused,
}

/// Nanoseconds that a phase may take.
const PATIENCE: u64 = 300_000_000;
/// Nanoseconds of a trial: more than any test takes, so that its replies end it, or the flaw that it is for.
const TRIAL: u64 = 400_000_000;
/// Replies of a trial: a flaw shows within them.
const TRIAL_REPLIES: u64 = 4;
/// Priority of the server, below its clients.
const SERVER: u8 = 5;
/// Calls of a client that ends by itself.
const CALLS: u64 = 8;
/// More than a client that is told when to end can make.
const MANY: u64 = 1 << 32;
/// Nanoseconds in which a rehearsal that never ends is looked at.
const LONG: u64 = 5_000_000_000;
/// Of every so many cells that the long tests kill, one is a replacement.
const KILLS_A_ROUND: u64 = 10;
/// Bytes of an instance with all that it is made of, as a power of two.
const INSTANCE_BITS: u8 = 22;
/// A schema that no version writes.
const UNKNOWN_SCHEMA: u32 = 9;
/// Bytes of room for exported state, as a power of two.
const EXPORT_BITS: u8 = 13;

/// What replacing takes: memory for two instances, in turn, and the record.
struct Tools {
    patience: u64,
    overdue: Overdue,
    replacement: Cap<Replacement, All>,
    done: Cap<Notification, All>,
    export: Cap<Frame, All>,
    blocks: [Cap<Untyped, All>; 2],
    turn: usize,
}

/// A server that counts, and who calls it.
struct Service {
    endpoint: Cap<Endpoint, All>,
    client: Cap<Endpoint, CallOnly>,
    witness: Cap<Notification, All>,
    serving: Peer,
}

impl Tools {
    fn new(rig: &mut Rig) -> Result<Tools, Failure> {
        Ok(Tools {
            patience: PATIENCE,
            overdue: Overdue::GoesOn,
            replacement: rig.make(0)?,
            done: rig.make(0)?,
            export: rig.make(EXPORT_BITS)?,
            blocks: [rig.make(INSTANCE_BITS)?, rig.make(INSTANCE_BITS)?],
            turn: 0,
        })
    }

    /// A new instance, not started, in the memory of the one before the last.
    fn instance(&self, rig: &mut Rig, task: Task) -> Result<Peer, Failure> {
        let Some(untyped) = self.blocks.get(self.turn) else { return Err(Failure::Wrong("no third block".into())) };
        objects::revoke(untyped)?;
        let mut within = Within { untyped, cnode: &rig.cnode };
        let instance = Instance::with_needs(&mut within, &rig.loader, &rig.image, &rig.needs)?;
        instance.configure(&rig.scheduler, Share::unlimited(SERVER), task.to_argument())?;
        Ok(rig.adopt(instance))
    }

    fn begin(&self, rig: &Rig, has_state: bool, old: Peer, new: Peer) -> Outcome {
        self.begin_in(rig, has_state.then_some(1), old, new)
    }

    /// The same with a state of a schema, or without.
    fn begin_in(&self, rig: &Rig, schema: Option<u32>, old: Peer, new: Peer) -> Outcome {
        let terms = ReplacementTerms {
            export: schema.map(|_| &self.export),
            notification: &self.done,
            bits: 1,
            scratch: Scratch::Clear,
            patience: self.patience,
            overdue: self.overdue,
            trial: TRIAL,
            trial_replies: TRIAL_REPLIES,
            schema: schema.unwrap_or(0),
        };
        objects::replacement_terms(&self.replacement, &terms)?;
        let [old, new] = [rig.instance(old)?, rig.instance(new)?].map(|instance| (&instance.tcb, &rig.image));
        objects::begin_replacement(&self.replacement, &rig.loader, old, new)?;
        Ok(())
    }

    /// Waits until it is over.
    fn end(&mut self, rig: &Rig) -> Result<Replaced, Failure> {
        rig.wait(&self.done)?;
        let replaced = objects::replacement_info(&self.replacement)?;
        if replaced.phase == ReplacementPhase::Confirmed {
            self.turn = 1 - self.turn;
        }
        Ok(replaced)
    }

    /// Replaces whoever serves by a version; answers how that went.
    fn replace(&mut self, rig: &mut Rig, service: &mut Service, version: Version) -> Result<Replaced, Failure> {
        let new = self.instance(rig, Task::new(Role::Tally, version as u64))?;
        self.begin(rig, true, service.serving, new)?;
        let replaced = self.end(rig)?;
        if replaced.phase == ReplacementPhase::Confirmed {
            service.serving = new;
        }
        Ok(replaced)
    }
}

impl Service {
    fn new(rig: &mut Rig) -> Result<Service, Failure> {
        let endpoint: Cap<Endpoint, All> = rig.make(0)?;
        objects::serve_labels(&endpoint, Counting::LABELS)?;
        let client = rig.client(&endpoint, 99)?;
        let witness = rig.make(0)?;
        let server = Task::new(Role::Tally, Version::First as u64);
        let plan = Plan::new(server).serving(&endpoint).witness(&witness).priority(SERVER);
        let serving = plan.start(rig)?;
        Ok(Service { endpoint, client, witness, serving })
    }

    /// Six clients of three priorities, which call without pause. One of the highest marks every eighth call.
    fn clients(&self, rig: &mut Rig) -> Result<Clients, Failure> {
        let mut clients = Clients(Vec::new());
        for (badge, priority) in [(1, 20), (2, 20), (3, 15), (4, 15), (5, 10), (6, 10)] {
            let label = if badge == 1 { Mark::LABEL } else { Next::LABEL };
            let task = Task { role: Role::Count, label, value: MANY };
            let enough = rig.make(0)?;
            let plan = Plan::new(task).calling_as(&self.endpoint, badge).hearing(&enough).priority(priority);
            let peer = plan.start(rig)?;
            clients.0.push((peer, enough));
        }
        Ok(clients)
    }
}

/// Clients that count until they are told that it is enough.
struct Clients(Vec<(Peer, Cap<Notification, All>)>);

impl Clients {
    /// Each was answered, and every answer counted one more.
    fn all_counted(self, rig: &Rig) -> Outcome {
        for (_, enough) in &self.0 {
            objects::signal(enough, 1)?;
        }
        for (client, _) in self.0 {
            match rig.wait_end(client)? {
                End::Reported(Reported::Value(calls)) => holds("a client was answered", calls > 0)?,
                end => return Err(Failure::Wrong(alloc::format!("a client ended with {end:?}"))),
            }
        }
        Ok(())
    }
}

fn a_server_with_a_state_is_replaced_back_and_forth_under_load(rig: &mut Rig) -> Outcome {
    let rounds = (rig.kills / KILLS_A_ROUND).max(2);
    let mut tools = Tools::new(rig)?;
    let mut service = Service::new(rig)?;
    let clients = service.clients(rig)?;
    let mut held = 0;
    for round in 0..rounds {
        let version = if round % 2 == 0 { Version::Second } else { Version::First };
        rig.wait(&service.witness)?;
        let replaced = tools.replace(rig, &mut service, version)?;
        equal("how it ended", replaced.phase, ReplacementPhase::Confirmed)?;
        held += replaced.delivered + replaced.deferred;
        holds("at least three requests were parked", replaced.parked >= 3)?;
        equal("who serves", tally::version(&service.client)?, version as u64)?;
    }
    holds("some request was with the server at the gate", held > 0)?;
    // That nothing is left behind is seen when the test is over.
    clients.all_counted(rig)
}

fn every_flaw_of_a_new_version_leaves_the_old_one_serving_the_same_counts(rig: &mut Rig) -> Outcome {
    use ReplacementReason::{NewEnded, Refused, TimedOut};
    const FLAWS: [(Version, ReplacementReason, Shows); 8] = [
        (Version::WithoutWayBack, Refused, Shows::InRehearsal),
        (Version::Unreadable, Refused, Shows::InRehearsal),
        (Version::HangsInThaw, TimedOut, Shows::InRehearsal),
        (Version::TooLarge, NewEnded, Shows::InRehearsal),
        (Version::ReadsOnce, Refused, Shows::Later),
        (Version::FailsAtOnce, NewEnded, Shows::Later),
        (Version::FailsLater, NewEnded, Shows::Later),
        (Version::HangsLater, TimedOut, Shows::Later),
    ];
    let mut tools = Tools::new(rig)?;
    let mut service = Service::new(rig)?;
    let clients = service.clients(rig)?;
    for (version, reason, shows) in FLAWS {
        rig.wait(&service.witness)?;
        let replaced = tools.replace(rig, &mut service, version)?;
        let waited = (replaced.pause, replaced.parked, replaced.delivered + replaced.deferred);
        equal("whether anybody waited for it", (version, waited != (0, 0, 0)), (version, shows == Shows::Later))?;
        equal(
            "how it ended",
            (version, replaced.phase, replaced.reason),
            (version, ReplacementPhase::Returned, reason),
        )?;
        equal("who serves", tally::version(&service.client)?, Version::First as u64)?;
    }
    // And it can be replaced still.
    rig.wait(&service.witness)?;
    equal("a good one", tools.replace(rig, &mut service, Version::Second)?.phase, ReplacementPhase::Confirmed)?;
    clients.all_counted(rig)
}

/// When a flaw comes to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// Before anybody waits.
    InRehearsal,
    /// When requests have parked.
    Later,
}

/// What comes in the middle of a rehearsal, and ends it.
#[derive(Clone, Copy, Debug)]
enum Interruption {
    Abort,
    OldEnds,
    NewEnds,
}

fn nobody_waits_while_a_new_version_is_rehearsed(rig: &mut Rig) -> Outcome {
    use ReplacementReason::{Aborted, NewEnded, OldEnded, Refused};
    let mut tools = Tools::new(rig)?;
    tools.patience = LONG;
    let service = Service::new(rig)?;
    let count = || ask(&service.client, Next {});
    equal("the first count", count()?, 1)?;
    // The old one cannot write that schema.
    let new = tools.instance(rig, Task::new(Role::Tally, Version::Second as u64))?;
    tools.begin_in(rig, Some(UNKNOWN_SCHEMA), service.serving, new)?;
    let unwaited = |replaced: Replaced, reason: ReplacementReason| {
        let Replaced { phase, pause, delivered, deferred, parked, .. } = replaced;
        let found = (phase, replaced.reason, pause, delivered + deferred + parked);
        equal("how it ended, and who waited for it", found, (ReplacementPhase::Returned, reason, 0, 0))
    };
    unwaited(tools.end(rig)?, Refused)?;
    for (expected, interruption, reason) in
        [(2, Interruption::Abort, Aborted), (3, Interruption::NewEnds, NewEnded), (4, Interruption::OldEnds, OldEnded)]
    {
        let new = tools.instance(rig, Task::new(Role::Tally, Version::HangsInThaw as u64))?;
        tools.begin(rig, true, service.serving, new)?;
        equal("who is served meanwhile", count()?, expected)?;
        let info = objects::replacement_info(&tools.replacement)?;
        let rehearsing = (ReplacementPhase::Rehearsing, 0, 0);
        equal("how far it is", (info.phase, info.pause, info.delivered + info.deferred), rehearsing)?;
        match interruption {
            Interruption::Abort => objects::abort_replacement(&tools.replacement)?,
            Interruption::NewEnds => rig.stop(new)?,
            Interruption::OldEnds => rig.stop(service.serving)?,
        }
        unwaited(tools.end(rig)?, reason)?;
    }
    Ok(())
}

fn a_server_without_a_state_is_replaced_by_a_restart(rig: &mut Rig) -> Outcome {
    let mut tools = Tools::new(rig)?;
    let (old, _, client) = rig.server(0)?;
    ask(&client, methods::Write { digit: 7 })?;
    let new = tools.instance(rig, Task::new(Role::Serve, 0))?;
    tools.begin(rig, false, old, new)?;
    // Whoever calls meanwhile waits and is served by the new one, which knows nothing of the first.
    equal("what the new one has written", ask(&client, methods::Read {})?, 0)?;
    for _ in 1..TRIAL_REPLIES {
        ask(&client, methods::Count {})?;
    }
    equal("how it ended", tools.end(rig)?.phase, ReplacementPhase::Confirmed)?;
    equal(
        "how the old one ended",
        objects::instance_info(&rig.instance(old)?.vspace)?.0,
        objects::Instance::Exited(0),
    )?;
    holds("the new one serves", ask(&client, methods::Count {})? > 0)?;
    // Who began it may know earlier that the next one is good: that it holds nothing is not waited for then.
    let next = tools.instance(rig, Task::new(Role::Serve, 0))?;
    tools.begin(rig, false, new, next)?;
    equal("what the next one has seen", ask(&client, methods::Count {})?, 1)?;
    objects::confirm_replacement(&tools.replacement)?;
    equal("how that ended", tools.end(rig)?.phase, ReplacementPhase::Confirmed)?;
    equal("the same one serves", ask(&client, methods::Count {})?, 2)
}

fn what_cannot_be_parked_again_is_waited_for_and_no_longer_than_said(rig: &mut Rig) -> Outcome {
    let mut tools = Tools::new(rig)?;
    let (old, endpoint, client) = rig.server(1)?;
    let held = Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint).start(rig)?;
    let new = tools.instance(rig, Task::new(Role::Serve, 0))?;
    tools.begin(rig, false, old, new)?;
    let replaced = tools.end(rig)?;
    let expected = (ReplacementPhase::Returned, ReplacementReason::TimedOut, 1);
    equal("how it ended", (replaced.phase, replaced.reason, replaced.delivered), expected)?;
    ask(&client, methods::Release { key: 1, value: 8 })?;
    rig.expect_report("what was held all the time", held, Reported::Value(8))
}

fn by_force_what_is_waited_for_in_vain_fails_and_what_can_be_parked_again_does_not(rig: &mut Rig) -> Outcome {
    let mut tools = Tools::new(rig)?;
    tools.overdue = Overdue::Ends;
    let (old, endpoint, client) = rig.server(2)?;
    let held = Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint).start(rig)?;
    let taken_over = Plan::new(Task::call::<methods::HoldAgain>(2)).calling(&endpoint).start(rig)?;
    let new = tools.instance(rig, Task::new(Role::Serve, 2))?;
    tools.begin(rig, false, old, new)?;
    rig.expect_report("who was waited for", held, Reported::Kernel(KernelError::ServerDied, 1))?;
    ask(&client, methods::Release { key: 2, value: 8 })?;
    rig.expect_report("whose request the new one has", taken_over, Reported::Value(8))?;
    objects::confirm_replacement(&tools.replacement)?;
    let replaced = tools.end(rig)?;
    let found = (replaced.phase, replaced.delivered, replaced.deferred);
    equal("how it ended", found, (ReplacementPhase::Confirmed, 1, 1))?;
    // One that answers in time what it has is not torn down: nobody is told of a death.
    let next = tools.instance(rig, Task::new(Role::Serve, 0))?;
    tools.begin(rig, false, new, next)?;
    equal("what the next one has seen", ask(&client, methods::Count {})?, 1)?;
    objects::confirm_replacement(&tools.replacement)?;
    equal("how that ended", tools.end(rig)?.phase, ReplacementPhase::Confirmed)
}

fn whoever_dies_somebody_serves(rig: &mut Rig) -> Outcome {
    let mut tools = Tools::new(rig)?;
    let (old, endpoint, client) = rig.server(1)?;
    // The old one dies while its last request is waited for.
    let held = Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint).start(rig)?;
    let new = tools.instance(rig, Task::new(Role::Serve, 0))?;
    tools.begin(rig, false, old, new)?;
    rig.stop(old)?;
    let replaced = tools.end(rig)?;
    equal(
        "with the old one",
        (replaced.phase, replaced.reason),
        (ReplacementPhase::Returned, ReplacementReason::OldEnded),
    )?;
    rig.expect_report("who was waited for", held, Reported::Kernel(KernelError::ServerDied, 1))?;
    objects::restart(&rig.instance(old)?.tcb, &rig.loader, &rig.image, Scratch::Clear)?;
    rig.instance(old)?.start()?;
    equal("it begins again", ask(&client, methods::Count {})?, 1)?;
    // The new one dies on trial, with a request that may have had an effect.
    let new = tools.instance(rig, Task::new(Role::Serve, 1))?;
    tools.begin(rig, false, old, new)?;
    let ends = ask(&client, methods::End { how: crate::protocol::ending::PANIC });
    equal("its caller", ends.is_err_and(|error| matches!(error, CallError::Kernel(KernelError::ServerDied, _))), true)?;
    let replaced = tools.end(rig)?;
    equal(
        "with the new one",
        (replaced.phase, replaced.reason),
        (ReplacementPhase::Returned, ReplacementReason::NewEnded),
    )?;
    equal("the old one begins again", ask(&client, methods::Count {})?, 1)?;
    // Somebody thinks better of it.
    let new = tools.instance(rig, Task::new(Role::Serve, 1))?;
    tools.begin(rig, false, old, new)?;
    objects::abort_replacement(&tools.replacement)?;
    let replaced = tools.end(rig)?;
    equal("when asked", (replaced.phase, replaced.reason), (ReplacementPhase::Returned, ReplacementReason::Aborted))?;
    equal("the old one begins once more", ask(&client, methods::Count {})?, 1)
}

/// What is left when an instance is stopped in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Who serves goes on counting.
    Counts,
    /// They went with the only instance that had them.
    Nothing,
}

fn whoever_is_stopped_in_whatever_phase_a_state_that_was_handed_over_goes_on(rig: &mut Rig) -> Outcome {
    use ReplacementPhase::{
        Confirmed, Copying, Draining, Freezing, Lost, Probation, Rehearsing, Restoring, Returned, Thawing,
    };
    use ReplacementReason::{NewEnded, None as Nobody, OldEnded};
    const FIRST: Version = Version::Second;
    let cases = [
        (Copying, Left::Nothing, (Returned, OldEnded), Left::Counts, (Returned, NewEnded)),
        (Rehearsing, Left::Nothing, (Returned, OldEnded), Left::Counts, (Returned, NewEnded)),
        (Draining, Left::Nothing, (Returned, OldEnded), Left::Counts, (Returned, NewEnded)),
        (Freezing, Left::Nothing, (Returned, OldEnded), Left::Counts, (Returned, NewEnded)),
        (Thawing, Left::Counts, (Confirmed, Nobody), Left::Counts, (Returned, NewEnded)),
        (Probation, Left::Counts, (Confirmed, Nobody), Left::Counts, (Returned, NewEnded)),
        (Restoring, Left::Nothing, (Lost, Nobody), Left::Counts, (Returned, NewEnded)),
    ];
    for (phase, of_old, with_old, of_new, with_new) in cases {
        // Nothing is restored unless the new one fails.
        let version = if phase == Restoring { Version::FailsAtOnce } else { FIRST };
        for (is_old, left, expected) in [(true, of_old, with_old), (false, of_new, with_new)] {
            let (mut tools, service) = (Tools::new(rig)?, Service::new(rig)?);
            let count = |expected: u64| equal("a count", ask(&service.client, Next {})?, expected);
            count(1)?;
            let new = tools.instance(rig, Task::new(Role::Tally, version as u64))?;
            let victim = &rig.instance(if is_old { service.serving } else { new })?.tcb;
            objects::plant_in_replacement(&tools.replacement, phase, victim)?;
            tools.begin(rig, true, service.serving, new)?;
            let calls = match (phase, left) {
                // Whoever fails when it is asked is asked all the time.
                (Restoring, _) => {
                    let task = Task { role: Role::Count, label: Next::LABEL, value: MANY };
                    Plan::new(task).calling_as(&service.endpoint, 2).priority(OWN - 1).start(rig)?;
                    1
                }
                (_, Left::Counts) => TRIAL_REPLIES,
                (_, Left::Nothing) => 1,
            };
            (2..=calls).try_for_each(count)?;
            let replaced = tools.end(rig)?;
            equal(
                "how it ended",
                (phase, is_old, replaced.phase, replaced.reason),
                (phase, is_old, expected.0, expected.1),
            )?;
            if left == Left::Counts {
                count(calls + 1)?;
            }
            rig.clear()?;
        }
    }
    Ok(())
}

fn a_record_that_is_deleted_gives_the_requests_back(rig: &mut Rig) -> Outcome {
    let tools = Tools::new(rig)?;
    let (old, endpoint, client) = rig.server(1)?;
    let held = Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint).start(rig)?;
    let new = tools.instance(rig, Task::new(Role::Serve, 0))?;
    tools.begin(rig, false, old, new)?;
    let parked = Plan::new(Task::call::<methods::Who>(5)).calling_as(&endpoint, 5).priority(OWN + 2).start(rig)?;
    equal("while it is open", rig.end(parked)?, crate::cells::End::Runs)?;
    objects::delete(tools.replacement);
    rig.expect_report("who was parked", parked, Reported::Value(5))?;
    ask(&client, methods::Release { key: 1, value: 8 })?;
    rig.expect_report("what was held", held, Reported::Value(8))
}

fn what_is_no_replacement_is_refused(rig: &mut Rig) -> Outcome {
    let mut tools = Tools::new(rig)?;
    let mut service = Service::new(rig)?;
    let refused = |outcome: Outcome| match outcome {
        Err(Failure::Kernel(KernelError::IllegalOperation)) => Ok(()),
        other => Err(Failure::Wrong(alloc::format!("{other:?} instead of a refusal"))),
    };
    let new = tools.instance(rig, Task::new(Role::Tally, Version::Second as u64))?;
    refused(tools.begin(rig, true, service.serving, service.serving))?;
    refused(tools.begin(rig, true, new, service.serving))?;
    tools.overdue = Overdue::Ends;
    match tools.begin(rig, true, service.serving, new) {
        Err(Failure::Kernel(KernelError::InvalidArgument)) => tools.overdue = Overdue::GoesOn,
        other => return Err(Failure::Wrong(alloc::format!("a state that would be lost: {other:?}"))),
    }
    refused(objects::abort_replacement(&tools.replacement).map_err(Failure::from))?;
    tools.begin(rig, true, service.serving, new)?;
    refused(tools.begin(rig, true, service.serving, new))?;
    for _ in 0..TRIAL_REPLIES {
        tally::version(&service.client)?;
    }
    equal("how it ended", tools.end(rig)?.phase, ReplacementPhase::Confirmed)?;
    service.serving = new;
    // A request that may not be parked again is answered before anything else happens.
    let hard = Task { role: Role::Count, label: Hard::LABEL, value: CALLS };
    let client = Plan::new(hard).calling_as(&service.endpoint, 1).start(rig)?;
    rig.expect_report("who calls what cannot be taken back", client, Reported::Value(CALLS))
}
