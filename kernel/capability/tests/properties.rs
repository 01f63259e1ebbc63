//! Random sequences of operations, against the model; and what must hold after each of them whatever
//! the model says.

#[path = "support/model.rs"]
mod model;
mod support;

use std::collections::BTreeMap;

use capability::*;
use model::{Cap, Model, Place};
use proptest::prelude::*;
use support::*;

/// Slots of the CNode in use, and pins.
const SLOTS: u32 = 20;
const PINS: usize = 4;

/// Places are picked by number among those that exist, capabilities among those that are filled.
#[derive(Debug, Clone)]
enum Action {
    Retype { source: usize, kind: ObjectKind, bits: u32, first: u32, count: u32, hangs: bool },
    Copy { source: usize, destination: usize, rights: u8 },
    Mint { source: usize, destination: usize, badge: u64 },
    Move { source: usize, destination: usize },
    Delete { slot: usize },
    Revoke { slot: usize, budget: u32 },
    Pin { source: usize, pin: usize },
    Unpin { pin: usize },
    Settle,
    RevokeAll { budget: u32 },
}

fn action() -> impl Strategy<Value = Action> {
    let place = 0..1000usize;
    let shape = prop_oneof![
        (9..15u32).prop_map(|bits| (ObjectKind::Untyped, bits)),
        Just((ObjectKind::Endpoint, 0)),
        Just((ObjectKind::Notification, 0)),
        Just((ObjectKind::CNode, 2)),
        Just((ObjectKind::CNode, 1)),
        Just((ObjectKind::Buf, 12)),
        Just((ObjectKind::Frame, 12)),
    ];
    prop_oneof![
        6 => (place.clone(), shape, 1..SLOTS, 1..4u32, any::<bool>()).prop_map(
            |(source, (kind, bits), first, count, hangs)| Action::Retype { source, kind, bits, first, count, hangs }
        ),
        5 => (place.clone(), place.clone(), any::<u8>()).prop_map(
            |(source, destination, rights)| Action::Copy { source, destination, rights }
        ),
        3 => (place.clone(), place.clone(), 0..4u64).prop_map(
            |(source, destination, badge)| Action::Mint { source, destination, badge }
        ),
        4 => (place.clone(), place.clone()).prop_map(|(source, destination)| Action::Move { source, destination }),
        3 => place.clone().prop_map(|slot| Action::Delete { slot }),
        2 => (place.clone(), 1..4u32).prop_map(|(slot, budget)| Action::Revoke { slot, budget }),
        2 => (place.clone(), 0..PINS).prop_map(|(source, pin)| Action::Pin { source, pin }),
        1 => (0..PINS).prop_map(|pin| Action::Unpin { pin }),
        1 => Just(Action::Settle),
        1 => (1..4u32).prop_map(|budget| Action::RevokeAll { budget }),
    ]
}

struct Run {
    world: World,
    model: Model,
    pins: Vec<&'static Slot>,
    anchor: &'static Anchor,
    /// Every generation seen, and where.
    generations: BTreeMap<u64, Place>,
}

fn at(place: Place) -> &'static Slot {
    // SAFETY: places are slots of arenas, which are never freed.
    unsafe { Slot::at(place) }
}

impl Run {
    fn new() -> Run {
        let world = World::new(5, 16);
        let mut model = Model { identities: 1, ..Model::default() };
        let root = Cap {
            kind: ObjectKind::Untyped,
            identity: 1,
            address: world.untyped.object(),
            bytes: 1 << 16,
            rights: Rights::empty(),
            badge: 0,
            original: true,
            pinned: false,
            hangs: false,
            parent: None,
        };
        model.caps.insert(world.untyped.address(), root);
        let pins = (0..PINS).map(|_| lone_slot()).collect();
        Run { world, model, pins, anchor: lone_anchor(), generations: BTreeMap::new() }
    }

    /// The slots of the CNode and of all CNodes made.
    fn places(&self) -> Vec<Place> {
        let own = (1..SLOTS).map(|index| self.world.slot(index).address());
        own.chain(self.model.nodes.values().flatten().copied()).collect()
    }

    /// A place, more often a filled one if `source`.
    fn source(&self, number: usize) -> Place {
        let filled: Vec<_> = self.model.caps.keys().copied().collect();
        if number.is_multiple_of(16) || filled.is_empty() {
            return self.destination(number);
        }
        filled[number % filled.len()]
    }

    fn destination(&self, number: usize) -> Place {
        let places = self.places();
        places[number % places.len()]
    }

    fn step(&mut self, action: &Action) {
        let root = self.world.untyped.address();
        match *action {
            Action::Retype { source, kind, bits, first, count, hangs } => {
                self.retype(source, kind, bits, first, count.min(SLOTS - first), hangs);
            }
            Action::Copy { source, destination, rights } => {
                let (source, destination) = (self.source(source), self.destination(destination));
                let rights = Rights::from_bits_truncate(rights);
                let expected = self.model.copy(source, destination, rights);
                let actual = copy(&mut self.world.context, at(source), at(destination), rights);
                assert_eq!(actual, expected);
            }
            Action::Mint { source, destination, badge } => {
                let (source, destination) = (self.source(source), self.destination(destination));
                let cap = self.model.caps.get(&source);
                if cap.is_some_and(|cap| cap.kind == ObjectKind::Notification) {
                    return;
                }
                let expected = self.model.mint(source, destination, badge);
                let actual = mint(&mut self.world.context, at(source), at(destination), Rights::all(), badge);
                assert_eq!(actual, expected);
            }
            Action::Move { source, destination } => {
                let (source, destination) = (self.source(source), self.destination(destination));
                if source == root {
                    return;
                }
                let expected = self.model.move_(source, destination);
                let actual = move_(&mut self.world.context, at(source), at(destination));
                assert_eq!(actual, expected);
            }
            Action::Delete { slot } => {
                let place = self.source(slot);
                if place == root {
                    return;
                }
                let actual = delete(&mut self.world.context, at(place), PLENTY);
                if self.model.caps.get(&place).is_some_and(|cap| cap.pinned) {
                    assert_eq!(actual, Err(Error::IllegalOperation));
                } else {
                    self.model.delete(place);
                    assert_eq!(actual, Ok(Progress::Done));
                }
            }
            Action::Revoke { slot, budget } => self.revoke(self.source(slot), budget),
            Action::Pin { source, pin } => {
                let (source, lease) = (self.source(source), self.pins[pin]);
                let expected = self.model.pin(source, lease.address());
                let actual = capability::pin(&mut self.world.context, at(source), lease, Rights::all());
                assert_eq!(actual, expected);
            }
            Action::Unpin { pin } => {
                let lease = self.pins[pin];
                let expected = if lease.is_empty() { Err(Error::FailedLookup) } else { Ok(()) };
                self.model.delete(lease.address());
                assert_eq!(unpin(&mut self.world.context, lease), expected);
            }
            Action::Settle => {
                self.model.caps.values_mut().for_each(|cap| cap.hangs = false);
                settle(&mut self.world.context, self.anchor);
            }
            Action::RevokeAll { budget } => self.revoke_all(budget),
        }
    }

    fn retype(&mut self, source: usize, kind: ObjectKind, bits: u32, first: u32, count: u32, hangs: bool) {
        let source = self.source(source);
        let window: Vec<_> = (first..first + count).map(|index| self.world.slot(index).address()).collect();
        let expected = self.model.retype(source, kind, bits, &window, hangs);
        let anchor = hangs.then_some(self.anchor);
        let (context, node) = (&mut self.world.context, self.world.node);
        let actual = retype(context, at(source), kind, bits, node, first, count, anchor);
        assert_eq!(actual, expected.clone().map(|_| ()));
        for (identity, place) in expected.unwrap_or_default().into_iter().zip(window) {
            let object = at(place).object();
            match kind {
                ObjectKind::Buf | ObjectKind::Frame => fill(object, 1 << bits, 0xAA),
                ObjectKind::CNode => {
                    let slots = (1..1 << bits).map(|index| node_at(place).slot(index).unwrap().address());
                    self.model.nodes.insert(identity, slots.collect());
                }
                _ => {}
            }
        }
    }

    /// A revocation in the middle of which the slot itself goes ends there, and where depends on the
    /// order: only the invariants are checked then, by leaving it out here and having `rule_28` in the
    /// other tests.
    fn revoke(&mut self, place: Place, budget: u32) {
        let mut after = self.model.clone();
        after.revoke(place);
        if !after.caps.contains_key(&place) && self.model.caps.contains_key(&place) {
            return;
        }
        let is_pinned = after.has_children(place);
        self.model = after;
        let progress = loop {
            match revoke_step(&mut self.world.context, at(place), budget) {
                Progress::More => continue,
                progress => break progress,
            }
        };
        assert_eq!(progress, if is_pinned { Progress::Pinned } else { Progress::Done });
    }

    /// As for `revoke`: what hangs in a CNode may go before its turn.
    fn revoke_all(&mut self, budget: u32) {
        let inside: Vec<_> = self.model.nodes.values().flatten().copied().collect();
        if self.model.hanging().iter().any(|place| inside.contains(place)) {
            return;
        }
        self.model.revoke_all();
        while revoke_all_step(&mut self.world.context, self.anchor, budget) == Progress::More {}
        assert!(self.anchor.is_empty());
    }

    fn check(&mut self) {
        let mut places = self.places();
        places.push(self.world.untyped.address());
        places.extend(self.pins.iter().map(|pin| pin.address()));
        let mut parents = BTreeMap::new();
        for place in &places {
            let slot = at(*place);
            assert_eq!(slot.is_empty(), !self.model.caps.contains_key(place));
            if slot.is_empty() {
                assert_eq!(slot.kind(), None);
                assert_eq!(slot.object(), 0);
                continue;
            }
            for child in children(&self.world.context, slot) {
                assert_eq!(parents.insert(child.address(), *place), None, "one parent only");
            }
            let first = self.generations.entry(slot.generation()).or_insert(*place);
            assert_eq!(first, place, "a generation is used once");
        }
        assert!(!self.world.context.has_pending());
        for (place, cap) in &self.model.caps {
            self.check_cap(*place, cap, parents.get(place).copied());
        }
        self.check_memory();
    }

    fn check_cap(&self, place: Place, cap: &Cap, parent: Option<Place>) {
        let slot = at(place);
        assert_eq!(parent, cap.parent);
        assert_eq!(slot.kind(), Some(cap.kind));
        assert_eq!((slot.object(), slot.object_bytes()), (cap.address, cap.bytes));
        assert_eq!(slot.rights(), cap.rights);
        assert_eq!((slot.is_original(), slot.is_pinned()), (cap.original, cap.pinned));
        if cap.kind != ObjectKind::Untyped || self.model.has_children(place) {
            assert_eq!(slot.badge(), cap.badge);
        }
        if cap.kind.has_header() {
            // SAFETY: a live object with a header.
            let header = unsafe { ObjectHeader::at(cap.address as usize) };
            assert_eq!(header.cap_count() as usize, self.model.count(cap.identity));
            assert_eq!(header.kind(), Some(cap.kind));
        }
        if let Some(nodes) = self.model.nodes.get(&cap.identity) {
            let used = nodes.iter().filter(|place| self.model.caps.contains_key(place)).count();
            assert_eq!(node_at(place).used() as usize, used);
        }
    }

    /// No two live objects overlap, and each lies below the watermark of each untyped above it.
    fn check_memory(&self) {
        let caps = &self.model.caps;
        let mut objects: Vec<_> = caps.values().filter(|cap| cap.kind != ObjectKind::Untyped).collect();
        objects.sort_by_key(|cap| (cap.address, cap.identity));
        objects.dedup_by_key(|cap| cap.identity);
        for pair in objects.windows(2) {
            assert!(pair[0].address + pair[0].bytes <= pair[1].address, "{pair:?}");
        }
        for cap in caps.values() {
            let mut above = cap.parent;
            while let Some(place) = above {
                let slot = at(place);
                if slot.is(ObjectKind::Untyped) {
                    let status = untyped_status(&self.world.context, slot).unwrap();
                    assert!(slot.object() <= cap.address);
                    assert!(cap.address + cap.bytes <= slot.object() + status.watermark);
                }
                above = caps[&place].parent;
            }
        }
    }
}

fn node_at(place: Place) -> CNode<'static> {
    node(at(place))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn operations_agree_with_the_model(actions in prop::collection::vec(action(), 1..80)) {
        let mut run = Run::new();
        for action in &actions {
            run.step(action);
            run.check();
        }
        let pins = run.pins.clone();
        for pin in pins.iter().filter(|pin| !pin.is_empty()) {
            unpin(&mut run.world.context, pin).unwrap();
        }
        let root = run.world.untyped;
        while revoke_step(&mut run.world.context, root, 3) == Progress::More {}
        prop_assert!(run.world.status().is_whole);
        prop_assert_eq!(run.world.node.used(), 0);
        for (generation, place) in run.generations {
            let index = at(place).index();
            let home = run.world.node.slot(index).map(Slot::address);
            if home == Ok(place) {
                prop_assert_eq!(run.world.node.lookup(index, generation).err(), Some(LookupError::Stale));
            }
        }
    }
}
