//! Programs: every construct, by what it prints.

mod support;

use language::ErrorKind;
use support::Workspace;

#[track_caller]
fn all(rows: &[(&str, &str)]) {
    let mut workspace = Workspace::new();
    for (source, expected) in rows {
        assert_eq!(workspace.value(source), *expected, "{source}");
    }
}

#[test]
fn literals_and_operators() {
    all(&[
        ("nil", "nil"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-7 / 2", "-4"),
        ("-7 % 2", "1"),
        ("7 / -2", "-4"),
        ("7 % -2", "-1"),
        ("1.5 + 1", "2.5"),
        ("0x10", "16"),
        ("-9223372036854775807 - 1", "-9223372036854775808"),
        ("'it\\'s ' + 'so'", "'it\\'s so'"),
        ("x'00ff'", "x'00ff'"),
        ("#at/1", "#at/1"),
        ("[1, 'two', #three]", "[1, 'two', #three]"),
        ("['a': 1, b: 2]", "['a': 1, 'b': 2]"),
        ("[:]", "[:]"),
        ("[1, 2][1]", "2"),
        ("1 < 2 and not (2 < 1)", "true"),
        ("1 == 1.0 or false", "true"),
        ("'a' != 'b'", "true"),
        ("[1, [2]] == [1, [2]]", "true"),
        ("2 - -2", "4"),
        ("-(3)", "-3"),
    ]);
}

#[test]
fn names_and_control() {
    all(&[
        ("a = 5; a + 1", "6"),
        ("a", "5"),
        ("if a == 5 { 'five' } else { 'other' }", "'five'"),
        ("if a == 6 { 'six' } else if a == 5 { 'five' } else { 'no' }", "'five'"),
        ("if false { 1 }", "nil"),
        ("n = 0; while n < 10 { n = n + 1 }; n", "10"),
        ("sum = 0; for i in 1.to(4) { sum = sum + i }; sum", "10"),
        ("keys = ''; for k in [x: 1, y: 2] { keys = keys + k }; keys", "'xy'"),
        ("// a comment\n1 +\n 2", "3"),
        ("[1,\n 2,\n].size", "2"),
        ("'a b'\n  .split(' ')\n  .size", "2"),
    ]);
}

#[test]
fn blocks_share_variables_and_return_from_their_method() {
    all(&[
        ("add = { |a, b| a + b }; add(1, 2)", "3"),
        ("add.value(3, 4)", "7"),
        (
            "counter = object { method make { n = 0; { n = n + 1; n } } }
             next = counter.make()
             next(); next(); next()",
            "3",
        ),
        ("other = counter.make(); other()", "1"),
        (
            "finder = object { method find(list, wanted) {
                list.each({ |item| if item == wanted { return 'found' } })
                'missing'
             } }
             [finder.find([1, 2, 3], 2), finder.find([1], 9)]",
            "['found', 'missing']",
        ),
        ("[1, 2, 3].map({ |x| x * x }).fold(0, { |a, b| a + b })", "14"),
        ("blocks = []; for i in 3 { blocks = blocks.add({ i }) }; 1", "1"),
        (
            "maker = object { method make { made = []; for i in 3 { made = made.add({ i }) }; made } }
             maker.make().map({ |b| b() })",
            "[0, 1, 2]",
        ),
    ]);
    let mut workspace = Workspace::new();
    workspace.value("o = object { method make { { return 1 } } }; b = o.make(); 0");
    assert_eq!(workspace.error("b()").kind, ErrorKind::DeadHome);
}

#[test]
fn objects_delegate_and_clone() {
    all(&[
        (
            "Account = object {
                balance = 0
                method deposit(n) { self.balance = self.balance + n; self }
                method describe { 'has ' + self.balance.asText }
             }
             a = Account.clone(); a.deposit(5).describe",
            "'has 5'",
        ),
        ("Account.balance", "0"),
        (
            "Savings = object of Account { rate = 2; method describe { resend.describe() + '!' } }; Savings.describe",
            "'has 0!'",
        ),
        ("s = Savings.clone(); s.deposit(7); [s.balance, Savings.balance, Account.balance]", "[7, 0, 0]"),
        ("s.balance = 9; s.describe()", "'has 9!'"),
        ("object { method balance=(v) { self.seen = v * 2 }; seen = 0; balance = 1 }.seen", "0"),
        ("o = object { seen = 0; method balance=(v) { self.seen = v * 2 } }; o.balance = 21; o.seen", "42"),
        ("v = object { x = 3; method + (o) { self.x + o.x } }; v + v", "6"),
    ]);
}

#[test]
fn errors_are_caught_and_tell() {
    all(&[
        ("try { 1 / 0 } catch e { e.kind }", "#zeroDivide"),
        ("try { nil.foo(1) } catch e { e.message }", "'nil does not understand `foo/1`'"),
        ("try { self.raise([1, 2]) } catch e { e.value }", "[1, 2]"),
        ("try { try { 1 / 0 } catch e { self.raise(e) } } catch f { f.kind }", "#zeroDivide"),
        ("try { 9223372036854775807 + 1 } catch e { e.kind }", "#overflow"),
        (
            "o = object { method f(n) { if n == 0 { self.error('deep') }; self.f(n - 1) } }; try { o.f(5) } catch e { e.message }",
            "'deep'",
        ),
        ("1 + (try { 1 / 0 } catch e { 41 })", "42"),
    ]);
}

#[test]
fn doesnotunderstand_gets_the_message() {
    all(&[
        (
            "o = object { method doesNotUnderstand(m) { [m.at('selector'), m.at('arguments')] } }; o.anything(1, 2)",
            "[#anything/2, [1, 2]]",
        ),
        ("1.perform(#+, [2])", "3"),
        ("o.perform(#missing)", "[#missing, []]"),
    ]);
}

/// One place that sends, before and after each thing that may change what answers.
#[test]
fn no_cache_outlives_what_it_was_made_from() {
    let store = support::new_store();
    let mut workspace = Workspace::over(&store);
    workspace.value(
        "self.things = object { method m { 1 }; x = 1 }
         P = things; C = object of P { }; D = object of C { }
         asker = object { method m(o) { o.m }; method x(o) { o.x } }
         ask = { [asker.m(D), asker.x(D)] }",
    );
    // In one line, so that no new transaction makes the caches stale.
    let told = workspace.value(
        "told = [ask()]
         mirror(P).define('method m { 2 }'); P.x = 2; told = told.add(ask())
         mirror(C).define('method m { 3 }'); C.x = 3; told = told.add(ask())
         mirror(C).remove(#m); mirror(C).remove(#x); told = told.add(ask())
         Q = object { method m { 4 }; x = 4 }; mirror(C).parent(#parent, Q); told.add(ask())",
    );
    assert_eq!(told, "[[1, 1], [2, 2], [3, 3], [2, 2], [4, 4]]");
    workspace.value("mirror(C).parent(#parent, P); MyObject.beginTransaction(); mirror(P).define('method m { 5 }')");
    assert_eq!(workspace.value("ask()"), "[5, 2]");
    workspace.value("MyObject.abort()");
    assert_eq!(workspace.value("ask()"), "[2, 2]");
    Workspace::over(&store).value("mirror(things).define('method m { 6 }'); things.x = 6");
    assert_eq!(workspace.value("ask()"), "[6, 6]");
}
