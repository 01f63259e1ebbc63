//! Scopes out of untyped memory.
//!
//! A scope object serves one transaction after another, and as many are made as were ever open at a time. That is no
//! danger to a server which still carries an earlier transaction of a scope: what it carries is that transaction's number, and
//! the kernel knows that it is over.

use alloc::vec::Vec;

use runtime::abi::KernelError;
use runtime::abi::kernel::ScopeState;
use runtime::abi::token::{All, CNode, CallOnly, Cap, Notification, Object, RawCap, Rights, Scope, Settle, Untyped};
use runtime::objects;

use crate::handover::Place;
use crate::sessions::{Attached, Scopes};

/// Scope objects, and what is needed to make and to end them.
#[derive(Debug)]
pub struct ScopePool {
    memory: Cap<Untyped>,
    cnode: Cap<CNode, All>,
    authority: Cap<Settle, All>,
    idle: Vec<Cap<Scope, All>>,
    made: usize,
}

impl ScopePool {
    /// A pool without scopes yet.
    pub fn new(memory: Cap<Untyped>, cnode: Cap<CNode, All>, authority: Cap<Settle, All>) -> Self {
        ScopePool { memory, cnode, authority, idle: Vec::new(), made: 0 }
    }

    /// How many scopes were made.
    pub fn made(&self) -> usize {
        self.made
    }

    /// The CNode that they are in: the server's own.
    pub fn cnode(&self) -> &Cap<CNode, All> {
        &self.cnode
    }

    fn take(&mut self) -> Result<Cap<Scope, All>, KernelError> {
        if let Some(idle) = self.idle.pop() {
            return Ok(idle);
        }
        let scope = objects::retype(&self.memory, 0, &self.cnode)?;
        self.made += 1;
        Ok(scope)
    }
}

/// Where a capability of this cell is.
pub fn place_of<T: Object, R: Rights>(cap: &Cap<T, R>) -> Place {
    let raw = cap.raw();
    Place { slot: raw.slot, generation: raw.generation }
}

impl Scopes for ScopePool {
    type Scope = Cap<Scope, All>;
    type Signal = Cap<Notification, CallOnly>;
    type Caller = RawCap;

    fn attach(&mut self, caller: RawCap) -> Result<Attached<Self::Scope>, KernelError> {
        let scope = self.take()?;
        match objects::attach_scope(&scope, caller, &self.authority) {
            Ok(identity) => Ok(Attached { identity, scope }),
            Err(error) => {
                self.idle.push(scope);
                Err(error)
            }
        }
    }

    fn settle(&mut self, scope: Self::Scope) {
        if let Err(error) = objects::settle_scope(&scope, &self.authority) {
            runtime::bug!("a scope of this server cannot be settled: {error:?}");
        }
        self.idle.push(scope);
    }

    fn abort(&mut self, scope: Self::Scope) {
        if let Err(error) = objects::abort_scope(&scope, &self.authority) {
            runtime::bug!("a scope of this server cannot be aborted: {error:?}");
        }
        self.idle.push(scope);
    }

    fn has_beginner(&self, scope: &Self::Scope) -> bool {
        match objects::scope_state(scope) {
            Ok(state) => state != ScopeState::Orphaned,
            Err(error) => runtime::bug!("a scope of this server does not tell its state: {error:?}"),
        }
    }

    fn signal(&self, signal: &Self::Signal) -> bool {
        // The bits are those of its badge.
        objects::signal(signal, 0).is_ok()
    }

    fn forget(&mut self, signal: Self::Signal) {
        objects::delete(signal);
    }

    fn stands_for(&self, scope: &Self::Scope) -> u64 {
        match objects::scope_info(scope) {
            Ok((_, identity)) => identity,
            Err(error) => runtime::bug!("a scope of this server does not tell what it stands for: {error:?}"),
        }
    }

    fn keep(&mut self, scope: Self::Scope) {
        self.idle.push(scope);
        self.made += 1;
    }

    fn idle(&self) -> Vec<Place> {
        self.idle.iter().map(Self::place).collect()
    }

    fn place(scope: &Self::Scope) -> Place {
        place_of(scope)
    }

    fn place_of_signal(signal: &Self::Signal) -> Place {
        place_of(signal)
    }
}
