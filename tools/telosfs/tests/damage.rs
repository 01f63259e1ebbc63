//! Damaged copies of a state: what `verify` names, and what `recover` brings back.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use object_store::{Load, Oid, Record, SECTOR, Storage, Tid};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use support::{Folder, Sample, opened, public, sample, telosfs};
use telosfs::Status;

/// Bytes of a segment of the sample, and of what stands before the first.
const SEGMENT: u64 = 64 * SECTOR as u64;
const HEAD: u64 = 32 * SECTOR as u64;

/// All revisions of all objects.
fn revisions(path: &Path) -> BTreeMap<(Oid, Tid), Option<Record>> {
    let mut store = opened(path);
    let mut found = BTreeMap::new();
    let mut after = None;
    while let Some(oid) = store.next_object(after).expect("read") {
        after = Some(oid);
        for revision in store.history(oid, usize::MAX).expect("read") {
            let load = store.load_revision(oid, revision.tid).expect("read").expect("it is there");
            let record = if let Load::Data { record, .. } = load { Some(record) } else { None };
            found.insert((oid, revision.tid), record);
        }
    }
    found
}

fn metadata(path: &Path) -> Vec<(Tid, String, String)> {
    let mut store = opened(path);
    let mut found = Vec::new();
    let mut after = Tid::ZERO;
    while let Some(info) = store.transaction_after(after).expect("read") {
        after = info.tid;
        found.push((info.tid, info.metadata.user, info.metadata.description));
    }
    found
}

/// A copy of the sample with one bit flipped.
fn flipped(folder: &Folder, bytes: &[u8], byte: u64, bit: u32) -> PathBuf {
    let mut rotten = bytes.to_vec();
    rotten[byte as usize] ^= 1 << bit;
    let path = folder.path("rotten.fs");
    fs::write(&path, rotten).expect("written");
    path
}

fn place_of(bytes: &[u8], text: &[u8]) -> u64 {
    bytes.windows(text.len()).position(|window| window == text).expect("it is in the file") as u64
}

/// Where the log of the sample ends: the last byte of segment 0 that is not zero.
fn end_of_log(bytes: &[u8]) -> u64 {
    let log = &bytes[HEAD as usize..];
    HEAD + log.iter().rposition(|byte| *byte != 0).expect("there is a log") as u64
}

fn recovered(folder: &Folder, rotten: &Path) -> (Status, Json, PathBuf) {
    let copy = folder.path("copy.fs");
    let _ = fs::remove_file(&copy);
    let said = telosfs(rotten, &format!("recover {} --format json", copy.display()));
    let answer = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.notes));
    (said.status, answer, copy)
}

#[test]
fn a_sound_state_has_no_damage() {
    let folder = Folder::new("sound");
    let sample = sample(&folder);
    let answer = telosfs(&sample.path, "verify --format json");
    assert_eq!(answer.status, Status::Fine);
    let answer = answer.json();
    assert_eq!((&answer["opens"], &answer["damages"]), (&json!(true), &json!([])));
    assert_eq!(answer["transactions"], json!(sample.tids.len()));
    assert_eq!(answer["last"], json!(sample.tids.last().expect("some").number()));
    let text = telosfs(&sample.path, "verify");
    assert!(text.out.trim_end().ends_with(": no damage"), "{}", text.out);
}

#[test]
fn a_copy_of_a_sound_state_is_the_same() {
    let folder = Folder::new("same");
    let sample = sample(&folder);
    let (status, answer, copy) = recovered(&folder, &sample.path);
    assert_eq!((status, &answer["lost"], &answer["dangling"]), (Status::Fine, &json!([]), &json!(0)));
    assert!(revisions(&copy) == revisions(&sample.path));
    assert_eq!(metadata(&copy), metadata(&sample.path));
    assert_eq!(opened(&copy).permutation_key(), opened(&sample.path).permutation_key());
    assert!(opened(&copy).oid_limit() >= opened(&sample.path).oid_limit());
    let again = telosfs(&sample.path, &format!("recover {}", copy.display()));
    assert_eq!(again.status, Status::CannotWrite);
}

/// A bit of a record: the store does not open, for the log is scanned, and the object is named all the same.
#[test]
fn a_damaged_record_is_named_with_its_object_and_the_rest_is_recovered() {
    let folder = Folder::new("record");
    let sample = sample(&folder);
    let bytes = fs::read(&sample.path).expect("read");
    let place = place_of(&bytes, b"turn 7");
    let rotten = flipped(&folder, &bytes, place, 3);
    let answer = telosfs(&rotten, "verify --format json");
    assert_eq!(answer.status, Status::Damage);
    let answer = answer.json();
    assert_eq!(answer["opens"], json!(false));
    let damages = answer["damages"].as_array().expect("damages");
    let record = damages.iter().find(|one| one["what"] == "record").expect("a record");
    assert_eq!(record["oids"], json!([public(sample.document)]));
    assert_eq!(
        (&record["tid"], &record["segment"]),
        (&json!(sample.tids[9].number()), &json!((place - HEAD) / SEGMENT))
    );
    let begin = record["byte"].as_u64().expect("a place");
    assert!(begin <= place && place < begin + 200, "{begin} {place}");
    assert!(damages.iter().any(|one| one["what"] == "batch" && one["byte"].as_u64().is_some_and(|at| at < place)));
    let other = telosfs(&rotten, "log");
    assert_eq!(other.status, Status::Damage);
    assert!(other.notes.contains("telosfs recover OUT"), "{}", other.notes);

    let (status, answer, copy) = recovered(&folder, &rotten);
    assert_eq!(status, Status::Damage);
    assert_eq!(answer["lost"][0]["oid"], json!(public(sample.document)));
    assert_eq!(answer["lost"][0]["tid"], json!(sample.tids[9].number()));
    let mut expected = revisions(&sample.path);
    expected.remove(&(sample.document, sample.tids[9]));
    assert!(revisions(&copy) == expected, "everything else is there");
    assert_eq!(metadata(&copy), metadata(&sample.path));
}

/// The header of a batch is lost, and so nobody knows how long it is: its transactions are found all the same.
#[test]
fn a_lost_batch_header_costs_no_record() {
    let folder = Folder::new("header");
    let sample = sample(&folder);
    let bytes = fs::read(&sample.path).expect("read");
    let place = place_of(&bytes, b"turn 7") / SECTOR as u64 * SECTOR as u64;
    let header =
        (0..=place).rev().step_by(SECTOR).find(|&at| bytes[at as usize..].starts_with(b"TelB")).expect("a batch");
    let rotten = flipped(&folder, &bytes, header + 20, 0);
    let answer = telosfs(&rotten, "verify --format json").json();
    assert_eq!((&answer["damages"][0]["what"], &answer["damages"][0]["byte"]), (&json!("batch"), &json!(header)));
    let (status, answer, copy) = recovered(&folder, &rotten);
    assert_eq!((status, &answer["lost"]), (Status::Damage, &json!([])));
    assert!(revisions(&copy) == revisions(&sample.path));
}

#[test]
fn without_roots_nothing_is_promised() {
    let folder = Folder::new("roots");
    let sample = sample(&folder);
    let mut bytes = fs::read(&sample.path).expect("read");
    bytes[8 * SECTOR + 40] ^= 1;
    let one = folder.path("one.fs");
    fs::write(&one, &bytes).expect("written");
    let answer = telosfs(&one, "verify --format json").json();
    assert_eq!((&answer["opens"], &answer["damages"][0]["what"]), (&json!(true), &json!("root")));
    bytes[16 * SECTOR + 40] ^= 1;
    let none = folder.path("none.fs");
    fs::write(&none, &bytes).expect("written");
    for line in ["verify", "log", "recover x.fs"] {
        let answer = telosfs(&none, line);
        assert_eq!(answer.status, Status::Damage, "{line}");
        assert!(answer.notes.contains("both roots"), "{}", answer.notes);
    }
}

fn check(folder: &Folder, sample: &Sample, bytes: &[u8], byte: u64, bit: u32) {
    let rotten = flipped(folder, bytes, byte, bit);
    let end = end_of_log(bytes).next_multiple_of(SECTOR as u64);
    let answer = telosfs(&rotten, "verify --format json");
    if answer.out.is_empty() {
        panic!("byte {byte}: {}", answer.notes);
    }
    let said = answer.json();
    let damages = said["damages"].as_array().expect("damages");
    let in_log = (HEAD..end).contains(&byte);
    let last = said["last"].as_u64().expect("a TID");
    let before_last = sample.tids[sample.tids.len() - 2].number();
    if answer.status == Status::Fine {
        // Of the log only the last batch may go without a word: it cannot be told from one that a power cut tore.
        assert!(!in_log || last == before_last, "byte {byte} bit {bit} was not missed");
        assert!(byte >= SECTOR as u64, "byte {byte} of the identity was not missed");
    } else if in_log {
        // A damage that is named stands at or before the byte, in its segment.
        let near = |one: &&Json| one["byte"].as_u64().is_some_and(|at| at <= byte && byte < at + SEGMENT);
        assert!(damages.iter().any(|one| near(&one)), "byte {byte}: {damages:?}");
    }
    // Nothing that is recovered is wrong, and what is not there is told.
    let (_, answer, copy) = recovered(folder, &rotten);
    let lost: Vec<(String, u64)> = answer["lost"]
        .as_array()
        .expect("lost")
        .iter()
        .map(|one| (one["oid"].as_str().unwrap_or_default().to_owned(), one["tid"].as_u64().unwrap_or_default()))
        .collect();
    let told = answer["damages"].as_array().expect("damages").iter().any(|one| one["what"] == "batch");
    let copied = revisions(&copy);
    let whole = revisions(&sample.path);
    for (key, record) in &copied {
        assert_eq!(whole.get(key), Some(record), "byte {byte}: {key:?}");
    }
    for key in whole.keys().filter(|key| !copied.contains_key(key)) {
        let named = lost.contains(&(public(key.0), key.1.number()));
        assert!(named || told, "byte {byte}: {key:?} is missing without a word");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bit of a real state: `verify` names the place, and `recover` brings back nothing that was not there.
    #[test]
    fn a_flipped_bit_is_named_and_nothing_wrong_is_recovered(places in prop::collection::vec((any::<prop::sample::Index>(), 0..8u32), 4)) {
        let folder = Folder::new("flips");
        let sample = sample(&folder);
        let bytes = fs::read(&sample.path).expect("read");
        let end = end_of_log(&bytes) as usize + 600;
        for (place, bit) in places {
            check(&folder, &sample, &bytes, place.index(end) as u64, bit);
        }
    }
}
