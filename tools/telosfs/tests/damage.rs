//! Damaged copies of a state: what `verify` names, and what `recover` brings back.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use object_store::{Load, Oid, Record, SECTOR, Storage, Tid};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use support::{Folder, Life, Sample, opened, public, sample, sample_of, telosfs};
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

/// With its index written, a state opens in spite of damage in the log, and what stands in a damaged batch is named.
#[test]
fn damage_behind_the_index_is_named_with_what_it_concerns() {
    let folder = Folder::new("behind");
    let sample = sample_of(&folder, Life::Checkpoint);
    let bytes = fs::read(&sample.path).expect("read");
    let rotten = flipped(&folder, &bytes, place_of(&bytes, b"turn 7"), 3);
    let answer = telosfs(&rotten, "verify --format json");
    assert_eq!(answer.status, Status::Damage);
    let answer = answer.json();
    assert_eq!((&answer["opens"], &answer["refused"]), (&json!(true), &json!(null)));
    let damages = answer["damages"].as_array().expect("damages");
    assert_eq!(damages.len(), 2, "{damages:?}");
    for what in ["batch", "record"] {
        let damage = damages.iter().find(|one| one["what"] == what).expect(what);
        assert_eq!(damage["oids"], json!([public(sample.document)]), "{what}");
    }
    // What is sound is shown, and what is not says so.
    let document = public(sample.document);
    assert_eq!(telosfs(&rotten, &format!("show {document}")).status, Status::Fine);
    let then = telosfs(&rotten, &format!("show {document} --at {}", sample.tids[9].number()));
    assert_eq!(then.status, Status::Damage);
    assert!(then.notes.contains("damaged in segment"), "{}", then.notes);
}

/// The head of a transaction is lost, and with it the places of its records, but the index has them.
#[test]
fn records_whose_head_is_lost_are_found_through_the_index() {
    let folder = Folder::new("index");
    let sample = sample_of(&folder, Life::Checkpoint);
    let bytes = fs::read(&sample.path).expect("read");
    let place = place_of(&bytes, b"add documents");
    let rotten = flipped(&folder, &bytes, place, 0);
    let answer = telosfs(&rotten, "verify --format json").json();
    let damages = answer["damages"].as_array().expect("damages");
    let head = damages.iter().find(|one| one["what"] == "transaction").expect("a transaction");
    assert_eq!(head["tid"], json!(sample.tids[1].number()));
    assert_eq!(head["oids"].as_array().map(Vec::len), Some(4), "{head}");
    let (status, answer, copy) = recovered(&folder, &rotten);
    assert_eq!((status, &answer["lost"]), (Status::Damage, &json!([])));
    assert!(revisions(&copy) == revisions(&sample.path));
    let said: Vec<String> = metadata(&copy).into_iter().map(|(_, _, description)| description).collect();
    assert!(said[1].contains("lost") && said[0] == "genesis", "{said:?}");
}

#[test]
fn a_damaged_index_is_named_and_loses_nothing() {
    let folder = Folder::new("tree");
    let sample = sample_of(&folder, Life::Checkpoint);
    let bytes = fs::read(&sample.path).expect("read");
    let rotten = flipped(&folder, &bytes, place_of(&bytes, b"TelI") + 40, 2);
    let answer = telosfs(&rotten, "verify --format json").json();
    assert_eq!(answer["damages"][0]["what"], json!("index"));
    let (status, answer, copy) = recovered(&folder, &rotten);
    assert_eq!((status, &answer["lost"]), (Status::Fine, &json!([])));
    assert!(revisions(&copy) == revisions(&sample.path));
}

#[test]
fn what_was_packed_away_stays_away_in_a_copy() {
    let folder = Folder::new("packed");
    let sample = sample_of(&folder, Life::Pack);
    let (status, _, copy) = recovered(&folder, &sample.path);
    assert_eq!(status, Status::Fine);
    assert!(revisions(&copy) == revisions(&sample.path));
    assert_eq!(metadata(&copy), metadata(&sample.path));
    assert_eq!(opened(&copy).horizon(), opened(&sample.path).horizon());
    let before = telosfs(&copy, &format!("show root --at {}", sample.tids[2].number()));
    assert_eq!(before.status, Status::NotFound);
    assert!(before.notes.contains("was packed away"), "{}", before.notes);
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

fn check(folder: &Folder, sample: &Sample, bytes: &[u8], used: &[bool], byte: u64, bit: u32) {
    let rotten = flipped(folder, bytes, byte, bit);
    let answer = telosfs(&rotten, "verify --format json");
    assert!(!answer.out.is_empty(), "byte {byte}: {}", answer.notes);
    let said = answer.json();
    let damages = said["damages"].as_array().expect("damages");
    let in_log = used.get((byte / SECTOR as u64) as usize) == Some(&true);
    let before_last = sample.tids[sample.tids.len() - 2].number();
    if answer.status == Status::Fine {
        // Of the log only the last batch may go without a word: it cannot be told from one that a power cut tore.
        assert!(!in_log || said["last"] == json!(before_last), "byte {byte} bit {bit} was not missed");
        assert!(byte >= SECTOR as u64, "byte {byte} of the identity was not missed");
    } else if in_log {
        // A damage that is named stands at or before the byte, in its segment.
        let near = |one: &Json| one["byte"].as_u64().is_some_and(|at| at <= byte && byte < at + SEGMENT);
        assert!(damages.iter().any(|one| near(one) || one["what"] == "index"), "byte {byte}: {damages:?}");
    }
    // Nothing that is recovered is wrong, and what is not there is told.
    let (_, answer, copy) = recovered(folder, &rotten);
    let lost = answer["lost"].as_array().expect("lost");
    let told = answer["damages"].as_array().expect("damages").iter().any(|one| one["what"] == "batch");
    let (copied, whole) = (revisions(&copy), revisions(&sample.path));
    for (key, record) in &copied {
        assert_eq!(whole.get(key), Some(record), "byte {byte}: {key:?}");
    }
    for key in whole.keys().filter(|key| !copied.contains_key(key)) {
        let named = lost.iter().any(|one| one["oid"] == public(key.0) && one["tid"] == key.1.number());
        assert!(named || told, "byte {byte}: {key:?} is missing without a word");
    }
    // Genesis is the largest of the batches.
    let most = whole.keys().filter(|key| key.1 == sample.tids[0]).count();
    assert!(copied.len() + most >= whole.len(), "byte {byte}: a flipped bit costs one batch at most");
}

/// The sectors from which a batch or an index block of a segment reaches up to its last byte that is not zero.
fn sectors_in_use(bytes: &[u8]) -> Vec<bool> {
    let mut used = vec![false; bytes.len() / SECTOR];
    for (number, segment) in bytes[HEAD as usize..].chunks(SEGMENT as usize).enumerate() {
        let Some(last) = segment.iter().rposition(|byte| *byte != 0) else { continue };
        let first = HEAD as usize / SECTOR + number * SEGMENT as usize / SECTOR;
        used[first..=first + last / SECTOR].fill(true);
    }
    used
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bit of a real state: `verify` names the place, and `recover` brings back nothing that was not there.
    #[test]
    fn a_flipped_bit_is_named_and_nothing_wrong_is_recovered(
        checkpoint: bool,
        places in prop::collection::vec((any::<prop::sample::Index>(), 0..8u32), 6),
    ) {
        let folder = Folder::new("flips");
        let sample = sample_of(&folder, if checkpoint { Life::Checkpoint } else { Life::Plain });
        let bytes = fs::read(&sample.path).expect("read");
        let used = sectors_in_use(&bytes);
        let end = used.iter().rposition(|used| *used).expect("some") * SECTOR + 600;
        for (place, bit) in places {
            check(&folder, &sample, &bytes, &used, place.index(end) as u64, bit);
        }
    }
}
