//! Any bytes as a state file: it opens or is refused, and whatever opens can be read to its end; what can be salvaged of it
//! is, and ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use object_store::{FileStorage, MemoryDevice, Oid, Record, Salvage, Storage, Tid};

fuzz_target!(|bytes: &[u8]| {
    let _ = Record::decode(bytes);
    if let Ok(mut salvage) = Salvage::read(MemoryDevice::from_bytes(bytes.to_vec())) {
        let _ = salvage.lost();
        for found in salvage.transactions() {
            for change in found.changes {
                let _ = salvage.record(change.oid, found.tid);
            }
        }
    }
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
