//! What the kernel does for transactions and their watchers.

use alloc::vec::Vec;

use runtime::abi::KernelError;

use crate::handover::Place;

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

    /// The number of the transaction that a scope stands for, 0 for none.
    fn stands_for(&self, scope: &Self::Scope) -> u64;

    /// Takes a scope over that stands for no transaction, for the next one.
    fn keep(&mut self, scope: Self::Scope);

    /// Where the scopes are that stand for no transaction.
    fn idle(&self) -> Vec<Place>;

    /// Where a scope is, for the next instance of this server.
    fn place(scope: &Self::Scope) -> Place;

    /// Where the right to signal a client is.
    fn place_of_signal(signal: &Self::Signal) -> Place;
}

/// The capabilities that another instance of this server has left.
pub trait Left<K: Scopes> {
    /// Takes a scope over; `None` where there is none any more.
    fn scope(&mut self, place: Place) -> Option<K::Scope>;

    /// Takes the right to signal a client over; `None` where there is none any more.
    fn signal(&mut self, place: Place) -> Option<K::Signal>;
}

/// A scope that has just been given to a thread.
#[derive(Debug)]
pub struct Attached<S> {
    /// Its number, as requests carry it: unique since boot, never 0.
    pub identity: u64,
    /// The right to end it.
    pub scope: S,
}
