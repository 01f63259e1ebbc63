//! Each rule is broken by itself, in an image that is signed.

use super::maker::*;
use crate::write::{SigningKey, sign};
use crate::{Name, Refusal, Structure, TRAILER_LENGTH, Trust, key_id, verify};

/// What the verifier says of a good object after a change.
fn refusal(change: impl FnOnce(&mut Maker)) -> Refusal {
    let mut maker = Maker::good();
    change(&mut maker);
    verify(&maker.seal(), &trust()).expect_err("refused")
}

fn name(text: &str) -> Name {
    Name::new(text)
}

#[test]
fn a_good_image_verifies() {
    let file = Maker::good().seal();
    let image = verify(&file, &trust()).expect("verifies");
    let manifest = image.manifest();
    assert_eq!((manifest.name, manifest.version, manifest.build), ("maker", "1.2.3", 9));
    assert_eq!((manifest.heap(), manifest.stack(), manifest.slots()), (4096, 8192, 16));
    assert_eq!(manifest.labels.iter().map(|label| label.signature).collect::<Vec<_>>(), [11, 22]);
    assert_eq!(manifest.schemas_readable.iter().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        manifest.sections.iter().filter(|record| record.name == ".bss").map(|record| record.size).sum::<u64>(),
        5000
    );
}

#[test]
fn unsigned() {
    let file = Maker::good().object(8);
    assert_eq!(verify(&file, &trust()).unwrap_err(), Refusal::Unsigned);
    assert_eq!(verify(&[], &trust()).unwrap_err(), Refusal::Unsigned);
}

#[test]
fn trailer_of_another_format() {
    let mut file = Maker::good().seal();
    let at = file.len() - TRAILER_LENGTH + 8;
    file[at] = 2;
    assert_eq!(verify(&file, &trust()).unwrap_err(), Refusal::TrailerFormat { found: 2 });
}

#[test]
fn signed_by_another_key() {
    let other = SigningKey::from_seed([8; 32]).public();
    let file = Maker::good().seal();
    let refusal = verify(&file, &Trust { key: other, ..trust() }).unwrap_err();
    assert_eq!(refusal, Refusal::WrongKey { key_id: key_id(&key().public()) });
}

#[test]
fn key_id_of_ours_on_a_signature_of_another() {
    let good = Maker::good().seal();
    let object = good[..good.len() - TRAILER_LENGTH].to_vec();
    let at = good.len() - TRAILER_LENGTH + 12;
    let offset = u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize;
    let length = u32::from_le_bytes(good[at + 4..at + 8].try_into().unwrap()) as usize;
    let mut file = sign(object, offset, length, &SigningKey::from_seed([8; 32]));
    let at = file.len() - TRAILER_LENGTH + 20;
    file[at..at + 8].copy_from_slice(&key_id(&key().public()));
    assert_eq!(verify(&file, &trust()).unwrap_err(), Refusal::Signature);
}

#[test]
fn another_kernel_abi() {
    let refusal = refusal(|maker| maker.kernel_abi = 1);
    assert_eq!(refusal, Refusal::KernelAbi { found: 1, expected: ABI });
}

#[test]
fn not_a_relocatable_object_for_this_processor() {
    for (at, value) in [(16, 2), (18, 3)] {
        let mut file = Maker::good().seal();
        file[at] = value;
        assert_eq!(verify(&file, &trust()).unwrap_err(), Refusal::NotRelocatable);
    }
}

#[test]
fn too_large() {
    assert_eq!(refusal(|maker| maker.sections[3].size = 64 << 20), Refusal::TooLarge);
    assert_eq!(refusal(|maker| maker.sections[3].size = u64::MAX), Refusal::TooLarge);
    let mut file = Maker::good().seal();
    file.splice(..0, std::iter::repeat_n(0, 64 << 20));
    assert_eq!(verify(&file, &trust()).unwrap_err(), Refusal::TooLarge);
}

#[test]
fn forbidden_section() {
    for other in [".comment", ".eh_frame", ".got", ".text.hot", ""] {
        let refusal = refusal(|maker| maker.sections.push(section(other, PROGBITS, 0, vec![1])));
        assert_eq!(refusal, Refusal::ForbiddenSection { section: name(other) });
    }
}

#[test]
fn duplicate_section() {
    let again = refusal(|maker| maker.sections.push(maker.sections[1].clone()));
    assert_eq!(again, Refusal::DuplicateSection { section: name(".rodata") });
    let again = refusal(|maker| maker.relocations.push(maker.relocations[0].clone()));
    assert_eq!(again, Refusal::DuplicateSection { section: name(".rela.text") });
}

#[test]
fn missing_section() {
    let refusal = refusal(|maker| maker.sections[0].name = ".data.x");
    assert_eq!(refusal, Refusal::ForbiddenSection { section: name(".data.x") });
    let mut maker = Maker::good();
    maker.manifest = false;
    let object = maker.object(0);
    let file = sign(object, 64, 40, &key());
    assert!(matches!(verify(&file, &trust()).unwrap_err(), Refusal::SectionHash { .. } | Refusal::Structure(_)));
    let mut maker = Maker::good();
    maker.sections = Vec::new();
    maker.relocations = Vec::new();
    maker.symbols = Vec::new();
    assert_eq!(verify(&maker.seal(), &trust()).unwrap_err(), Refusal::MissingSection { section: name(".text") });
}

#[test]
fn writable_and_executable() {
    for index in [0, 2] {
        let refusal = refusal(|maker| maker.sections[index].flags |= WRITE | EXEC);
        assert_eq!(refusal, Refusal::WritableAndExecutable { section: name(Maker::good().sections[index].name) });
    }
}

#[test]
fn section_of_another_kind() {
    type Change = fn(&mut Maker);
    let changes: [(&str, Change); 9] = [
        (".rodata", |maker| maker.sections[1].flags |= EXEC),
        (".rodata", |maker| maker.sections[1].flags |= WRITE),
        (".rodata", |maker| maker.sections[1].flags = 0),
        (".data", |maker| maker.sections[2].flags = ALLOC),
        (".bss", |maker| maker.sections[3].kind = PROGBITS),
        (".text", |maker| maker.sections[0].align = 8192),
        (".text", |maker| maker.sections[0].align = 24),
        (".text", |maker| maker.sections[0].address = 4096),
        // Group and compressed sections.
        (".text", |maker| maker.sections[0].flags |= 0x200),
    ];
    for (section, change) in changes {
        let expected = Refusal::SectionKind { section: name(section) };
        let found = refusal(|maker| {
            change(maker);
            // A section that became a plain one has as many bytes as it says.
            if maker.sections[3].kind == PROGBITS {
                maker.sections[3].bytes = vec![0; maker.sections[3].size as usize];
            }
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn thread_local() {
    let found = refusal(|maker| maker.sections.push(section(".tdata", PROGBITS, ALLOC | WRITE | 0x400, vec![1])));
    assert_eq!(found, Refusal::ThreadLocal { name: name(".tdata") });
    let found = refusal(|maker| maker.symbols[0].kind = 6);
    assert_eq!(found, Refusal::ThreadLocal { name: name("constants") });
}

#[test]
fn code_before_the_entry() {
    for (section_name, kind) in [(".init_array", 14), (".fini_array", 15), (".preinit_array", 16), (".data", 14)] {
        let found = refusal(|maker| {
            maker.sections.remove(2);
            maker.relocations.truncate(2);
            maker.symbols[1].section = TEXT;
            maker.symbols[1].size = 0;
            maker.sections.push(section(section_name, kind, ALLOC | WRITE, vec![0; 8]));
        });
        assert_eq!(found, Refusal::InitArray { section: name(section_name) });
    }
}

#[test]
fn weak_symbol() {
    assert_eq!(refusal(|maker| maker.symbols[0].bind = WEAK), Refusal::Weak { symbol: name("constants") });
    assert_eq!(refusal(|maker| maker.symbols[3].bind = WEAK), Refusal::Weak { symbol: name("telos_k_log") });
}

#[test]
fn common_symbol() {
    assert_eq!(refusal(|maker| maker.symbols[0].kind = 5), Refusal::Common { symbol: name("constants") });
    assert_eq!(refusal(|maker| maker.symbols[0].section = 0xfff2), Refusal::Common { symbol: name("constants") });
}

#[test]
fn indirect_function() {
    let found = refusal(|maker| maker.symbols[0].kind = 10);
    assert_eq!(found, Refusal::IndirectFunction { symbol: name("constants") });
}

#[test]
fn unknown_binding_or_type() {
    let expected = Refusal::SymbolKind { symbol: name("constants") };
    assert_eq!(refusal(|maker| maker.symbols[0].bind = 10), expected);
    assert_eq!(refusal(|maker| maker.symbols[0].kind = 13), expected);
    // A file name that claims to be a place.
    assert_eq!(refusal(|maker| maker.symbols[0].kind = 4), expected);
}

#[test]
fn symbol_outside_of_loaded_sections() {
    // The manifest, the symbol table, no section at all, an absolute value.
    for section in [5, 6, 99, 0xfff1] {
        let found = refusal(|maker| maker.symbols[0].section = section);
        assert_eq!(found, Refusal::SymbolSection { symbol: name("constants") });
    }
}

#[test]
fn symbol_beyond_its_section() {
    let expected = Refusal::SymbolBounds { symbol: name("constants") };
    assert_eq!(refusal(|maker| maker.symbols[0].value = 25), expected);
    assert_eq!(refusal(|maker| maker.symbols[0].value = u64::MAX), expected);
    // One past the end is where an empty thing at the end stands.
    let mut maker = Maker::good();
    (maker.symbols[0].value, maker.symbols[0].size) = (32, 0);
    verify(&maker.seal(), &trust()).expect("verifies");
}

#[test]
fn forbidden_import() {
    let found = refusal(|maker| maker.symbols[3].name = "printf");
    assert_eq!(found, Refusal::ForbiddenImport { symbol: name("printf") });
    // A longer name is another name.
    let found = refusal(|maker| maker.symbols[3].name = "telos_k_log2");
    assert_eq!(found, Refusal::ForbiddenImport { symbol: name("telos_k_log2") });
}

#[test]
fn second_global_symbol() {
    let found = refusal(|maker| maker.symbols[0].bind = GLOBAL);
    assert_eq!(found, Refusal::ExtraGlobal { symbol: name("constants") });
    let found = refusal(|maker| maker.symbols.push(maker.symbols[2].clone()));
    assert_eq!(found, Refusal::ExtraGlobal { symbol: name("telos_cell_entry") });
}

#[test]
fn entry() {
    let changes: [fn(&mut Maker); 4] = [
        |maker| maker.symbols[2].bind = LOCAL,
        |maker| maker.symbols[2].kind = OBJECT,
        |maker| (maker.symbols[2].section, maker.symbols[2].size) = (RODATA, 0),
        |maker| (maker.symbols[2].value, maker.symbols[2].size) = (64, 0),
    ];
    for change in changes {
        assert_eq!(refusal(change), Refusal::Entry);
    }
}

#[test]
fn unknown_relocation() {
    // Of the table of addresses, thread-local, indirect, 64 bits relative.
    for kind in [9, 18, 19, 24, 37, 41, 42, 255] {
        let found = refusal(|maker| maker.relocations[0].2[2].kind = kind);
        assert_eq!(found, Refusal::RelocationKind { section: name(".text"), offset: 8, kind });
    }
}

#[test]
fn relocation_out_of_bounds() {
    for offset in [61, 64, u64::MAX, u64::MAX - 3] {
        let found = refusal(|maker| maker.relocations[0].2[0].offset = offset);
        assert_eq!(found, Refusal::RelocationBounds { section: name(".text"), offset });
    }
    // The last four bytes and the last eight are within bounds.
    let mut maker = Maker::good();
    (maker.relocations[0].2[0].offset, maker.relocations[1].2[0].offset) = (60, 24);
    verify(&maker.seal(), &trust()).expect("verifies");
    let found = refusal(|maker| maker.relocations[1].2[0].offset = 25);
    assert_eq!(found, Refusal::RelocationBounds { section: name(".rodata"), offset: 25 });
    let found = refusal(|maker| {
        let step = maker.relocations[0].2[0];
        maker.relocations.push((".rela.bss", u32::from(BSS), vec![step]));
    });
    assert_eq!(found, Refusal::RelocationBounds { section: name(".bss"), offset: 0 });
}

#[test]
fn relocation_without_symbol() {
    for symbol in [0, 5, u32::MAX] {
        let found = refusal(|maker| maker.relocations[0].2[0].symbol = symbol);
        assert_eq!(found, Refusal::RelocationSymbol { section: name(".text"), offset: 0 });
    }
}

#[test]
fn relocations_for_another_section() {
    let found = refusal(|maker| maker.relocations[0].1 = u32::from(RODATA));
    assert_eq!(found, Refusal::Structure(Structure::Relocations));
    let found = refusal(|maker| {
        maker.sections.remove(2);
        maker.symbols[1].section = 3;
    });
    assert_eq!(found, Refusal::Structure(Structure::Relocations));
}

#[test]
fn refusals_say_what_and_what_to_do() {
    let found = refusal(|maker| maker.symbols[3].name = "printf");
    assert_eq!(found.to_string(), "printf is not a kernel function that cells may import; see cells/abi/src/kernel.rs");
    assert!(size_of::<Refusal>() <= 80);
    // What came out of a file cannot take over a terminal.
    assert_eq!(Name::from_bytes(b"a\x1b[2J\xff").as_str(), "a?[2J?");
    assert_eq!(Name::new(&"x".repeat(200)).as_str().len(), Name::CAPACITY);
}
