//! Whether a machine has a file open: QEMU holds locks on the bytes of its disks from 100 on, which the host lists.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

/// The first byte that QEMU locks.
const FIRST_BYTE: u64 = 100;
/// Behind the last one: 200, and one of each of its 64 permissions.
const BEHIND: u64 = 264;

/// Whether a QEMU on this host has the file open, as far as the host tells.
pub(crate) fn is_open_in_qemu(file: &Metadata) -> bool {
    fs::read_to_string("/proc/locks").is_ok_and(|locks| names(&locks, file.ino()))
}

/// Whether the list has a lock of QEMU's kind on an inode. A row is `1: OFDLCK ADVISORY READ -1 08:01:1234 100 101`.
fn names(locks: &str, inode: u64) -> bool {
    locks.lines().any(|row| {
        let words: Vec<&str> = row.split_whitespace().collect();
        let Some([place, first, _last]) = words.last_chunk::<3>() else { return false };
        let on_it = place.rsplit(':').next().and_then(|word| word.parse().ok()) == Some(inode);
        on_it && first.parse().is_ok_and(|first: u64| (FIRST_BYTE..BEHIND).contains(&first))
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_lock_of_a_machine_is_told_from_others() {
        let locks = "1: OFDLCK ADVISORY  READ -1 00:2f:1234 100 101\n2: FLOCK  ADVISORY  WRITE 7 08:01:55 0 EOF\n";
        assert!(names(locks, 1234));
        assert!(!names(locks, 55), "its lock is not QEMU's");
        assert!(!names(locks, 100) && !names("", 1234) && !names("garbage\n\n1: x", 0));
    }
}
