//! A walk over every page, for whoever wants to see them all.

use super::Mapper;
use super::tree::reach;
use x86_64::structures::paging::PageTableFlags as Flags;
use x86_64::{PhysAddr, VirtAddr};

/// What [`Mapper::walk`] says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageKind {
    /// It can be written to.
    pub writable: bool,
    /// It can be executed.
    pub executable: bool,
    /// Ring 3 could reach it.
    pub user: bool,
}

impl Mapper {
    /// Calls `visit` with address, physical address, size and protection of every page, lowest address first.
    pub fn walk(&self, mut visit: impl FnMut(VirtAddr, PhysAddr, u64, PageKind)) {
        self.walk_table(self.root, 4, 0, &mut visit);
    }

    fn walk_table(
        &self,
        table: PhysAddr,
        level: u32,
        base: u64,
        visit: &mut dyn FnMut(VirtAddr, PhysAddr, u64, PageKind),
    ) {
        for index in 0..512 {
            let entry = self.window().read(table, index);
            let at = base + index as u64 * reach(level);
            if !entry.is_present() {
                continue;
            }
            if level == 1 || entry.is_large() {
                let flags = entry.flags();
                let kind = PageKind {
                    writable: flags.contains(Flags::WRITABLE),
                    executable: !flags.contains(Flags::NO_EXECUTE),
                    user: flags.contains(Flags::USER_ACCESSIBLE),
                };
                visit(VirtAddr::new_truncate(at), entry.frame(), reach(level), kind);
            } else {
                self.walk_table(entry.frame(), level - 1, at, visit);
            }
        }
    }
}
