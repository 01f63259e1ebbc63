//! The language's side: a session over a store in memory, with the objects of the rows committed in it.

use std::time::Instant;

use language::{Argument, Call, Host, Limits, Refused, Reply, Session, Store};
use object_model::{Object, Oid};
use object_store::{MappingStorage, Metadata, TransactionId};

use crate::scripts::OURS;

/// No other cell.
struct Nobody;

impl Host for Nobody {
    fn call(&mut self, _: &Call<'_>) -> Result<Reply, Refused> {
        Ok(Reply::value(Argument::Nil))
    }
}

type Clock = fn() -> u64;

struct Memory {
    store: object_store::Store<MappingStorage<Clock>>,
    open: Option<TransactionId>,
}

fn refused(error: object_store::StoreError) -> Refused {
    Refused::Other(format!("{error:?}"))
}

impl Memory {
    fn id(&self) -> Result<TransactionId, Refused> {
        self.open.ok_or_else(|| Refused::Other("no transaction".into()))
    }
}

impl Store for Memory {
    fn begin(&mut self) -> Result<(), Refused> {
        self.open = Some(self.store.begin(Metadata::default()).map_err(refused)?);
        Ok(())
    }

    fn commit(&mut self) -> Result<u64, Refused> {
        let id = self.id()?;
        self.open = None;
        self.store.commit(id).map(|tid| tid.number()).map_err(refused)
    }

    fn abort(&mut self) {
        if let Some(id) = self.open.take() {
            // There is nothing to be done about an abort that fails.
            let _ = self.store.abort(id);
        }
    }

    fn note(&mut self, _: &str) -> Result<(), Refused> {
        Ok(())
    }

    fn new_oid(&mut self) -> Result<Oid, Refused> {
        let id = self.id()?;
        self.store.new_oid(id).map_err(refused)
    }

    fn load(&mut self, oid: Oid) -> Result<Object, Refused> {
        let id = self.id()?;
        let record = self.store.get(id, oid).map_err(refused)?;
        Object::from_record(&record).map_err(|why| Refused::BadObject(oid, why))
    }

    fn store(&mut self, oid: Oid, object: &Object) -> Result<(), Refused> {
        let id = self.id()?;
        let record = object.to_record().map_err(|why| Refused::BadObject(oid, why))?;
        self.store.put(id, oid, record).map_err(refused)
    }
}

/// A session with the rows' objects.
pub struct Bench {
    session: Session,
    store: Memory,
}

impl Bench {
    /// Makes the objects and commits them.
    pub fn new() -> Self {
        let clock: Clock = || 1;
        let mut store = Memory { store: object_store::Store::new(MappingStorage::new(clock), 1 << 24), open: None };
        let id = store.store.begin(Metadata::default()).expect("an empty store");
        let root = Object::new().data("bench", object_model::Value::Nil).to_record().expect("small");
        store.store.put(id, Oid::ROOT, root).expect("the root");
        store.store.commit(id).expect("the first commit");
        let session = Session::new(Some(Oid::ROOT), Limits { fuel: u64::MAX, ..Limits::default() });
        let mut bench = Self { session, store };
        bench.run(OURS);
        bench
    }

    fn run(&mut self, source: &str) {
        if let Err(error) = self.session.run_source(&mut self.store, &mut Nobody, source) {
            panic!("{source}\n{error}");
        }
    }

    /// How long a source takes, in seconds of processor time where the system tells it, as the scripts count it too.
    pub fn time(&mut self, source: &str) -> f64 {
        let (started, used) = (Instant::now(), processor_time());
        self.run(source);
        match (used, processor_time()) {
            (Some(before), Some(after)) => (after - before) as f64 / 1e9,
            _ => started.elapsed().as_secs_f64(),
        }
    }
}

/// Nanoseconds that this thread has run.
fn processor_time() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
