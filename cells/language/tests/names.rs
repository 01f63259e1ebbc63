//! Names of the prompt that are kept in the lobby, and lines that go on.

mod support;

use language::{ErrorKind, is_open};
use proptest::prelude::*;
use support::{Shared, Workspace, new_store};

fn keeping(store: &Shared) -> Workspace {
    let mut workspace = Workspace::over(store);
    workspace.session.keep_names();
    workspace
}

#[test]
fn names_outlive_the_session() {
    let store = new_store();
    let mut one = keeping(&store);
    one.value("n = 10; o = object { name = 'o'; x = n }; l = [1, [a: o]]");
    assert_eq!(one.value("n = n + 1; n"), "11");
    let mut other = keeping(&store);
    assert_eq!(other.value("[n, o.x, l[1].at('a').x]"), "[11, 10, 10]");
    other.value("n = nil");
    assert_eq!(other.value("n"), "nil");
}

#[test]
fn what_belongs_to_the_session_stays_there() {
    let store = new_store();
    let mut one = keeping(&store);
    one.value("double = { |x| x * 2 }; m = mirror(MyObject); held = [double]");
    assert_eq!(one.value("[double(21), m.slots.size > 0, held.size]"), "[42, true, 1]");
    let mut other = keeping(&store);
    assert_eq!(other.error("double(1)").kind, ErrorKind::NotUnderstood);
    assert_eq!(other.error("held").kind, ErrorKind::NotUnderstood);
    // A name that is given again can be kept then.
    one.value("double = 2");
    assert_eq!(other.value("double"), "2");
}

#[test]
fn names_go_with_their_transaction() {
    let store = new_store();
    let mut one = keeping(&store);
    one.value("kept = 1");
    assert_eq!(one.error("kept = 2; other = 3; 1 / 0").kind, ErrorKind::ZeroDivide);
    assert_eq!(one.value("kept"), "1");
    assert_eq!(one.error("other").kind, ErrorKind::NotUnderstood);
    one.value("MyObject.beginTransaction(); kept = 4; made = object { x = 1 }");
    assert_eq!(one.value("[kept, made.x]"), "[4, 1]");
    one.value("MyObject.abort()");
    assert_eq!(one.value("kept"), "1");
    assert_eq!(one.error("made").kind, ErrorKind::NotUnderstood);
    one.value("MyObject.beginTransaction(); kept = 5");
    assert_eq!(one.error("kept = 6; 1 / 0").kind, ErrorKind::ZeroDivide);
    one.value("MyObject.commit()");
    assert_eq!(keeping(&store).value("kept"), "6");
}

#[test]
fn a_line_that_only_reads_writes_nothing() {
    let store = new_store();
    let mut one = keeping(&store);
    one.value("n = 1");
    let before = one.store.written;
    one.value("n; double = { |x| x }; double(n)");
    assert_eq!(one.store.written, before);
}

#[test]
fn the_lobby_itself_is_not_for_assignment() {
    let store = new_store();
    let mut one = keeping(&store);
    one.value("mirror(self).define('method greet { 1 }'); mirror(self).parent(#parent, BaseObject)");
    assert_eq!(one.error("greet = 2").kind, ErrorKind::Constant);
    assert_eq!(one.error("parent = 2").kind, ErrorKind::Constant);
    assert_eq!(one.value("greet"), "1");
    // The line goes as a whole.
    assert_eq!(one.error("fine = 1; greet = 2").kind, ErrorKind::Constant);
    assert_eq!(one.error("fine").kind, ErrorKind::NotUnderstood);
}

#[test]
fn a_session_without_it_keeps_its_names_to_itself() {
    let store = new_store();
    let mut one = Workspace::over(&store);
    one.value("n = 1");
    assert_eq!(one.value("n"), "1");
    assert_eq!(Workspace::over(&store).error("n").kind, ErrorKind::NotUnderstood);
}

#[test]
fn open_brackets_and_quotes_ask_for_more() {
    for open in ["(", "f(1,", "object {", "{ |x| x", "[1,", "'text", "x'00", "a = '\\'", "// done\n{", "{ // }"] {
        assert!(is_open(open), "{open:?}");
    }
    for closed in ["", "1 +", "f(1)", "object { }", "'text'", "'{'", "// {", ")", "'\\q", "`", "1x {", "x'0'"] {
        assert!(!is_open(closed), "{closed:?}");
    }
}

proptest! {
    #[test]
    fn any_source_is_open_or_not(source in "(?s).{0,60}") {
        let _ = is_open(&source);
    }
}

#[test]
fn a_loop_leaves_no_name_behind() {
    let store = new_store();
    keeping(&store).value("for i in [1, 2] { i }; try { 1 / 0 } catch e { e.kind }");
    let mut other = keeping(&store);
    assert_eq!(other.error("i").kind, ErrorKind::NotUnderstood);
    assert_eq!(other.error("e").kind, ErrorKind::NotUnderstood);
    other.value("gone = 1");
    other.value("mirror(self).remove(#gone)");
    assert_eq!(other.error("gone").kind, ErrorKind::NotUnderstood);
}
