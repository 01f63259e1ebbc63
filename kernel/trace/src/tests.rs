//! On stacks and symbol tables made up here, broken ones included.
extern crate std;

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

const CODE: Range<u64> = 0x8000..0x9000;

/// A stack at address 0x100, a word each eight bytes.
fn walk(stack: &[u64], frame: u64) -> Vec<u64> {
    let read = |at: u64| stack.get(usize::try_from(at.checked_sub(0x100)? / 8).ok()?).copied();
    frames(frame, CODE, read).collect()
}

#[test]
fn frames_are_followed_to_their_end() {
    // Frame pointer 0 is where the first function was entered from.
    let stack = [0x110, 0x8001, 0x128, 0x8002, 7, 0, 0x8003];
    assert_eq!(walk(&stack, 0x100), [0x8001, 0x8002, 0x8003]);
    assert_eq!(walk(&stack, 0x110), [0x8002, 0x8003]);
}

#[test]
fn a_stack_that_lies_below_is_followed_too() {
    // An interrupt stack may stand above the stack that was interrupted.
    assert_eq!(walk(&[0, 0x8002, 0x100, 0x8001], 0x110), [0x8001, 0x8002]);
}

#[test]
fn a_broken_stack_ends_the_trace() {
    assert_eq!(walk(&[0x110, 0x7fff, 0, 0x8002], 0x100), [], "an address outside the code");
    assert_eq!(walk(&[0x5000, 0x8001], 0x100), [0x8001], "a frame pointer to nowhere");
    assert_eq!(walk(&[], 0x100), []);
    assert_eq!(frames(u64::MAX - 3, CODE, |_| Some(0x8001)).next(), None, "a frame that has no end");
    assert_eq!(walk(&[0x100, 0x8001], 0x100).len(), DEEPEST, "a circle");
}

/// Symbols with a name, a type, a section and a value each.
fn table(symbols: &[(&str, u8, u16, u64)]) -> (Vec<u8>, Vec<u8>) {
    let (mut table, mut names) = (std::vec![0; ENTRY], std::vec![0]);
    for (name, kind, section, value) in symbols {
        table.extend((names.len() as u32).to_le_bytes());
        table.extend([0x10 | kind, 0]);
        table.extend(section.to_le_bytes());
        table.extend(value.to_le_bytes());
        table.extend(8u64.to_le_bytes());
        names.extend(name.bytes().chain([0]));
    }
    (table, names)
}

fn name_of(symbols: &[(&str, u8, u16, u64)], address: u64) -> Option<String> {
    let (table, names) = table(symbols);
    Symbols { table: &table, names: &names }.find(address).map(|place| place.to_string())
}

#[test]
fn the_nearest_function_below_gives_the_name() {
    let symbols = [("later", 2, 1, 0x8200), ("early", 2, 1, 0x8000), ("label", 0, 1, 0x8100)];
    assert_eq!(name_of(&symbols, 0x80ff).as_deref(), Some("early+0xff"));
    assert_eq!(name_of(&symbols, 0x8100).as_deref(), Some("label+0x0"));
    assert_eq!(name_of(&symbols, 0x9000).as_deref(), Some("later+0xe00"));
    assert_eq!(name_of(&symbols, 0x7fff), None);
}

#[test]
fn data_files_and_imports_give_no_name() {
    let symbols =
        [("start", 2, 1, 0x8000), ("table", 1, 1, 0x8010), ("x.rs", 4, 0xfff1, 0x8010), ("import", 0, 0, 0x8010)];
    assert_eq!(name_of(&symbols, 0x8020).as_deref(), Some("start+0x20"));
}

#[test]
fn names_of_rust_are_demangled() {
    let mangled = "_RNvNtCs1234_7nucleus4boot3run";
    assert_eq!(name_of(&[(mangled, 2, 1, 0x8000)], 0x8004).as_deref(), Some("nucleus::boot::run+0x4"));
}

#[test]
fn a_broken_table_gives_no_name() {
    let (table, names) = table(&[("start", 2, 1, 0x8000)]);
    for length in 0..table.len() {
        let cut = Symbols { table: table.get(..length).expect("shorter"), names: &names };
        assert_eq!(cut.find(0x8000), None);
    }
    assert_eq!(Symbols { table: &table, names: &[] }.find(0x8000), None);
    assert_eq!(Symbols { table: &table, names: &[0, 0xff, 0] }.find(0x8000), None);
}
