//! What the kernel does for transactions and their watchers.

use runtime::abi::KernelError;

/// The kernel, or what stands for it.
pub trait Scopes {
    /// The right to end one transaction's scope.
    type Scope;
    /// The right to signal one client.
    type Signal;
    /// Names the request that is being served, and by it the thread that waits for its answer.
    type Caller: Copy;

    /// Gives the waiting thread a scope of its own, which travels with its calls from now on.
    ///
    /// # Errors
    /// The kernel's: the thread has a scope, or there is no memory for one more.
    fn attach(&mut self, caller: Self::Caller) -> Result<Attached<Self::Scope>, KernelError>;

    /// Ends a scope and keeps the kernel objects that were made under it.
    fn settle(&mut self, scope: Self::Scope);

    /// Ends a scope and revokes the kernel objects that were made under it.
    fn abort(&mut self, scope: Self::Scope);

    /// Whether the thread lives that a scope was given to.
    fn has_beginner(&self, scope: &Self::Scope) -> bool;

    /// Signals a client. `false` where there is none any more.
    fn signal(&self, signal: &Self::Signal) -> bool;

    /// Gives the right to signal a client up.
    fn forget(&mut self, signal: Self::Signal);
}

/// A scope that has just been given to a thread.
#[derive(Debug)]
pub struct Attached<S> {
    /// Its number, as requests carry it: unique since boot, never 0.
    pub identity: u64,
    /// The right to end it.
    pub scope: S,
}
