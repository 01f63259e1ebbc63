//! Logs of a store on the host, whole and edited: what was done to a log on purpose must be found.

mod format;
mod load;

use object_store::Tid;

use crate::disk::{Event, events};
use crate::log::Log;
use crate::replay::{Bounds, Tally, replay};
use format::write;
use load::Recorded;

const BOUNDS: Bounds = Bounds { seed: 5, states: 3000 };
/// The events with which the disk is formatted and opened: edits come behind them.
const BEGINNING: usize = 14;

/// Replays what a log says, once it is edited.
fn replayed(recorded: &Recorded, edit: impl FnOnce(&mut Vec<Event<'_>>, &mut Vec<Tid>)) -> Tally {
    let bytes = write(&recorded.entries());
    let log = Log::read(&bytes).expect("a log");
    let (mut events, mut acknowledged) = (events(&log), recorded.acknowledged.clone());
    edit(&mut events, &mut acknowledged);
    replay(&recorded.start, &events, &acknowledged, BOUNDS, |_| {})
}

fn finds(recorded: &Recorded, says: &str, edit: impl FnOnce(&mut Vec<Event<'_>>, &mut Vec<Tid>)) {
    let tally = replayed(recorded, edit);
    let found = tally.violation.expect("a violation");
    assert!(found.contains(says), "{found}");
}

#[test]
fn a_log_of_a_sound_store_passes() {
    let recorded = Recorded::new(3, 60, load::Acknowledge::AfterTheFlush);
    let tally = replayed(&recorded, |_, _| {});
    assert_eq!(tally.violation, None);
    assert!(tally.states > 1000 && tally.claims > 40 && tally.transactions > 60, "{tally:?}");
}

#[test]
fn all_states_of_a_short_log_pass() {
    let recorded = Recorded::new(2, 6, load::Acknowledge::AfterTheFlush);
    let bytes = write(&recorded.entries());
    let all = Bounds { seed: 1, states: u64::MAX };
    let tally = replay(&recorded.start, &events(&Log::read(&bytes).expect("a log")), &[], all, |_| {});
    assert_eq!(tally.violation, None);
    assert!(tally.states > 100, "{tally:?}");
}

#[test]
fn flushes_that_never_were_are_found() {
    let recorded = Recorded::new(3, 60, load::Acknowledge::AfterTheFlush);
    finds(&recorded, "", |events, _| {
        let mut number = 0;
        events.retain(|event| {
            number += 1;
            number <= BEGINNING || *event != Event::Flush
        });
    });
}

#[test]
fn flushes_that_come_late_are_found() {
    let recorded = Recorded::new(3, 60, load::Acknowledge::AfterTheFlush);
    finds(&recorded, "", |events, _| {
        let rest = events.split_off(BEGINNING);
        let mut held = 0;
        for event in rest {
            if event == Event::Flush && held == 0 {
                held = 3;
                continue;
            }
            let is_write = event != Event::Flush;
            events.push(event);
            if is_write && held > 0 {
                held -= 1;
                if held == 0 {
                    events.push(Event::Flush);
                }
            }
        }
    });
}

#[test]
fn a_store_that_acknowledges_before_the_flush_is_found() {
    let recorded = Recorded::new(3, 60, load::Acknowledge::BeforeTheFlush);
    finds(&recorded, "were acknowledged", |_, _| {});
}

#[test]
fn a_commit_that_was_told_and_is_not_there_is_found() {
    let recorded = Recorded::new(3, 20, load::Acknowledge::AfterTheFlush);
    finds(&recorded, "is not there at the end of the log", |_, acknowledged| {
        let beyond = acknowledged.last().map_or(1, |tid| tid.number() + 1);
        acknowledged.push(Tid::new(beyond));
    });
}

#[test]
fn a_write_that_is_missing_is_found() {
    let recorded = Recorded::new(3, 20, load::Acknowledge::AfterTheFlush);
    finds(&recorded, "", |events, _| {
        let places: Vec<usize> = events
            .iter()
            .enumerate()
            .filter(|(_, event)| matches!(event, Event::Write(..)))
            .map(|(at, _)| at)
            .collect();
        let _ = events.remove(places[places.len() / 2]);
    });
}

#[test]
fn a_half_transaction_in_the_store_is_found() {
    let mut recorded = Recorded::new(3, 20, load::Acknowledge::AfterTheFlush);
    recorded.unbalance();
    finds(&recorded, "the balances come to 1", |_, _| {});
}
