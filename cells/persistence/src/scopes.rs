//! Scopes out of untyped memory.
//!
//! A scope object serves one transaction after another. Those that ended longest ago are taken first, and new ones are
//! made before any is used again, so that a server which still carries the scope of a caller that gave up finds no new
//! transaction in it for as long as possible.

use alloc::collections::VecDeque;

use runtime::abi::KernelError;
use runtime::abi::token::{All, CNode, Cap, RawCap, Scope, Settle, Untyped};
use runtime::objects;

use crate::sessions::{Attached, Scopes};

/// The most scope objects that are made; each takes a slot of the CNode.
pub const POOL: usize = 64;

/// Scope objects, and what is needed to make and to end them.
#[derive(Debug)]
pub struct ScopePool {
    memory: Cap<Untyped>,
    cnode: Cap<CNode, All>,
    authority: Cap<Settle, All>,
    idle: VecDeque<Cap<Scope, All>>,
    made: usize,
}

impl ScopePool {
    /// A pool without scopes yet.
    pub fn new(memory: Cap<Untyped>, cnode: Cap<CNode, All>, authority: Cap<Settle, All>) -> Self {
        ScopePool { memory, cnode, authority, idle: VecDeque::new(), made: 0 }
    }

    fn take(&mut self) -> Result<Cap<Scope, All>, KernelError> {
        if self.made < POOL {
            match objects::retype(&self.memory, 0, &self.cnode) {
                Ok(scope) => {
                    self.made += 1;
                    return Ok(scope);
                }
                Err(error) if self.idle.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        self.idle.pop_front().ok_or(KernelError::TableFull)
    }
}

impl Scopes for ScopePool {
    type Scope = Cap<Scope, All>;
    type Caller = RawCap;

    fn attach(&mut self, caller: RawCap) -> Result<Attached<Self::Scope>, KernelError> {
        let scope = self.take()?;
        match objects::attach_scope(&scope, caller) {
            Ok(identity) => Ok(Attached { identity, scope }),
            Err(error) => {
                self.idle.push_front(scope);
                Err(error)
            }
        }
    }

    fn settle(&mut self, scope: Self::Scope) {
        if let Err(error) = objects::settle_scope(&scope, &self.authority) {
            runtime::bug!("a scope of this server cannot be settled: {error:?}");
        }
        self.idle.push_back(scope);
    }

    fn abort(&mut self, scope: Self::Scope) {
        if let Err(error) = objects::abort_scope(&scope, &self.authority) {
            runtime::bug!("a scope of this server cannot be aborted: {error:?}");
        }
        self.idle.push_back(scope);
    }
}
