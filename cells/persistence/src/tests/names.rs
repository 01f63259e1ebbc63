//! What a client can reach by names alone.

use std::collections::BTreeSet;

use object_store::{MappingStorage, MemoryDevice, Oid, Record, Store};
use proptest::prelude::*;
use runtime::abi::interfaces::persistence::{FIRST_OID, NO_SUCH_OBJECT};

use super::kernel::FakeKernel;
use crate::names::{Names, draw_key};
use crate::opening::open;
use crate::refusal::Refusal;
use crate::sessions::{Failure, Limits, Sender, Sessions};
use crate::wire;

const OBJECTS: u64 = 1000;
const LIMITS: Limits = Limits { transactions: 4, staged_bytes: usize::MAX };
const NOBODY: Sender = Sender { thread: 9, scope: 0, badge: 7 };

type Server = Sessions<MappingStorage<fn() -> u64>, FakeKernel>;

/// A server whose root refers to every second object, and each of those to the next one.
fn server() -> Server {
    let storage = MappingStorage::new((|| 0) as fn() -> u64);
    let mut server = Sessions::new(Store::new(storage, 100_000), FakeKernel::default(), LIMITS);
    server.begin(Sender { thread: 1, scope: 0, badge: 7 }, 1).expect("begins");
    let sender = Sender { thread: 1, scope: server.scopes().scope(1), badge: 7 };
    let oids: Vec<Oid> = (0..OBJECTS).map(|_| server.new_object(sender).expect("a number")).collect();
    let record = |references: &[Oid]| Record { references: references.to_vec(), ..Record::default() };
    let held: Vec<Oid> = oids.iter().copied().step_by(2).collect();
    server.put(sender, Oid::ROOT, record(&held), 1).expect("stored");
    for pair in oids.chunks(2) {
        server.put(sender, pair[0], record(&pair[1..]), 1).expect("stored");
        server.put(sender, pair[1], record(&[]), 1).expect("stored");
    }
    server.commit(sender).expect("committed");
    server
}

/// GetObject, as a client sees it.
fn get(server: &mut Server, names: &Names, number: u64) -> Result<Record, (u32, u64)> {
    let record = server.get(NOBODY, names.inside(number)).map_err(|failure| {
        let Refusal { code, detail } = failure.into();
        (code, names.detail(detail))
    })?;
    let mut room = vec![0; 20_000];
    let length = wire::encode_into(&record, names, &mut room).expect("it fits");
    Ok(Record::decode(&room[..length]).expect("a record"))
}

#[test]
fn whoever_has_the_root_reaches_what_hangs_on_it() {
    let (mut server, names) = (server(), Names::new(b"a key for tests."));
    let mut waiting = vec![names.outside(Oid::ROOT)];
    let mut seen = BTreeSet::new();
    while let Some(number) = waiting.pop() {
        if seen.insert(number) {
            let record = get(&mut server, &names, number).expect("it hangs on the root");
            waiting.extend(record.references.iter().map(|oid| oid.number()));
        }
    }
    assert_eq!(seen.len() as u64, OBJECTS + 1);
}

#[test]
fn the_numbers_of_the_store_name_nothing() {
    let (mut server, names) = (server(), Names::new(b"a key for tests."));
    for number in (0..2 * OBJECTS).chain([u64::MAX, u64::MAX - 1]) {
        assert_eq!(get(&mut server, &names, number), Err((NO_SUCH_OBJECT, number)));
    }
    assert_eq!(server.watches(), 0);
    let watched = server.watch(NOBODY, names.inside(5), 3).map_err(Refusal::from);
    assert_eq!(watched.map_err(|refusal| (refusal.code, names.detail(refusal.detail))), Err((NO_SUCH_OBJECT, 5)));
    assert_eq!(server.watches(), 0, "an invented object is not watched");
}

/// Whatever is asked of an object that is none, by any label: the refusal names it, and nothing is left of the question.
#[test]
fn no_label_takes_an_object_that_is_none() {
    let mut disk = MemoryDevice::zeroed(16 * 2048);
    let opened =
        open(&mut disk, || 1_000, *b"a key for tests.", &|_| ()).unwrap_or_else(|refused| panic!("{refused:?}"));
    let names = Names::new(opened.storage.permutation_key());
    let mut server = Sessions::new(Store::new(opened.storage, 100_000), FakeKernel::default(), LIMITS);
    server.begin(Sender { thread: 1, scope: 0, badge: 7 }, 1).expect("begins");
    let sender = Sender { thread: 1, scope: server.scopes().scope(1), badge: 7 };
    server.put(sender, Oid::ROOT, Record::default(), 1).expect("stored");
    server.commit(sender).expect("committed");
    let last = server.last();
    server.begin(Sender { thread: 1, scope: 0, badge: 7 }, 1).expect("begins");
    let sender = Sender { thread: 1, scope: server.scopes().scope(1), badge: 7 };
    // The last number of all is where the store keeps its transactions.
    for number in [0, 1, u64::MAX, names.outside(Oid::new(1)), names.outside(Oid::new(u64::MAX))] {
        let oid = names.inside(number);
        let answers: [Result<(), Failure>; 7] = [
            server.get(sender, oid).map(drop),
            server.get(NOBODY, oid).map(drop),
            server.get_at(oid, last).map(drop),
            server.history(oid, last.after(), |_| true).map(drop),
            server.revision(oid).map(drop),
            server.read_current(sender, oid),
            server.put(sender, oid, Record::default(), 1),
        ];
        for (place, answer) in answers.into_iter().enumerate() {
            let told = answer.map_err(|failure| {
                let Refusal { code, detail } = failure.into();
                (code, names.detail(detail))
            });
            assert_eq!(told, Err((NO_SUCH_OBJECT, number)), "question {place}");
        }
    }
    server.put(sender, Oid::ROOT, Record::default(), 1).expect("the transaction goes on");
    server.commit(sender).expect("committed");
}

#[test]
fn no_name_is_a_number_that_means_something_else() {
    // Words of which the first key calls the root 7, found by the permutation backwards, are not to be had; so the numbers
    // themselves are asked.
    let names = Names::new(b"a key for tests.");
    for number in [0, 1, FIRST_OID - 1] {
        assert!(!names.are_free(names.inside(number)));
    }
    for number in [FIRST_OID, u64::MAX] {
        assert!(names.are_free(names.inside(number)));
    }
    let mut words = [1, 2, 3, 4].into_iter();
    let key = draw_key(|| words.next().expect("two words make a key"));
    assert_eq!(key, (1u128 << 64 | 2).to_le_bytes());
}

proptest! {
    #[test]
    fn invented_numbers_name_nothing(key: [u8; 16], numbers in prop::collection::vec(any::<u64>(), 100)) {
        let (mut server, names) = (server(), Names::new(&key));
        for number in numbers {
            prop_assert_eq!(get(&mut server, &names, number), Err((NO_SUCH_OBJECT, number)));
        }
    }
}
