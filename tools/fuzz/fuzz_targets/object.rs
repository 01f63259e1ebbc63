//! Reads any bytes as an object's payload; what is an object is written again and read back as it was, and judged by the rules of
//! the graph as any object of it.
#![no_main]

use genesis::invariants::{Change, Landmarks, check};
use libfuzzer_sys::fuzz_target;
use object_model::{Object, Oid, Record, SCHEMA};

fuzz_target!(|bytes: &[u8]| {
    let Some((version, payload)) = bytes.split_first() else { return };
    let record = Record {
        schema: SCHEMA,
        version: u16::from(version % 4),
        references: vec![Oid::new(1), Oid::new(2)],
        payload: payload.to_vec(),
        ..Record::default()
    };
    if let Ok(object) = Object::from_record(&record) {
        let again = object.to_record().expect("what was read can be written");
        assert!(again.capabilities.is_empty());
        assert_eq!(Object::from_record(&again).map(|object| object.slots().len()), Ok(object.slots().len()));
        let _ = object.render();
        let _ = genesis::interface::interface(&object);
        let landmarks = Landmarks::of(&object);
        for oid in [Oid::ROOT, Oid::new(1), Oid::new(3)] {
            for before in [None, Some(&object)] {
                let change = Change { oid, before, after: &object };
                let _ = check(change, &landmarks, &mut |other| (other == Oid::new(1)).then(|| object.clone()));
            }
        }
    }
});
