//! Properties of whole histories: undo is an inverse, and a pack keeps every state since its horizon.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::support::{commit, record, undo, undo_with};
use super::{demo, file, mapping};
use crate::{Load, Metadata, NoRules, Oid, PackProgress, PackRequest, Record, Storage, StorageError, Tid};

/// A transaction: objects by number, each with a payload and the objects that it refers to, or its end.
type Change = (usize, Option<(u8, Vec<usize>)>);
type Transaction = Vec<Change>;

/// How many objects there are beside the root, which is number 0.
const OBJECTS: usize = 6;

fn transaction() -> impl Strategy<Value = Transaction> {
    let state = prop::option::weighted(0.9, (any::<u8>(), prop::collection::vec(0..=OBJECTS, 0..3)));
    prop::collection::vec((0..=OBJECTS, state), 1..4)
}

fn oids<S: Storage>(storage: &mut S) -> Vec<Oid> {
    let mut oids = vec![Oid::ROOT];
    oids.extend((0..OBJECTS).map(|_| storage.new_oid().unwrap()));
    oids
}

/// Commits a transaction, as far as it leaves no dangling reference: references to what does not exist are left out, and
/// ends of what is referred to.
fn apply<S: Storage>(storage: &mut S, oids: &[Oid], transaction: &Transaction) -> Result<Tid, StorageError> {
    let wanted: BTreeMap<usize, &Option<(u8, Vec<usize>)>> =
        transaction.iter().map(|(object, state)| (*object, state)).collect();
    let before = states(storage, oids, Tid::MAX);
    let mut after = before.clone();
    let created = |object: usize| matches!(wanted.get(&object), Some(Some(_))) || before[object].is_some();
    for (&object, state) in &wanted {
        if let Some((byte, references)) = state {
            let references = references.iter().filter(|&&to| created(to)).map(|&to| oids[to]);
            after[object] = Some(record(&[*byte], &references.collect::<Vec<_>>()));
        }
    }
    let mut ended: Vec<usize> = wanted.iter().filter(|(_, state)| state.is_none()).map(|(&object, _)| object).collect();
    loop {
        let count = ended.len();
        let staying = |object: &usize| {
            let referred = |(by, state): (usize, &Option<Record>)| {
                state.as_ref().is_some_and(|state| !ended.contains(&by) && state.references.contains(&oids[*object]))
            };
            before[*object].is_none() || after.iter().enumerate().any(referred)
        };
        ended = ended.iter().copied().filter(|object| !staying(object)).collect();
        if ended.len() == count {
            break;
        }
    }
    let mut staged = storage.begin(Metadata::default())?;
    for (&object, state) in &wanted {
        let based_on = storage.revision_before(oids[object], Tid::MAX)?.revision();
        match (state, after[object].take()) {
            (Some(_), Some(record)) => storage.store(&mut staged, oids[object], based_on, record),
            _ if ended.contains(&object) => storage.delete(&mut staged, oids[object], based_on),
            _ => {}
        }
    }
    let voted = storage.vote(staged)?;
    storage.finish(voted)
}

fn states<S: Storage>(storage: &mut S, oids: &[Oid], at: Tid) -> Vec<Option<Record>> {
    let state = |oid: &Oid| match storage.load_before(*oid, at.after()).unwrap() {
        Load::Data { record, .. } => Some(record),
        _ => None,
    };
    oids.iter().map(state).collect()
}

/// Undoing everything, the newest first, gives nothing; undoing that gives everything back.
fn undo_is_an_inverse<S: Storage>(mut storage: S, history: &[Transaction]) {
    let oids = oids(&mut storage);
    let mut tids: Vec<Tid> = history.iter().map(|one| apply(&mut storage, &oids, one).unwrap()).collect();
    let at_the_end = states(&mut storage, &oids, Tid::MAX);
    for middle in (0..tids.len()).rev() {
        let before = tids[middle];
        let expected = states(&mut storage, &oids, Tid::new(before.number() - 1));
        let newest_first: Vec<Tid> = tids[middle..].iter().rev().copied().collect();
        let undone = undo_with(&mut storage, &newest_first, &mut NoRules).unwrap();
        assert_eq!(states(&mut storage, &oids, Tid::MAX), expected);
        undo(&mut storage, undone).unwrap();
        assert_eq!(states(&mut storage, &oids, Tid::MAX), at_the_end);
    }
    tids.reverse();
    undo_with(&mut storage, &tids, &mut NoRules).unwrap();
    assert_eq!(states(&mut storage, &oids, Tid::MAX), vec![None; oids.len()]);
}

/// What is reachable from the root in the state as of a transaction.
fn reachable<S: Storage>(storage: &mut S, at: Tid) -> BTreeMap<Oid, Record> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![Oid::ROOT];
    while let Some(oid) = waiting.pop() {
        if found.contains_key(&oid) {
            continue;
        }
        if let Load::Data { record, .. } = storage.load_before(oid, at.after()).unwrap() {
            waiting.extend(&record.references);
            found.insert(oid, record);
        }
    }
    found
}

/// The objects that a pack keeps, by its definition: the root, what has changed since, what records since then refer to, and
/// what those refer to as of the horizon.
fn live<S: Storage>(
    storage: &mut S,
    oids: &[Oid],
    at_horizon: &BTreeMap<Oid, Option<Record>>,
    horizon: Tid,
) -> BTreeSet<Oid> {
    let mut waiting = vec![Oid::ROOT];
    for &oid in oids {
        for revision in storage.history(oid, usize::MAX).unwrap().iter().filter(|revision| revision.tid > horizon) {
            waiting.push(oid);
            if let Some(Load::Data { record, .. }) = storage.load_revision(oid, revision.tid).unwrap() {
                waiting.extend(&record.references);
            }
        }
    }
    let mut live = BTreeSet::new();
    while let Some(oid) = waiting.pop() {
        if live.insert(oid)
            && let Some(Some(record)) = at_horizon.get(&oid)
        {
            waiting.extend(&record.references);
        }
    }
    live
}

/// A pack in the middle of a history, with a commit at each of its steps.
fn a_pack_keeps_what_it_promises<S: Storage>(
    mut storage: S,
    history: &[Transaction],
    during: &[Transaction],
    horizon: usize,
    pin: Option<usize>,
) {
    let oids = oids(&mut storage);
    let mut tids: Vec<Tid> = history.iter().map(|one| apply(&mut storage, &oids, one).unwrap()).collect();
    let (until, pins) = (tids[horizon], pin.map(|pin| tids[pin]).into_iter().collect());
    storage.pack_start(PackRequest { pins, ..PackRequest::until(until) }).unwrap();
    let horizon = storage.horizon();
    let whole: Vec<Tid> = tids.iter().copied().filter(|&tid| tid >= horizon).collect();
    let reached: Vec<_> = whole.iter().map(|&tid| reachable(&mut storage, tid)).collect();
    let told: Vec<_> = whole.iter().map(|&tid| storage.transaction_after(tid).unwrap()).collect();
    let last = storage.last_transaction();
    let limit = storage.oid_limit();
    let at_horizon: BTreeMap<Oid, Option<Record>> =
        oids.iter().copied().zip(states(&mut storage, &oids, horizon)).collect();
    let mut existed = oids.clone();
    existed.retain(|&oid| {
        let found = storage.revision_before(oid, horizon.after()).unwrap();
        matches!(found, Load::Data { .. } | Load::DeletedAt(_))
    });

    let mut during = during.iter();
    let report = loop {
        // What was found to be garbage meanwhile cannot be referred to: such a commit is refused, and that is all.
        if let Some(one) = during.next()
            && let Ok(tid) = apply(&mut storage, &oids, one)
        {
            tids.push(tid);
        }
        if let PackProgress::Done(report) = storage.pack_step(1).unwrap() {
            break report;
        }
    };
    assert_eq!(report.horizon, horizon);
    for ((&tid, reached), told) in whole.iter().zip(&reached).zip(told) {
        assert_eq!(&reachable(&mut storage, tid), reached, "the state as of {tid:?}");
        if tid < last {
            assert_eq!(storage.transaction_after(tid).unwrap(), told);
        }
    }
    let live = live(&mut storage, &oids, &at_horizon, horizon);
    for &oid in &oids {
        let revisions = storage.history(oid, usize::MAX).unwrap();
        let old = revisions.iter().filter(|revision| revision.tid <= horizon).count();
        let expected = usize::from(live.contains(&oid) && existed.contains(&oid));
        assert_eq!(old, expected, "{oid:?}: only the state as of the horizon is left, and only of a live object");
    }
    for dangling in &report.dangling {
        assert!(storage.history(dangling.from, 1).unwrap().len() == 1);
    }
    assert!(storage.last_transaction() >= last && storage.oid_limit() >= limit);
    let later: Vec<Tid> = tids.iter().rev().copied().filter(|&tid| tid > horizon).collect();
    let expected = states(&mut storage, &oids, horizon);
    undo_with(&mut storage, &later, &mut NoRules).unwrap();
    assert_eq!(states(&mut storage, &oids, Tid::MAX), expected, "everything since the horizon can be undone");
    commit(&mut storage, vec![]).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn u6_case_3_undo_is_an_inverse(history in prop::collection::vec(transaction(), 1..12)) {
        undo_is_an_inverse(mapping().storage, &history);
        undo_is_an_inverse(demo().storage, &history);
        undo_is_an_inverse(file().storage, &history);
    }

    #[test]
    fn k8_k10_cases_5_to_7_a_pack_keeps_every_state_since_its_horizon(
        history in prop::collection::vec(transaction(), 1..16),
        during in prop::collection::vec(transaction(), 0..4),
        horizon: prop::sample::Index,
        pin in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let horizon = horizon.index(history.len());
        let pin = pin.map(|pin| pin.index(history.len()));
        a_pack_keeps_what_it_promises(mapping().storage, &history, &during, horizon, pin);
        a_pack_keeps_what_it_promises(demo().storage, &history, &during, horizon, pin);
    }
}
