//! Damage: no flipped byte is let through, each is named by its section, and nothing panics.

use object::LittleEndian as LE;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};
use proptest::prelude::*;

use super::maker::*;
use crate::write::resign;
use crate::{Archive, Refusal, TRAILER_LENGTH, verify};

/// Name and place of every section with bytes.
fn sections(file: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    let object = &file[..file.len() - TRAILER_LENGTH];
    let header = FileHeader64::<LE>::parse(object).unwrap();
    let table = header.sections(LE, object).unwrap();
    let named = table.iter().filter_map(|section| {
        let (start, size) = section.file_range(LE)?;
        let name = String::from_utf8(table.section_name(LE, section).unwrap().to_vec()).unwrap();
        Some((name, start as usize..(start + size) as usize))
    });
    named.filter(|(name, _)| !name.is_empty()).collect()
}

#[test]
fn a_flipped_byte_in_any_section_is_refused_by_the_name_of_the_section() {
    let file = Maker::good().seal();
    let sections = sections(&file);
    assert_eq!(sections.len(), 10);
    for (name, range) in sections {
        for at in range {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            match verify(&damaged, &trust()) {
                Err(Refusal::SectionHash { section }) => assert_eq!(section.as_str(), name),
                other => panic!("byte {at} of {name}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let file = Maker::good().seal();
    for bit in 0..file.len() * 8 {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&damaged, &trust()).is_err(), "bit {} of byte {}", bit % 8, bit / 8);
    }
}

#[test]
fn a_cut_or_longer_file_is_refused() {
    let file = Maker::good().seal();
    for length in 0..file.len() {
        assert!(verify(&file[..length], &trust()).is_err(), "cut to {length}");
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(verify(&longer, &trust()).is_err());
    longer = file.clone();
    longer.splice(..0, [0; 8]);
    assert!(verify(&longer, &trust()).is_err());
}

/// Changes bytes and signs again: what a builder that has gone wrong, or an attacker with the key, could send.
fn resigned(file: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut changed = file.to_vec();
    for (at, value) in changes {
        changed[at % (file.len() - TRAILER_LENGTH)] = *value;
    }
    resign(&changed, &key()).expect("the trailer is whole")
}

/// What is done with every file that a test made up: verify, and place it if that went well.
fn exercise(file: &[u8]) -> bool {
    let Ok(image) = verify(file, &trust()) else {
        return false;
    };
    let layout = image.layout();
    let mut out = vec![0; layout.bytes() as usize];
    // Each address that a loader could use, and some that it should not.
    for base in [0, 4096, 0xffff_ffff_a000_0000, u64::MAX - 4095, 1 << 40] {
        let _ = image.relocate(&mut out, base, |_| Some(0xffff_ffff_8000_0000));
    }
    for offset in 0..80 {
        let _ = image.symbol_at(offset);
    }
    true
}

#[test]
fn an_unchanged_file_signed_again_verifies() {
    let file = Maker::good().seal();
    assert!(exercise(&resigned(&file, &[])));
    // So a change reaches the rules behind the hashes.
    let symbols = sections(&file).into_iter().find(|(name, _)| name == ".symtab").unwrap().1;
    let weak = resigned(&file, &[(symbols.start + 24 + 4, 0x20)]);
    assert!(matches!(verify(&weak, &trust()), Err(Refusal::Weak { .. })));
}

/// The smoke test of the fuzz targets under `tools/fuzz`: the same bodies with seeded changes.
#[test]
fn seeded_changes_never_panic() {
    let file = Maker::good().seal();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (mut verified, mut refused) = (0, 0);
    for _ in 0..4_000 {
        let changes: Vec<(usize, u8)> = (0..1 + random() % 4)
            .map(|_| (random() as usize, [0, 1, 0x7f, 0xff, random() as u8][random() as usize % 5]))
            .collect();
        // Signed again it may verify, since many changes are harmless, but it may not panic.
        if exercise(&resigned(&file, &changes)) {
            verified += 1;
        } else {
            refused += 1;
        }
    }
    assert!(verified > 100 && refused > 500, "{verified} verified, {refused} refused: the changes do not reach far");
}

proptest! {
    #[test]
    fn no_mutation_verifies(at in any::<usize>(), value in any::<u8>(), more in prop::collection::vec((any::<usize>(), any::<u8>()), 0..8)) {
        let file = Maker::good().seal();
        let mut damaged = file.clone();
        for (at, value) in more.into_iter().chain([(at, value)]) {
            let at = at % file.len();
            damaged[at] = value;
        }
        prop_assert!(damaged == file || verify(&damaged, &trust()).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(verify(&bytes, &trust()).is_err());
        let _ = Archive::open(&bytes);
    }
}
