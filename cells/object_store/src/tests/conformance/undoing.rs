//! Undo and redo.

use alloc::vec;
use alloc::vec::Vec;

use super::super::support::{Counters, commit, payload, put, record, undo, undo_with};
use super::{Subject, on_every_storage};
use crate::{Load, Metadata, NoRules, Oid, Record, RevisionKind, Rules, Storage, StorageError, Tid, UndoError};

on_every_storage! {
    u1_u2_u3_case_1_undo_back_to_the_creation_and_redo
    u4_undo_and_redo
    u5_objects_of_one_transaction_are_undone_together
    u6_two_transactions_undone_in_one_and_redone
    u7_the_older_of_two_leaves_the_other_object
    u8_case_3_a_later_different_state_refuses_the_whole
    u13_an_undo_writes_the_state_anew
    u14_an_undo_tells_of_itself
    u17_u18_c5_increments_are_undone_in_either_order
    c6_rules_that_refuse_leave_a_conflict
    v5_revisions_made_by_alternating_undos_load
    case_2_the_creation_of_what_is_referred_to_stays
    case_2_the_referrer_may_come_between_the_undo_and_the_vote
    case_2_a_creation_and_its_reference_are_undone_together
    case_3_transactions_see_each_others_undoing_in_their_order
    case_3_a_state_that_came_back_can_be_undone
    unknown_transactions_are_refused
    undoing_nothing_is_a_transaction
    a_deletion_is_undone
    authority_does_not_return
    authority_that_is_held_stays
    authority_does_not_return_by_a_merge
}

fn create<S: Storage>(storage: &mut S, bytes: &[u8]) -> (Oid, Tid) {
    let oid = storage.new_oid().unwrap();
    let tid = put(storage, oid, record(bytes, &[])).unwrap();
    (oid, tid)
}

fn now<S: Storage>(storage: &mut S, oid: Oid) -> Option<Vec<u8>> {
    payload(storage, oid, Tid::MAX)
}

fn u1_u2_u3_case_1_undo_back_to_the_creation_and_redo<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, created) = create(&mut storage, b"1");
    let second = put(&mut storage, oid, record(b"2", &[])).unwrap();
    let third = put(&mut storage, oid, record(b"3", &[])).unwrap();
    undo(&mut storage, third).unwrap();
    assert_eq!(now(&mut storage, oid).unwrap(), b"2");
    undo(&mut storage, second).unwrap();
    assert_eq!(now(&mut storage, oid).unwrap(), b"1");
    let ended = undo(&mut storage, created).unwrap();
    assert_eq!(storage.load_before(oid, Tid::MAX), Ok(Load::DeletedAt(ended)));
    assert_eq!(storage.revision_before(oid, Tid::MAX), Ok(Load::DeletedAt(ended)));
    assert_eq!(storage.load_revision(oid, ended), Ok(Some(Load::DeletedAt(ended))));
    assert_eq!(payload(&mut storage, oid, ended).unwrap(), b"1");
    assert!(matches!(storage.load_revision(oid, created), Ok(Some(Load::Data { .. }))));
    let history = storage.history(oid, 9).unwrap();
    assert_eq!((history[0].tid, history[0].kind, history[5].tid), (ended, RevisionKind::Deletion, created));
    let newest = storage.transaction_before(Tid::MAX).unwrap().unwrap();
    assert_eq!(newest.changes[0].kind, RevisionKind::Deletion);
    let fresh = commit(&mut storage, vec![(oid, Tid::ZERO, record(b"", &[]))]);
    assert_eq!(fresh, Err(StorageError::Conflict { oid, yours: Tid::ZERO, theirs: ended }));
    let redone = undo(&mut storage, ended).unwrap();
    assert_eq!(now(&mut storage, oid).unwrap(), b"1");
    undo(&mut storage, redone).unwrap();
    assert_eq!(now(&mut storage, oid), None);
    let quoted = storage.revision_before(oid, Tid::MAX).unwrap().revision();
    commit(&mut storage, vec![(oid, quoted, record(b"new", &[]))]).unwrap();
}

fn u4_undo_and_redo<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, _) = create(&mut storage, b"1");
    let mut last = put(&mut storage, oid, record(b"2", &[])).unwrap();
    for turn in 0..6 {
        last = undo(&mut storage, last).unwrap();
        let expected: &[u8] = if turn % 2 == 0 { b"1" } else { b"2" };
        assert_eq!(now(&mut storage, oid).unwrap(), expected);
    }
}

fn pair<S: Storage>(storage: &mut S, oids: [Oid; 2], bytes: u8) -> Tid {
    let changes = oids.map(|oid| {
        (oid, storage.revision_before(oid, Tid::MAX).unwrap().revision(), record(&[bytes, oid.number() as u8], &[]))
    });
    commit(storage, changes.to_vec()).unwrap()
}

fn state<S: Storage>(storage: &mut S, oids: [Oid; 2]) -> [Option<u8>; 2] {
    oids.map(|oid| now(storage, oid).map(|bytes| bytes[0]))
}

fn u5_objects_of_one_transaction_are_undone_together<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oids = [storage.new_oid().unwrap(), storage.new_oid().unwrap()];
    let created = pair(&mut storage, oids, 1);
    let changed = pair(&mut storage, oids, 2);
    undo(&mut storage, changed).unwrap();
    assert_eq!(state(&mut storage, oids), [Some(1); 2]);
    undo(&mut storage, created).unwrap();
    assert_eq!(state(&mut storage, oids), [None; 2]);
}

fn u6_two_transactions_undone_in_one_and_redone<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oids = [storage.new_oid().unwrap(), storage.new_oid().unwrap()];
    pair(&mut storage, oids, 1);
    let (second, third) = (pair(&mut storage, oids, 2), pair(&mut storage, oids, 3));
    let undone = undo_with(&mut storage, &[third, second], &mut NoRules).unwrap();
    assert_eq!(state(&mut storage, oids), [Some(1); 2]);
    assert_eq!(storage.history(oids[0], 9).unwrap().len(), 4);
    undo(&mut storage, undone).unwrap();
    assert_eq!(state(&mut storage, oids), [Some(3); 2]);
}

fn u7_the_older_of_two_leaves_the_other_object<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (one, _) = create(&mut storage, b"1");
    let (other, _) = create(&mut storage, b"1");
    let together = pair(&mut storage, [one, other], b'2');
    undo(&mut storage, together).unwrap();
    assert_eq!(state(&mut storage, [one, other]), [Some(b'1'); 2]);
    let older = put(&mut storage, one, record(b"3", &[])).unwrap();
    put(&mut storage, other, record(b"4", &[])).unwrap();
    undo(&mut storage, older).unwrap();
    assert_eq!(state(&mut storage, [one, other]), [Some(b'1'), Some(b'4')]);
}

fn u8_case_3_a_later_different_state_refuses_the_whole<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oids = [storage.new_oid().unwrap(), storage.new_oid().unwrap()];
    let third = storage.new_oid().unwrap();
    let all = [oids[0], oids[1], third].map(|oid| (oid, Tid::ZERO, record(b"1", &[])));
    let created = commit(&mut storage, all.to_vec()).unwrap();
    pair(&mut storage, oids, 2);
    let objects = oids.to_vec();
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    let outcome = storage.undo(&mut transaction, created, &mut NoRules);
    assert_eq!(outcome, Err(UndoError::Changed { tid: created, objects }));
    assert!(transaction.changes().is_empty(), "all objects or none");
}

/// An undo copies the state, so that a revision never depends on another one.
fn u13_an_undo_writes_the_state_anew<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, created) = create(&mut storage, b"one");
    let second = put(&mut storage, oid, record(b"two2", &[])).unwrap();
    let undone = undo(&mut storage, second).unwrap();
    let kinds: Vec<_> = storage.history(oid, 9).unwrap().iter().map(|one| (one.tid, one.kind)).collect();
    assert_eq!(kinds[0].1, kinds[2].1);
    assert_eq!((kinds[0].0, kinds[2].0), (undone, created));
}

fn u14_an_undo_tells_of_itself<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, created) = create(&mut storage, b"1");
    let metadata = Metadata { extension: vec![1, 0, 255], ..Metadata::new("ann", "takes it back") };
    let mut transaction = storage.begin(metadata.clone()).unwrap();
    assert_eq!(storage.undo(&mut transaction, created, &mut NoRules), Ok(vec![oid]));
    let voted = storage.vote(transaction).unwrap();
    storage.finish(voted).unwrap();
    assert_eq!(storage.transaction_before(Tid::MAX).unwrap().unwrap().metadata, metadata);
}

fn u17_u18_c5_increments_are_undone_in_either_order<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, _) = create(&mut storage, &[0]);
    let tids: Vec<Tid> = (1..=4).map(|value| put(&mut storage, oid, record(&[value], &[])).unwrap()).collect();
    let undone = undo_with(&mut storage, &[tids[1], tids[2]], &mut Counters).unwrap();
    assert_eq!(now(&mut storage, oid).unwrap(), [2]);
    undo(&mut storage, undone).unwrap();
    undo_with(&mut storage, &[tids[2], tids[1]], &mut Counters).unwrap();
    assert_eq!(now(&mut storage, oid).unwrap(), [2]);
}

fn c6_rules_that_refuse_leave_a_conflict<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, _) = create(&mut storage, &[200]);
    let second = put(&mut storage, oid, record(&[0], &[])).unwrap();
    put(&mut storage, oid, record(&[100], &[])).unwrap();
    let overflow = undo_with(&mut storage, &[second], &mut Counters);
    assert_eq!(overflow, Err(UndoError::Changed { tid: second, objects: vec![oid] }));
}

fn v5_revisions_made_by_alternating_undos_load<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, _) = create(&mut storage, b"1");
    let mut tids = vec![put(&mut storage, oid, record(b"2", &[])).unwrap()];
    for _ in 0..4 {
        tids.push(undo(&mut storage, *tids.last().unwrap()).unwrap());
    }
    for (place, pair) in tids.windows(2).enumerate() {
        let load = storage.load_before(oid, pair[1]).unwrap();
        let expected: &[u8] = if place % 2 == 0 { b"2" } else { b"1" };
        assert!(matches!(&load, Load::Data { record, tid, next: Some(next) }
            if record.payload == expected && *tid == pair[0] && *next == pair[1]));
    }
}

fn case_2_the_creation_of_what_is_referred_to_stays<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, created) = create(&mut storage, b"1");
    let (by, _) = create(&mut storage, b"by");
    let linked = put(&mut storage, by, record(b"by", &[oid])).unwrap();
    let refused = UndoError::Storage(StorageError::StillReferenced { oid, by });
    assert_eq!(undo(&mut storage, created), Err(refused));
    assert_eq!(now(&mut storage, oid).unwrap(), b"1");
    undo(&mut storage, linked).unwrap();
    undo(&mut storage, created).unwrap();
    assert_eq!(now(&mut storage, oid), None);
    let again = undo(&mut storage, linked).err();
    assert_eq!(again, Some(UndoError::Changed { tid: linked, objects: vec![by] }), "its state is gone already");
}

fn case_2_the_referrer_may_come_between_the_undo_and_the_vote<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, created) = create(&mut storage, b"1");
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.undo(&mut transaction, created, &mut NoRules).unwrap();
    put(&mut storage, Oid::ROOT, record(b"", &[oid])).unwrap();
    let refused = storage.vote(transaction).map(|_| ());
    assert_eq!(refused, Err(StorageError::StillReferenced { oid, by: Oid::ROOT }));
}

fn case_2_a_creation_and_its_reference_are_undone_together<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    let (oid, created) = create(&mut storage, b"1");
    let linked = put(&mut storage, Oid::ROOT, record(b"link", &[oid])).unwrap();
    undo_with(&mut storage, &[created, linked], &mut NoRules).unwrap();
    assert_eq!((now(&mut storage, oid), now(&mut storage, Oid::ROOT).unwrap()), (None, b"alone".to_vec()));
    let own = storage.new_oid().unwrap();
    let created = put(&mut storage, own, record(b"self", &[own])).unwrap();
    undo(&mut storage, created).unwrap();
}

fn case_3_transactions_see_each_others_undoing_in_their_order<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, _) = create(&mut storage, b"1");
    let second = put(&mut storage, oid, record(b"2", &[])).unwrap();
    let third = put(&mut storage, oid, record(b"3", &[])).unwrap();
    let wrong = undo_with(&mut storage, &[second, third], &mut NoRules);
    assert_eq!(wrong, Err(UndoError::Changed { tid: second, objects: vec![oid] }));
    undo_with(&mut storage, &[third, second], &mut NoRules).unwrap();
    assert_eq!(now(&mut storage, oid).unwrap(), b"1");
}

fn case_3_a_state_that_came_back_can_be_undone<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, _) = create(&mut storage, b"1");
    let second = put(&mut storage, oid, record(b"2", &[])).unwrap();
    let third = put(&mut storage, oid, record(b"3", &[])).unwrap();
    undo(&mut storage, third).unwrap();
    undo(&mut storage, second).unwrap();
    assert_eq!(now(&mut storage, oid).unwrap(), b"1");
}

fn unknown_transactions_are_refused<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (_, created) = create(&mut storage, b"1");
    let unknown = created.after();
    assert_eq!(undo(&mut storage, unknown), Err(UndoError::NoSuchTransaction(unknown)));
    assert_eq!(undo(&mut storage, Tid::MAX), Err(UndoError::NoSuchTransaction(Tid::MAX)));
    assert!(undo(&mut storage, Tid::ZERO).is_err());
}

fn undoing_nothing_is_a_transaction<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let empty = commit(&mut storage, vec![]).unwrap();
    let undone = undo(&mut storage, empty).unwrap();
    assert_eq!(storage.last_transaction(), undone);
}

fn a_deletion_is_undone<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, _) = create(&mut storage, b"1");
    let ended = super::super::support::delete(&mut storage, oid);
    undo(&mut storage, ended).unwrap();
    assert_eq!(now(&mut storage, oid).unwrap(), b"1");
}

fn with_authority(bytes: &[u8], capabilities: &[u8]) -> Record {
    Record { capabilities: capabilities.to_vec(), ..record(bytes, &[]) }
}

fn section<S: Storage>(storage: &mut S, oid: Oid) -> Vec<u8> {
    let Load::Data { record, .. } = storage.load_before(oid, Tid::MAX).unwrap() else { panic!() };
    record.capabilities
}

/// Voids a section as an owner would that keeps the places of its recipes.
struct Voiding;

impl Rules for Voiding {
    fn void_authority(&mut self, record: &mut Record) {
        record.capabilities.fill(0);
    }
}

fn authority_does_not_return<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oid = storage.new_oid().unwrap();
    put(&mut storage, oid, with_authority(b"1", b"key")).unwrap();
    let revoked = put(&mut storage, oid, with_authority(b"2", b"")).unwrap();
    let undone = undo(&mut storage, revoked).unwrap();
    assert_eq!((now(&mut storage, oid).unwrap(), section(&mut storage, oid)), (b"1".to_vec(), b"".to_vec()));
    let exchanged = put(&mut storage, oid, with_authority(b"3", b"other")).unwrap();
    undo_with(&mut storage, &[exchanged, undone, revoked], &mut Voiding).unwrap();
    assert_eq!((now(&mut storage, oid).unwrap(), section(&mut storage, oid)), (b"1".to_vec(), vec![0; 3]));
    let ended = super::super::support::delete(&mut storage, oid);
    undo(&mut storage, ended).unwrap();
    assert_eq!(section(&mut storage, oid), b"");
}

fn authority_that_is_held_stays<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oid = storage.new_oid().unwrap();
    put(&mut storage, oid, with_authority(b"1", b"key")).unwrap();
    let second = put(&mut storage, oid, with_authority(b"2", b"key")).unwrap();
    undo(&mut storage, second).unwrap();
    assert_eq!(section(&mut storage, oid), b"key");
}

fn authority_does_not_return_by_a_merge<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oid = storage.new_oid().unwrap();
    put(&mut storage, oid, with_authority(&[1], b"old")).unwrap();
    let second = put(&mut storage, oid, with_authority(&[2], b"old")).unwrap();
    put(&mut storage, oid, with_authority(&[3], b"new")).unwrap();
    undo_with(&mut storage, &[second], &mut Counters).unwrap();
    assert_eq!((now(&mut storage, oid).unwrap(), section(&mut storage, oid)), (vec![2], vec![]));
}
