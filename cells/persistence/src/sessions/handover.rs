//! The table of open transactions, as one instance of the server leaves it and the next one takes it over.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use object_store::{BadHandover, Oid, Record, StorageError, Store, Tid, TransactionId};

use super::details::Savepoint;
use super::requests::RequestId;
use super::{Failure, Left, Limits, Open, Scopes, Sessions};
use crate::backing::Backing;
use crate::handover::{Extent, Ground, Handover, Mark, OpenPart, Table, Tail, WatchPart, begin_part};

/// How many ends and changes were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    ended: u64,
    changes: u64,
    recent: u64,
    /// Requests that were carried out since.
    requests: Vec<(RequestId, Tid)>,
}

/// What a server that goes on has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Transactions that are open still.
    pub open: usize,
    /// Transactions whose commits are in the log, and were not answered.
    pub committed: Vec<(TransactionId, Tid)>,
    /// Transactions that were ended otherwise, and not answered.
    pub aborted: Vec<TransactionId>,
}

impl<S: Backing, K: Scopes> Sessions<S, K> {
    /// Appends everything that is known here and not in the log.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn export(&mut self, ground: &Ground, output: &mut Vec<u8>) -> Result<(), StorageError> {
        let known = Some(self.requests.clone());
        let tail = Tail { known, ..self.tail(&Told::default()) };
        begin_part(Extent::Whole, ground, &self.table(), &tail, output)?;
        self.store.export(output)?;
        self.note_told();
        Ok(())
    }

    /// Appends what has changed since the last time.
    ///
    /// # Errors
    /// `OutOfMemory`; then the whole has to come next.
    pub fn export_changes(&mut self, ground: &Ground, output: &mut Vec<u8>) -> Result<(), StorageError> {
        let told = self.told.clone().unwrap_or_default();
        let tail = Tail { requests: told.requests.clone(), ..self.tail(&told) };
        begin_part(Extent::Since, ground, &self.table(), &tail, output)?;
        self.store.export_changes(output)?;
        self.note_told();
        Ok(())
    }

    /// Whether this instance is on trial.
    pub fn is_on_trial(&self) -> bool {
        self.told.is_some()
    }

    /// This instance is on trial: what changes from now on will be asked for before each reply.
    pub fn begin_trial(&mut self) {
        self.store.record();
        self.told = Some(Told::default());
        self.note_told();
    }

    /// It is not any more.
    pub fn end_trial(&mut self) {
        self.store.stop_recording();
        self.told = None;
    }

    /// Lets a commit say in the log whose it is, while the instance is on trial.
    pub(super) fn mark(&mut self, id: TransactionId) -> Result<(), Failure> {
        if self.told.is_some() {
            self.store.describe(id, |metadata| {
                if Mark::find(&metadata.extension).is_none() {
                    metadata.extension.extend(Mark(id).to_bytes());
                }
            })?;
        }
        Ok(())
    }

    /// A request was carried out.
    pub(super) fn note_request(&mut self, request: RequestId, tid: Tid) {
        self.requests.note(request, tid);
        if let Some(told) = &mut self.told {
            told.requests.push((request, tid));
        }
    }

    /// Goes on where another instance has stopped, over the log that it has left; on trial.
    ///
    /// What that instance did for requests that it did not answer is made out: a transaction whose scope does not stand for it
    /// any more has ended, and one whose mark is in the log was committed.
    ///
    /// # Errors
    /// `BadHandover`: the log is not the one that was left.
    pub fn resume(
        store: Store<S>,
        scopes: K,
        limits: Limits,
        handover: Handover,
        left: &mut impl Left<K>,
    ) -> Result<(Self, Resumed), BadHandover> {
        let Handover { ground, table, tail, volatile } = handover;
        let mut sessions = Self::knowing(store, scopes, limits, tail.known.clone().ok_or(BadHandover)?);
        if sessions.last() < ground.last {
            return Err(BadHandover);
        }
        sessions.store.resume(volatile)?;
        sessions.commits = table.commits;
        sessions.know(&table, tail);
        let resumed = sessions.take_over(ground.last, table, left)?;
        sessions.begin_trial();
        Ok((sessions, resumed))
    }

    /// Knows what another instance has known of the past.
    fn know(&mut self, table: &Table, tail: Tail) {
        tail.requests.into_iter().for_each(|(request, tid)| self.requests.note(request, tid));
        tail.ended.into_iter().for_each(|(id, committed)| self.outcomes.note(id, committed));
        tail.changes.into_iter().for_each(|(tid, oid)| self.watches.note(tid, &BTreeSet::from([oid])));
        self.watches.know_from(table.known_from);
        self.recent.go_on(table.recent_from, tail.recent);
    }

    /// Takes the transactions over, and the watches.
    fn take_over(&mut self, last: Tid, table: Table, left: &mut impl Left<K>) -> Result<Resumed, BadHandover> {
        for WatchPart { client, oid, signal } in table.watches {
            // One that was replaced unanswered is gone: its client asks again.
            if let Some(signal) = left.signal(signal)
                && let Err(refused) | Ok(Some(refused)) = self.watches.add(client, oid, signal)
            {
                self.scopes.forget(refused);
            }
        }
        table.idle.into_iter().filter_map(|place| left.scope(place)).for_each(|scope| self.reuse(scope));
        let mut over: BTreeMap<TransactionId, Open<K::Scope>> = BTreeMap::new();
        let mut lost = Vec::new();
        for part in table.open {
            let Some(scope) = left.scope(part.scope) else {
                lost.push((part.id, part.in_doubt));
                continue;
            };
            let (identity, stands_for) = (part.identity, self.scopes.stands_for(&scope));
            let open = self.open_again(part, scope);
            match stands_for == identity {
                true => {
                    self.staged += open.staged_bytes();
                    self.open.insert(identity, open);
                }
                false => drop(over.insert(open.id, open)),
            }
        }
        let committed = self.commits_after(last, &mut over).map_err(|_| BadHandover)?;
        let mut resumed = Resumed { open: 0, committed, aborted: self.abort_unfinished() };
        resumed.open = self.open.len();
        for open in over.into_values() {
            lost.push((open.id, open.in_doubt));
            self.reuse(open.scope);
        }
        for (id, in_doubt) in lost {
            self.note_end_of(id, in_doubt);
            resumed.aborted.push(id);
        }
        // Somebody may wait to hear of what was not told any more.
        if !(resumed.committed.is_empty() && resumed.aborted.is_empty()) {
            self.tell_watchers();
        }
        Ok(resumed)
    }

    fn table(&self) -> Table {
        let part = |(identity, open): (&u64, &Open<K::Scope>)| OpenPart {
            identity: *identity,
            scope: K::place(&open.scope),
            id: open.id,
            beginner: open.beginner,
            doomed: open.doomed,
            in_doubt: open.in_doubt,
            watched: open.watched.iter().copied().collect(),
            by_others: open.by_others.iter().copied().collect(),
        };
        let watch = |(client, oid, signal)| WatchPart { client, oid, signal: K::place_of_signal(signal) };
        Table {
            open: self.open.iter().map(part).collect(),
            idle: self.scopes.idle(),
            watches: self.watches.all().map(watch).collect(),
            known_from: self.watches.known_from(),
            recent_from: self.recent.known_from(),
            commits: self.commits,
        }
    }

    /// What has been added.
    fn tail(&self, told: &Told) -> Tail {
        let (ended, changes) = (self.outcomes.after(told.ended), self.watches.changes_after(told.changes));
        let recent = self.recent.after(told.recent);
        let (ended, changes, recent) = (ended.collect(), changes.collect(), recent.collect());
        Tail { ended, changes, recent, ..Tail::default() }
    }

    fn note_told(&mut self) {
        if let Some(told) = &mut self.told {
            let (ended, changes) = (self.outcomes.count(), self.watches.count_changes());
            *told = Told { ended, changes, recent: self.recent.count(), requests: Vec::new() };
        }
    }

    /// A scope that stands for no transaction that is known: for the next one.
    fn reuse(&mut self, scope: K::Scope) {
        // Its thread began one and was not answered.
        if self.scopes.stands_for(&scope) != 0 {
            self.scopes.abort(scope);
        } else {
            self.scopes.keep(scope);
        }
    }

    /// What is kept of an open transaction beside what the store has of it.
    fn open_again(&mut self, part: OpenPart, scope: K::Scope) -> Open<K::Scope> {
        let OpenPart { id, beginner, doomed, in_doubt, watched, by_others, .. } = part;
        let watched = watched.into_iter().collect();
        let created = self.store.creations(id).collect();
        let bytes = |(oid, record): (Oid, &Record)| (oid, record.encoded_length());
        let staged = self.store.puts(id).map(bytes).collect();
        let by_others = by_others.into_iter().collect();
        let savepoint = |savepoint| {
            let (puts, created) = self.store.at_savepoint(id, savepoint)?;
            Some(Savepoint { id: savepoint, created, staged: puts.into_iter().map(bytes).collect() })
        };
        let savepoints = self.store.savepoints(id).filter_map(savepoint).collect();
        let request = self.store.metadata(id).and_then(|metadata| RequestId::decode(&metadata.extension));
        Open {
            id,
            scope,
            beginner,
            doomed,
            commits: false,
            in_doubt,
            created,
            staged,
            by_others,
            watched,
            savepoints,
            request,
        }
    }

    /// Takes those out of the open transactions, and of those that are over, whose marks are in the log behind a commit.
    fn commits_after(
        &mut self,
        last: Tid,
        over: &mut BTreeMap<TransactionId, Open<K::Scope>>,
    ) -> Result<Vec<(TransactionId, Tid)>, StorageError> {
        let mut committed = Vec::new();
        let mut after = last;
        while let Some(info) = self.store.storage_mut().transaction_after(after)? {
            after = info.tid;
            // Whoever keeps states of these objects does not know that they are stale.
            self.recent.note(
                info.tid,
                0,
                core::iter::empty(),
                &info.changes.iter().map(|change| change.oid).collect::<Vec<_>>(),
            );
            if let Some(request) = RequestId::decode(&info.metadata.extension) {
                self.requests.note(request, info.tid);
            }
            let Some(Mark(id)) = Mark::find(&info.metadata.extension) else { continue };
            self.commits += 1;
            let identity = self.open.iter().find(|(_, open)| open.id == id).map(|(identity, _)| *identity);
            if let Some(open) = identity.and_then(|identity| self.take(identity)) {
                // It was flushed, and no more.
                self.scopes.settle(open.scope);
                self.watches.note(info.tid, &open.watched);
            } else if let Some(open) = over.remove(&id) {
                self.reuse(open.scope);
                self.watches.note(info.tid, &open.watched);
            } else {
                continue;
            }
            let _ = self.store.abort(id);
            self.outcomes.note(id, Some(info.tid));
            committed.push((id, info.tid));
        }
        Ok(committed)
    }

    /// Aborts the transactions whose commits were under way and are not in the log: what they had done is not known any more.
    fn abort_unfinished(&mut self) -> Vec<TransactionId> {
        let unfinished = self.open.iter().filter(|(_, open)| self.store.metadata(open.id).is_none());
        let unfinished: Vec<u64> = unfinished.map(|(identity, _)| *identity).collect();
        let taken: Vec<Open<K::Scope>> = unfinished.into_iter().filter_map(|identity| self.take(identity)).collect();
        let abort = |open: Open<K::Scope>| {
            self.scopes.abort(open.scope);
            if !open.in_doubt {
                self.outcomes.note(open.id, None);
            }
            open.id
        };
        taken.into_iter().map(abort).collect()
    }

    /// A transaction was ended, and nothing of it is in the log. Where it had nothing for the log, that tells nothing.
    fn note_end_of(&mut self, id: TransactionId, in_doubt: bool) {
        let was_aborted = self.store.puts(id).next().is_some() || self.store.failure(id).is_some();
        let _ = self.store.abort(id);
        if was_aborted && !in_doubt {
            self.outcomes.note(id, None);
        }
    }
}
