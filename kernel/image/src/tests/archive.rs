//! The boot archive.

use crate::write::pack;
use crate::{Archive, ArchiveError, Name};

fn packed() -> Vec<u8> {
    pack(&[("memory", b"first image"), ("shell", b"second"), ("empty", b"")])
}

#[test]
fn images_come_back_in_order() {
    let bytes = packed();
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.len(), 3);
    let found: Vec<_> = archive.iter().map(|image| (image.name, image.bytes)).collect();
    assert_eq!(found, [("memory", &b"first image"[..]), ("shell", b"second"), ("empty", b"")]);
    assert!(archive.iter().all(|image| image.check().is_ok()));
    assert_eq!(archive.find("shell").unwrap().bytes, b"second");
    assert!(archive.find("she").is_none());
    assert!(Archive::open(&pack(&[])).unwrap().is_empty());
}

#[test]
fn damage_in_an_image_is_named() {
    let mut bytes = packed();
    let at = bytes.windows(6).position(|window| window == b"second").unwrap();
    bytes[at] ^= 1;
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.find("shell").unwrap().check(), Err(ArchiveError::Hash(Name::new("shell"))));
    assert_eq!(archive.find("memory").unwrap().check(), Ok(()));
}

#[test]
fn damage_in_the_tables_is_refused() {
    let change = |at: usize, value: u8| {
        let mut bytes = packed();
        bytes[at] = value;
        Archive::open(&bytes).map(drop)
    };
    assert_eq!(change(0, b'x'), Err(ArchiveError::Magic));
    assert_eq!(change(8, 9), Err(ArchiveError::Format(9)));
    assert_eq!(change(13, 4), Err(ArchiveError::Table));
    assert_eq!(change(16, b'/'), Err(ArchiveError::EntryName(0)));
    assert_eq!(change(16 + 31, b'x'), Err(ArchiveError::EntryName(0)));
    // Into the tables, behind the end, and so far that the sum wraps.
    assert_eq!(change(16 + 33, 0), Err(ArchiveError::EntryBounds(0)));
    assert_eq!(change(16 + 34, 1), Err(ArchiveError::EntryBounds(0)));
    assert_eq!(change(16 + 47, 0xff), Err(ArchiveError::EntryBounds(0)));
    assert_eq!(Archive::open(&pack(&[("a", b""), ("a", b"")])).map(drop), Err(ArchiveError::EntryName(1)));
    let whole = packed();
    for length in 0..whole.len() {
        assert!(Archive::open(&whole[..length]).is_err() || length >= whole.len() - 6, "cut to {length}");
    }
}
