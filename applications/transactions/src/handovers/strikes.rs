//! A stop of each instance that takes part in the replacement of the persistence server, in each of its phases.
//!
//! Whatever happens somebody serves in the end. A transaction that was open goes on, unless the instance that had it was
//! stopped before it could hand it over, or both were; then it is aborted as a whole.

use abi::interfaces::process::{PlantFailure, Progress as Journey, Strike, Victim, Why};
use abi::kernel::ReplacementPhase as Phase;
use runtime::Call;

use super::Fate;
use crate::driver::{Failure, Test, check};

/// All phases of a replacement of an instance with a state of its own.
const PHASES: [Phase; 9] = [
    Phase::Copying,
    Phase::Rehearsing,
    Phase::Draining,
    Phase::Freezing,
    Phase::Thawing,
    Phase::Probation,
    Phase::Restoring,
    Phase::Confirmed,
    Phase::Returned,
];

/// All cases.
pub fn run(test: &mut Test) {
    for phase in PHASES {
        for victim in Victim::ALL {
            let (who, when) = (name_of(victim), alloc::format!("{phase:?}").to_lowercase());
            let name = format_args!("a_handover_with_{who}_stopped_when_{when}");
            test.count(name, |test| case(test, Strike { phase, victim }));
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

fn case(test: &mut Test, strike: Strike) -> Result<(), Failure> {
    let held = test.held()?;
    Call::new(&test.servers.process, PlantFailure { point: strike.to_point() }).words()?;
    test.replace()?;
    if matches!(strike.phase, Phase::Restoring | Phase::Returned) {
        test.end_trial()?;
    }
    let ended = test.end_of_replacement()?;
    let (expected, fate) = expected(strike);
    if ended != expected {
        return test.wrong("it ended otherwise", format_args!("{ended:?} instead of {expected:?}"));
    }
    test.released(held, fate)?;
    if strike.victim == Victim::ProcessServer {
        // What has proven itself starts with a clean record.
        test.replace_service("process")?;
        let ended = test.end_of_replacement_of("process")?;
        check(ended == Journey::Confirmed, "the process server was not replaced afterwards")?;
    }
    // Whoever serves can be replaced still.
    let held = test.held()?;
    test.replace()?;
    let ended = test.end_of_replacement()?;
    check(ended == Journey::Confirmed, "it was not replaced afterwards")?;
    test.released(held, Fate::Kept)
}

/// How a replacement ends that suffers a strike, and what becomes of a transaction that was open.
fn expected(strike: Strike) -> (Journey, Fate) {
    match (strike.phase, strike.victim) {
        (Phase::Copying | Phase::Rehearsing | Phase::Draining | Phase::Freezing, Victim::Old) => {
            (Journey::Returned(Why::OldEnded), Fate::Lost)
        }
        (Phase::Restoring, Victim::Old) => (Journey::Lost, Fate::Lost),
        // By then it is the one that serves.
        (Phase::Returned, Victim::Old) => (Journey::Returned(Why::NewEnded), Fate::Lost),
        (Phase::Confirmed, Victim::New) => (Journey::Confirmed, Fate::Lost),
        (Phase::Thawing | Phase::Probation | Phase::Confirmed, Victim::Old)
        | (Phase::Confirmed, Victim::ProcessServer) => (Journey::Confirmed, Fate::Kept),
        (Phase::Restoring | Phase::Returned, _) | (_, Victim::New) => (Journey::Returned(Why::NewEnded), Fate::Kept),
        (_, _) => (Journey::Confirmed, Fate::Kept),
    }
}
