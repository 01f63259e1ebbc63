//! The twenty cases that a calculus of traits has to pass, run in the language.
//!
//! The fixture is that of the literature's: T1 {m11 = 11, m12 = 12, m13 = self.m12}, T2 {m21 = 21, m22 = 22}, X {m12 = 'X'}.

mod support;

use language::ErrorKind;
use support::{Workspace, new_store};

const FIXTURE: &str = "
    T1 = trait { method m11 { 11 }; method m12 { 12 }; method m13 { self.m12 } }
    T2 = trait { method m21 { 21 }; method m22 { 22 } }
    X = trait { method m12 { 'X' } }
    flat = { |composition|
        o = object uses composition { }
        m = mirror(o)
        m.slots.map({ |s| s.asText + '=' + m.source(s) }).sorted
    }
";

fn fixture() -> Workspace {
    let mut workspace = Workspace::new();
    workspace.value(FIXTURE);
    workspace
}

#[test]
fn case_01_a_sum_gives_all_methods_with_their_origins() {
    let mut w = fixture();
    w.value("o = object uses T1 + T2 { }; m = mirror(o)");
    assert_eq!(w.value("[o.m11, o.m12, o.m13, o.m21, o.m22]"), "[11, 12, 12, 21, 22]");
    assert_eq!(w.value("[m.origin(#m11) == T1, m.origin(#m13) == T1, m.origin(#m22) == T2]"), "[true, true, true]");
}

#[test]
fn case_02_sum_is_commutative() {
    let mut w = fixture();
    assert_eq!(w.value("flat(T1 + T2) == flat(T2 + T1)"), "true");
    assert_eq!(w.value("flat(T1 + T2).size"), "5");
}

#[test]
fn case_03_sum_is_associative_conflicts_included() {
    let mut w = fixture();
    assert_eq!(w.value("((T1 + T2) + X).conflicts == (T1 + (T2 + X)).conflicts"), "true");
    assert_eq!(w.value("((T1 + T2) + X).conflicts"), "[#m12]");
    w.value("Y = trait { method m12 { 'Y' } }; Z = trait { method z { 1 } }");
    assert_eq!(w.value("flat((T1.without(#m12) + Z) + X) == flat(T1.without(#m12) + (Z + X))"), "true");
}

#[test]
fn case_04_one_origin_is_no_conflict() {
    let mut w = fixture();
    w.value("TA = trait uses T1 { }; TB = trait uses T1 { }; o = object uses TA + TB { }; p = object uses T1 + T1 { }");
    assert_eq!(w.value("[o.m11, p.m11]"), "[11, 11]");
}

#[test]
fn case_05_a_conflict_is_refused_and_the_object_unchanged() {
    let mut w = fixture();
    w.value("o = object { }");
    let refused = w.error("mirror(o).uses(T1 + X)");
    assert_eq!(refused.kind, ErrorKind::TraitConflict);
    assert!(refused.message.contains("#m12"), "{refused}");
    assert_eq!(w.value("mirror(o).slots"), "[]");
    assert_eq!(w.value("(T1 + X).conflicts"), "[#m12]");
    assert_eq!(w.error("object uses T1 + X { }").kind, ErrorKind::TraitConflict);
}

#[test]
fn case_06_the_same_text_is_another_method() {
    let mut w = fixture();
    w.value("X2 = trait { method m12 { 12 } }");
    assert_eq!(w.error("object uses T1 + X2 { }").kind, ErrorKind::TraitConflict);
}

#[test]
fn case_07_an_own_slot_resolves() {
    let mut w = fixture();
    w.value("o = object uses T1 + X { method m12 { 'own' } }");
    assert_eq!(w.value("[o.m12, o.m13]"), "['own', 'own']");
}

#[test]
fn case_08_own_over_trait_over_parent() {
    let mut w = fixture();
    w.value("P = object { method m11 { 0 } }; o = object of P { }; m = mirror(o)");
    assert_eq!(w.value("o.m11"), "0");
    w.value("m.uses(T1)");
    assert_eq!(w.value("o.m11"), "11");
    w.value("m.define('method m11 { 1 }')");
    assert_eq!(w.value("o.m11"), "1");
    w.value("m.remove(#m11); m.uses(nil)");
    assert_eq!(w.value("o.m11"), "0");
}

#[test]
fn case_09_exclusion_resolves() {
    let mut w = fixture();
    w.value("o = object uses T1.without(#m12) + X { }");
    assert_eq!(w.value("[o.m12, o.m13]"), "['X', 'X']");
    assert_eq!(w.value("flat(T1.without(#unknown)) == flat(T1)"), "true");
}

#[test]
fn case_10_exclusion_leaves_a_requirement() {
    let mut w = fixture();
    let refused = w.error("object uses T1.without(#m12) { }");
    assert_eq!(refused.kind, ErrorKind::TraitRequires);
    assert!(refused.message.contains("#m12 is required by #m13"), "{refused}");
    assert_eq!(w.value("(object uses T1.without(#m12) { m12 = 'own' }).m13"), "'own'");
    assert_eq!(w.value("(object uses T1.without(#m12) + X { }).m13"), "'X'");
    assert_eq!(
        w.value("P = object { method m12 { 'parent' } }; (object of P uses T1.without(#m12) { }).m13"),
        "'parent'"
    );
}

#[test]
fn case_11_alias_adds() {
    let mut w = fixture();
    w.value("o = object uses T1.alias(#a11, #m11) { }");
    assert_eq!(w.value("[o.a11, o.m11]"), "[11, 11]");
    for bad in ["T1.alias(#a/1, #m11)", "T1.alias(#m11, #m11)", "T1.alias(#a, #m11).alias(#b, #a)"] {
        assert_eq!(w.error(bad).kind, ErrorKind::Trait, "{bad}");
    }
}

#[test]
fn case_12_alias_is_shallow() {
    let mut w = fixture();
    w.value("o = object uses T1.alias(#a13, #m13) { method m12 { 'own' } }");
    assert_eq!(w.value("o.a13"), "'own'");
}

#[test]
fn case_13_renaming_has_an_order() {
    let mut w = fixture();
    w.value("o = object uses T1.alias(#a, #m11).without(#m11) { }");
    assert_eq!(w.value("o.a"), "11");
    assert_eq!(w.error("o.m11").kind, ErrorKind::NotUnderstood);
    let refused = w.error("T1.without(#m11).alias(#a, #m11)");
    assert!(refused.message.contains("aliasOfMissing"), "{refused}");
}

#[test]
fn case_14_an_alias_onto_a_bound_name_is_a_conflict() {
    let mut w = fixture();
    assert_eq!(w.value("T1.alias(#m12, #m11).conflicts"), "[#m12]");
}

#[test]
fn case_15_flattening_changes_no_meaning() {
    let mut w = fixture();
    w.value(
        "P = object { method m51 { 'parent' } }
         T = trait { method m51 { resend.m51() + '!' }; method both { [self.m51, self.own] }; method own { 0 }; method bad { 1 / 0 } }
         o = object of P uses T { method own { 1 } }
         h = object of P { method m51 { resend.m51() + '!' }; method both { [self.m51, self.own] }; method bad { 1 / 0 }; method own { 1 }
         }",
    );
    w.value("outcome = { |r, s| try { r.perform(s) } catch e { e.kind } }");
    for pair in ["[o, h]", "[o.clone(), h.clone()]"] {
        let same = w.value(&format!(
            "pair = {pair}; [#m51, #both, #own, #bad, #missing].map({{ |s| outcome(pair[0], s) == outcome(pair[1], s) }})"
        ));
        assert_eq!(same, "[true, true, true, true, true]");
    }
    assert_eq!(w.value("o.both"), "['parent!', 1]");
}

#[test]
fn case_16_super_is_the_composers_parent() {
    let mut w = fixture();
    w.value(
        "A = object { method foo { 'a' } }; B = object { method foo { 'b' } }
         T = trait { method m51 { resend.foo() } }
         o = object of A uses T { }",
    );
    assert_eq!(w.value("o.m51"), "'a'");
    w.value("mirror(o).parent(#parent, B)");
    assert_eq!(w.value("o.m51"), "'b'");
}

#[test]
fn case_17_an_edit_reaches_every_user() {
    let mut w = fixture();
    w.value(
        "o = object uses T1 { }; a = object uses T1.alias(#a11, #m11).without(#m11) { }; c = o.clone(); t = mirror(T1)",
    );
    w.value("t.define('method m11 { 111 }')");
    assert_eq!(w.value("[o.m11, a.a11, c.m11]"), "[111, 111, 111]");
    w.value("mirror(o).define('method m11 { 1 }')");
    assert_eq!(w.value("o.m11"), "1");
    w.value("mirror(o).remove(#m11)");
    assert_eq!(w.value("o.m11"), "111");
    w.value("mirror(a).uses(nil); t.remove(#m11)");
    assert_eq!(w.error("o.m11").kind, ErrorKind::NotUnderstood);
    assert_eq!(w.error("c.m11").kind, ErrorKind::NotUnderstood);
}

#[test]
fn case_18_an_edit_that_a_user_refuses_changes_nothing() {
    let mut w = fixture();
    w.value("o = object uses T1 + T2 { name = 'the user' }; p = object uses T2 { }");
    let refused = w.error("mirror(T2).define('method m11 { 0 }')");
    assert_eq!(refused.kind, ErrorKind::TraitConflict);
    assert!(refused.message.contains("the user"), "{refused}");
    assert_eq!(w.value("[o.m11, p.m21, mirror(T2).slots.size]"), "[11, 21, 2]");
    assert_eq!(w.error("p.m11").kind, ErrorKind::NotUnderstood);
    let refused = w.error("mirror(T1).remove(#m12)");
    assert_eq!(refused.kind, ErrorKind::TraitRequires);
    assert_eq!(w.value("o.m13"), "12");
    w.value("mirror(T2).uses(T1)");
    assert_eq!(w.error("mirror(T1).uses(T2)").kind, ErrorKind::Trait);
}

#[test]
fn case_19_state_arrives_once_and_stays() {
    let mut w = fixture();
    w.value("S = trait { count = 0; method inc { self.count = self.count + 1 } }; A = trait uses S { }; B = trait uses S { }");
    w.value("o = object uses A + B { }; o.inc; o.inc");
    assert_eq!(w.value("[o.count, S.count, mirror(o).slots.size]"), "[2, 0, 2]");
    w.value("R = trait { count = 9 }");
    assert_eq!(w.error("object uses S + R { }").kind, ErrorKind::TraitConflict);
    assert_eq!(w.value("(object uses S + R.alias(#other, #count).without(#count) { }).other"), "9");
    w.value("mirror(o).uses(nil)");
    assert_eq!(w.value("o.count"), "2");
    assert_eq!(w.error("o.inc").kind, ErrorKind::NotUnderstood);
}

#[test]
fn case_20_composition_is_transactional_and_kept() {
    let store = new_store();
    let mut w = Workspace::over(&store);
    w.value(FIXTURE);
    w.value("self.things = [object uses T1 { }, T1, T2]; o = things[0]");
    w.value("MyObject.beginTransaction(); mirror(o).uses(T1 + T2)");
    assert_eq!(w.value("o.m21"), "21");
    w.value("MyObject.abort()");
    assert_eq!(w.error("o.m21").kind, ErrorKind::NotUnderstood);
    w.value("mirror(o).uses(T1 + T2.alias(#a, #m21))");
    // Another session, that has nothing of this in memory.
    let mut other = Workspace::over(&store);
    assert_eq!(
        other.value("o = things[0]; [o.m13, o.m22, o.a, mirror(o).origin(#a) == things[2]]"),
        "[12, 22, 21, true]"
    );
    // An edit there reaches users that only the store knows of.
    let mut third = Workspace::over(&store);
    third.value("mirror(things[1]).define('method m11 { 7 }')");
    assert_eq!(other.value("things[0].m11"), "7");
    assert_eq!(w.value("o.m11"), "7");
    // Different methods in two open transactions are both kept, in the trait and in its users.
    w.value("MyObject.beginTransaction(); mirror(T1).define('method one { 1 }')");
    other.value("mirror(things[1]).define('method two { 2 }')");
    w.value("MyObject.commit()");
    for session in [&mut w, &mut other, &mut third] {
        assert_eq!(
            session.value("o = things[0]; [o.one, o.two, things[1].one, things[1].two, o.m22]"),
            "[1, 2, 1, 2, 22]"
        );
    }
    // The same selector in two open transactions is a conflict that shows both.
    w.value("MyObject.beginTransaction(); mirror(T1).define('method m11 { 8 }')");
    other.value("mirror(things[1]).define('method m11 { 9 }')");
    let conflict = w.error("MyObject.commit()");
    assert_eq!(conflict.kind, ErrorKind::Conflict);
    assert!(conflict.message.contains("{ 8 }") && conflict.message.contains("{ 9 }"), "{conflict}");
}
