//! A kernel that is played: threads with a scope each, and what became of every scope.

use std::collections::BTreeMap;

use runtime::abi::KernelError;

use crate::sessions::{Attached, Scopes};

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
}

impl FakeKernel {
    /// The scope that travels with a thread's own calls.
    pub fn scope(&self, thread: u64) -> u64 {
        self.own.get(&thread).copied().unwrap_or(0)
    }

    fn end(&mut self, scope: u64, fate: Fate) {
        assert_eq!(self.fates.insert(scope, fate), Some(Fate::Open), "scope {scope} ended twice");
        self.own.retain(|_, own| *own != scope);
    }
}

impl Scopes for FakeKernel {
    type Scope = FakeScope;
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
}
