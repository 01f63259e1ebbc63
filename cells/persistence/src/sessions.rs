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
//! The kernel tells that a beginner has died, not whose. Such a transaction can never be committed, since only its
//! beginner may and no thread identity is used twice, so leaving it open is safe; it costs memory and a scope. Every
//! transaction that is open at the signal is therefore suspected until its beginner is heard of again, and a suspect is
//! aborted only when its place is needed: the one that has been silent longest, first. A live client that is hit
//! by this finds [`Failure::NoTransaction`], as after any abort, and begins again.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use object_store::{
    Load, Metadata, Oid, Record, Storage, StorageError, Store, StoreError, Tid, TransactionId, TransactionInfo,
};
use runtime::abi::KernelError;

/// What the kernel does for transactions.
pub trait Scopes {
    /// The right to end one transaction's scope.
    type Scope;
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
}

/// A scope that has just been given to a thread.
#[derive(Debug)]
pub struct Attached<S> {
    /// Its number, as requests carry it: unique since boot, never 0.
    pub identity: u64,
    /// The right to end it.
    pub scope: S,
}

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

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No open transaction travels with the request.
    NoTransaction,
    /// Another thread began the transaction.
    NotTheBeginner,
    /// A server that took part gave the transaction up: it must be aborted.
    Doomed,
    /// As many transactions are open as may be; the number.
    TooManyTransactions(usize),
    /// Open transactions hold too much; bytes that are left.
    TooMuchStaged(usize),
    /// The kernel gave the thread no scope.
    Scope(KernelError),
    /// The store refused.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoTransaction(_) => Self::NoTransaction,
            other => Self::Store(other),
        }
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
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
    created: BTreeSet<Oid>,
    /// Encoded bytes of what it has stored.
    staged: BTreeMap<Oid, usize>,
    /// The count of requests when it was last heard of.
    heard: u64,
    /// A beginner has died since this one's was heard of.
    suspect: bool,
}

impl<S> Open<S> {
    fn staged_bytes(&self) -> usize {
        self.staged.values().sum()
    }
}

/// The open transactions over a store.
pub struct Sessions<S, K: Scopes> {
    store: Store<S>,
    scopes: K,
    open: BTreeMap<u64, Open<K::Scope>>,
    limits: Limits,
    staged: usize,
    requests: u64,
    objects: u64,
}

impl<S, K: Scopes> core::fmt::Debug for Sessions<S, K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Sessions({} open, {} bytes staged)", self.open.len(), self.staged)
    }
}

impl<S: Storage, K: Scopes> Sessions<S, K> {
    /// Over a store without open transactions, which holds so many objects.
    pub fn new(store: Store<S>, scopes: K, limits: Limits, objects: u64) -> Self {
        Sessions { store, scopes, open: BTreeMap::new(), limits, staged: 0, requests: 0, objects }
    }

    /// The store beneath.
    pub fn store(&self) -> &Store<S> {
        &self.store
    }

    /// What stands for the kernel.
    pub fn scopes(&self) -> &K {
        &self.scopes
    }

    /// The same, to change.
    pub fn scopes_mut(&mut self) -> &mut K {
        &mut self.scopes
    }

    /// Objects in the store.
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// How many transactions are open.
    pub fn open_transactions(&self) -> usize {
        self.open.len()
    }

    /// Bytes that open transactions may still stage.
    pub fn room(&self) -> usize {
        self.limits.staged_bytes.saturating_sub(self.staged)
    }

    /// Whether no further transaction can be begun.
    pub fn is_full(&self) -> bool {
        self.open.len() >= self.limits.transactions
    }

    /// Gives up the suspect that has been silent longest, other than the sender's own transaction, and answers which:
    /// for when its place is needed.
    pub fn reclaim(&mut self, sender: Sender) -> Option<TransactionId> {
        let suspects = self.open.iter().filter(|(identity, open)| open.suspect && **identity != sender.scope);
        let silent = suspects.min_by_key(|(_, open)| open.heard).map(|(identity, _)| *identity)?;
        let open = self.take(silent)?;
        let id = open.id;
        self.give_up(open);
        Some(id)
    }

    /// Begins a transaction of the sending thread, or joins the one that travels with the request.
    ///
    /// # Errors
    /// `NoTransaction` where the scope that travels is none of this server's; `TooManyTransactions`, `Scope`, `Store`.
    pub fn begin(&mut self, sender: Sender, caller: K::Caller) -> Result<Begun, Failure> {
        if sender.scope != 0 {
            return self.joined(sender).map(|open| Begun::Joined(open.id));
        }
        if self.is_full() {
            return Err(Failure::TooManyTransactions(self.limits.transactions));
        }
        let id = self.store.begin(Metadata::new(&format!("client {}", sender.badge), ""))?;
        let Attached { identity, scope } = match self.scopes.attach(caller) {
            Ok(attached) => attached,
            Err(error) => {
                self.store.abort(id)?;
                return Err(Failure::Scope(error));
            }
        };
        let heard = self.requests;
        let open = Open {
            id,
            scope,
            beginner: sender.thread,
            doomed: false,
            created: BTreeSet::new(),
            staged: BTreeMap::new(),
            heard,
            suspect: false,
        };
        if self.open.insert(identity, open).is_some() {
            runtime::bug!("scope {identity} was given twice");
        }
        Ok(Begun::New(id))
    }

    /// Commits the sender's transaction. On return it is durable and its scope is settled.
    ///
    /// # Errors
    /// `NotTheBeginner`, `NoTransaction`, `Doomed`, `Store`; the transaction then stays, until it is aborted.
    pub fn commit(&mut self, sender: Sender) -> Result<Committed, Failure> {
        let open = self.joined(sender)?;
        if open.beginner != sender.thread {
            return Err(Failure::NotTheBeginner);
        }
        if open.doomed {
            return Err(Failure::Doomed);
        }
        let id = open.id;
        let new_root = open.staged.contains_key(&Oid::ROOT) && !self.exists(Oid::ROOT)?;
        let tid = self.store.commit(id)?;
        let Some(open) = self.take(sender.scope) else { runtime::bug!("a transaction was lost in its commit") };
        let created = open.staged.keys().filter(|oid| open.created.contains(oid)).count() + usize::from(new_root);
        self.objects += created as u64;
        self.scopes.settle(open.scope);
        Ok(Committed { transaction: id, tid, objects: open.staged.len() })
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
        let id = open.id;
        self.give_up(open);
        Ok(Aborted::Ended(id))
    }

    /// An object's state in the sender's snapshot, with the transaction's own changes; without a transaction, as it was
    /// last committed.
    ///
    /// # Errors
    /// `Store`.
    pub fn get(&mut self, sender: Sender, oid: Oid) -> Result<Arc<Record>, Failure> {
        let record = match self.joined(sender) {
            Ok(open) => {
                let id = open.id;
                self.store.get(id, oid)
            }
            Err(_) => self.store.get_before(oid, Tid::MAX),
        };
        Ok(record?)
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
        self.store.put(id, oid, record)?;
        self.joined(sender)?.staged.insert(oid, bytes);
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
        let oid = self.store.new_oid(id)?;
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

    /// The kernel has told that a transaction lost its beginner: every open one is suspected.
    pub fn beginner_died(&mut self) {
        for open in self.open.values_mut() {
            open.suspect = true;
        }
    }

    /// The transaction that travels with a request.
    fn joined(&mut self, sender: Sender) -> Result<&mut Open<K::Scope>, Failure> {
        self.requests += 1;
        let open = self.open.get_mut(&sender.scope).ok_or(Failure::NoTransaction)?;
        open.heard = self.requests;
        if open.beginner == sender.thread {
            open.suspect = false;
        }
        Ok(open)
    }

    fn exists(&mut self, oid: Oid) -> Result<bool, Failure> {
        let found = self.store.storage_mut().revision_before(oid, Tid::MAX)?;
        Ok(matches!(found, Load::Data { .. }))
    }

    /// Takes a transaction off the table.
    fn take(&mut self, identity: u64) -> Option<Open<K::Scope>> {
        let open = self.open.remove(&identity)?;
        self.staged -= open.staged_bytes();
        Some(open)
    }

    fn give_up(&mut self, open: Open<K::Scope>) {
        if self.store.abort(open.id).is_err() {
            runtime::bug!("transaction {} is open here and not in the store", open.id.number());
        }
        self.scopes.abort(open.scope);
    }
}
