//! The check that the page table keeps its promises.

use crate::mapper::Mapper;
use crate::range::PhysRange;
use alloc::vec::Vec;
use x86_64::VirtAddr;

/// What the page table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Pages of any size.
    pub pages: u64,
    /// Bytes that can be executed.
    pub executable: u64,
    /// Bytes that can be written to.
    pub writable: u64,
}

/// A broken promise, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A page is writable and executable.
    WritableAndExecutable(VirtAddr),
    /// A writable page shows a frame that is executable elsewhere.
    WritableAlias(VirtAddr),
    /// Ring 3 could reach a page.
    User(VirtAddr),
    /// There was no memory to check with.
    NoMemory,
}

impl Mapper {
    /// Walks the whole table twice: for executable frames, then for writable views of them.
    pub fn audit(&self) -> Result<Audit, Violation> {
        let mut audit = Audit::default();
        let mut executable: Vec<PhysRange> = Vec::new();
        let mut first = None;
        self.walk(|at, frame, size, kind| {
            audit.pages += 1;
            audit.executable += if kind.executable { size } else { 0 };
            audit.writable += if kind.writable { size } else { 0 };
            if kind.user {
                first.get_or_insert(Violation::User(at));
            }
            if kind.writable && kind.executable {
                first.get_or_insert(Violation::WritableAndExecutable(at));
            }
            if kind.executable {
                let range = PhysRange::new(frame.as_u64(), frame.as_u64() + size);
                let joins = executable.last_mut().filter(|last| last.end() == range.start());
                if let Some(last) = joins {
                    *last = PhysRange::new(last.start(), range.end());
                } else if executable.try_reserve(1).is_ok() {
                    executable.push(range);
                } else {
                    first.get_or_insert(Violation::NoMemory);
                }
            }
        });
        executable.sort_unstable_by_key(|range| range.start());
        self.walk(|at, frame, size, kind| {
            let range = PhysRange::new(frame.as_u64(), frame.as_u64() + size);
            // Executable frames are mapped once, so the ranges do not overlap and their ends are sorted too.
            let next = executable.partition_point(|other| other.end() <= range.start());
            if kind.writable && executable.get(next).is_some_and(|other| other.overlaps(range)) {
                first.get_or_insert(Violation::WritableAlias(at));
            }
        });
        first.map_or(Ok(audit), Err)
    }
}
