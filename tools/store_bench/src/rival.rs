//! The stores, as the benchmark drives them. Each keeps the current state of an object under its number, with the number of
//! the transaction that wrote it, and compares that before a change. Only TelOS's keeps the history too.

use std::path::{Path, PathBuf};

use object_store::{Clock, FileStorage, FormatOptions, Load, Metadata, Oid, Record, Storage, StorageTransaction, Tid};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use rusqlite::Connection;

use crate::device::FileDevice;
use crate::payload;

/// A store that is measured.
pub trait Rival {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Creates objects, numbered from `first` on, in one durable commit.
    fn insert(&mut self, first: u64, count: u64);
    /// Changes objects in one durable commit.
    fn update(&mut self, oids: &[u64]);
    /// Commits one change of each object, each for another client, all waiting at the same time.
    fn update_together(&mut self, oids: &[u64]) {
        oids.iter().for_each(|oid| self.update(&[*oid]));
    }
    /// Loads an object; answers the length of its payload.
    fn load(&mut self, oid: u64) -> usize;
    /// Does what the store does in quiet hours.
    fn settle(&mut self);
}

/// One of each.
pub fn all(directory: &Path, name: &str, objects: u64) -> Vec<Box<dyn Rival>> {
    let path = |kind: &str| -> PathBuf { directory.join(format!("{name}.{kind}")) };
    vec![
        Box::new(Telos::create(&path("telos"), objects)),
        Box::new(Sqlite::create(&path("sqlite"))),
        Box::new(Redb::create(&path("redb"))),
    ]
}

/// A clock that only counts.
pub struct Ticks(u64);

impl Clock for Ticks {
    fn now(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// TelOS's store on a file.
pub struct Telos {
    storage: FileStorage<FileDevice, Ticks>,
}

/// The record of an object.
pub fn record(oid: u64, references: Vec<Oid>) -> Record {
    Record { schema: 1, version: 1, references, capabilities: Vec::new(), payload: payload(oid).to_vec() }
}

impl Telos {
    /// Formats and opens a file that is large enough for the objects and many changes of some.
    pub fn create(path: &Path, objects: u64) -> Self {
        let mut device = FileDevice::create(path, (200 << 20) + objects * 256);
        FileStorage::format(&mut device, [3; 16], FormatOptions::default()).expect("a new file can be formatted");
        Self::open(device)
    }

    /// Opens a device.
    pub fn open(device: FileDevice) -> Self {
        let (mut storage, _) = FileStorage::open(device, Ticks(0)).map_err(|refused| refused.error).expect("it opens");
        // Of the same order as what the others are given: the index of a million objects, and their records.
        storage.set_index_cache(8_192);
        storage.set_log_cache(32_768);
        Self { storage }
    }

    /// The storage.
    pub fn storage(&mut self) -> &mut FileStorage<FileDevice, Ticks> {
        &mut self.storage
    }

    /// The device.
    pub fn into_device(self) -> FileDevice {
        self.storage.into_device()
    }

    fn staged(&mut self, oids: &[u64]) -> StorageTransaction {
        let mut transaction = self.storage.begin(Metadata::default()).expect("it runs");
        for &oid in oids {
            let revision = self.storage.revision_before(Oid::new(oid), Tid::MAX).expect("it is read").revision();
            self.storage.store(&mut transaction, Oid::new(oid), revision, record(oid, Vec::new()));
        }
        transaction
    }
}

impl Rival for Telos {
    fn name(&self) -> &'static str {
        "TelOS"
    }

    fn insert(&mut self, first: u64, count: u64) {
        let mut transaction = self.storage.begin(Metadata::default()).expect("it runs");
        for oid in first..first + count {
            if oid > 0 {
                assert_eq!(self.storage.new_oid(), Ok(Oid::new(oid)));
            }
            self.storage.store(&mut transaction, Oid::new(oid), Tid::ZERO, record(oid, Vec::new()));
        }
        let voted = self.storage.vote(transaction).expect("nothing conflicts");
        self.storage.finish(voted).expect("it commits");
    }

    fn update(&mut self, oids: &[u64]) {
        let transaction = self.staged(oids);
        let voted = self.storage.vote(transaction).expect("nothing conflicts");
        self.storage.finish(voted).expect("it commits");
    }

    fn update_together(&mut self, oids: &[u64]) {
        let mut voted = Vec::new();
        for &oid in oids {
            let transaction = self.staged(&[oid]);
            voted.push(self.storage.vote(transaction).expect("nothing conflicts"));
        }
        self.storage.finish_many(voted).expect("they commit");
    }

    fn load(&mut self, oid: u64) -> usize {
        match self.storage.load_before(Oid::new(oid), Tid::MAX).expect("it is read") {
            Load::Data { record, .. } => record.payload.len(),
            _ => 0,
        }
    }

    fn settle(&mut self) {
        self.storage.checkpoint().expect("there is room");
    }
}

struct Sqlite {
    connection: Connection,
    tid: i64,
}

impl Sqlite {
    fn create(path: &Path) -> Self {
        let connection = Connection::open(path).expect("it opens");
        let settings = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;
            CREATE TABLE object (oid INTEGER PRIMARY KEY, tid INTEGER NOT NULL, data BLOB NOT NULL);";
        connection.execute_batch(settings).expect("it is set up");
        Self { connection, tid: 0 }
    }
}

impl Rival for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn insert(&mut self, first: u64, count: u64) {
        self.tid += 1;
        let transaction = self.connection.transaction().expect("it begins");
        {
            let mut insert = transaction.prepare_cached("INSERT INTO object VALUES (?1, ?2, ?3)").expect("it is right");
            for oid in first..first + count {
                insert.execute((oid as i64, self.tid, payload(oid))).expect("it is new");
            }
        }
        transaction.commit().expect("it commits");
    }

    fn update(&mut self, oids: &[u64]) {
        self.tid += 1;
        let transaction = self.connection.transaction().expect("it begins");
        {
            let mut select = transaction.prepare_cached("SELECT tid FROM object WHERE oid = ?1").expect("it is right");
            let mut update = transaction
                .prepare_cached("UPDATE object SET tid = ?2, data = ?3 WHERE oid = ?1")
                .expect("it is right");
            for &oid in oids {
                let tid: i64 = select.query_row([oid as i64], |row| row.get(0)).expect("it is there");
                assert!(tid < self.tid);
                update.execute((oid as i64, self.tid, payload(oid))).expect("it is there");
            }
        }
        transaction.commit().expect("it commits");
    }

    fn load(&mut self, oid: u64) -> usize {
        let mut select = self.connection.prepare_cached("SELECT data FROM object WHERE oid = ?1").expect("it is right");
        select.query_row([oid as i64], |row| row.get::<_, Vec<u8>>(0)).map_or(0, |data| data.len())
    }

    fn settle(&mut self) {
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

const OBJECTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("object");

struct Redb {
    database: Database,
    tid: u64,
    snapshot: Option<(redb::ReadOnlyTable<u64, &'static [u8]>, u32)>,
}

impl Redb {
    fn create(path: &Path) -> Self {
        let database = Database::builder().set_cache_size(256 << 20).create(path).expect("it opens");
        Self { database, tid: 0, snapshot: None }
    }

    fn value(&self, oid: u64) -> Vec<u8> {
        let mut value = self.tid.to_le_bytes().to_vec();
        value.extend_from_slice(payload(oid));
        value
    }
}

impl Rival for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn insert(&mut self, first: u64, count: u64) {
        self.tid += 1;
        let transaction = self.database.begin_write().expect("it begins");
        {
            let mut table = transaction.open_table(OBJECTS).expect("it opens");
            for oid in first..first + count {
                table.insert(oid, self.value(oid).as_slice()).expect("it is stored");
            }
        }
        transaction.commit().expect("it commits");
    }

    fn update(&mut self, oids: &[u64]) {
        self.tid += 1;
        let transaction = self.database.begin_write().expect("it begins");
        {
            let mut table = transaction.open_table(OBJECTS).expect("it opens");
            for &oid in oids {
                let held = table.get(oid).expect("it is read").map(|value| value.value()[..8].to_vec());
                assert!(held.is_some_and(|tid| tid != self.tid.to_le_bytes()));
                table.insert(oid, self.value(oid).as_slice()).expect("it is stored");
            }
        }
        transaction.commit().expect("it commits");
    }

    fn load(&mut self, oid: u64) -> usize {
        // One snapshot for a thousand loads.
        let fresh = self.snapshot.take().filter(|(_, left)| *left > 0);
        let (table, left) = fresh.unwrap_or_else(|| {
            let transaction = self.database.begin_read().expect("it begins");
            (transaction.open_table(OBJECTS).expect("it opens"), 1_000)
        });
        let length = table.get(oid).expect("it is read").map_or(0, |value| value.value()[8..].to_vec().len());
        self.snapshot = Some((table, left - 1));
        length
    }

    fn settle(&mut self) {}
}
