//! Who keeps a cache of its own, and what others' commits have made stale in it.
//!
//! A client that keeps states between its transactions has a session. A begin takes the snapshot and drains what was
//! invalidated since the begin before it, in one step: what it answers is all that the client must forget so that every state
//! it keeps is the snapshot's. A queue is bounded; one that overflowed says that everything must be forgotten.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::Oid;

/// Objects that a queue takes before it overflows.
pub const INVALIDATION_LIMIT: usize = 4_096;

/// A session's name. It is used once in the life of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(u64);

impl SessionId {
    /// Wraps a number that came back from a client.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What a client must forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidated {
    /// These objects, in ascending order.
    Objects(Vec<Oid>),
    /// Everything.
    Everything,
}

/// The sessions of a store.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Sessions {
    queues: BTreeMap<SessionId, Queue>,
    next: u64,
    /// Whether anything here has changed since that was asked last.
    #[serde(skip)]
    touched: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct Queue {
    objects: BTreeSet<Oid>,
    overflowed: bool,
}

impl Sessions {
    pub(super) fn open(&mut self) -> SessionId {
        self.next += 1;
        self.touched = true;
        let session = SessionId(self.next);
        self.queues.insert(session, Queue::default());
        session
    }

    /// Whether it was open.
    pub(super) fn close(&mut self, session: SessionId) -> bool {
        self.touched = true;
        self.queues.remove(&session).is_some()
    }

    /// Empties a session's queue; `None` if it is not open.
    pub(super) fn drain(&mut self, session: SessionId) -> Option<Invalidated> {
        let queue = core::mem::take(self.queues.get_mut(&session)?);
        self.touched = true;
        Some(match queue.overflowed {
            true => Invalidated::Everything,
            false => Invalidated::Objects(queue.objects.into_iter().collect()),
        })
    }

    /// A commit of `by` has changed `objects`; of those, its own session has other states of `foreign`.
    pub(super) fn invalidate(&mut self, by: Option<SessionId>, objects: &[Oid], foreign: &[Oid]) {
        self.touched |= !self.queues.is_empty();
        for (&session, queue) in &mut self.queues {
            queue.add(if by == Some(session) { foreign } else { objects });
        }
    }

    /// Everything anybody keeps may be stale.
    pub(super) fn invalidate_all(&mut self) {
        self.touched = true;
        self.queues.values_mut().for_each(Queue::overflow);
    }

    /// Whether a session is open.
    pub(super) fn has(&self, session: SessionId) -> bool {
        self.queues.contains_key(&session)
    }

    /// What changes from now on is to be told.
    pub(super) fn record(&mut self) {
        self.touched = false;
    }

    /// Whether anything has changed since that was asked last.
    pub(super) fn take_touched(&mut self) -> bool {
        core::mem::take(&mut self.touched)
    }
}

impl Queue {
    fn add(&mut self, objects: &[Oid]) {
        if self.overflowed {
            return;
        }
        self.objects.extend(objects);
        if self.objects.len() > INVALIDATION_LIMIT {
            self.overflow();
        }
    }

    fn overflow(&mut self) {
        *self = Self { objects: BTreeSet::new(), overflowed: true };
    }
}
