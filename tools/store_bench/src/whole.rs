//! What concerns the whole store: opening, scanning, packing, its size.

use std::path::Path;
use std::time::Instant;

use object_store::{BlockDevice, FileStorage, Load, Metadata, Oid, PackProgress, PackRequest, SECTOR, Storage, Tid};

use crate::device::FileDevice;
use crate::rival::{Rival, Telos, record};
use crate::scattered;
use crate::table::{Table, Target, median};

/// References of an object of the tree below which everything stands.
const FANOUT: u64 = 100;

/// Measures and prints.
pub fn measure(directory: &Path, objects: u64, table: &mut Table) {
    let mut store = Telos::create(&directory.join("whole"), objects * 2);
    grow(&mut store, objects);
    store.storage().checkpoint().expect("there is room");
    let (mut device, open) = opening(store.into_device());
    println!("{objects} objects");
    table.add_whole("opening from a checkpoint", open * 1e3, "ms", Target::AtMost(5.0));
    let blocks = damage_index(&mut device);
    let scan = first_load(&mut device);
    table.add_whole("the whole log scanned for a first load", scan * 1e3, "ms", Target::AtMost(300.0));
    blocks.iter().for_each(|(sector, block)| device.write(*sector, block).expect("it can be written"));
    let mut store = Telos::open(device);
    shrink(&mut store, objects);
    pack(&mut store, table);
}

/// A tree of objects below the root: object *n* refers to objects *n* x 100 + 1 and on.
fn grow(store: &mut Telos, objects: u64) {
    let mut next = 0;
    let storage = store.storage();
    let mut written = 0;
    while next < objects {
        let mut transaction = storage.begin(Metadata::default()).expect("it runs");
        let end = (next + 1_000).min(objects);
        // Children first, so that no reference dangles.
        for oid in next..end {
            if oid > 0 {
                storage.new_oid().expect("there are numbers");
            }
            storage.store(&mut transaction, Oid::new(oid), Tid::ZERO, record(oid, Vec::new()));
        }
        let voted = storage.vote(transaction).expect("nothing conflicts");
        storage.finish(voted).expect("it commits");
        written += end - next;
        next = end;
    }
    assert_eq!(written, objects);
    for parents in (0..objects.div_ceil(FANOUT)).collect::<Vec<_>>().chunks(500) {
        let mut transaction = storage.begin(Metadata::default()).expect("it runs");
        for &parent in parents {
            let children = (parent * FANOUT + 1..=(parent + 1) * FANOUT).filter(|&child| child < objects);
            let revision = storage.revision_before(Oid::new(parent), Tid::MAX).expect("it is read").revision();
            storage.store(
                &mut transaction,
                Oid::new(parent),
                revision,
                record(parent, children.map(Oid::new).collect()),
            );
        }
        let voted = storage.vote(transaction).expect("nothing conflicts");
        storage.finish(voted).expect("it commits");
    }
}

/// Rewrites a fifth of the objects and cuts off a tenth.
fn shrink(store: &mut Telos, objects: u64) {
    let parents = objects.div_ceil(FANOUT);
    let mut changed: Vec<u64> = (0..objects / 5).map(|n| parents + scattered(n, objects - parents)).collect();
    changed.sort_unstable();
    changed.dedup();
    for some in changed.chunks(100) {
        store.update(some);
    }
    // The last tenth of those that have children loses them.
    for parent in (parents - parents / 10..parents).collect::<Vec<_>>().chunks(100) {
        store.update(parent);
    }
}

fn opening(device: FileDevice) -> (FileDevice, f64) {
    let mut device = Some(device);
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let opened = FileStorage::open_read_only(device.take().expect("it is given back"));
        times.push(start.elapsed().as_secs_f64());
        let (storage, _) = opened.map_err(|refused| refused.error).expect("it opens");
        device = Some(storage.into_device());
    }
    (device.expect("it is given back"), median(times))
}

/// Damages each block of the index, so that only a scan of the whole log helps; answers what was there.
fn damage_index(device: &mut FileDevice) -> Vec<(u64, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut block = vec![0; 8 * SECTOR];
    for sector in (32..device.sectors() - 8).step_by(8) {
        device.read(sector, &mut block).expect("it can be read");
        if block.starts_with(b"TelI") {
            blocks.push((sector, block.clone()));
            device.write(sector, &vec![0; block.len()]).expect("it can be written");
        }
    }
    blocks
}

fn first_load(device: &mut FileDevice) -> f64 {
    let mut times = Vec::new();
    for _ in 0..5 {
        let opened = FileStorage::open_read_only(&mut *device).map_err(|refused| refused.error);
        let (mut storage, _) = opened.expect("it opens");
        let start = Instant::now();
        assert!(matches!(storage.load_before(Oid::new(1), Tid::MAX), Ok(Load::Data { .. })));
        times.push(start.elapsed().as_secs_f64());
        assert_eq!(storage.index_rebuilds(), 1);
    }
    median(times)
}

fn pack(store: &mut Telos, table: &mut Table) {
    let storage = store.storage();
    let used = storage.log_bytes();
    let start = Instant::now();
    storage.pack_start(PackRequest::until(Tid::MAX)).expect("it runs");
    let (mut longest, mut dropped) = (0.0f64, 0.0);
    let report = loop {
        let step = Instant::now();
        let progress = storage.pack_step(usize::MAX).expect("it goes on");
        longest = longest.max(step.elapsed().as_secs_f64());
        if storage.packed_up_to() < storage.horizon() {
            dropped = start.elapsed().as_secs_f64();
        }
        if let PackProgress::Done(report) = progress {
            break report;
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    let rate = used as f64 / seconds / 1e6;
    table.add_whole("pack", rate, "MB/s", Target::AtLeast(200.0));
    println!(
        "{:58} {} MB in {seconds:.2} s, {dropped:.2} s of it to find garbage; the longest step {:.1} ms",
        "",
        used / 1_000_000,
        longest * 1e3
    );
    println!("{:58} {} objects and {} revisions dropped", "", report.objects, report.revisions);
    let objects = storage.verify(|damage| panic!("{damage:?}")).expect("it is read").records;
    let log = storage.log_bytes() as f64 / objects as f64;
    table.add_whole("log for an object of 100 bytes, after that", log, "bytes", Target::AtMost(130.0));
}
