//! Capabilities in slots: who can use them, and who cannot get them.

mod support;

use language::ErrorKind;
use object_model::{Object, Oid, Value};
use support::{Workspace, new_store};

#[test]
fn a_child_does_not_inherit_a_capability() {
    let mut workspace = Workspace::new();
    workspace.value("thief = object of MMS { method steal { self.endpointCap } }");
    assert_eq!(workspace.error("thief.steal").kind, ErrorKind::NotUnderstood);
    assert_eq!(workspace.error("thief.endpointCap").kind, ErrorKind::NotUnderstood);
    assert_eq!(workspace.error("MMS.endpointCap").kind, ErrorKind::NotUnderstood);
}

#[test]
fn a_method_that_was_inherited_uses_the_receivers_capability_only() {
    let mut workspace = Workspace::new();
    workspace.value("thief = object of MMS { }");
    assert_eq!(workspace.error("thief.allocate(1, 'x')").kind, ErrorKind::Void);
    assert!(workspace.host.sent.is_empty());
}

#[test]
fn a_clone_holds_nothing() {
    let mut workspace = Workspace::new();
    let refused = workspace.error("MMS.clone().allocate(1, 'x')");
    assert_eq!(refused.kind, ErrorKind::Void);
    assert!(refused.message.contains("void"), "{refused}");
}

#[test]
fn a_list_hides_no_capability_from_clone() {
    let mut workspace = Workspace::new();
    workspace.value("mem = MMS.allocate(1, 'x'); holder = object { all = [[mem]] }");
    assert_eq!(workspace.value("holder.all[0][0].isVoid"), "false");
    assert_eq!(workspace.value("holder.clone().all[0][0].isVoid"), "true");
}

#[test]
fn a_trait_brings_no_capability() {
    let mut workspace = Workspace::new();
    workspace.value(
        "mem = MMS.allocate(1, 'x'); T = trait { cap = mem }; u = object uses T { method void { self.cap.isVoid } }",
    );
    assert_eq!(workspace.value("u.void"), "true");
}

#[test]
fn a_facet_hands_on_what_it_names_and_is_no_child() {
    let mut workspace = Workspace::new();
    workspace.value("o = object { x = 1; method m(a) { a + self.x }; method n { 'secret' } }; f = o.facet([#m])");
    assert_eq!(workspace.value("f.m(2)"), "3");
    for refused in ["f.n", "f.x", "f.x = 2", "f.target", "f.caretaker", "f.allowed"] {
        assert_eq!(workspace.error(refused).kind, ErrorKind::NotUnderstood, "{refused}");
    }
}

#[test]
fn a_revoked_facet_is_void_and_so_are_its_copies() {
    let mut workspace = Workspace::new();
    workspace.value("o = object { method m { 1 } }; pair = o.revocable([#m]); f = pair[0]; g = f.clone()");
    assert_eq!(workspace.value("[f.m, g.m]"), "[1, 1]");
    workspace.value("pair[1].revoke()");
    assert_eq!(workspace.error("f.m").kind, ErrorKind::Void);
    assert_eq!(workspace.error("g.m").kind, ErrorKind::Void);
}

#[test]
fn facets_are_kept() {
    let store = new_store();
    Workspace::over(&store).value("o = object { method m { 1 } }; self.things = o.revocable([#m])");
    let mut other = Workspace::over(&store);
    assert_eq!(other.value("things[0].m"), "1");
    other.value("things[1].revoke()");
    assert_eq!(Workspace::over(&store).error("things[0].m").kind, ErrorKind::Void);
}

#[test]
fn structure_changes_only_through_a_mirror() {
    let mut workspace = Workspace::new();
    workspace.value("o = object of BaseObject { x = 1; const y = 2; method m { 1 } }");
    for refused in ["o.parent = nil", "o.m = 2", "o.y = 3"] {
        assert_eq!(workspace.error(refused).kind, ErrorKind::Constant, "{refused}");
    }
    assert_eq!(workspace.error("o.z = 1").kind, ErrorKind::NotUnderstood);
    workspace.value("m = mirror(o); m.add(#z, 1); m.define('method m { 2 }'); m.parent(#parent, nil); m.remove(#x)");
    assert_eq!(workspace.value("[o.z, o.m]"), "[1, 2]");
    assert_eq!(workspace.error("o.x").kind, ErrorKind::NotUnderstood);
    workspace.session.forget("mirror");
    workspace.session.forget("m");
    assert_eq!(workspace.error("mirror(o)").kind, ErrorKind::NotUnderstood);
    workspace.value("p = object { method reflect(o) { mirror(o) } }");
    assert_eq!(workspace.error("p.reflect(o)").kind, ErrorKind::NotUnderstood);
}

#[test]
fn methods_do_not_see_the_sessions_names() {
    let mut workspace = Workspace::new();
    workspace.value("secret = 1; o = object { method m { secret } }");
    let error = workspace.error("o.m");
    assert_eq!(error.kind, ErrorKind::NotUnderstood);
    assert!(error.message.contains("a name of the session"), "{error}");
}

/// Whatever bytes stand in the payload of a record that holds no capability, a program that reads the object finds none.
#[test]
fn no_payload_becomes_a_capability() {
    let store = new_store();
    Workspace::over(&store).value("self.things = object { a = [1, 2]; b = 'text'; method m { 3 }; c = 5 }");
    let oid = Oid::new(Workspace::over(&store).value("things.oid").parse().expect("a number"));
    let record = {
        let mut store = store.borrow_mut();
        let id = store.begin(object_store::Metadata::default()).expect("open");
        let record = store.get(id, oid).expect("there");
        store.abort(id).expect("open");
        (*record).clone()
    };
    for place in 0..record.payload.len() {
        for byte in [0, 1, 5, 8, 9, 10, 13, 0x7f, 0xff, record.payload[place] ^ 1, record.payload[place] ^ 8] {
            let mut changed = record.clone();
            changed.payload[place] = byte;
            let Ok(object) = Object::from_record(&changed) else { continue };
            let capable = object
                .slots()
                .iter()
                .any(|slot| matches!(slot.value, Value::Capability(_)) || object.recipe(&slot.value).is_some());
            assert!(!capable, "byte {place} as {byte}");
            {
                let mut store = store.borrow_mut();
                let id = store.begin(object_store::Metadata::default()).expect("open");
                store.put(id, oid, changed).expect("there");
                store.commit(id).expect("no conflict");
            }
            let mut workspace = Workspace::over(&store);
            // An error, or a value; never a panic, and no message leaves.
            for source in ["things.print", "things.a", "things.b", "things.m", "things.c + 1", "things.clone().m"] {
                let _ = workspace.run(source);
            }
            assert!(workspace.host.sent.is_empty());
        }
    }
}
