//! Layout and relocation: what stands where, and which values do not fit.

use super::maker::*;
use crate::{Name, Refusal, VerifiedImage, reopen, verify};

const BASE: u64 = 0xffff_ffff_a000_0000;
const LOG: u64 = 0xffff_ffff_8000_4560;

fn resolve(name: &str) -> Option<u64> {
    (name == "telos_k_log").then_some(LOG)
}

fn place(image: &VerifiedImage<'_>, base: u64) -> Result<Vec<u8>, Refusal> {
    let mut out = vec![0xee; image.layout().bytes() as usize];
    image.relocate(&mut out, base, resolve).map(|_| out)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn regions_do_not_share_a_page() {
    let file = Maker::good().seal();
    let layout = verify(&file, &trust()).unwrap().layout();
    assert_eq!(layout.text, 0..64);
    assert_eq!(layout.rodata, 4096..4096 + 32);
    // The zeroed part starts at its alignment behind the variables.
    assert_eq!(layout.data, 8192..8192 + 32 + 5000);
    assert_eq!(layout.pages, 4);
}

#[test]
fn absent_regions_are_empty() {
    let mut maker = Maker::good();
    maker.sections.truncate(1);
    maker.relocations.clear();
    maker.symbols.retain(|symbol| symbol.bind == GLOBAL);
    let file = maker.seal();
    let image = verify(&file, &trust()).unwrap();
    let layout = image.layout();
    assert!(layout.rodata.is_empty() && layout.data.is_empty());
    assert_eq!(layout.pages, 1);
    place(&image, BASE).unwrap();
}

#[test]
fn each_relocation_has_its_value() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).unwrap();
    let out = place(&image, BASE).unwrap();
    let (rodata, bss, entry) = (BASE + 4096, BASE + 8192 + 32, BASE + 16);
    assert_eq!(i64::from(u32_at(&out, 0) as i32) as u64, rodata + 8 + 2, "32S");
    assert_eq!(u32_at(&out, 4), LOG.wrapping_sub(4).wrapping_sub(BASE + 4) as u32, "PLT32");
    assert_eq!(u32_at(&out, 8), (bss - 4).wrapping_sub(BASE + 8) as u32, "PC32");
    assert_eq!(u32_at(&out, 12), 0xc3c3_c3c3, "NONE");
    assert_eq!(u64_at(&out, 40), entry, "64");
    assert_eq!(u64_at(&out, 4096 + 16), entry + 1, "64 in rodata");
    assert_eq!(u64_at(&out, 8192 + 8), bss, "64 in data");
    assert_eq!(&out[8192..8200], [5; 8]);
    assert!(out[8192 + 16..].iter().all(|byte| *byte == 0), "zeroed, to the end of the page");
    assert!(out[64..4096].iter().all(|byte| *byte == 0), "nothing of the buffer's past");
}

#[test]
fn variables_are_renewed_and_nothing_else_is_touched() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).unwrap();
    let fresh = place(&image, BASE).unwrap();
    let data = image.layout().data.start as usize;
    let mut used = fresh.clone();
    used[data..].fill(0x77);
    used[..data].fill(0x55);
    image.renew(&mut used[data..], BASE, resolve).unwrap();
    assert_eq!(used[data..], fresh[data..]);
    assert!(used[..data].iter().all(|byte| *byte == 0x55));
    let short = used.len() - 1;
    assert_eq!(image.renew(&mut used[data..short], BASE, resolve).unwrap_err(), Refusal::Buffer);
}

#[test]
fn the_addresses_are_told() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).unwrap();
    let mut out = vec![0; 5 * 4096];
    let loaded = image.relocate(&mut out, BASE, resolve).unwrap();
    assert_eq!(loaded.entry, BASE + 16);
    assert_eq!(loaded.text, BASE..BASE + 64);
    assert_eq!(loaded.rodata, BASE + 4096..BASE + 4128);
    assert_eq!(loaded.data.start, BASE + 8192);
}

#[test]
fn a_signed_32_bit_address_must_be_in_the_top_or_bottom_2_gib() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).unwrap();
    let overflow = Refusal::RelocationOverflow { section: Name::new(".text"), offset: 0 };
    assert_eq!(place(&image, 0x8000_0000).unwrap_err(), overflow);
    assert_eq!(place(&image, 0xffff_8000_0000_0000).unwrap_err(), overflow);
    // The largest and smallest that fit.
    let mut maker = Maker::good();
    maker.relocations[0].2.truncate(1);
    for (addend, fits) in [(0x7fff_ffff, true), (0x8000_0000, false), (-0x1008, true), (-0x1009, false)] {
        maker.relocations[0].2[0].addend = addend - if addend > 0 { 0x1008 } else { 0 };
        let file = maker.seal();
        assert_eq!(place(&verify(&file, &trust()).unwrap(), 0).is_ok(), fits, "{addend:#x}");
    }
}

#[test]
fn an_unsigned_32_bit_address_must_be_below_4_gib() {
    let mut maker = Maker::good();
    maker.relocations[0].2 = vec![Relocation { offset: 0, kind: 10, symbol: SYM_ENTRY, addend: 0 }];
    let file = maker.seal();
    let image = verify(&file, &trust()).unwrap();
    assert_eq!(u32_at(&place(&image, 0xf000_0000).unwrap(), 0), 0xf000_0010);
    let overflow = Refusal::RelocationOverflow { section: Name::new(".text"), offset: 0 };
    assert_eq!(place(&image, BASE).unwrap_err(), overflow);
    assert_eq!(place(&image, 0x1_0000_0000).unwrap_err(), overflow);
}

#[test]
fn a_64_bit_address_must_not_wrap() {
    let mut maker = Maker::good();
    maker.relocations.truncate(1);
    maker.relocations[0].2 = vec![Relocation { offset: 40, kind: 1, symbol: SYM_ENTRY, addend: 0 }];
    // The entry stands 16 bytes behind the base.
    for (base, addend, value) in [
        (0, -16, Some(0)),
        (0, -17, None),
        (BASE, 0x5fff_ffef, Some(u64::MAX)),
        (BASE, 0x5fff_fff0, None),
        (BASE, i64::MAX, None),
        (0, i64::MIN, None),
    ] {
        maker.relocations[0].2[0].addend = addend;
        let file = maker.seal();
        let found = place(&verify(&file, &trust()).unwrap(), base).map(|out| u64_at(&out, 40));
        let overflow = Refusal::RelocationOverflow { section: Name::new(".text"), offset: 40 };
        assert_eq!(found, value.ok_or(overflow), "{base:#x} {addend:#x}");
    }
}

#[test]
fn a_relative_address_must_be_within_2_gib() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).unwrap();
    let mut out = vec![0; image.layout().bytes() as usize];
    let mut far = |base, address: u64| image.relocate(&mut out, base, |_| Some(address)).map(drop);
    let overflow = Refusal::RelocationOverflow { section: Name::new(".text"), offset: 4 };
    // The place is four bytes behind the base, and the addend is -4.
    assert_eq!(far(BASE, BASE - 0x8000_0000 + 8), Ok(()));
    assert_eq!(far(BASE, BASE - 0x8000_0000 + 7), Err(overflow));
    assert_eq!(far(4096, 4096 + 8 + 0x7fff_ffff), Ok(()));
    assert_eq!(far(4096, 4096 + 8 + 0x8000_0000), Err(overflow));
    assert_eq!(far(BASE, 0), Err(overflow));
}

#[test]
fn an_import_without_address_is_the_kernels_fault() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).unwrap();
    let mut out = vec![0; image.layout().bytes() as usize];
    let refusal = image.relocate(&mut out, BASE, |_| None).unwrap_err();
    assert_eq!(refusal, Refusal::Unresolved { symbol: Name::new("telos_k_log") });
}

#[test]
fn the_buffer_must_be_long_enough_and_at_a_page() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).unwrap();
    let mut short = vec![0; image.layout().bytes() as usize - 1];
    assert_eq!(image.relocate(&mut short, BASE, resolve).unwrap_err(), Refusal::Buffer);
    assert_eq!(place(&image, BASE + 8).unwrap_err(), Refusal::Buffer);
    assert_eq!(place(&image, u64::MAX - 4095).unwrap_err(), Refusal::Buffer);
}

#[test]
fn a_fault_is_found_by_its_function() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).unwrap();
    assert_eq!(image.symbol_at(16), Some(("telos_cell_entry", 0)));
    assert_eq!(image.symbol_at(47), Some(("telos_cell_entry", 31)));
    assert_eq!(image.symbol_at(48), None);
    assert_eq!(image.symbol_at(0), None);
}

#[test]
fn a_file_that_was_verified_is_read_anew_as_the_same() {
    let file = Maker::good().seal();
    let verified = verify(&file, &trust()).unwrap();
    let again = reopen(&file, &trust(), *verified.hash()).unwrap();
    assert_eq!((again.hash(), again.layout()), (verified.hash(), verified.layout()));
    assert_eq!(place(&again, BASE), place(&verified, BASE));
    let cut = reopen(&file[..file.len() - 1], &trust(), *verified.hash());
    assert!(cut.is_err(), "what cannot be read is refused all the same");
}
