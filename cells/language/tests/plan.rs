//! The plan's three lines, as they are written there.

mod support;

use language::{Argument, ErrorKind};
use object_model::Oid;
use support::{Workspace, new_store};

#[test]
fn a_process_is_spawned() {
    let mut workspace = Workspace::new();
    let told = workspace.value("new_proc = Process.clone().spawn(image_obj, cap_list)");
    assert_eq!(told, "nil");
    let sent = workspace.host.sent.first().expect("one message").clone();
    assert_eq!((sent.service.as_str(), sent.label, sent.selector.as_str()), ("process", 4, "spawn/2"));
    let image = workspace.value("image_obj.oid");
    assert_eq!(sent.arguments.first(), Some(&Argument::Object(Oid::new(image.parse().expect("a number")))));
    // The receiver is the clone, in the caller's transaction.
    assert_ne!(workspace.value("Process.oid"), sent.receiver.number().to_string());
    assert_eq!(workspace.value("new_proc.oid"), sent.receiver.number().to_string());
}

#[test]
fn memory_is_allocated() {
    let mut workspace = Workspace::new();
    workspace.value("mem_cap = MMS.allocate(size, type)");
    let sent = workspace.host.sent.first().expect("one message");
    assert_eq!((sent.service.as_str(), sent.label), ("memory", 3));
    assert_eq!(sent.arguments, [Argument::Int(4096), Argument::Text("untyped".into())]);
    assert_eq!(workspace.value("mem_cap.isVoid"), "false");
}

#[test]
fn a_transaction_is_begun_and_committed() {
    let store = new_store();
    let mut workspace = Workspace::over(&store);
    workspace.value("MyObject.beginTransaction(); MyObject.state = 'new'; MyObject.commit()");
    assert_eq!(Workspace::over(&store).value("MyObject.state"), "'new'");
}

#[test]
fn an_open_transaction_outlives_the_line_and_an_error() {
    let store = new_store();
    let mut workspace = Workspace::over(&store);
    assert!(workspace.run("MyObject.beginTransaction(); MyObject.state = 'new'").expect("no error").is_in_transaction);
    assert_eq!(workspace.error("1 / 0").kind, ErrorKind::ZeroDivide);
    assert!(workspace.session.is_in_transaction());
    assert_eq!(workspace.value("MyObject.state"), "'new'");
    assert_eq!(Workspace::over(&store).value("MyObject.state"), "'old'");
    workspace.value("MyObject.note('why'); MyObject.commit()");
    assert_eq!(Workspace::over(&store).value("MyObject.state"), "'new'");
    assert_eq!(workspace.error("MyObject.commit()").kind, ErrorKind::Transaction);
}

#[test]
fn abort_puts_everything_back() {
    let store = new_store();
    let mut workspace = Workspace::over(&store);
    workspace.value("MyObject.beginTransaction(); MyObject.state = object { x = 1 }; mirror(MyObject).add(#more, 1)");
    workspace.value("MyObject.abort()");
    assert_eq!(workspace.value("MyObject.state"), "'old'");
    assert_eq!(workspace.error("MyObject.more").kind, ErrorKind::NotUnderstood);
}

#[test]
fn a_line_that_fails_leaves_nothing() {
    let store = new_store();
    let mut workspace = Workspace::over(&store);
    workspace.error("MyObject.state = 'half'; 1 / 0");
    assert_eq!(workspace.value("MyObject.state"), "'old'");
    assert_eq!(Workspace::over(&store).value("MyObject.state"), "'old'");
}

#[test]
fn what_a_persistent_object_leads_to_is_kept() {
    let store = new_store();
    Workspace::over(&store).value(
        "self.things = object {
            list = [1, 2.5, 'text', #symbol, x'ff', nil, true, [a: MyObject]]
            next = object { parent base = BaseObject; method twice(n) { n * 2 } }
            private secret = 7
            method secretly { self.secret }
         }",
    );
    let mut other = Workspace::over(&store);
    assert_eq!(
        other.value("things.list"),
        "[1, 2.5, 'text', #symbol, x'ff', nil, true, ['a': object #0000000000000005]]"
    );
    assert_eq!(other.value("things.next.twice(21)"), "42");
    assert_eq!(other.value("things.secretly"), "7");
    assert_eq!(other.error("things.secret").kind, ErrorKind::NotUnderstood);
    let refused = other.error("things.list = { 1 }");
    assert_eq!(refused.kind, ErrorKind::CannotPersist);
    assert!(refused.message.contains("list"), "{refused}");
    assert_eq!(other.value("things.list.size"), "8");
}

#[test]
fn a_conflict_names_object_slot_and_both_values() {
    let store = new_store();
    let (mut one, mut other) = (Workspace::over(&store), Workspace::over(&store));
    one.value("MyObject.beginTransaction(); MyObject.state = 'one'");
    other.value("MyObject.state = 'other'");
    let conflict = one.error("MyObject.commit()");
    assert_eq!(conflict.kind, ErrorKind::Conflict);
    assert!(conflict.message.contains("slot `state`: yours \"one\", theirs \"other\""), "{conflict}");
    assert_eq!(one.value("MyObject.state"), "'other'");
}

#[test]
fn methods_are_merged_and_data_is_not() {
    let store = new_store();
    let (mut one, mut other) = (Workspace::over(&store), Workspace::over(&store));
    one.value("MyObject.beginTransaction(); mirror(MyObject).define('method a { 1 }')");
    other.value("mirror(MyObject).define('method b { 2 }'); MyObject.state = 'other'");
    one.value("MyObject.commit()");
    assert_eq!(one.value("[MyObject.a, MyObject.b, MyObject.state]"), "[1, 2, 'other']");
    one.value("MyObject.beginTransaction(); mirror(MyObject).define('method c { 3 }'); MyObject.state = 'one'");
    other.value("mirror(MyObject).define('method d { 4 }')");
    assert_eq!(one.error("MyObject.commit()").kind, ErrorKind::Conflict);
    assert_eq!(other.value("[MyObject.b, MyObject.d, MyObject.state]"), "[2, 4, 'other']");
    assert_eq!(one.error("MyObject.c").kind, ErrorKind::NotUnderstood);
}

#[test]
fn atomically_tries_again_after_a_conflict() {
    let store = new_store();
    let mut workspace = Workspace::over(&store);
    workspace.value("self.things = object { count = 0 }");
    // A message to the memory server stands for what another session does meanwhile.
    let meddler = std::rc::Rc::new(std::cell::RefCell::new(Workspace::over(&store)));
    let mut host = Meddler { meddler, left: 2 };
    let done = workspace.session.run_source(
        &mut workspace.store,
        &mut host,
        "tries = 0
         atomically { tries = tries + 1; c = things.count; MMS.allocate(1, 'x'); things.count = c + 1 }
         [tries, things.count]",
    );
    assert_eq!(done.map(|outcome| outcome.text), Ok("[3, 21]".into()));
    // A block that returns out of it commits too, and is tried again as well.
    host.left = 2;
    let done = workspace.session.run_source(
        &mut workspace.store,
        &mut host,
        "p = object { method go(t, m) { { |x| atomically { c = t.count; m.allocate(1, 'x'); t.count = c + x; return t.count } }.value(1) } }
         p.go(things, MMS)",
    );
    assert_eq!(done.map(|outcome| outcome.text), Ok("42".into()));
    host.left = 9;
    let failed = workspace.session.run_source(
        &mut workspace.store,
        &mut host,
        "atomically { c = things.count; MMS.allocate(1, 'x'); things.count = c + 1 }",
    );
    assert_eq!(failed.map_err(|error| error.kind), Err(ErrorKind::Conflict));
}

/// A host under which another session changes the object that this one is about to.
struct Meddler {
    meddler: std::rc::Rc<std::cell::RefCell<Workspace>>,
    left: u32,
}

impl language::Host for Meddler {
    fn call(&mut self, _: &language::Call<'_>) -> Result<language::Reply, language::Refused> {
        if self.left > 0 {
            self.left -= 1;
            self.meddler.borrow_mut().value("things.count = things.count + 10");
        }
        Ok(language::Reply::value(Argument::Nil))
    }
}

#[test]
fn atomically_gives_up_what_an_error_left() {
    let mut workspace = Workspace::new();
    workspace.value("self.things = object { count = 0 }");
    workspace.value("try { atomically { things.count = 5; 1 / 0 } } catch e { nil }");
    assert_eq!(workspace.value("things.count"), "0");
    workspace.value("o = object { method go(t) { atomically { t.count = 6; return 1 } } }; o.go(things)");
    assert_eq!(workspace.value("things.count"), "6");
    workspace
        .value("p = object { method go(t) { { |x| atomically { t.count = x; return x } }.value(7) } }; p.go(things)");
    assert_eq!(workspace.value("things.count"), "7");
}

/// Rewrites the one method of the object in `things`.
fn with_method(store: &support::Shared, change: impl Fn(&mut object_model::Method)) -> Workspace {
    let oid = Oid::new(Workspace::over(store).value("things.oid").parse().expect("a number"));
    let mut store_now = store.borrow_mut();
    let id = store_now.begin(object_store::Metadata::default()).expect("open");
    let record = store_now.get(id, oid).expect("there");
    let mut object = object_model::Object::from_record(&record).expect("an object");
    let mut slot = object.slot("m/1").expect("the method").clone();
    if let object_model::Value::Method(method) = &mut slot.value {
        change(method);
    }
    object.put(slot);
    store_now.put(id, oid, object.to_record().expect("small")).expect("there");
    store_now.commit(id).expect("no conflict");
    drop(store_now);
    Workspace::over(store)
}

#[test]
fn the_source_is_the_truth_where_the_bytecode_is_not_good() {
    let store = new_store();
    Workspace::over(&store).value("self.things = object { method m(a) { a + 1 } }");
    assert_eq!(with_method(&store, |_| ()).value("things.m(1)"), "2");
    for bad in [vec![], vec![0], vec![language::BYTECODE_VERSION + 1, 0, 0], vec![language::BYTECODE_VERSION, 9, 9, 9]]
    {
        let mut workspace = with_method(&store, |method| method.bytecode = bad.clone());
        assert_eq!(workspace.value("things.m(1)"), "2", "{bad:?}");
    }
    let mut workspace = with_method(&store, |method| method.source = "(a) { a + }".into());
    let error = workspace.error("things.m(1)");
    assert_eq!(error.kind, ErrorKind::BadMethod);
    assert!(error.message.contains("an expression is missing"), "{error}");
    let mut workspace = with_method(&store, |method| method.source = "(a, b) { a }".into());
    assert_eq!(workspace.error("things.m(1)").kind, ErrorKind::BadMethod);
}

#[test]
fn a_message_from_another_cell_finds_the_method() {
    let store = new_store();
    let mut workspace = Workspace::over(&store);
    workspace.value("self.things = object { seen = nil; method greet(who) { self.seen = who; 'hello ' + who } }");
    let oid = Oid::new(workspace.value("things.oid").parse().expect("a number"));
    let Workspace { session, store: view, host } = &mut workspace;
    let answer = session.send_message(view, host, oid, "greet", &[Argument::Text("you".into())]);
    assert_eq!(answer, Ok(Argument::Text("hello you".into())));
    let missing = session.send_message(view, host, oid, "gret", &[Argument::Nil]).expect_err("no such method");
    assert_eq!(missing.kind, ErrorKind::NotUnderstood);
    assert_eq!(Workspace::over(&store).value("things.seen"), "'you'");
}
