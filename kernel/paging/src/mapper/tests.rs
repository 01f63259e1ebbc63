//! The page table in a buffer that plays physical memory.

use super::*;
use crate::audit::Violation;
use crate::layout::{IMAGES, LARGE_PAGE, REGIONS};
use proptest::prelude::*;
use std::collections::BTreeMap;

const MEMORY: u64 = 64 << 20;
const POOL: u64 = 256 * PAGE;

/// Frames for tables stand in a buffer; the rest of "physical memory" is never touched by a mapper.
struct Machine {
    mapper: Mapper,
    _buffer: Vec<[u64; 512]>,
}

impl Machine {
    fn new(pool: u64) -> Self {
        let mut buffer = vec![[0xdead_beef_u64; 512]; (pool / PAGE) as usize + 1];
        // The pool plays the physical frames from 16 MiB on.
        let base = 16 << 20;
        let start = (buffer.as_mut_ptr() as u64).next_multiple_of(8);
        // SAFETY: byte `p` of the pool stands at `start - base + p`, inside the buffer, which lives as long as the mapper.
        let frames = unsafe { FrameReserve::new(PhysRange::new(base, base + pool), start.wrapping_sub(base)) };
        let mut mapper = Mapper::new(frames).unwrap();
        // SAFETY: nothing is ever loaded into a processor.
        unsafe { mapper.map_physical(PhysAddr::new(0), MEMORY, Cache::Normal) }.unwrap();
        Self { mapper, _buffer: buffer }
    }

    fn map(&mut self, virt: u64, phys: u64, size: u64, protection: Protection) -> Result<(), MapError> {
        // SAFETY: nothing is ever loaded into a processor.
        unsafe { self.mapper.map(VirtAddr::new(virt), PhysAddr::new(phys), size, protection, Cache::Normal) }
    }

    fn unmap(&mut self, virt: u64, size: u64) -> Result<(), MapError> {
        // SAFETY: nothing is ever loaded into a processor.
        unsafe { self.mapper.unmap(VirtAddr::new(virt), size) }
    }

    fn protect(&mut self, virt: u64, size: u64, protection: Protection) -> Result<(), MapError> {
        // SAFETY: nothing is ever loaded into a processor.
        unsafe { self.mapper.protect(VirtAddr::new(virt), size, protection) }
    }

    fn at(&self, virt: u64) -> Option<(u64, Protection)> {
        self.mapper.translate(VirtAddr::new(virt)).map(|found| (found.physical.as_u64(), found.protection))
    }

    fn all(&self) -> Vec<(u64, u64, u64, PageKind)> {
        let mut pages = Vec::new();
        self.mapper.walk(|at, frame, size, kind| pages.push((at.as_u64(), frame.as_u64(), size, kind)));
        pages
    }
}

#[test]
fn the_alias_of_code_is_read_only_while_it_is_code() {
    let mut machine = Machine::new(POOL);
    let phys = 5 * PAGE;
    machine.map(IMAGES, phys, 2 * PAGE, Protection::ReadWrite).unwrap();
    assert_eq!(machine.at(PHYSMAP + phys), Some((phys, Protection::ReadWrite)));
    machine.protect(IMAGES, PAGE, Protection::ReadExecute).unwrap();
    assert_eq!(machine.at(IMAGES + 7), Some((phys + 7, Protection::ReadExecute)));
    assert_eq!(machine.at(PHYSMAP + phys), Some((phys, Protection::ReadOnly)));
    assert_eq!(machine.at(PHYSMAP + phys + PAGE), Some((phys + PAGE, Protection::ReadWrite)));
    assert_eq!(machine.at(PHYSMAP + phys - 1), Some((phys - 1, Protection::ReadWrite)));
    machine.mapper.audit().unwrap();
    assert_eq!(machine.map(REGIONS + PAGE, phys, PAGE, Protection::ReadWrite), Err(MapError::Shared));
    machine.unmap(IMAGES, 2 * PAGE).unwrap();
    assert_eq!(machine.at(PHYSMAP + phys), Some((phys, Protection::ReadWrite)));
    assert_eq!(machine.at(IMAGES), None);
}

#[test]
fn the_audit_sees_a_planted_writable_alias() {
    let mut machine = Machine::new(POOL);
    machine.map(IMAGES, 5 * PAGE, PAGE, Protection::ReadExecute).unwrap();
    machine.mapper.release_alias(PhysRange::new(5 * PAGE, 6 * PAGE));
    let at = VirtAddr::new(PHYSMAP + 5 * PAGE);
    assert_eq!(machine.mapper.audit(), Err(Violation::WritableAlias(at)));
}

#[test]
fn the_audit_sees_a_planted_writable_and_executable_page() {
    let mut machine = Machine::new(POOL);
    let flags = Flags::PRESENT | Flags::WRITABLE;
    machine.mapper.fill(IMAGES, 0x100_0000_0000, PAGE, flags).unwrap();
    assert_eq!(machine.mapper.audit(), Err(Violation::WritableAndExecutable(VirtAddr::new(IMAGES))));
}

#[test]
fn bad_ranges_are_refused() {
    let mut machine = Machine::new(POOL);
    for (virt, phys, size) in [
        (REGIONS + 1, 0, PAGE),
        (REGIONS, 1, PAGE),
        (REGIONS, 0, 0),
        (REGIONS, 0, 5),
        (PHYSMAP, 0, PAGE),
        (REGIONS - PAGE, 0, 2 * PAGE),
        (0x7fff_ffff_f000, 0, 2 * PAGE),
        (0xffff_ffff_ffff_f000, 0, 2 * PAGE),
    ] {
        assert_eq!(machine.map(virt, phys, size, Protection::ReadWrite), Err(MapError::BadRange), "{virt:#x}");
    }
    assert_eq!(machine.unmap(REGIONS, PAGE), Err(MapError::NotMapped));
    machine.map(REGIONS, 0, PAGE, Protection::ReadWrite).unwrap();
    assert_eq!(machine.map(REGIONS, PAGE, PAGE, Protection::ReadWrite), Err(MapError::AlreadyMapped));
}

#[test]
fn a_failed_mapping_leaves_nothing_behind() {
    // Sweeps the size of the pool, so that each allocation of the mapping is once the one that fails.
    for spare in 0..12 {
        let mut machine = Machine::new(POOL);
        while machine.mapper.frames.available() > spare {
            machine.mapper.frames.allocate().unwrap();
        }
        let phys = LARGE_PAGE - 2 * PAGE;
        let virt = IMAGES + LARGE_PAGE - PAGE;
        let result = machine.map(virt, phys, 4 * PAGE, Protection::ReadExecute);
        if result.is_err() {
            assert_eq!(result, Err(MapError::Exhausted));
            assert!(machine.all().iter().all(|(at, _, _, kind)| *at < IMAGES && kind.writable));
        } else {
            machine.mapper.audit().unwrap();
        }
    }
}

#[test]
fn tables_come_back() {
    let mut machine = Machine::new(POOL);
    machine.map(REGIONS + PAGE, 0, 3 * LARGE_PAGE, Protection::ReadWrite).unwrap();
    machine.unmap(REGIONS + PAGE, 3 * LARGE_PAGE).unwrap();
    let before = machine.mapper.frames.available();
    for round in 1..2000 {
        let virt = REGIONS + round * 5 * LARGE_PAGE;
        machine.map(virt, 0, LARGE_PAGE + PAGE, Protection::ReadWrite).unwrap();
        machine.unmap(virt, LARGE_PAGE + PAGE).unwrap();
    }
    assert_eq!(machine.mapper.frames.available(), before);
}

fn protections() -> impl Strategy<Value = Protection> {
    prop_oneof![Just(Protection::ReadOnly), Just(Protection::ReadWrite), Just(Protection::ReadExecute)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a model of one entry a page: every page is as the model says, and the audit never complains.
    #[test]
    fn the_table_is_what_was_asked_for(
        steps in prop::collection::vec((0u8..3, 0u64..2000, 0u64..2000, 1u64..1200, protections()), 1..30),
    ) {
        let mut machine = Machine::new(4 * POOL);
        // Virtual page to frame and protection; one mapping a frame.
        let mut model: BTreeMap<u64, (u64, Protection)> = BTreeMap::new();
        for (what, page, frame, count, protection) in steps {
            let virt = IMAGES + page * PAGE;
            let pages = page..page + count;
            let whole = pages.clone().all(|page| model.contains_key(&page));
            match what {
                0 => {
                    let used = model.values().any(|(other, _)| (frame..frame + count).contains(other));
                    if used {
                        continue;
                    }
                    let free = pages.clone().all(|page| !model.contains_key(&page));
                    let result = machine.map(virt, frame * PAGE, count * PAGE, protection);
                    prop_assert_eq!(result, if free { Ok(()) } else { Err(MapError::AlreadyMapped) });
                    if free {
                        model.extend(pages.map(|at| (at, (frame + at - page, protection))));
                    }
                }
                1 => {
                    let result = machine.unmap(virt, count * PAGE);
                    prop_assert_eq!(result, if whole { Ok(()) } else { Err(MapError::NotMapped) });
                    if whole {
                        model.retain(|at, _| !pages.contains(at));
                    }
                }
                _ => {
                    let result = machine.protect(virt, count * PAGE, protection);
                    prop_assert_eq!(result, if whole { Ok(()) } else { Err(MapError::NotMapped) });
                    if whole {
                        pages.for_each(|at| model.get_mut(&at).unwrap().1 = protection);
                    }
                }
            }
            prop_assert!(machine.mapper.audit().is_ok());
        }
        for page in 0..3300 {
            let expected = model.get(&page).map(|(frame, protection)| (frame * PAGE, *protection));
            prop_assert_eq!(machine.at(IMAGES + page * PAGE), expected);
        }
        let readonly: std::collections::BTreeSet<u64> =
            model.values().filter(|(_, kind)| *kind != Protection::ReadWrite).map(|(frame, _)| *frame).collect();
        for frame in 0..MEMORY / PAGE {
            let expected = if readonly.contains(&frame) { Protection::ReadOnly } else { Protection::ReadWrite };
            prop_assert_eq!(machine.at(PHYSMAP + frame * PAGE), Some((frame * PAGE, expected)));
        }
    }
}
