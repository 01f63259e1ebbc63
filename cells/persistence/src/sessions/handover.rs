//! The table of open transactions, as one instance of the server leaves it and the next one takes it over.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use object_store::{BadHandover, Oid, Storage, StorageError, Tid, TransactionId};

use super::{Failure, Left, Open, Scopes, Sessions};
use crate::handover::{Extent, Ground, Handover, Mark, OpenPart, Table, Tail, WatchPart, begin_part};

/// How many ends and changes were told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    ended: u64,
    changes: u64,
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

impl<S: Storage, K: Scopes> Sessions<S, K> {
    /// Appends everything that is known here and not in the log.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn export(&mut self, ground: &Ground, output: &mut Vec<u8>) -> Result<(), StorageError> {
        begin_part(Extent::Whole, ground, &self.table(), &self.tail(Told::default()), output)?;
        self.store.export(output)?;
        self.note_told();
        Ok(())
    }

    /// Appends what has changed since the last time.
    ///
    /// # Errors
    /// `OutOfMemory`; then the whole has to come next.
    pub fn export_changes(&mut self, ground: &Ground, output: &mut Vec<u8>) -> Result<(), StorageError> {
        let tail = self.tail(self.told.unwrap_or_default());
        begin_part(Extent::Since, ground, &self.table(), &tail, output)?;
        self.store.export_changes(output)?;
        self.note_told();
        Ok(())
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
            self.store.describe(id, |metadata| metadata.extension = Mark(id).to_bytes())?;
        }
        Ok(())
    }

    /// Goes on where another instance has stopped, over the log that it has left. Nothing may be open here yet.
    ///
    /// What that instance did for requests that it did not answer is made out: a transaction whose scope does not stand for it
    /// any more has ended, and one whose mark is in the log was committed.
    ///
    /// # Errors
    /// `BadHandover`: the log is not the one that was left.
    pub fn resume(&mut self, handover: Handover, left: &mut impl Left<K>) -> Result<Resumed, BadHandover> {
        let Handover { ground, table, tail, volatile } = handover;
        if self.last() < ground.last {
            return Err(BadHandover);
        }
        self.store.resume(volatile)?;
        tail.ended.into_iter().for_each(|(id, committed)| self.outcomes.note(id, committed));
        tail.changes.into_iter().for_each(|(tid, oid)| self.watches.note(tid, &BTreeSet::from([oid])));
        self.watches.know_from(table.known_from);
        for WatchPart { client, oid, signal } in table.watches {
            // One that was replaced unanswered is gone: its client asks again.
            if let Some(signal) = left.signal(signal)
                && let Err(refused) | Ok(Some(refused)) = self.watches.add(client, oid, signal)
            {
                self.scopes.forget(refused);
            }
        }
        table.idle.into_iter().filter_map(|place| left.scope(place)).for_each(|scope| self.take_over(scope));
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
        let committed = self.commits_after(ground.last, &mut over).map_err(|_| BadHandover)?;
        let mut resumed = Resumed { open: self.open.len(), committed, aborted: Vec::new() };
        for open in over.into_values() {
            lost.push((open.id, open.in_doubt));
            self.take_over(open.scope);
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
        };
        let watch = |(client, oid, signal)| WatchPart { client, oid, signal: K::place_of_signal(signal) };
        Table {
            open: self.open.iter().map(part).collect(),
            idle: self.scopes.idle(),
            watches: self.watches.all().map(watch).collect(),
            known_from: self.watches.known_from(),
        }
    }

    fn tail(&self, told: Told) -> Tail {
        let (ended, changes) = (self.outcomes.after(told.ended), self.watches.changes_after(told.changes));
        Tail { ended: ended.collect(), changes: changes.collect() }
    }

    fn note_told(&mut self) {
        if let Some(told) = &mut self.told {
            *told = Told { ended: self.outcomes.count(), changes: self.watches.count_changes() };
        }
    }

    /// A scope that stands for no transaction that is known: for the next one.
    fn take_over(&mut self, scope: K::Scope) {
        // Its thread began one and was not answered.
        if self.scopes.stands_for(&scope) != 0 {
            self.scopes.abort(scope);
        } else {
            self.scopes.keep(scope);
        }
    }

    /// What is kept of an open transaction beside what the store has of it.
    fn open_again(&mut self, part: OpenPart, scope: K::Scope) -> Open<K::Scope> {
        let OpenPart { id, beginner, doomed, in_doubt, .. } = part;
        let puts = || self.store.puts(id);
        let watched = puts().filter(|(oid, record)| self.watches.concern(*oid, &record.references));
        let (created, watched) = (self.store.creations(id).collect(), watched.map(|(oid, _)| oid).collect());
        let bytes = |(oid, record): (Oid, &object_store::Record)| Some((oid, record.encoded_length().ok()?));
        let staged = puts().filter_map(bytes).collect();
        Open { id, scope, beginner, doomed, in_doubt, created, staged, watched }
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
            let Some(Mark(id)) = Mark::find(&info.metadata.extension) else { continue };
            let identity = self.open.iter().find(|(_, open)| open.id == id).map(|(identity, _)| *identity);
            if let Some(open) = identity.and_then(|identity| self.take(identity)) {
                // It was flushed, and no more.
                self.scopes.settle(open.scope);
                self.watches.note(info.tid, &open.watched);
            } else if let Some(open) = over.remove(&id) {
                self.take_over(open.scope);
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

    /// A transaction was ended, and nothing of it is in the log. Where it had nothing for the log, that tells nothing.
    fn note_end_of(&mut self, id: TransactionId, in_doubt: bool) {
        let was_aborted = self.store.puts(id).next().is_some() || self.store.failure(id).is_some();
        let _ = self.store.abort(id);
        if was_aborted && !in_doubt {
            self.outcomes.note(id, None);
        }
    }
}
