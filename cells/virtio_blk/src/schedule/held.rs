//! One request between its arrival and its answer.

use crate::schedule::{Outcome, Part, Ticket, Work};

/// A request, with what is left of it to issue.
#[derive(Debug)]
pub(super) struct Held<H> {
    ticket: Ticket,
    /// What no part was made of yet; `None` when that is nothing.
    left: Option<Work>,
    write: bool,
    /// Bytes of data in the parts made so far.
    offset: usize,
    under_way: usize,
    outcome: Outcome,
    holder: H,
}

impl<H> Held<H> {
    /// A request of which nothing is issued; it has sectors, or is a flush.
    pub(super) fn new(ticket: Ticket, work: Work, holder: H) -> Self {
        Held {
            ticket,
            left: Some(work),
            write: matches!(work, Work::Write(_)),
            offset: 0,
            under_way: 0,
            outcome: Outcome::Done,
            holder,
        }
    }

    /// Its place in the order of arrival.
    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Whether a flush that arrived later has to wait for it.
    pub(super) fn is_write(&self) -> bool {
        self.write
    }

    /// What stands for it.
    pub(super) fn holder(&mut self) -> &mut H {
        &mut self.holder
    }

    /// Makes its next part, of `most` sectors at most. A flush waits while there are writes before it.
    pub(super) fn issue(&mut self, most: u64, writes_before: bool) -> Option<Part> {
        let mut left = self.left?;
        let (work, length) = match &mut left {
            Work::Flush if writes_before => return None,
            Work::Flush => (Work::Flush, 0),
            Work::Read(rest) => {
                let front = rest.cut(most)?;
                (Work::Read(front), front.bytes())
            }
            Work::Write(rest) => {
                let front = rest.cut(most)?;
                (Work::Write(front), front.bytes())
            }
        };
        let part = Part { ticket: self.ticket, work, offset: self.offset };
        self.left = match left {
            Work::Read(rest) | Work::Write(rest) if rest.count > 0 => Some(left),
            _ => None,
        };
        self.offset += length;
        self.under_way += 1;
        Some(part)
    }

    /// One of its parts has ended. Whether the request is finished.
    pub(super) fn part_ended(&mut self, outcome: Outcome) -> bool {
        self.under_way -= 1;
        if outcome == Outcome::Failed {
            self.outcome = Outcome::Failed;
            self.left = None;
        }
        self.under_way == 0 && self.left.is_none()
    }

    /// Gives it back.
    pub(super) fn finish(self) -> (H, Outcome) {
        (self.holder, self.outcome)
    }
}
