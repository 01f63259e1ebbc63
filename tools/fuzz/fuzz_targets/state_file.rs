//! Any bytes as a state file: it opens or is refused, and whatever opens can be read to its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use object_store::{FileStorage, MemoryDevice, Oid, Record, Storage, Tid};

fuzz_target!(|bytes: &[u8]| {
    let _ = Record::decode(bytes);
    let Ok((mut storage, _)) = FileStorage::open_read_only(MemoryDevice::from_bytes(bytes.to_vec())) else {
        return;
    };
    let _ = storage.verify(|_| {});
    let _ = storage.load_before(Oid::ROOT, Tid::MAX);
    let mut before = Tid::MAX;
    while let Ok(Some(info)) = storage.transaction_before(before) {
        before = info.tid;
    }
});
