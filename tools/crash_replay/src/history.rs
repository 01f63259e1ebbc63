//! What there is at the end of a log: every transaction in its order, and what each wrote.

use std::collections::BTreeMap;

use accounts::Account;
use object_model::Object;
use object_store::{BlockDevice, Clock, FileStorage, Load, Oid, Record, Storage, StorageError, Tid};

/// A revision of an object: its transaction and its record, `None` where the object ended.
type Revision = (Tid, Option<Record>);

/// All transactions of a store.
#[derive(Clone, Debug)]
pub struct History {
    order: Vec<Tid>,
    revisions: BTreeMap<Oid, Vec<Revision>>,
    changed: BTreeMap<Tid, Vec<Oid>>,
    horizon: Tid,
}

impl History {
    /// Reads a store from its first transaction to its last.
    ///
    /// # Errors
    /// The storage's.
    pub fn of<D: BlockDevice, C: Clock>(storage: &mut FileStorage<D, C>) -> Result<History, StorageError> {
        let (order, revisions, changed) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut history = History { order, revisions, changed, horizon: storage.horizon() };
        let mut after = Tid::ZERO;
        while let Some(info) = storage.transaction_after(after)? {
            after = info.tid;
            history.order.push(info.tid);
            history.changed.insert(info.tid, info.changes.iter().map(|change| change.oid).collect());
            for change in &info.changes {
                let record = match storage.load_revision(change.oid, info.tid)? {
                    Some(Load::Data { record, .. }) => Some(record),
                    Some(Load::DeletedAt(_) | Load::NotYet(_) | Load::NeverExisted) | None => None,
                };
                history.revisions.entry(change.oid).or_default().push((info.tid, record));
            }
        }
        Ok(history)
    }

    /// The transactions, oldest first.
    #[must_use]
    pub fn order(&self) -> &[Tid] {
        &self.order
    }

    /// Of transactions up to this one not everything is left: a pack took it.
    #[must_use]
    pub fn horizon(&self) -> Tid {
        self.horizon
    }

    /// How many transactions there are up to one, itself included; `None` where it is not there.
    #[must_use]
    pub fn place(&self, tid: Tid) -> Option<usize> {
        self.order.binary_search(&tid).ok().map(|place| place + 1)
    }

    /// The last of so many transactions; zero of none.
    #[must_use]
    pub fn last_of(&self, count: usize) -> Tid {
        count.checked_sub(1).and_then(|place| self.order.get(place)).copied().unwrap_or(Tid::ZERO)
    }

    /// All objects that ever were.
    pub fn objects(&self) -> impl Iterator<Item = Oid> {
        self.revisions.keys().copied()
    }

    /// The revision of an object that counts after a transaction.
    #[must_use]
    pub fn at(&self, oid: Oid, last: Tid) -> Option<&(Tid, Option<Record>)> {
        self.revisions.get(&oid)?.iter().rev().find(|(tid, _)| *tid <= last)
    }

    /// The last commit that had been acknowledged when a transaction was written, as far as the transaction itself says.
    #[must_use]
    pub fn acknowledged_before(&self, tid: Tid) -> Option<Tid> {
        let written = self.changed.get(&tid)?.iter().filter_map(|oid| self.at(*oid, tid)?.1.as_ref());
        let accounts = written.filter_map(|record| Account::of(&Object::from_record(record).ok()?));
        accounts.map(|account| account.acknowledged).filter(|known| *known != 0).max().map(Tid::new)
    }
}
