//! State files for tests: genesis, a few processes' worth of changes, an object of another schema, an end, a pack.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use genesis::Graph;
use object_model::{BadObject, Object, Oid, SlotKind, Value};
use object_store::{
    BlockDevice, Clock, FileStorage, FormatOptions, Load, Metadata, NoClock, OidPermutation, PackRequest, Record,
    Storage, StorageError, StorageTransaction, Tid,
};
use serde_json::Value as Json;
use telosfs::device::{NewFile, ReadOnlyFile};
use telosfs::{Console, Progress, Status};

/// The key of every test's state file.
pub const KEY: [u8; 16] = *b"a key for tests.";
/// When the tests' clocks begin: 2026-11-24 04:13:49.
pub const BEGIN: u64 = 1_795_493_629_000_000;
const SECTORS: u64 = 32 + 64 * 64;

/// A clock that goes on by a second whenever it is asked.
pub struct Seconds(pub u64);

impl Clock for Seconds {
    fn now(&mut self) -> u64 {
        self.0 += 1_000_000;
        self.0
    }
}

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("telosfs-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub type Store = FileStorage<NewFile, Seconds>;

struct Building<'a> {
    store: &'a mut Store,
    transaction: StorageTransaction,
    made: Vec<(Oid, Object)>,
}

#[derive(Debug)]
struct Wrong;

impl From<BadObject> for Wrong {
    fn from(_: BadObject) -> Wrong {
        Wrong
    }
}

impl From<StorageError> for Wrong {
    fn from(_: StorageError) -> Wrong {
        Wrong
    }
}

impl Graph for Building<'_> {
    type Error = Wrong;

    fn new_object(&mut self) -> Result<Oid, Wrong> {
        Ok(self.store.new_oid()?)
    }

    fn put(&mut self, oid: Oid, object: &Object) -> Result<(), Wrong> {
        self.store.store(&mut self.transaction, oid, Tid::ZERO, object.to_record()?);
        self.made.push((oid, object.clone()));
        Ok(())
    }

    fn get(&mut self, oid: Oid) -> Result<Object, Wrong> {
        self.made.iter().rev().find(|(made, _)| *made == oid).map(|(_, object)| object.clone()).ok_or(Wrong)
    }
}

/// What happens to a sample before its last transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Nothing: the whole log is scanned at every opening.
    Plain,
    /// Its index is written, so that opening does not see the log before.
    Checkpoint,
    /// Its past up to the eleventh transaction is packed away, and its index is written.
    Pack,
}

/// What a sample holds.
pub struct Sample {
    pub path: PathBuf,
    /// A document, which was changed and refers to the end of the sample's life.
    pub document: Oid,
    /// What is no object of slots.
    pub raw: Oid,
    /// What ended.
    pub ended: Oid,
    pub tids: Vec<Tid>,
}

pub fn public(oid: Oid) -> String {
    format!("#{:016x}", OidPermutation::new(&KEY).outside(oid).number())
}

pub fn commit(store: &mut Store, description: &str, changes: Vec<(Oid, Option<Record>)>) -> Tid {
    let mut transaction = store.begin(Metadata::new("tester", description)).expect("begun");
    for (oid, record) in changes {
        let based_on = store.revision_before(oid, Tid::MAX).expect("read").revision();
        match record {
            Some(record) => store.store(&mut transaction, oid, based_on, record),
            None => store.delete(&mut transaction, oid, based_on),
        }
    }
    let voted = store.vote(transaction).expect("voted");
    store.finish(voted).expect("committed")
}

pub fn document(text: &str, to: Oid) -> Record {
    let object = Object::new().data("name", Value::Text("document".into())).data("text", Value::Text(text.into()));
    object.referring("next", to).to_record().expect("small")
}

/// Makes the plain sample.
pub fn sample(folder: &Folder) -> Sample {
    sample_of(folder, Life::Plain)
}

/// Makes a sample.
pub fn sample_of(folder: &Folder, life: Life) -> Sample {
    let path = folder.path("state.fs");
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("made");
    let mut device = NewFile::new(file, SECTORS).expect("sized");
    FileStorage::format(&mut device, KEY, FormatOptions { segment_sectors: Some(64) }).expect("formatted");
    let (mut store, _) = FileStorage::open(device, Seconds(BEGIN)).map_err(|refused| refused.error).expect("opened");
    let mut tids = vec![genesis(&mut store)];
    let [documents, raw, ended] = [(); 3].map(|()| store.new_oid().expect("a number"));
    let raw_record =
        Record { schema: 77, version: 3, payload: vec![0xab; 300], references: vec![documents], ..Record::default() };
    let mut root = object(&mut store, Oid::ROOT);
    let reference = root.refer(documents);
    root.set("documents", SlotKind::Data, reference);
    let also = root.refer(raw);
    root.set("raw", SlotKind::Data, also);
    tids.push(commit(
        &mut store,
        "add documents",
        vec![
            (Oid::ROOT, Some(root.to_record().expect("small"))),
            (documents, Some(document("first", Oid::ROOT))),
            (raw, Some(raw_record)),
            (ended, Some(document("short-lived", documents))),
        ],
    ));
    for turn in 0..20 {
        tids.push(commit(&mut store, "edit", vec![(documents, Some(document(&format!("turn {turn}"), raw)))]));
    }
    if life == Life::Pack {
        store.pack(PackRequest::until(tids[10])).expect("packed");
    }
    if life != Life::Plain {
        store.checkpoint().expect("there is room");
    }
    tids.push(commit(&mut store, "end it", vec![(ended, None)]));
    tids.push(commit(
        &mut store,
        "edit\tfor the\x1b[2Jlast time",
        vec![(documents, Some(document("last", Oid::ROOT)))],
    ));
    Sample { path, document: documents, raw, ended, tids }
}

fn genesis(store: &mut Store) -> Tid {
    let transaction = store.begin(Metadata::new("root task", "genesis")).expect("begun");
    let mut building = Building { store, transaction, made: Vec::new() };
    let _ = genesis::establish(&mut building, Oid::ROOT, None).expect("created");
    let Building { store, transaction, .. } = building;
    let voted = store.vote(transaction).expect("voted");
    store.finish(voted).expect("committed")
}

pub fn object<D: BlockDevice, C: Clock>(store: &mut FileStorage<D, C>, oid: Oid) -> Object {
    let Load::Data { record, .. } = store.load_before(oid, Tid::MAX).expect("read") else { panic!("it is there") };
    Object::from_record(&record).expect("an object")
}

/// A state file, opened by the library alone.
pub fn opened(path: &Path) -> FileStorage<ReadOnlyFile, NoClock> {
    let device = ReadOnlyFile::new(File::open(path).expect("there")).expect("sized");
    FileStorage::open_read_only(device).map_err(|refused| refused.error).expect("opened").0
}

/// What a command line said.
pub struct Said {
    pub status: Status,
    pub out: String,
    pub notes: String,
}

impl Said {
    pub fn json(&self) -> Json {
        assert_eq!(self.notes, "");
        serde_json::from_str(&self.out).expect("JSON")
    }
}

/// Carries out a command line; words are divided at spaces.
pub fn telosfs(path: &Path, line: &str) -> Said {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let mut console = Console { out: &mut out, notes: &mut notes, progress: Progress::Hidden };
    let status = telosfs::run(&words, path.to_str(), &mut console);
    Said { status, out: String::from_utf8_lossy(&out).into_owned(), notes: String::from_utf8(notes).expect("text") }
}
