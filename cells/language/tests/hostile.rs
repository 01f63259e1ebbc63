//! Any text and any bytes: an error or a value, within the limits, and the session goes on.

mod support;

use language::{Limits, compile_method};
use proptest::prelude::*;
use support::Workspace;

fn small() -> Limits {
    Limits { fuel: 5_000, depth: 100, stack: 20_000, memory: 200_000, garbage: 20_000 }
}

/// Runs a text in a session of its own, and looks whether the session is still good for something.
fn survives(source: &str) {
    let mut workspace = Workspace::limited(&support::new_store(), small());
    workspace.host.patience = Some(100);
    let _ = workspace.run(source);
    workspace.host.patience = None;
    // Whatever the text did to names, a number is a number; an open transaction stays open.
    assert_eq!(workspace.value("20 + 22"), "42", "{source}");
}

fn bytes_survive(bytecode: &[u8]) {
    let mut workspace = Workspace::limited(&support::new_store(), small());
    workspace.host.patience = Some(100);
    let Workspace { session, store, host } = &mut workspace;
    let _ = session.run_bytecode(store, host, bytecode, "");
    workspace.host.patience = None;
    assert_eq!(workspace.value("20 + 22"), "42");
}

/// Sources that use everything.
const SOURCES: [&str; 9] = [
    "{ a = [1, 2.5, 'x', #y]; for i in a { if i == 1 { a = a.add(i) } else { a } }; a.map({ |x| x.print }) }",
    "{ try { 1 / 0 } catch e { self.raise(e) }; while true { return 5 } }",
    "{ o = object of nil { x = 1; private y = 2; method m(a) { self.x + a }; native n(a) = 'cap/3' }; o.x = 3; o.m(4) }",
    "{ T = trait requires z { method z2 { self.z } }; object uses T { z = 1 } }",
    "{ n = 0; b = { |k| n = n + k; if n > 3 { return n }; n }; b(1); b(2); b.value(3) }",
    "{ atomically { c = object { n = 1 }; c.n = 2; c.n } }",
    "{ self.print; self.perform(#clone); resend.foo(1); resend@parent.bar() }",
    "{ m = [a: 1, 'b': [:]]; m.at('a', not true or false and true); -m.size % 3 != 2 }",
    "{ Process.clone().spawn(image_obj, cap_list); MMS.allocate(size, type); MyObject.state = { 1 } }",
];

const WORDS: [&str; 62] = [
    "a",
    "b",
    "x",
    "self",
    "nil",
    "true",
    "1",
    "0",
    "99",
    "1.5",
    "'t'",
    "#s",
    "x'00'",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "|",
    ",",
    ";",
    "\n",
    ".",
    ":",
    "=",
    "==",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "and",
    "or",
    "not",
    "if",
    "else",
    "while",
    "for",
    "in",
    "try",
    "catch",
    "e",
    "atomically",
    "return",
    "object",
    "of",
    "uses",
    "trait",
    "requires",
    "private",
    "const",
    "parent",
    "method",
    "native",
    "resend",
    "@",
    ".print",
    ".clone()",
    "mirror",
    "MyObject",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_text(source in "(?s).{0,80}") {
        survives(&source);
    }

    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40)) {
        survives(&words.join(" "));
    }

    #[test]
    fn any_part_of_a_program(
        which in 0..SOURCES.len(), other in 0..SOURCES.len(), cut in any::<prop::sample::Index>(), join in any::<prop::sample::Index>()
    ) {
        let (one, two) = (SOURCES[which], SOURCES[other]);
        survives(&format!("{}{}", &one[..cut.index(one.len())], &two[join.index(two.len())..]));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        bytes_survive(&[&[language::BYTECODE_VERSION], bytes.as_slice()].concat());
    }

    #[test]
    fn any_change_of_bytecode(
        which in 0..SOURCES.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytecode = compile_method(SOURCES[which]).expect("it compiles").method.bytecode;
        for (place, byte) in changes {
            let place = place.index(bytecode.len());
            bytecode[place] = byte;
        }
        bytes_survive(&bytecode);
    }
}

/// Every byte of real bytecode, with the changes that matter most.
#[test]
fn every_byte_of_bytecode() {
    for source in SOURCES {
        let bytecode = compile_method(source).expect(source).method.bytecode;
        for place in 0..bytecode.len() {
            for byte in [0, bytecode[place].wrapping_add(1), bytecode[place] ^ 0x80] {
                let mut changed = bytecode.clone();
                changed[place] = byte;
                bytes_survive(&changed);
            }
        }
    }
}

#[test]
fn what_compiles_verifies_and_runs() {
    for source in SOURCES {
        let bytecode = compile_method(source).expect(source).method.bytecode;
        let mut workspace = Workspace::new();
        let Workspace { session, store, host } = &mut workspace;
        if let Err(error) = session.run_bytecode(store, host, &bytecode, source) {
            assert_ne!(error.kind, language::ErrorKind::BadMethod, "{source}\n{error}");
        }
    }
}
