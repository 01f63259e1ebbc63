//! A session over a store in memory, with a host that stands in for other cells.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::cell::RefCell;
use std::rc::Rc;

use language::{Argument, Call, Error, Host, Limits, Outcome, Refused, Reply, Session, Store};
use object_model::{CapabilityKind, Object, Oid, Recipe, Value};
use object_store::{Clock, MappingStorage, Metadata, StoreError, TransactionId};

/// Counts up.
pub struct Ticks(u64);

impl Clock for Ticks {
    fn now(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

pub type Shared = Rc<RefCell<object_store::Store<MappingStorage<Ticks>>>>;

/// One session's view of a store that others use too.
pub struct TestStore {
    pub store: Shared,
    open: Option<TransactionId>,
    /// How often something was stored.
    pub written: u32,
}

fn refused(error: StoreError) -> Refused {
    match error {
        StoreError::Conflict { oid, .. } => Refused::Conflict(oid),
        StoreError::NeverExisted(oid) | StoreError::CreatedLater { oid, .. } | StoreError::Deleted { oid, .. } => {
            Refused::NoObject(oid)
        }
        other => Refused::Other(format!("{other:?}")),
    }
}

impl TestStore {
    fn id(&self) -> Result<TransactionId, Refused> {
        self.open.ok_or_else(|| Refused::Other("no transaction".into()))
    }
}

impl Store for TestStore {
    fn begin(&mut self) -> Result<(), Refused> {
        assert!(self.open.is_none(), "a transaction is open already");
        self.open = Some(self.store.borrow_mut().begin(Metadata::new("test", "")).map_err(refused)?);
        Ok(())
    }

    fn commit(&mut self) -> Result<u64, Refused> {
        let id = self.id()?;
        self.open = None;
        let mut store = self.store.borrow_mut();
        match store.commit(id) {
            Ok(tid) => Ok(tid.number()),
            Err(error) => {
                let _ = store.abort(id);
                Err(refused(error))
            }
        }
    }

    fn abort(&mut self) {
        if let Some(id) = self.open.take() {
            let _ = self.store.borrow_mut().abort(id);
        }
    }

    fn note(&mut self, text: &str) -> Result<(), Refused> {
        self.store.borrow_mut().note(self.id()?, text).map_err(refused)
    }

    fn new_oid(&mut self) -> Result<Oid, Refused> {
        self.store.borrow_mut().new_oid(self.id()?).map_err(refused)
    }

    fn load(&mut self, oid: Oid) -> Result<Object, Refused> {
        let record = self.store.borrow_mut().get(self.id()?, oid).map_err(refused)?;
        Object::from_record(&record).map_err(|why| Refused::BadObject(oid, why))
    }

    fn store(&mut self, oid: Oid, object: &Object) -> Result<(), Refused> {
        self.written += 1;
        let record = object.to_record().map_err(|why| Refused::BadObject(oid, why))?;
        self.store.borrow_mut().put(self.id()?, oid, record).map_err(refused)
    }

    fn users(&mut self, of: Oid) -> Result<Vec<Oid>, Refused> {
        let id = self.id()?;
        let mut store = self.store.borrow_mut();
        let mut found = Vec::new();
        for number in 0..1000 {
            let Ok(record) = store.get(id, Oid::new(number)) else { continue };
            let object = Object::from_record(&record).map_err(|why| Refused::BadObject(Oid::new(number), why))?;
            if object.composition().is_some_and(|one| one.traits().any(|oid| oid == of)) {
                found.push(Oid::new(number));
            }
        }
        Ok(found)
    }

    /// Everything that was ever written: a session that was idle may have missed any of it.
    fn changed(&mut self) -> Vec<Oid> {
        (0..200).map(Oid::new).collect()
    }
}

/// What was sent to other cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub service: String,
    pub label: u32,
    pub selector: String,
    pub receiver: Oid,
    pub arguments: Vec<Argument>,
}

/// Answers for other cells.
#[derive(Default)]
pub struct TestHost {
    pub sent: Vec<Sent>,
    /// After so many questions, the console has asked to stop.
    pub patience: Option<u32>,
}

impl Host for TestHost {
    fn call(&mut self, call: &Call<'_>) -> Result<Reply, Refused> {
        let Recipe::Service { service, .. } = call.endpoint else { return Err(Refused::Void("void".into())) };
        self.sent.push(Sent {
            service: service.clone(),
            label: call.label,
            selector: call.selector.into(),
            receiver: call.receiver,
            arguments: call.arguments.to_vec(),
        });
        match (service.as_str(), call.label) {
            ("memory", _) => {
                let recipe = Recipe::Service { kind: CapabilityKind::Untyped, service: "memory".into(), rights: 7 };
                Ok(Reply::value(Argument::Capability(recipe)))
            }
            ("process", _) => Ok(Reply::value(Argument::Object(call.receiver))),
            _ => Err(Refused::Other("no such service".into())),
        }
    }

    fn interrupted(&mut self) -> bool {
        match &mut self.patience {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}

/// A session with everything around it.
pub struct Workspace {
    pub session: Session,
    pub store: TestStore,
    pub host: TestHost,
}

pub fn endpoint(service: &str) -> Recipe {
    Recipe::Service { kind: CapabilityKind::Endpoint, service: service.into(), rights: 5 }
}

/// A store with the plan's objects, as far as the plan's lines need them. The root is the lobby.
pub fn new_store() -> Shared {
    let mut store = object_store::Store::new(MappingStorage::new(Ticks(1)), 1 << 20);
    let id = store.begin(Metadata::default()).expect("empty");
    let mut root = Object::new();
    let mut add = |store: &mut object_store::Store<_>, name: &str, object: Object| {
        let oid = store.new_oid(id).expect("enough");
        let object = object.data("name", Value::text(name)).numbered(oid);
        store.put(id, oid, object.to_record().expect("small")).expect("new");
        let value = root.refer(oid);
        root.set(name, object_model::SlotKind::Data, value);
        oid
    };
    let transactional = |object: Object| {
        object
            .native("beginTransaction", "persistenceCap", 1)
            .native("commit", "persistenceCap", 2)
            .native("abort", "persistenceCap", 3)
            .native("note", "persistenceCap", 8)
    };
    let base = add(&mut store, "BaseObject", Object::new().parent("parent", None));
    let pms = Object::new().parent("parent", Some(base)).holding("endpointCap", endpoint("process"));
    let pms = add(&mut store, "PMS", pms);
    let process = Object::new()
        .parent("parent", Some(base))
        .holding("tcbCap", Recipe::Void(CapabilityKind::Tcb))
        .referring("processCap", pms)
        .native("spawn", "processCap", 4);
    add(&mut store, "Process", process);
    let mms = Object::new().parent("parent", Some(base)).holding("endpointCap", endpoint("memory")).native(
        "allocate",
        "endpointCap",
        3,
    );
    add(&mut store, "MMS", mms);
    add(
        &mut store,
        "MyObject",
        transactional(Object::new().parent("parent", Some(base)).data("state", Value::text("old"))),
    );
    add(&mut store, "image_obj", Object::new());
    add(&mut store, "cap_list", Object::new().data("names", Value::List(vec![Value::text("console")])));
    root.set("size", object_model::SlotKind::Data, Value::Int(4096));
    root.set("type", object_model::SlotKind::Data, Value::text("untyped"));
    root.set("things", object_model::SlotKind::Data, Value::Nil);
    store.put(id, Oid::ROOT, root.to_record().expect("small")).expect("root");
    store.commit(id).expect("first");
    Rc::new(RefCell::new(store))
}

impl Workspace {
    pub fn new() -> Self {
        Self::over(&new_store())
    }

    /// Another session over the same store.
    pub fn over(store: &Shared) -> Self {
        Self::limited(store, Limits::default())
    }

    pub fn limited(store: &Shared, limits: Limits) -> Self {
        let session = Session::new(Some(Oid::ROOT), limits);
        Self { session, store: TestStore { store: store.clone(), open: None, written: 0 }, host: TestHost::default() }
    }

    pub fn run(&mut self, source: &str) -> Result<Outcome, Error> {
        self.session.run_source(&mut self.store, &mut self.host, source)
    }

    /// What a source prints.
    #[track_caller]
    pub fn value(&mut self, source: &str) -> String {
        match self.run(source) {
            Ok(outcome) => outcome.text,
            Err(error) => panic!("{source}\n{error}"),
        }
    }

    /// What it fails with.
    #[track_caller]
    pub fn error(&mut self, source: &str) -> Error {
        match self.run(source) {
            Ok(outcome) => panic!("{source}\nanswered {}", outcome.text),
            Err(error) => error,
        }
    }
}
