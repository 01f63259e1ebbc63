//! The store over a graph in memory, which others change behind its back.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use language::{Argument, Call, Host, Limits, Refused as Refusal, Reply, Session};
use object_model::Value;

use super::*;

/// Committed objects, and one transaction over them.
#[derive(Default)]
struct Mock {
    committed: BTreeMap<Oid, Record>,
    written: BTreeMap<Oid, Record>,
    log: Vec<u64>,
    notes: Vec<String>,
    note: String,
    noted: u32,
    next: u64,
    /// What another commits between the two questions about the log.
    meddling: Option<(Oid, Record)>,
    /// What another commits right after the next transaction has its snapshot.
    late: Option<(Oid, Record)>,
    is_open: bool,
    conflict: Option<Oid>,
}

impl Mock {
    fn commit_as(&mut self, oid: Oid, record: Record) {
        self.committed.insert(oid, record);
        let tid = self.log.first().copied().unwrap_or(100) + 1;
        self.log.insert(0, tid);
    }
}

fn missing(oid: Oid) -> GraphError {
    GraphError::Call(CallError::Server(NO_SUCH_OBJECT, oid.number()))
}

impl Objects for Mock {
    fn begin(&mut self) -> Result<(), GraphError> {
        self.written.clear();
        self.note.clear();
        if let Some((oid, record)) = self.meddling.take() {
            self.commit_as(oid, record);
        }
        self.is_open = true;
        Ok(())
    }

    fn commit(&mut self) -> Result<u64, GraphError> {
        if let Some(oid) = self.conflict.take() {
            return Err(GraphError::Call(CallError::Server(CONFLICT, oid.number())));
        }
        if self.written.is_empty() {
            return Ok(self.log.first().copied().unwrap_or(0));
        }
        let tid = self.log.first().copied().unwrap_or(100) + 1;
        self.log.insert(0, tid);
        self.committed.append(&mut self.written);
        self.notes.push(self.note.clone());
        Ok(tid)
    }

    fn abort(&mut self) {
        self.is_open = false;
        self.written.clear();
    }

    fn note(&mut self, text: &str) -> Result<(), GraphError> {
        self.note.push_str(text);
        self.noted += 1;
        Ok(())
    }

    fn new_object(&mut self) -> Result<Oid, GraphError> {
        self.next += 1;
        Ok(Oid::new(1000 + self.next))
    }

    fn root(&mut self) -> Result<Oid, GraphError> {
        Ok(Oid::ROOT)
    }

    fn record(&mut self, oid: Oid) -> Result<Record, GraphError> {
        self.written.get(&oid).or_else(|| self.committed.get(&oid)).cloned().ok_or(missing(oid))
    }

    fn put(&mut self, oid: Oid, record: &Record) -> Result<(), GraphError> {
        self.written.insert(oid, record.clone());
        Ok(())
    }

    fn newest(&mut self) -> Result<Vec<u64>, GraphError> {
        if self.is_open
            && let Some((oid, record)) = self.late.take()
        {
            self.commit_as(oid, record);
        }
        Ok(self.log.clone())
    }
}

struct Nobody;

impl Host for Nobody {
    fn call(&mut self, _: &Call<'_>) -> Result<Reply, Refusal> {
        Ok(Reply::value(Argument::Nil))
    }
}

fn counter(count: i64) -> Record {
    Object::new().data("count", Value::Int(count)).to_record().expect("small")
}

/// A root that names one counter, number 7.
fn graph() -> GraphStore<Mock> {
    let mut mock = Mock::default();
    mock.commit_as(Oid::new(7), counter(1));
    let root = Object::new().referring("counter", Oid::new(7)).data("made", Value::Nil);
    mock.commit_as(Oid::ROOT, root.to_record().expect("small"));
    GraphStore::new(mock)
}

fn run(session: &mut Session, store: &mut GraphStore<Mock>, source: &str) -> String {
    match session.run_source(store, &mut Nobody, source) {
        Ok(outcome) => outcome.text,
        Err(error) => error.to_string(),
    }
}

fn session() -> Session {
    Session::new(Some(Oid::ROOT), Limits::default())
}

#[test]
fn what_a_program_changes_is_committed_with_what_it_leads_to() {
    let (mut store, mut session) = (graph(), session());
    run(&mut session, &mut store, "counter.count = counter.count + 1; self.made = object { x = 5 }");
    let mut other = self::session();
    assert_eq!(run(&mut other, &mut store, "[counter.count, made.x]"), "[2, 5]");
}

#[test]
fn what_others_commit_is_read_anew() {
    let (mut store, mut session) = (graph(), session());
    assert_eq!(run(&mut session, &mut store, "counter.count"), "1");
    store.objects().commit_as(Oid::new(7), counter(10));
    assert_eq!(run(&mut session, &mut store, "counter.count"), "10");
    // Between the question about the log and the snapshot, and in the snapshot.
    store.objects().meddling = Some((Oid::new(7), counter(20)));
    assert_eq!(run(&mut session, &mut store, "counter.count = counter.count + 1; counter.count"), "21");
    store.objects().commit_as(Oid::new(7), counter(30));
    assert_eq!(run(&mut session, &mut store, "counter.count"), "30");
}

#[test]
fn what_nobody_else_changed_is_not_read_again() {
    let (mut store, mut session) = (graph(), session());
    run(&mut session, &mut store, "counter.count = 5");
    // Were it read again, it would be missing.
    store.objects().committed.remove(&Oid::new(7));
    assert_eq!(run(&mut session, &mut store, "counter.count"), "5");
}

#[test]
fn a_log_that_does_not_reach_back_counts_as_changed() {
    let (mut store, mut session) = (graph(), session());
    assert_eq!(run(&mut session, &mut store, "counter.count"), "1");
    for count in 0..3 {
        store.objects().commit_as(Oid::new(7), counter(count));
    }
    store.objects().log.truncate(1);
    assert_eq!(run(&mut session, &mut store, "counter.count"), "2");
}

#[test]
fn what_may_be_behind_the_snapshot_is_asked_about_again() {
    let mut store = graph();
    Store::begin(&mut store).expect("no error");
    Store::load(&mut store, Oid::new(7)).expect("there");
    Store::abort(&mut store);
    store.objects().late = Some((Oid::new(7), counter(2)));
    for _ in 0..2 {
        Store::begin(&mut store).expect("no error");
        assert_eq!(Store::changed(&mut store), [Oid::new(7)]);
        Store::abort(&mut store);
    }
    Store::begin(&mut store).expect("no error");
    assert_eq!(Store::changed(&mut store), []);
}

#[test]
fn a_log_of_own_transactions_alone_hides_no_other() {
    let mut store = graph();
    Store::begin(&mut store).expect("no error");
    Store::load(&mut store, Oid::new(7)).expect("there");
    store.objects().commit_as(Oid::new(7), counter(2));
    Store::store(&mut store, Oid::new(9), &Object::new()).expect("no error");
    Store::commit(&mut store).expect("no conflict");
    store.objects().log.truncate(1);
    Store::begin(&mut store).expect("no error");
    assert!(Store::changed(&mut store).contains(&Oid::new(7)));
}

#[test]
fn a_conflict_names_the_object_and_ends_the_transaction() {
    let mut store = graph();
    Store::begin(&mut store).expect("no error");
    store.objects().conflict = Some(Oid::new(7));
    assert_eq!(Store::commit(&mut store), Err(Refused::Conflict(Oid::new(7))));
    assert!(store.objects().written.is_empty());
}

#[test]
fn transactions_that_write_say_what_they_are_for() {
    let (mut store, mut session) = (graph(), session());
    store.set_purpose("counter.count =\n  2");
    run(&mut session, &mut store, "counter.count = 2");
    store.set_purpose("counter.count");
    run(&mut session, &mut store, "counter.count");
    store.set_purpose(&"longer ".repeat(100));
    run(&mut session, &mut store, "counter.count = 3");
    let notes = store.objects().notes.clone();
    assert_eq!((notes.len(), store.objects().noted), (2, 2));
    assert_eq!(notes[0], "counter.count = 2");
    assert!(notes[1].ends_with(" ...") && notes[1].len() <= PURPOSE_SHOWN + 8, "{notes:?}");
}

#[test]
fn the_users_of_a_trait_are_found_from_the_root() {
    let (mut store, mut session) = (graph(), session());
    let made = "t = trait { name = 'T'; method m { 1 } }; self.made = object { list = [[a: object uses t { }], t] }";
    run(&mut session, &mut store, made);
    let mut fresh = self::session();
    Store::begin(&mut store).expect("no error");
    let found: Vec<Oid> = store
        .objects()
        .committed
        .iter()
        .filter(|(_, record)| Object::from_record(record).is_ok_and(|object| object.requires().is_some()))
        .map(|(oid, _)| *oid)
        .collect();
    let [of] = found.as_slice() else { panic!("one trait: {found:?}") };
    assert_eq!(Store::users(&mut store, *of).expect("no error").len(), 1);
    Store::abort(&mut store);
    // So an edit of the trait reaches a user that no session has in memory.
    assert_eq!(
        run(&mut fresh, &mut store, "mirror(made.list[1]).define('method m { 2 }'); made.list[0].at('a').m"),
        "2"
    );
    let mut last = self::session();
    assert_eq!(run(&mut last, &mut store, "made.list[0].at('a').m"), "2");
}

#[test]
fn what_is_missing_is_named() {
    let mut store = graph();
    Store::begin(&mut store).expect("no error");
    assert_eq!(Store::load(&mut store, Oid::new(99)), Err(Refused::NoObject(Oid::new(99))));
    let mut bad = Object::new().data("x", Value::Nil).to_record().expect("small");
    bad.payload.pop();
    store.objects().commit_as(Oid::new(8), bad);
    assert!(matches!(Store::load(&mut store, Oid::new(8)), Err(Refused::BadObject(oid, _)) if oid == Oid::new(8)));
}
