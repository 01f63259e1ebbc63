//! Errors that teach, and limits.

mod support;

use language::{ErrorKind, Limits};
use support::{Workspace, new_store};

#[test]
fn a_source_error_points_at_its_place() {
    let mut workspace = Workspace::new();
    let rows = [
        ("a = 1\nb = (2 + ", "an expression is missing before the end\n   2 | b = (2 + \n     |          ^"),
        ("x = 5 +* 3", "an expression is missing before `*`\n   1 | x = 5 +* 3\n     |        ^"),
        ("if 1 { 2", "expected `}` before the end\n   1 | if 1 { 2\n     |         ^"),
        ("'abc", "this text has no end\n   1 | 'abc\n     | ^"),
        ("99999999999999999999", "this number does not fit 64 bits\n   1 | 99999999999999999999\n     | ^"),
        ("o.x = 1 = 2", "a statement ends before `=`\n   1 | o.x = 1 = 2\n     |         ^"),
        ("1 < 2 < 3", "comparisons do not chain; put parentheses\n   1 | 1 < 2 < 3\n     |       ^"),
        ("f(self.x = 1)", "an assignment is a statement and has no value\n   1 | f(self.x = 1)\n     |          ^"),
        (
            "o = object {\n  method m(a) { a + }\n}",
            "an expression is missing before `}`\n   2 |   method m(a) { a + }\n     |                     ^",
        ),
        ("a ? b", "this character means nothing here\n   1 | a ? b\n     |   ^"),
    ];
    for (source, expected) in rows {
        let error = workspace.error(source);
        assert_eq!(error.kind, ErrorKind::Source);
        assert_eq!(error.message, expected, "{source}");
    }
}

#[test]
fn a_message_that_is_not_understood_suggests_others() {
    let mut workspace = Workspace::new();
    workspace.value("o = object { method deposit(n) { n }; method balance { 1 } }");
    let told = workspace.error("o.depsit(1)").message;
    assert!(told.ends_with("does not understand `depsit/1`; it understands `deposit/1`"), "{told}");
    let told = workspace.error("o.deposit()").message;
    assert!(told.ends_with("does not understand `deposit`; it understands `deposit/1`"), "{told}");
    let told = workspace.error("[1].sise").message;
    assert!(told.ends_with("`size`"), "{told}");
}

#[test]
fn an_ambiguity_tells_both_paths() {
    let mut workspace = Workspace::new();
    workspace
        .value("A = object { name = 'A'; x = 1 }; B = object { name = 'B'; x = 2 }; C = object of B { name = 'C' }");
    let error = workspace.error("o = object { parent a = A; parent c = C; name = 'o' }; o.x");
    assert_eq!(error.kind, ErrorKind::Ambiguous);
    assert_eq!(error.message, "`x` is ambiguous:\n  object o -> object A\n  object o -> object C -> object B");
    workspace.value(
        "D = object { parent a = A; parent c = C; name = 'D'; method viaA { resend@a.x() }; method viaC { resend@c.x() } }",
    );
    assert_eq!(workspace.value("[D.viaA, D.viaC]"), "[1, 2]");
    assert_eq!(workspace.error("object { a = 1; a = 2 }").kind, ErrorKind::Structure);
}

#[test]
fn explain_tells_the_way_of_look_up() {
    let mut workspace = Workspace::new();
    workspace.value("T = trait { name = 'T'; method x { 3 } }; A = object { name = 'A'; method x { 1 } }; o = object of A uses T.without(#name) { name = 'o' }");
    assert_eq!(
        workspace.value("mirror(o).explain(#x)"),
        "'object o: answers, from trait T\\nobject o -> object A: is overridden'"
    );
    assert_eq!(workspace.value("mirror(o).explain(#clone)"), "'every value understands it'");
    assert_eq!(workspace.value("mirror(o).explain(#nowhere)"), "'nothing answers'");
}

#[test]
fn a_trace_has_the_sends_with_their_lines() {
    let mut workspace = Workspace::new();
    workspace.value(
        "o = object {
           method outer(n) {
             self.inner(n)
           }
           method inner(n) {
             [1].each({ |i|
               n / 0
             })
           }
         }",
    );
    let error = workspace.error("o.outer(5)");
    let told = error.to_string();
    let expected = [
        "zeroDivide: 5 divided by 0",
        "  in a block of inner/1, line 3: n / 0",
        "  in each/1, line 1: (block) { for item in self { block(item) } }",
        "  in inner/1, line 2: [1].each({ |i|",
        "  in outer/1, line 2: self.inner(n)",
        "  in (prompt), line 1: o.outer(5)",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_deep_trace_has_a_gap() {
    let mut workspace = Workspace::new();
    workspace.value("o = object { method down(n) { if n == 0 { 1 / 0 } else { self.down(n - 1) } } }");
    let error = workspace.error("o.down(1000)");
    assert_eq!(error.trace.len(), 17);
    assert!(error.to_string().contains("\n  ... 986 more\n"), "{error}");
}

fn limited(limits: Limits) -> Workspace {
    Workspace::limited(&new_store(), limits)
}

#[test]
fn a_runaway_is_stopped_by_fuel_and_from_the_console() {
    let mut workspace = limited(Limits { fuel: 100_000, ..Limits::default() });
    assert_eq!(workspace.error("while true { }").kind, ErrorKind::Fuel);
    assert_eq!(workspace.error("try { while true { } } catch e { 1 }").kind, ErrorKind::Fuel);
    assert_eq!(workspace.value("1 + 1"), "2");
    let mut workspace = Workspace::new();
    workspace.host.patience = Some(10);
    assert_eq!(workspace.error("MyObject.state = 'half'; while true { }").kind, ErrorKind::Interrupted);
    workspace.host.patience = None;
    assert_eq!(workspace.value("MyObject.state"), "'old'");
}

#[test]
fn recursion_ends_in_an_error() {
    let mut workspace = Workspace::new();
    workspace.value("o = object { method f { self.f }; method g(n) { 1 + self.g(n) }; method doesNotUnderstand(m) { self.perform(#h) } }");
    assert_eq!(workspace.error("o.f").kind, ErrorKind::Depth);
    assert_eq!(workspace.error("o.g(1)").kind, ErrorKind::Depth);
    assert_eq!(workspace.error("o.k").kind, ErrorKind::Depth);
    assert_eq!(workspace.value("try { o.f } catch e { e.kind }"), "#depth");
    workspace
        .value("a = object { target = nil; method doesNotUnderstand(m) { 1 } }; f = a.facet([#x]); g = f.facet([#x])");
    assert_eq!(workspace.value("g.x"), "1");
}

#[test]
fn memory_is_bounded() {
    let mut workspace = limited(Limits { memory: 100_000, garbage: 10_000, ..Limits::default() });
    assert_eq!(workspace.error("l = []; while true { l = l.add([l]) }").kind, ErrorKind::Memory);
    workspace.value("l = nil");
    assert_eq!(workspace.error("t = 'aaaaaaaa'; while true { t = t + t }").kind, ErrorKind::Memory);
    workspace.value("t = nil");
    assert_eq!(workspace.error("l = [1]; while true { l = l + l }").kind, ErrorKind::Memory);
    workspace.value("l = nil; o = nil");
    assert_eq!(workspace.error("o = nil; while true { o = object { next = o } }").kind, ErrorKind::Memory);
    workspace.value("o = nil");
    assert_eq!(
        workspace.value("n = 0; while n < 50000 { o = object { x = [n, 'text'] }; n = n + 1 }; o.x"),
        "[49999, 'text']"
    );
}

#[test]
fn names_and_slots_are_bounded() {
    let mut workspace = Workspace::new();
    assert_eq!(workspace.error("n = 0; while true { ('a' + n.asText).asSymbol; n = n + 1 }").kind, ErrorKind::Memory);
    assert_eq!(workspace.value("#known"), "#known");
    let mut workspace = Workspace::new();
    let source = "m = mirror(object { }); n = 0; while true { m.add(('s' + n.asText).asSymbol, n); n = n + 1 }";
    assert_eq!(workspace.error(source).kind, ErrorKind::Structure);
}

#[test]
fn cyclic_and_deep_values_print_within_bounds() {
    let mut workspace = Workspace::new();
    workspace.value("a = object { name = 'a'; other = nil }; b = object { name = 'b'; other = a }; a.other = b");
    assert_eq!(workspace.value("a"), "object a {name: 'a', other: object b}");
    assert_eq!(workspace.value("[a, [b]]"), "[object a, [object b]]");
    workspace.value("l = []; n = 0; while n < 5000 { l = [l]; n = n + 1 }");
    assert_eq!(workspace.value("l"), "[[[[[[...]]]]]]");
    assert!(workspace.value("1.to(10000)").len() < 2100);
    assert_eq!(workspace.error("l == [l]").kind, ErrorKind::Depth);
    assert_eq!(workspace.error("self.things = l").kind, ErrorKind::CannotPersist);
}

#[test]
fn absurd_sources_are_errors() {
    let mut workspace = Workspace::new();
    let long = "a".repeat(300);
    assert_eq!(workspace.error(&format!("o.{long}")).kind, ErrorKind::Source);
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{ ", "}"), ("-", "1"), ("not ", "true"), ("if true { ", "}"), ("object { x = ", "}")]
    {
        let source = open.repeat(10_000) + &close.repeat(10_000);
        assert_eq!(workspace.error(&source).kind, ErrorKind::Source, "{open}");
    }
    assert_eq!(workspace.value(&("1".to_owned() + &" + 1".repeat(5_000))), "5001");
    assert!(workspace.value(&("nil".to_owned() + &".print".repeat(5_000))).len() < 3000);
    let methods = "object { method m { ".repeat(5_000) + &"} }".repeat(5_000);
    assert_eq!(workspace.error(&methods).kind, ErrorKind::Source);
    let items = format!("[{}]", vec!["1"; 1_000].join(", "));
    assert_eq!(workspace.value(&format!("{items}.size")), "1000");
    let items = format!("[{}]", vec!["1"; 3_000].join(", "));
    assert_eq!(workspace.error(&items).kind, ErrorKind::Source);
    assert_eq!(workspace.error(&"x = 1; ".repeat(200_000)).kind, ErrorKind::Source);
}
