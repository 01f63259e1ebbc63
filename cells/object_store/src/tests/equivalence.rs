//! Properties by proptest: the file storage behaves as the one in memory, records return as they were.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{TestClock, formatted, open, record};
use crate::{MappingStorage, Metadata, NoRules, Oid, Record, Storage, StorageError, Tid, UndoError};

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Create { payload: Vec<u8>, refers: u8 },
    Change { object: u8, payload: Vec<u8>, stale: bool },
    Delete { object: u8 },
    Undo { back: u8 },
    Reopen,
    Checkpoint,
}

fn step() -> impl Strategy<Value = Step> {
    let payload = || prop::collection::vec(any::<u8>(), 0..900);
    prop_oneof![
        4 => (payload(), any::<u8>()).prop_map(|(payload, refers)| Step::Create { payload, refers }),
        6 => (any::<u8>(), payload(), prop::bool::weighted(0.2))
            .prop_map(|(object, payload, stale)| Step::Change { object, payload, stale }),
        1 => any::<u8>().prop_map(|object| Step::Delete { object }),
        2 => (0..6u8).prop_map(|back| Step::Undo { back }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Checkpoint),
    ]
}

/// Applies a step; `objects` are those created so far, the root first.
fn apply<S: Storage>(storage: &mut S, objects: &[Oid], fresh: Oid, step: &Step) -> Result<Tid, StorageError> {
    let pick = |number: u8| objects[number as usize % objects.len()];
    let mut transaction = storage.begin(Metadata::new("p", "q"))?;
    match step {
        Step::Create { payload, refers } => {
            storage.store(&mut transaction, fresh, Tid::ZERO, record(payload, &[pick(*refers)]));
        }
        Step::Change { object, payload, stale } => {
            let current = storage.revision_before(pick(*object), Tid::MAX)?.revision();
            let based_on = if *stale { storage.revision_before(pick(*object), current)?.revision() } else { current };
            storage.store(&mut transaction, pick(*object), based_on, record(payload, &[]));
        }
        Step::Delete { object } => {
            let current = storage.revision_before(pick(*object), Tid::MAX)?.revision();
            storage.delete(&mut transaction, pick(*object), current);
        }
        Step::Undo { back } => {
            let mut tid = storage.last_transaction();
            for _ in 0..*back {
                tid = storage.transaction_before(tid)?.map_or(tid, |info| info.tid);
            }
            match storage.undo(&mut transaction, tid, &mut NoRules) {
                Ok(_) => {}
                Err(UndoError::Storage(error)) => return Err(error),
                Err(_) => return Ok(Tid::ZERO),
            }
        }
        Step::Reopen | Step::Checkpoint => {}
    }
    let voted = storage.vote(transaction)?;
    storage.finish(voted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn file_and_mapping_agree(steps in prop::collection::vec(step(), 1..60)) {
        let mut oracle = MappingStorage::new(TestClock::default());
        let mut file = open(formatted(128, 8));
        let mut objects = alloc::vec![Oid::ROOT];
        let root = [(Oid::ROOT, Tid::ZERO, record(b"", &[]))];
        super::support::commit(&mut oracle, root.to_vec()).unwrap();
        super::support::commit(&mut file, root.to_vec()).unwrap();
        for step in &steps {
            match step {
                Step::Reopen => file = open(file.into_device()),
                Step::Checkpoint => file.checkpoint().unwrap(),
                _ => {
                    let fresh = file.new_oid().unwrap();
                    while oracle.new_oid().unwrap() < fresh {}
                    let expected = apply(&mut oracle, &objects, fresh, step);
                    prop_assert_eq!(apply(&mut file, &objects, fresh, step), expected);
                    if matches!(step, Step::Create { .. }) && expected.is_ok() {
                        objects.push(fresh);
                    }
                }
            }
        }
        let mut before = Some(Tid::MAX);
        while let Some(tid) = before {
            let info = oracle.transaction_before(tid).unwrap();
            prop_assert_eq!(&file.transaction_before(tid).unwrap(), &info);
            prop_assert_eq!(file.transaction_after(tid), oracle.transaction_after(tid));
            for &oid in &objects {
                prop_assert_eq!(file.load_before(oid, tid), oracle.load_before(oid, tid));
            }
            before = info.map(|info| info.tid);
        }
        for &oid in &objects {
            prop_assert_eq!(file.history(oid, 100), oracle.history(oid, 100));
            prop_assert_eq!(file.next_object(Some(oid)), oracle.next_object(Some(oid)));
            prop_assert_eq!(file.previous_object(Some(oid)), oracle.previous_object(Some(oid)));
        }
    }

    #[test]
    fn records_return(
        schema: u16,
        version: u16,
        references in prop::collection::vec(any::<u64>().prop_map(Oid::new), 0..20),
        capabilities in prop::collection::vec(any::<u8>(), 0..50),
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let record = Record { schema, version, references, capabilities, payload };
        let mut bytes = Vec::new();
        record.encode(&mut bytes).unwrap();
        prop_assert_eq!(bytes.len(), record.encoded_length());
        prop_assert_eq!(Record::decode(&bytes), Ok(record));
        bytes.push(0);
        prop_assert_eq!(Record::decode(&bytes), Err(StorageError::Malformed));
        bytes.truncate(bytes.len() - 2);
        prop_assert_eq!(Record::decode(&bytes), Err(StorageError::Malformed));
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::decode(&bytes);
    }
}
