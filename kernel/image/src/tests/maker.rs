//! Writes small objects by hand, so that every rule can be broken on purpose.
//!
//! [`Maker::good`] is an object that verifies. A test changes one thing in it, and [`Maker::seal`] signs the result: what
//! the verifier then says is about that one thing.

use std::vec::Vec;

use crate::write::{Fields, SigningKey, manifest_size, seal};
use crate::{Demand, Dependency, Label, Trust};

pub const PROGBITS: u32 = 1;
pub const NOBITS: u32 = 8;
pub const RELA: u32 = 4;
pub const ALLOC: u64 = 2;
pub const WRITE: u64 = 1;
pub const EXEC: u64 = 4;
pub const IMPORTS: &[&str] = &["telos_k_log", "telos_k_exit"];
pub const ABI: u64 = 0xabcd;

pub const LOCAL: u8 = 0;
pub const GLOBAL: u8 = 1;
pub const WEAK: u8 = 2;
pub const NOTYPE: u8 = 0;
pub const OBJECT: u8 = 1;
pub const FUNC: u8 = 2;

/// Places of the sections in a good object.
pub const TEXT: u16 = 1;
pub const RODATA: u16 = 2;
pub const DATA: u16 = 3;
pub const BSS: u16 = 4;
/// Places of symbols in a good object, after the null symbol.
pub const SYM_RODATA: u32 = 1;
pub const SYM_BSS: u32 = 2;
pub const SYM_ENTRY: u32 = 3;
pub const SYM_LOG: u32 = 4;

#[derive(Clone)]
pub struct Section {
    pub name: &'static str,
    pub kind: u32,
    pub flags: u64,
    pub bytes: Vec<u8>,
    /// Size in memory, for a section without bytes.
    pub size: u64,
    pub align: u64,
    pub address: u64,
    pub link: u32,
    pub info: u32,
    pub entry_size: u64,
}

#[derive(Clone)]
pub struct Symbol {
    pub name: &'static str,
    pub bind: u8,
    pub kind: u8,
    pub section: u16,
    pub value: u64,
    pub size: u64,
}

#[derive(Clone, Copy)]
pub struct Relocation {
    pub offset: u64,
    pub kind: u32,
    pub symbol: u32,
    pub addend: i64,
}

#[derive(Clone)]
pub struct Maker {
    /// From place 1; the tables of symbols, names and relocations follow.
    pub sections: Vec<Section>,
    pub symbols: Vec<Symbol>,
    /// The name of the table, the section that it changes, its entries.
    pub relocations: Vec<(&'static str, u32, Vec<Relocation>)>,
    pub kernel_abi: u64,
    pub manifest: bool,
}

pub fn section(name: &'static str, kind: u32, flags: u64, bytes: Vec<u8>) -> Section {
    let size = bytes.len() as u64;
    Section { name, kind, flags, bytes, size, align: 8, address: 0, link: 0, info: 0, entry_size: 0 }
}

pub fn key() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

pub fn trust() -> Trust<'static> {
    Trust { key: key().public(), kernel_abi: ABI, imports: IMPORTS }
}

impl Maker {
    /// Text of 64 bytes with a relocation of each kind but one, 32 bytes of constants with the other, 16 bytes of variables, 5,000
    /// zeroed ones.
    pub fn good() -> Maker {
        let mut bss = section(".bss", NOBITS, ALLOC | WRITE, Vec::new());
        bss.size = 5000;
        bss.align = 32;
        let symbol = |name, bind, kind, section, value, size| Symbol { name, bind, kind, section, value, size };
        let step = |offset, kind, symbol, addend| Relocation { offset, kind, symbol, addend };
        Maker {
            sections: vec![
                section(".text", PROGBITS, ALLOC | EXEC, vec![0xc3; 64]),
                section(".rodata", PROGBITS, ALLOC, (0..32).collect()),
                section(".data", PROGBITS, ALLOC | WRITE, vec![5; 16]),
                bss,
            ],
            symbols: vec![
                symbol("constants", LOCAL, OBJECT, RODATA, 8, 8),
                symbol("zeroes", LOCAL, OBJECT, BSS, 0, 4000),
                symbol("telos_cell_entry", GLOBAL, FUNC, TEXT, 16, 32),
                symbol("telos_k_log", GLOBAL, NOTYPE, 0, 0, 0),
            ],
            relocations: vec![
                (
                    ".rela.text",
                    u32::from(TEXT),
                    vec![
                        step(0, 11, SYM_RODATA, 2),
                        step(4, 4, SYM_LOG, -4),
                        step(8, 2, SYM_BSS, -4),
                        step(12, 0, 0, 0),
                        step(40, 1, SYM_ENTRY, 0),
                    ],
                ),
                (".rela.rodata", u32::from(RODATA), vec![step(16, 1, SYM_ENTRY, 1)]),
                (".rela.data", u32::from(DATA), vec![step(8, 1, SYM_BSS, 0)]),
            ],
            kernel_abi: ABI,
            manifest: true,
        }
    }

    /// The object with a manifest section of so many bytes.
    pub fn object(&self, manifest: usize) -> Vec<u8> {
        let mut sections = self.sections.clone();
        if self.manifest {
            sections.push(section(".telos.manifest", PROGBITS, 0, vec![0; manifest]));
        }
        let symtab = sections.len() as u32 + 1;
        let (mut names, mut table) = (vec![0], vec![0; 24]);
        let mut first_global = 1;
        for (index, symbol) in self.symbols.iter().enumerate() {
            let at = names.len() as u32;
            names.extend(symbol.name.bytes().chain([0]));
            table.extend(at.to_le_bytes());
            table.extend([symbol.bind << 4 | symbol.kind, 0]);
            table.extend(symbol.section.to_le_bytes());
            table.extend(symbol.value.to_le_bytes());
            table.extend(symbol.size.to_le_bytes());
            if symbol.bind == LOCAL {
                first_global = index as u32 + 2;
            }
        }
        let mut symbols = section(".symtab", 2, 0, table);
        (symbols.link, symbols.info, symbols.entry_size) = (symtab + 1, first_global, 24);
        sections.push(symbols);
        sections.push(section(".strtab", 3, 0, names));
        for (name, target, entries) in &self.relocations {
            let mut bytes = Vec::new();
            for entry in entries {
                bytes.extend(entry.offset.to_le_bytes());
                bytes.extend((u64::from(entry.symbol) << 32 | u64::from(entry.kind)).to_le_bytes());
                bytes.extend(entry.addend.to_le_bytes());
            }
            let mut table = section(name, RELA, 0x40, bytes);
            (table.link, table.info, table.entry_size) = (symtab, *target, 24);
            sections.push(table);
        }
        write(sections)
    }

    /// The fields of the manifest.
    fn fields(&self) -> Fields<'_> {
        Fields {
            name: "maker",
            version: "1.2.3",
            build: 9,
            compiler: "by hand",
            flags_hash: 1,
            kernel_abi: self.kernel_abi,
            labels: &[Label { label: 1, signature: 11 }, Label { label: 2, signature: 22 }],
            schema_written: 3,
            schemas_readable: &[2, 3],
            demands: &[Demand::Heap(4096), Demand::Stack(8192), Demand::Slots(16), Demand::Capability("block")],
            dependencies: &[Dependency { name: "core", version: "0.0.0" }],
        }
    }

    /// The object described and signed, whatever is in it.
    pub fn seal(&self) -> Vec<u8> {
        let size = manifest_size(&self.object(1), &self.fields()).expect("an object");
        seal(self.object(size), &self.fields(), &key()).expect("an object")
    }
}

/// Lays the sections out one after another and writes the headers.
fn write(mut sections: Vec<Section>) -> Vec<u8> {
    let mut names = vec![0];
    let mut starts = Vec::new();
    for name in sections.iter().map(|section| section.name).chain([".shstrtab"]) {
        starts.push(names.len() as u32);
        names.extend(name.bytes().chain([0]));
    }
    sections.push(section(".shstrtab", 3, 0, names));
    let mut bytes = vec![0; 64];
    let mut headers = vec![0; 64];
    for (section, name) in sections.iter().zip(starts) {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let offset = bytes.len() as u64;
        bytes.extend(&section.bytes);
        headers.extend(name.to_le_bytes());
        headers.extend(section.kind.to_le_bytes());
        for word in [section.flags, section.address, offset, section.size] {
            headers.extend(word.to_le_bytes());
        }
        headers.extend(section.link.to_le_bytes());
        headers.extend(section.info.to_le_bytes());
        headers.extend(section.align.to_le_bytes());
        headers.extend(section.entry_size.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let table = bytes.len() as u64;
    bytes.extend(headers);
    let count = sections.len() as u16 + 1;
    bytes[..16].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes[16..18].copy_from_slice(&1u16.to_le_bytes());
    bytes[18..20].copy_from_slice(&62u16.to_le_bytes());
    bytes[20..24].copy_from_slice(&1u32.to_le_bytes());
    bytes[40..48].copy_from_slice(&table.to_le_bytes());
    bytes[52..54].copy_from_slice(&64u16.to_le_bytes());
    bytes[58..60].copy_from_slice(&64u16.to_le_bytes());
    bytes[60..62].copy_from_slice(&count.to_le_bytes());
    bytes[62..64].copy_from_slice(&(count - 1).to_le_bytes());
    bytes
}
