//! The persistence server as the language's store.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use clients::{Graph, GraphError};
use language::{Refused, Store};
use object_model::{Object, Oid, Record};
use runtime::abi::CallError;
use runtime::abi::interfaces::persistence::{CONFLICT, NO_SUCH_OBJECT};

use crate::refusal;

/// The slots of the root that [`GraphStore::users`] does not walk: what hangs on them is large, and composed of nothing.
const NO_USERS_IN: [&str; 2] = ["images", "faults"];
/// The most objects that one search for the users of a trait reads.
const MOST_SEARCHED: usize = 100_000;
/// The most bytes of a program that stand in the log as what its transaction was for.
const PURPOSE_SHOWN: usize = 120;

/// Where objects are kept, with one transaction open at most.
pub trait Objects {
    /// Opens it.
    ///
    /// # Errors
    /// The keeper's.
    fn begin(&mut self) -> Result<(), GraphError>;

    /// Commits it; its number. After an error it is still to be aborted.
    ///
    /// # Errors
    /// The keeper's; a conflict.
    fn commit(&mut self) -> Result<u64, GraphError>;

    /// Gives it up.
    fn abort(&mut self);

    /// Says what it is for.
    ///
    /// # Errors
    /// The keeper's.
    fn note(&mut self, text: &str) -> Result<(), GraphError>;

    /// The number of a new object.
    ///
    /// # Errors
    /// The keeper's.
    fn new_object(&mut self) -> Result<Oid, GraphError>;

    /// The number of the root.
    ///
    /// # Errors
    /// The keeper's.
    fn root(&mut self) -> Result<Oid, GraphError>;

    /// An object's record, as the transaction sees it.
    ///
    /// # Errors
    /// The keeper's; there is no such object.
    fn record(&mut self, oid: Oid) -> Result<Record, GraphError>;

    /// Keeps a record.
    ///
    /// # Errors
    /// The keeper's.
    fn put(&mut self, oid: Oid, record: &Record) -> Result<(), GraphError>;

    /// The numbers of the last transactions that were committed, the newest first: all of them, or some of the newest.
    ///
    /// # Errors
    /// The keeper's.
    fn newest(&mut self) -> Result<Vec<u64>, GraphError>;
}

impl Objects for Graph {
    fn begin(&mut self) -> Result<(), GraphError> {
        Graph::begin(self).map(drop)
    }

    fn commit(&mut self) -> Result<u64, GraphError> {
        Graph::commit(self).map(|tid| tid.number())
    }

    fn abort(&mut self) {
        // There is nothing to be done where it fails: the transaction ends with the thread at the latest.
        let _ = Graph::abort(self);
    }

    fn note(&mut self, text: &str) -> Result<(), GraphError> {
        Graph::note(self, text)
    }

    fn new_object(&mut self) -> Result<Oid, GraphError> {
        Graph::new_object(self)
    }

    fn root(&mut self) -> Result<Oid, GraphError> {
        Graph::root(self)
    }

    fn record(&mut self, oid: Oid) -> Result<Record, GraphError> {
        self.get(oid)
    }

    fn put(&mut self, oid: Oid, record: &Record) -> Result<(), GraphError> {
        Graph::put(self, oid, record)
    }

    fn newest(&mut self) -> Result<Vec<u64>, GraphError> {
        self.newest_transactions()
    }
}

/// A store for one session.
#[derive(Debug)]
pub struct GraphStore<O> {
    objects: O,
    /// What the running program is, for the log.
    purpose: String,
    /// Whether something was stored in the open transaction.
    has_written: bool,
    /// Every object that the session may have in memory.
    known: BTreeSet<Oid>,
    /// Up to this transaction, what is in memory is as it was committed.
    seen: u64,
    /// The session's own transactions after that.
    own: BTreeSet<u64>,
    /// What to read anew.
    changed: Vec<Oid>,
}

impl<O: Objects> GraphStore<O> {
    /// A store over what keeps objects.
    pub fn new(objects: O) -> Self {
        GraphStore {
            objects,
            purpose: String::new(),
            has_written: false,
            known: BTreeSet::new(),
            seen: 0,
            own: BTreeSet::new(),
            changed: Vec::new(),
        }
    }

    /// What keeps the objects. Whoever writes there behind the session's back does so in transactions of its own.
    pub fn objects(&mut self) -> &mut O {
        &mut self.objects
    }

    /// What the transactions from here on are for: noted with those that write something, shortened, in one line.
    pub fn set_purpose(&mut self, text: &str) {
        self.purpose = one_line(text);
    }

    /// Whether others may have committed after what is in memory. `true` where it is not known.
    fn is_behind(&mut self) -> bool {
        match self.objects.newest() {
            Ok(newest) => {
                let reaches = newest.iter().any(|tid| *tid <= self.seen);
                let foreign = newest.iter().any(|tid| *tid > self.seen && !self.own.contains(tid));
                foreign || !reaches
            }
            Err(_) => true,
        }
    }
}

/// A text without the ends of its lines, cut where it is long.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + word.len() > PURPOSE_SHOWN {
            line.push_str(" ...");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

impl<O: Objects> Store for GraphStore<O> {
    fn begin(&mut self) -> Result<(), Refused> {
        // The snapshot lies between the two questions. What the first one names is in it; what only the second one names may
        // not be, and is asked about again.
        let before = self.objects.newest().ok().and_then(|newest| newest.first().copied());
        self.objects.begin().map_err(|error| refused(error, Oid::ROOT))?;
        self.has_written = false;
        if self.is_behind() {
            self.changed = self.known.iter().copied().collect();
        }
        if let Some(before) = before.filter(|before| *before >= self.seen) {
            self.seen = before;
            self.own.retain(|tid| *tid > before);
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<u64, Refused> {
        if self.has_written && !self.purpose.is_empty() {
            // A transaction without a description is as good.
            let _ = self.objects.note(&self.purpose);
        }
        match self.objects.commit() {
            Ok(tid) => {
                self.own.insert(tid);
                Ok(tid)
            }
            Err(error) => {
                self.objects.abort();
                Err(refused(error, Oid::ROOT))
            }
        }
    }

    fn abort(&mut self) {
        self.objects.abort();
    }

    fn note(&mut self, text: &str) -> Result<(), Refused> {
        // What the program says of itself stands in place of its text.
        self.purpose.clear();
        self.objects.note(text).map_err(|error| refused(error, Oid::ROOT))
    }

    fn new_oid(&mut self) -> Result<Oid, Refused> {
        self.objects.new_object().map_err(|error| refused(error, Oid::ROOT))
    }

    fn load(&mut self, oid: Oid) -> Result<Object, Refused> {
        self.known.insert(oid);
        let record = self.objects.record(oid).map_err(|error| refused(error, oid))?;
        Object::from_record(&record).map_err(|why| Refused::BadObject(oid, why))
    }

    fn store(&mut self, oid: Oid, object: &Object) -> Result<(), Refused> {
        self.known.insert(oid);
        self.has_written = true;
        let record = object.to_record().map_err(|why| Refused::BadObject(oid, why))?;
        self.objects.put(oid, &record).map_err(|error| refused(error, oid))
    }

    /// Walks what hangs on the root, since the store keeps no table of who is composed of what.
    fn users(&mut self, of: Oid) -> Result<Vec<Oid>, Refused> {
        let root = self.objects.root().map_err(|error| refused(error, Oid::ROOT))?;
        let mut met: BTreeSet<Oid> = BTreeSet::from([root]);
        let top = self.load(root)?;
        met.extend(NO_USERS_IN.iter().filter_map(|name| top.reference(name)));
        let mut waiting = alloc::vec![root];
        let mut users = Vec::new();
        while let Some(oid) = waiting.pop() {
            let record = match self.objects.record(oid) {
                Ok(record) => record,
                // A reference to nothing leads to no user.
                Err(GraphError::Call(CallError::Server(NO_SUCH_OBJECT, _)) | GraphError::TooLarge(_)) => continue,
                Err(error) => return Err(refused(error, oid)),
            };
            // What is no object is composed of nothing; what it refers to may be.
            if let Ok(object) = Object::from_record(&record)
                && object.composition().is_some_and(|one| one.traits().any(|used| used == of))
            {
                users.push(oid);
            }
            waiting.extend(record.references.iter().copied().filter(|next| met.insert(*next)));
            if met.len() > MOST_SEARCHED {
                return Err(Refused::Other("there are too many objects to look for the users of a trait".into()));
            }
        }
        Ok(users)
    }

    fn changed(&mut self) -> Vec<Oid> {
        core::mem::take(&mut self.changed)
    }
}

/// What a failure of the graph is to a program; `oid` is what was asked for.
pub(crate) fn refused(error: GraphError, oid: Oid) -> Refused {
    match error {
        GraphError::Call(CallError::Server(CONFLICT, oid)) => Refused::Conflict(Oid::new(oid)),
        GraphError::Call(CallError::Server(NO_SUCH_OBJECT, oid)) => Refused::NoObject(Oid::new(oid)),
        GraphError::Call(error) => Refused::Other(refusal::words("persistence", error)),
        GraphError::Record => Refused::BadObject(oid, object_model::BadObject::Malformed),
        GraphError::TooLarge(bytes) => {
            Refused::Other(alloc::format!("a record of {bytes} bytes is longer than this cell reads"))
        }
    }
}

#[cfg(test)]
mod tests;
