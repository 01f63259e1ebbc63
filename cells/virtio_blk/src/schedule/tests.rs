//! The schedule against a model that is told of each event and says what must hold.

use proptest::prelude::*;

use super::{Outcome, Part, Schedule, Ticket, Work};
use crate::extent::Extent;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    Arrive(Work),
    Issue,
    /// The part in the n-th busy slot ends.
    End(usize, Outcome),
}

/// What the model knows of a request.
#[derive(Debug)]
struct Request {
    ticket: Option<Ticket>,
    work: Work,
    /// Sectors issued; for a flush, parts.
    issued: u64,
    under_way: usize,
    failed: bool,
    answers: usize,
}

impl Request {
    fn total(&self) -> u64 {
        match self.work {
            Work::Read(extent) | Work::Write(extent) => extent.count,
            Work::Flush => 1,
        }
    }

    fn over(&self) -> bool {
        self.under_way == 0 && (self.failed || self.issued == self.total())
    }
}

#[derive(Debug)]
struct World {
    schedule: Schedule<usize>,
    requests: Vec<Request>,
    slots: Vec<Option<Part>>,
    limit: usize,
    most: u64,
}

impl World {
    fn new(limit: usize, slots: usize, most: u64) -> Self {
        World {
            schedule: Schedule::new(limit, slots, most),
            requests: Vec::new(),
            slots: vec![None; slots],
            limit,
            most,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(work) => self.arrive(work),
            Event::Issue => {
                self.issue();
            }
            Event::End(which, outcome) => self.end(which, outcome),
        }
    }

    fn unanswered(&self) -> usize {
        self.requests.iter().filter(|request| request.answers == 0).count()
    }

    fn arrive(&mut self, work: Work) {
        assert_eq!(self.schedule.room(), self.limit.saturating_sub(self.unanswered()));
        if self.schedule.room() == 0 {
            return;
        }
        let index = self.requests.len();
        let mut request = Request { ticket: None, work, issued: 0, under_way: 0, failed: false, answers: 0 };
        match self.schedule.accept(work, index) {
            Ok(ticket) => request.ticket = Some(ticket),
            Err(holder) => {
                assert_eq!(holder, index);
                assert_eq!(request.total(), 0, "only what needs no work is sent back");
                request.answers = 1;
            }
        }
        self.requests.push(request);
    }

    /// Whether a request may go on, as the model sees it.
    fn may_go_on(&self, index: usize) -> bool {
        let request = &self.requests[index];
        let write_before =
            self.requests[..index].iter().any(|earlier| matches!(earlier.work, Work::Write(_)) && earlier.answers == 0);
        request.answers == 0
            && !request.failed
            && request.issued < request.total()
            && !(request.work == Work::Flush && write_before)
    }

    fn issue(&mut self) -> bool {
        let expected = (0..self.requests.len()).find(|index| self.may_go_on(*index));
        let full = self.slots.iter().all(Option::is_some);
        let Some((slot, part)) = self.schedule.issue() else {
            assert!(full || expected.is_none(), "nothing issued for {expected:?}");
            return false;
        };
        assert!(self.slots[slot].is_none(), "slot {slot} carries two parts");
        self.slots[slot] = Some(part);
        let index = expected.expect("issued where nothing may go on");
        let request = &mut self.requests[index];
        assert_eq!(request.ticket, Some(part.ticket), "not the oldest that may go on");
        let (extent, whole) = match (part.work, request.work) {
            (Work::Flush, Work::Flush) => {
                request.issued = 1;
                request.under_way = 1;
                return true;
            }
            (Work::Read(part), Work::Read(whole)) => (part, whole),
            (Work::Write(part), Work::Write(whole)) => (part, whole),
            other => panic!("a part of another kind: {other:?}"),
        };
        assert_eq!(extent.sector, whole.sector + request.issued);
        assert_eq!(part.offset as u64, request.issued * 512);
        assert_eq!(extent.count, self.most.min(whole.count - request.issued));
        request.issued += extent.count;
        request.under_way += 1;
        true
    }

    fn end(&mut self, which: usize, outcome: Outcome) {
        let busy: Vec<usize> = (0..self.slots.len()).filter(|slot| self.slots[*slot].is_some()).collect();
        let Some(slot) = busy.get(which % busy.len().max(1)).copied() else {
            assert!(self.schedule.carried(0).is_none());
            assert!(self.schedule.complete(0, outcome).is_none());
            return;
        };
        let part = self.slots[slot].take().expect("busy");
        let index = (0..self.requests.len())
            .find(|index| self.requests[*index].ticket == Some(part.ticket))
            .expect("a part of a request");
        assert_eq!(self.schedule.carried(slot), Some((part, &mut { index })));
        let request = &mut self.requests[index];
        request.under_way -= 1;
        request.failed |= outcome == Outcome::Failed;
        let finished = self.schedule.complete(slot, outcome);
        if request.over() {
            let expected = if request.failed { Outcome::Failed } else { Outcome::Done };
            assert_eq!(finished, Some((index, expected)));
            request.answers += 1;
        } else {
            assert_eq!(finished, None, "answered with work left");
        }
        assert!(self.schedule.carried(slot).is_none(), "the slot is free");
        assert!(self.schedule.complete(slot, outcome).is_none(), "and ends once");
    }

    /// Lets everything come to its end.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            while self.issue() {}
            if self.unanswered() == 0 {
                break;
            }
            self.end(0, Outcome::Done);
        }
        for (index, request) in self.requests.iter().enumerate() {
            assert_eq!(request.answers, 1, "request {index}: {request:?}");
        }
        assert!(self.slots.iter().all(Option::is_none));
        assert_ne!(self.schedule.room(), 0);
    }
}

fn work() -> impl Strategy<Value = Work> {
    let extent = (0u64..1000, 0u64..20).prop_map(|(sector, count)| Extent { sector, count });
    prop_oneof![
        2 => extent.clone().prop_map(Work::Read),
        3 => extent.prop_map(Work::Write),
        2 => Just(Work::Flush),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![5 => Just(Outcome::Done), 1 => Just(Outcome::Failed)];
    prop_oneof![
        2 => work().prop_map(Event::Arrive),
        4 => Just(Event::Issue),
        3 => (0usize..8, outcome).prop_map(|(which, outcome)| Event::End(which, outcome)),
    ]
}

proptest! {
    #[test]
    fn every_request_is_answered_once_and_flushes_wait(
        (limit, slots, most) in (1usize..9, 1usize..6, 1u64..6),
        events in proptest::collection::vec(event(), 0..200),
    ) {
        let mut world = World::new(limit, slots, most);
        for event in events {
            world.happen(event);
        }
        world.settle();
    }
}

#[test]
fn every_short_history_holds() {
    const DEPTH: u32 = 6;
    let extent = Extent { sector: 0, count: 2 };
    let events = [
        Event::Arrive(Work::Read(extent)),
        Event::Arrive(Work::Write(extent)),
        Event::Arrive(Work::Flush),
        Event::Issue,
        Event::End(0, Outcome::Done),
        Event::End(1, Outcome::Done),
        Event::End(0, Outcome::Failed),
    ];
    for history in 0..events.len().pow(DEPTH) {
        let mut world = World::new(3, 2, 1);
        let mut rest = history;
        for _ in 0..DEPTH {
            world.happen(events[rest % events.len()]);
            rest /= events.len();
        }
        world.settle();
    }
}

#[test]
fn a_flush_waits_for_earlier_writes_and_holds_no_later_ones_up() {
    let extent = Extent { sector: 8, count: 1 };
    let mut schedule = Schedule::new(8, 8, 64);
    let mut arrive = |work, name| schedule.accept(work, name).expect("work to do");
    let first = arrive(Work::Write(extent), "first");
    let flush = arrive(Work::Flush, "flush");
    let later = arrive(Work::Write(extent), "later");
    let read = arrive(Work::Read(extent), "read");
    let mut issued = || schedule.issue().map(|(_, part)| part.ticket);
    assert_eq!([issued(), issued(), issued(), issued()], [Some(first), Some(later), Some(read), None]);
    assert_eq!(schedule.complete(1, Outcome::Done), Some(("later", Outcome::Done)));
    assert_eq!(schedule.issue(), None, "the first write is still under way");
    assert_eq!(schedule.complete(0, Outcome::Failed), Some(("first", Outcome::Failed)));
    assert_eq!(schedule.issue().map(|(_, part)| part.ticket), Some(flush));
}
