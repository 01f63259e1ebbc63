//! Which transaction a request belongs to, who may end it, and what becomes of it.
//!
//! The identity of a transaction is the kernel's scope that travels with a request. Invariants:
//!
//! * a scope belongs to one open transaction of the store, and the other way round, from begin to commit or abort;
//! * only the thread that began a transaction ends it; the abort of one that joined dooms it: nothing of it can be
//!   committed any more, and its beginner has to abort it;
//! * a scope is settled only after the store has committed, and aborted only after the store has given its changes up;
//! * open transactions take no more memory for their changes than the limit.
//!
//! # Transactions that lost their beginner
//! The kernel signals that a beginner has died, and answers for each scope whether its beginner lives: those without one are
//! aborted at once ([`Sessions::beginner_died`]). A commit that was asked for before its beginner died is carried out; where it
//! fails, the transaction is aborted. What became of a transaction is told by [`Sessions::outcome`].

mod committing;
mod details;
mod failure;
mod handover;
mod kernel;
mod maintenance;
mod past;
pub mod recent;
pub mod requests;

pub use committing::{CommitEnded, Groups};
pub use failure::Failure;
pub use handover::Resumed;
pub use kernel::{Attached, Left, Scopes};
pub use maintenance::{Maintenance, Packed, Verifying};
pub use past::Revision;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use object_store::{Load, Metadata, Oid, Record, Store, Tid, TransactionId, TransactionInfo};
use runtime::abi::interfaces::persistence::FIRST_OID;

use committing::Committing;
use details::Savepoint;
use recent::Recent;
use requests::{RequestId, Requests};

use crate::backing::Backing;
use crate::outcomes::{Outcome, Outcomes};
use crate::watches::{self, Lost, Watches};

/// Who sent a request, as the kernel attests it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The thread.
    pub thread: u64,
    /// The scope that travels with the request, 0 for none.
    pub scope: u64,
    /// The badge of its capability.
    pub badge: u64,
}

/// How much may be open at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Transactions.
    pub transactions: usize,
    /// Bytes of encoded records that wait for their commits.
    pub staged_bytes: usize,
}

/// A begin that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// A new transaction.
    New(TransactionId),
    /// The one that travels with the request.
    Joined(TransactionId),
}

impl Begun {
    /// The transaction.
    #[must_use]
    pub fn transaction(self) -> TransactionId {
        match self {
            Self::New(id) | Self::Joined(id) => id,
        }
    }
}

/// A commit that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The transaction that it was.
    pub transaction: TransactionId,
    /// Its number; where it changed nothing, the number of its snapshot.
    pub tid: Tid,
    /// How many objects it wrote.
    pub objects: usize,
}

/// An abort that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aborted {
    /// It is over.
    Ended(TransactionId),
    /// It is doomed, and its beginner has yet to end it.
    Doomed(TransactionId),
}

/// An open transaction.
#[derive(Debug)]
struct Open<S> {
    id: TransactionId,
    scope: S,
    beginner: u64,
    doomed: bool,
    /// Its commit was asked for: it takes nothing any more.
    commits: bool,
    /// The device failed in its commit: nobody knows whether it is durable.
    in_doubt: bool,
    created: BTreeSet<Oid>,
    /// Encoded bytes of what it has stored.
    staged: BTreeMap<Oid, usize>,
    /// What of it others than its beginner have put, whose own cache has another state.
    by_others: BTreeSet<Oid>,
    /// What of it somebody watches.
    watched: BTreeSet<Oid>,
    savepoints: Vec<Savepoint>,
    /// The request of a client that it carries out.
    request: Option<RequestId>,
}

impl<S> Open<S> {
    fn staged_bytes(&self) -> usize {
        self.staged.values().sum()
    }
}

/// What a client is called where nobody says: a process by its OID, which is its badge, a service by its badge.
fn client(badge: u64) -> String {
    match badge {
        FIRST_OID.. => format!("process {}", Oid::new(badge)),
        _ => format!("client {badge}"),
    }
}

/// The open transactions over a store.
pub struct Sessions<S, K: Scopes> {
    store: Store<S>,
    scopes: K,
    open: BTreeMap<u64, Open<K::Scope>>,
    outcomes: Outcomes,
    watches: Watches<K::Signal>,
    limits: Limits,
    staged: usize,
    recent: Recent,
    requests: Requests,
    maintenance: Maintenance,
    commits: u64,
    committing: Committing,
    /// Commits that have ended while something else was asked for.
    ended: Vec<CommitEnded>,
    /// What was told of ends and changes, while this instance is on trial.
    told: Option<handover::Told>,
}

impl<S, K: Scopes> core::fmt::Debug for Sessions<S, K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Sessions({} open, {} bytes staged)", self.open.len(), self.staged)
    }
}

impl<S: Backing, K: Scopes> Sessions<S, K> {
    /// Over a store without open transactions.
    pub fn new(mut store: Store<S>, scopes: K, limits: Limits) -> Self {
        let requests = Requests::find(store.storage_mut());
        Self::knowing(store, scopes, limits, requests)
    }

    /// The same, where the requests that were carried out are known.
    fn knowing(store: Store<S>, scopes: K, limits: Limits, requests: Requests) -> Self {
        let last = store.storage().last_transaction();
        Sessions {
            store,
            scopes,
            open: BTreeMap::new(),
            outcomes: Outcomes::default(),
            watches: Watches::new(last),
            limits,
            staged: 0,
            recent: Recent::new(last),
            requests,
            maintenance: Maintenance::default(),
            commits: 0,
            committing: Committing::default(),
            ended: Vec::new(),
            told: None,
        }
    }

    /// The store beneath.
    pub fn store(&self) -> &Store<S> {
        &self.store
    }

    /// What another instance finds when this one is gone.
    #[cfg(test)]
    pub(crate) fn into_remains(self) -> (S, K) {
        (self.store.into_storage(), self.scopes)
    }

    /// The store again; open transactions are over.
    pub fn into_store(self) -> Store<S> {
        self.store
    }

    /// What stands for the kernel.
    pub fn scopes(&self) -> &K {
        &self.scopes
    }

    /// The same, to change.
    pub fn scopes_mut(&mut self) -> &mut K {
        &mut self.scopes
    }

    /// Transactions that were committed since this server began, without those that changed nothing.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// How many transactions are open.
    pub fn open_transactions(&self) -> usize {
        self.open.len()
    }

    /// Bytes that open transactions may still stage.
    pub fn room(&self) -> usize {
        self.limits.staged_bytes.saturating_sub(self.staged)
    }

    /// How many watches are kept.
    pub fn watches(&self) -> usize {
        self.watches.count()
    }

    /// Begins a transaction of the sending thread, or joins the one that travels with the request.
    ///
    /// # Errors
    /// `NoTransaction` where the scope that travels is none of this server's; `Committing`, `TooManyTransactions`, `Scope`, `Store`.
    pub fn begin(&mut self, sender: Sender, caller: K::Caller) -> Result<Begun, Failure> {
        if sender.scope != 0 {
            return self.joined(sender).map(|open| Begun::Joined(open.id));
        }
        if self.open.len() >= self.limits.transactions {
            return Err(Failure::TooManyTransactions(self.limits.transactions));
        }
        let id = self.store.begin(Metadata::new(&client(sender.badge), ""))?;
        let Attached { identity, scope } = match self.scopes.attach(caller) {
            Ok(attached) => attached,
            Err(error) => {
                self.store.abort(id)?;
                return Err(Failure::Scope(error));
            }
        };
        let open = Open {
            id,
            scope,
            beginner: sender.thread,
            doomed: false,
            commits: false,
            in_doubt: false,
            created: BTreeSet::new(),
            staged: BTreeMap::new(),
            by_others: BTreeSet::new(),
            watched: BTreeSet::new(),
            savepoints: Vec::new(),
            request: None,
        };
        if self.open.insert(identity, open).is_some() {
            runtime::bug!("scope {identity} was given twice");
        }
        Ok(Begun::New(id))
    }

    /// Aborts the sender's transaction, or dooms the one that it joined.
    ///
    /// # Errors
    /// `NoTransaction`.
    pub fn abort(&mut self, sender: Sender) -> Result<Aborted, Failure> {
        let open = self.joined(sender)?;
        if open.beginner != sender.thread {
            open.doomed = true;
            return Ok(Aborted::Doomed(open.id));
        }
        let Some(open) = self.take(sender.scope) else { runtime::bug!("a transaction was lost in its abort") };
        Ok(Aborted::Ended(self.give_up(open)))
    }

    /// An object's state in the sender's snapshot, with the transaction's own changes; without a transaction, as it was
    /// last committed.
    ///
    /// # Errors
    /// `NoTransaction` where the one that travels with the request is over, `Store`.
    pub fn get(&mut self, sender: Sender, oid: Oid) -> Result<Arc<Record>, Failure> {
        if sender.scope == 0 {
            return Ok(self.store.get_before(oid, Tid::MAX)?);
        }
        let id = self.joined(sender)?.id;
        Ok(self.store.get(id, oid)?)
    }

    /// The transaction that wrote the newest committed state of an object.
    ///
    /// # Errors
    /// `Store`.
    pub fn revision(&mut self, oid: Oid) -> Result<Tid, Failure> {
        Ok(self.store.newest_revision(oid)?)
    }

    /// Stores a record, of so many bytes as it came, in the sender's transaction.
    ///
    /// # Errors
    /// `NoTransaction`, `Doomed`, `TooMuchStaged`, `Store`.
    pub fn put(&mut self, sender: Sender, oid: Oid, record: Record, bytes: usize) -> Result<(), Failure> {
        let room = self.room();
        let open = self.joined(sender)?;
        if open.doomed {
            return Err(Failure::Doomed);
        }
        let before = open.staged.get(&oid).copied().unwrap_or(0);
        let room = room + before;
        if bytes > room {
            return Err(Failure::TooMuchStaged(room));
        }
        let id = open.id;
        let is_watched = self.watches.concern(oid, &record.references);
        self.store.put(id, oid, record)?;
        let open = self.joined(sender)?;
        open.staged.insert(oid, bytes);
        match open.beginner == sender.thread {
            true => drop(open.by_others.remove(&oid)),
            false => drop(open.by_others.insert(oid)),
        }
        if is_watched {
            open.watched.insert(oid);
        }
        self.staged = self.staged - before + bytes;
        Ok(())
    }

    /// A new object's number.
    ///
    /// # Errors
    /// `NoTransaction`, `Doomed`, `Store`.
    pub fn new_object(&mut self, sender: Sender) -> Result<Oid, Failure> {
        let open = self.joined(sender)?;
        if open.doomed {
            return Err(Failure::Doomed);
        }
        let id = open.id;
        let oid = self.append(|sessions| Ok(sessions.store.new_oid(id)?))?;
        self.joined(sender)?.created.insert(oid);
        Ok(oid)
    }

    /// Adds a line to the transaction's description.
    ///
    /// # Errors
    /// `NoTransaction`, `Doomed`, `Store`.
    pub fn note(&mut self, sender: Sender, text: &str) -> Result<(), Failure> {
        let open = self.joined(sender)?;
        if open.doomed {
            return Err(Failure::Doomed);
        }
        let id = open.id;
        Ok(self.store.note(id, text)?)
    }

    /// Committed transactions before a number, newest first, for as long as `fits` says so.
    ///
    /// # Errors
    /// `Store`, where the first cannot be read: what is readable before a damaged one is answered.
    pub fn transactions(
        &mut self,
        before: Tid,
        mut fits: impl FnMut(&TransactionInfo) -> bool,
    ) -> Result<Vec<TransactionInfo>, Failure> {
        let mut found: Vec<TransactionInfo> = Vec::new();
        let mut before = before;
        loop {
            match self.store.storage_mut().transaction_before(before) {
                Ok(Some(info)) if fits(&info) => {
                    before = info.tid;
                    found.push(info);
                }
                Ok(_) => return Ok(found),
                Err(error) if found.is_empty() => return Err(error.into()),
                Err(_) => return Ok(found),
            }
        }
    }

    /// The last transaction.
    pub fn last(&self) -> Tid {
        self.store.storage().last_transaction()
    }

    /// The kernel has told that a transaction lost its beginner: aborts those that did, and answers which.
    pub fn beginner_died(&mut self) -> Vec<TransactionId> {
        let lost = self.open.iter().filter(|(_, open)| !open.commits && !self.scopes.has_beginner(&open.scope));
        let lost: Vec<u64> = lost.map(|(identity, _)| *identity).collect();
        let taken: Vec<Open<K::Scope>> = lost.into_iter().filter_map(|identity| self.take(identity)).collect();
        taken.into_iter().map(|open| self.give_up(open)).collect()
    }

    /// What became of a transaction.
    pub fn outcome(&self, id: TransactionId) -> Outcome {
        match self.open.values().find(|open| open.id == id) {
            Some(Open { in_doubt: true, .. }) => Outcome::Unknown,
            Some(_) => Outcome::Open,
            None => self.outcomes.of(id),
        }
    }

    /// Signals a client from now on when a transaction ends that wrote an object, or one that refers to it. Answers the last
    /// commit: [`Sessions::changes`] tells what changed after it. A client has one watch of an object.
    ///
    /// # Errors
    /// `TooManyWatches`, `Store` where there is no such object, committed or made by an open transaction; the root may be watched
    /// before there is one.
    pub fn watch(&mut self, sender: Sender, oid: Oid, signal: K::Signal) -> Result<Tid, Failure> {
        let is_made = oid == Oid::ROOT || self.open.values().any(|open| open.created.contains(&oid));
        if !is_made && let Err(failure) = self.revision(oid) {
            self.scopes.forget(signal);
            return Err(failure);
        }
        // What nobody listens to any more makes room.
        if self.watches.count() >= watches::MOST {
            self.tell_watchers();
        }
        match self.watches.add(sender.badge, oid, signal) {
            Ok(None) => {}
            Ok(Some(replaced)) => self.scopes.forget(replaced),
            Err(refused) => {
                self.scopes.forget(refused);
                return Err(Failure::TooManyWatches(watches::MOST));
            }
        }
        // What open transactions have stored was not looked at with this watch in mind.
        for open in self.open.values_mut() {
            for stored in open.staged.keys() {
                if let Ok(record) = self.store.get(open.id, *stored)
                    && self.watches.concern(*stored, &record.references)
                {
                    open.watched.insert(*stored);
                }
            }
        }
        Ok(self.last())
    }

    /// Which objects that are watched, or refer to one that is, have changed after a commit; `most` at most. Answers the
    /// commit up to which that is.
    ///
    /// # Errors
    /// `ChangesLost`.
    pub fn changes(&self, since: Tid, most: usize) -> Result<(Tid, Vec<Oid>), Failure> {
        let last = self.last();
        self.watches.since(since, most, last).map_err(|Lost| Failure::ChangesLost(last))
    }

    fn tell_watchers(&mut self) {
        for gone in self.watches.tell(|signal| self.scopes.signal(signal)) {
            self.scopes.forget(gone);
        }
    }

    /// Whether what a transaction made of an object, or what was there before, concerns anybody.
    fn concerns_watchers(&mut self, oid: Oid, tid: Tid) -> bool {
        if self.watches.count() == 0 {
            return false;
        }
        [tid.after(), tid].into_iter().any(|before| {
            let references = match self.store.storage_mut().load_before(oid, before) {
                Ok(Load::Data { record, .. }) => record.references,
                Ok(Load::DeletedAt(_) | Load::NotYet(_) | Load::NeverExisted) | Err(_) => Vec::new(),
            };
            self.watches.concern(oid, &references)
        })
    }

    /// The transaction that travels with a request.
    fn joined(&mut self, sender: Sender) -> Result<&mut Open<K::Scope>, Failure> {
        match self.open.get_mut(&sender.scope) {
            Some(Open { commits: true, .. }) => Err(Failure::Committing),
            open => open.ok_or(Failure::NoTransaction),
        }
    }

    /// Takes a transaction off the table.
    fn take(&mut self, identity: u64) -> Option<Open<K::Scope>> {
        let open = self.open.remove(&identity)?;
        self.staged -= open.staged_bytes();
        Some(open)
    }

    /// Ends a transaction that was taken off the table, without its changes.
    fn give_up(&mut self, open: Open<K::Scope>) -> TransactionId {
        if self.store.abort(open.id).is_err() {
            runtime::bug!("transaction {} is open here and not in the store", open.id.number());
        }
        self.scopes.abort(open.scope);
        if !open.in_doubt {
            self.outcomes.note(open.id, None);
        }
        if !open.watched.is_empty() {
            self.tell_watchers();
        }
        open.id
    }
}
