//! A load on the host: clients with accounts, on a device that records.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use accounts::{Account, Register, SLOT};
use object_model::{Object, Value};
use object_store::crash_test::Random;
use object_store::{
    BlockDevice, DeviceError, FileStorage, FormatOptions, Load, MemoryDevice, Metadata, Oid, Storage, Tid,
};

use super::format::Written;

/// When a client hears of its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledge {
    AfterTheFlush,
    /// A defect: every second flush is put off until the next one.
    BeforeTheFlush,
}

/// What was written and flushed, in order.
type Log = Rc<RefCell<Vec<Written>>>;

struct Recorder {
    inner: MemoryDevice,
    log: Log,
    acknowledge: Rc<Cell<Acknowledge>>,
    owed: bool,
}

impl BlockDevice for Recorder {
    fn sectors(&self) -> u64 {
        self.inner.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.inner.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.log.borrow_mut().push(Written::Data(sector, data.to_vec()));
        self.inner.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        match self.acknowledge.get() {
            Acknowledge::BeforeTheFlush if !self.owed => self.owed = true,
            _ => {
                self.log.borrow_mut().push(Written::Flush);
                self.owed = false;
            }
        }
        Ok(())
    }
}

type Storages = FileStorage<Recorder, fn() -> u64>;

fn standing_clock() -> u64 {
    0
}

/// A run of it.
pub(super) struct Recorded {
    pub(super) start: Vec<u8>,
    pub(super) acknowledged: Vec<Tid>,
    storage: Storages,
    log: Log,
    clients: Vec<Oid>,
}

impl Recorded {
    /// So many clients and commits, from the formatting on.
    pub(super) fn new(clients: u64, commits: usize, acknowledge: Acknowledge) -> Recorded {
        let inner = MemoryDevice::zeroed(1 << 14);
        let start = inner.bytes().to_vec();
        let log = Log::default();
        let when = Rc::new(Cell::new(Acknowledge::AfterTheFlush));
        let mut device = Recorder { inner, log: Rc::clone(&log), acknowledge: Rc::clone(&when), owed: false };
        FileStorage::format(&mut device, [9; 16], FormatOptions { segment_sectors: Some(64) }).expect("formatted");
        let (storage, _) =
            FileStorage::open(device, standing_clock as fn() -> u64).map_err(|_| "refused").expect("opened");
        let mut recorded = Recorded { start, acknowledged: Vec::new(), storage, log, clients: Vec::new() };
        recorded.enter(clients);
        when.set(acknowledge);
        recorded.run(commits);
        recorded
    }

    pub(super) fn entries(&self) -> Vec<Written> {
        self.log.borrow().clone()
    }

    fn object(&mut self, oid: Oid) -> (Tid, Object) {
        match self.storage.load_before(oid, Tid::MAX).expect("read") {
            Load::Data { record, tid, .. } => (tid, Object::from_record(&record).expect("an object")),
            _ => (Tid::ZERO, Object::new()),
        }
    }

    fn commit(&mut self, objects: &[(Oid, Object)]) -> Tid {
        let mut transaction = self.storage.begin(Metadata::default()).expect("begun");
        for (oid, object) in objects {
            let (based_on, _) = self.object(*oid);
            self.storage.store(&mut transaction, *oid, based_on, object.to_record().expect("a record"));
        }
        let voted = self.storage.vote(transaction).expect("voted");
        let tid = self.storage.finish(voted).expect("finished");
        self.acknowledged.push(tid);
        tid
    }

    fn enter(&mut self, clients: u64) {
        let register_oid = self.storage.new_oid().expect("a number");
        let mut register = Register::default();
        let mut objects = vec![(Oid::ROOT, Object::new().referring(SLOT, register_oid))];
        for client in 0..clients {
            let oid = self.storage.new_oid().expect("a number");
            register.enter(client, oid);
            objects.push((oid, Account::default().into(Object::new())));
            self.clients.push(oid);
        }
        objects.push((register_oid, register.object().clone()));
        self.commit(&objects);
    }

    fn run(&mut self, commits: usize) {
        let mut random = Random(3);
        // One program is all clients: each knows what any of them knows.
        let mut known = 0;
        for _ in 0..commits {
            let from = random.below(self.clients.len() as u64) as usize;
            let to = (from + 1) % self.clients.len();
            let mut moved = Vec::new();
            for (place, sign) in [(from, -1), (to, 1)] {
                let oid = self.clients[place];
                let (_, object) = self.object(oid);
                let mut account = Account::of(&object).expect("an account");
                account.balance += sign * 7;
                if sign < 0 {
                    account.sequence += 1;
                    account.acknowledged = known;
                }
                let ballast = Value::Bytes(vec![3; random.below(1500) as usize]);
                moved.push((oid, account.into(object).data("ballast", ballast)));
            }
            known = self.commit(&moved).number();
        }
    }

    /// One more commit, after which the balances do not come to nothing.
    pub(super) fn unbalance(&mut self) {
        let oid = self.clients[0];
        let (_, object) = self.object(oid);
        let mut account = Account::of(&object).expect("an account");
        account.balance += 1;
        self.commit(&[(oid, account.into(object))]);
    }
}
