//! A kernel that is played: threads with a scope each, what became of every scope, and who was signalled.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use runtime::abi::KernelError;

use crate::handover::Place;
use crate::sessions::{Attached, Left, Scopes};

/// What became of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Open,
    Settled,
    Aborted,
}

/// The right to end a scope; as in the kernel it cannot be copied.
#[derive(Debug)]
pub struct FakeScope(u64);

/// Threads by number, with the scope that each began.
#[derive(Debug, Default)]
pub struct FakeKernel {
    pub own: BTreeMap<u64, u64>,
    pub fates: BTreeMap<u64, Fate>,
    pub out_of_memory: bool,
    /// Scopes whose beginner died and that have not ended.
    orphans: BTreeSet<u64>,
    /// How often each client was signalled.
    pub signalled: RefCell<BTreeMap<u64, u64>>,
    /// Clients that are not there any more.
    pub gone: BTreeSet<u64>,
    /// Signals that were given up.
    pub forgotten: Vec<u64>,
    /// Scopes that stand for nothing, for another instance of the server.
    pub idle: Vec<u64>,
}

impl FakeKernel {
    /// The scope that travels with a thread's own calls.
    pub fn scope(&self, thread: u64) -> u64 {
        self.own.get(&thread).copied().unwrap_or(0)
    }

    /// A thread dies, and the scope that it began is without a beginner.
    pub fn die(&mut self, thread: u64) {
        if let Some(scope) = self.own.remove(&thread) {
            self.orphans.insert(scope);
        }
    }

    /// How often a client was signalled.
    pub fn signals(&self, client: u64) -> u64 {
        self.signalled.borrow().get(&client).copied().unwrap_or(0)
    }

    /// A scope ends.
    pub fn end(&mut self, scope: u64, fate: Fate) {
        self.orphans.remove(&scope);
        assert_eq!(self.fates.insert(scope, fate), Some(Fate::Open), "scope {scope} ended twice");
        self.own.retain(|_, own| *own != scope);
        self.idle.push(scope);
    }
}

impl Scopes for FakeKernel {
    type Scope = FakeScope;
    type Signal = u64;
    type Caller = u64;

    fn attach(&mut self, thread: u64) -> Result<Attached<FakeScope>, KernelError> {
        if self.out_of_memory {
            return Err(KernelError::NotEnoughMemory);
        }
        if self.own.contains_key(&thread) {
            return Err(KernelError::IllegalOperation);
        }
        let identity = self.fates.len() as u64 + 1;
        self.own.insert(thread, identity);
        self.fates.insert(identity, Fate::Open);
        Ok(Attached { identity, scope: FakeScope(identity) })
    }

    fn settle(&mut self, scope: FakeScope) {
        self.end(scope.0, Fate::Settled);
    }

    fn abort(&mut self, scope: FakeScope) {
        self.end(scope.0, Fate::Aborted);
    }

    fn has_beginner(&self, scope: &FakeScope) -> bool {
        assert_eq!(self.fates[&scope.0], Fate::Open, "scope {} was asked for after its end", scope.0);
        !self.orphans.contains(&scope.0)
    }

    fn signal(&self, client: &u64) -> bool {
        *self.signalled.borrow_mut().entry(*client).or_default() += 1;
        !self.gone.contains(client)
    }

    fn forget(&mut self, client: u64) {
        self.forgotten.push(client);
    }

    fn stands_for(&self, scope: &FakeScope) -> u64 {
        if self.fates[&scope.0] == Fate::Open { scope.0 } else { 0 }
    }

    fn keep(&mut self, scope: FakeScope) {
        self.idle.push(scope.0);
    }

    fn idle(&self) -> Vec<Place> {
        self.idle.iter().map(|scope| at(*scope)).collect()
    }

    fn place(scope: &FakeScope) -> Place {
        at(scope.0)
    }

    fn place_of_signal(client: &u64) -> Place {
        at(*client)
    }
}

/// Scopes and signals stand in the slots that have their numbers.
fn at(slot: u64) -> Place {
    Place { slot, generation: 1 }
}

/// What an instance of the server has left: all of it is there.
#[derive(Debug)]
pub struct FakeLeft;

impl Left<FakeKernel> for FakeLeft {
    fn scope(&mut self, place: Place) -> Option<FakeScope> {
        Some(FakeScope(place.slot))
    }

    fn signal(&mut self, place: Place) -> Option<u64> {
        Some(place.slot)
    }
}
