//! What is submitted to the device, in which order, and when a request is finished: a state machine without hardware.
//!
//! Requests are held in the order of their arrival until they are finished. [`Schedule::issue`] takes the next piece
//! of work of the oldest request that may go on, and a free slot for it; [`Schedule::complete`] frees the slot and,
//! with its last piece, gives the request back to be answered. `H` is whatever stands for the request outside.
//!
//! Invariants:
//! * a slot carries one part at most;
//! * a request is given back exactly once: when none of its parts is under way and none is still to be issued;
//! * a flush is issued only when no write that arrived before it is held any more;
//! * after an error of one part no further part of the request is issued.

mod held;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use crate::extent::Extent;
use crate::schedule::held::Held;

/// What a request asks of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Reads sectors.
    Read(Extent),
    /// Writes sectors.
    Write(Extent),
    /// Makes what was written before durable.
    Flush,
}

/// A request, by the order of its arrival. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A piece of a request that one slot carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The request that it belongs to.
    pub ticket: Ticket,
    /// What is to be done: the request's kind, on its share of the sectors.
    pub work: Work,
    /// Where its data begins in the request's, in bytes.
    pub offset: usize,
}

/// How a part ended, and at last a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was done.
    Done,
    /// The device reported an error, of one part at least.
    Failed,
}

/// The requests under way, and the slots that carry their parts.
#[derive(Debug)]
pub struct Schedule<H> {
    held: VecDeque<Held<H>>,
    slots: Vec<Option<Part>>,
    next: u64,
    limit: usize,
    part: u64,
}

impl<H> Schedule<H> {
    /// A schedule for `limit` requests at once, on so many slots, in parts of at most `part` sectors (1 at least).
    pub fn new(limit: usize, slots: usize, part: u64) -> Self {
        Schedule { held: VecDeque::with_capacity(limit), slots: vec![None; slots], next: 0, limit, part: part.max(1) }
    }

    /// How many more requests may be accepted.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.held.len())
    }

    /// Takes a request on. One of no sectors is finished at once.
    ///
    /// # Errors
    /// What stands for the request, where nothing is to be done for it: answer it now.
    pub fn accept(&mut self, work: Work, holder: H) -> Result<Ticket, H> {
        if let Work::Read(extent) | Work::Write(extent) = work
            && extent.count == 0
        {
            return Err(holder);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.held.push_back(Held::new(ticket, work, holder));
        Ok(ticket)
    }

    /// Takes the next part to submit, and the slot for it. `None` where nothing may go on, or no slot is free.
    pub fn issue(&mut self) -> Option<(usize, Part)> {
        let slot = self.slots.iter().position(Option::is_none)?;
        let mut writes_before = false;
        for held in &mut self.held {
            if let Some(part) = held.issue(self.part, writes_before) {
                *self.slots.get_mut(slot)? = Some(part);
                return Some((slot, part));
            }
            writes_before |= held.is_write();
        }
        None
    }

    /// The part that a slot carries, and what stands for its request.
    pub fn carried(&mut self, slot: usize) -> Option<(Part, &mut H)> {
        let part = (*self.slots.get(slot)?)?;
        let held = self.held.iter_mut().find(|held| held.ticket() == part.ticket)?;
        Some((part, held.holder()))
    }

    /// The part in a slot has ended; the slot is free. Answers the request that is finished with it, and how.
    pub fn complete(&mut self, slot: usize, outcome: Outcome) -> Option<(H, Outcome)> {
        let part = self.slots.get_mut(slot)?.take()?;
        let at = self.held.iter().position(|held| held.ticket() == part.ticket)?;
        if !self.held.get_mut(at)?.part_ended(outcome) {
            return None;
        }
        self.held.remove(at).map(Held::finish)
    }
}
