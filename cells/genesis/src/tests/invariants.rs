//! What a commit may not do to the graph, through a store that asks the rules.

use object_model::{CapabilityKind, Composition, Object, Oid, Recipe, Record, Slot, SlotKind, Step, Value};
use object_store::{
    Broken, Clock, MappingStorage, Metadata, Prospect, Rules, RulesBySchema, Storage, Store, StoreError, TransactionId,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::invariants::Rule;
use crate::{Graph, GraphRules, Image, Made, NAMES, Restart, establish};

struct Ticks(u64);

impl Clock for Ticks {
    fn now(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// A store with genesis in it, and a process of an image.
struct Kept {
    store: Store<MappingStorage<Ticks>>,
    id: TransactionId,
    image: Oid,
    process: Oid,
}

impl Graph for Kept {
    type Error = object_model::BadObject;
    fn new_object(&mut self) -> Result<Oid, Self::Error> {
        Ok(self.store.new_oid(self.id).expect("enough"))
    }
    fn put(&mut self, oid: Oid, object: &Object) -> Result<(), Self::Error> {
        self.store.put(self.id, oid, object.to_record()?).expect("it takes records");
        Ok(())
    }
    fn get(&mut self, oid: Oid) -> Result<Object, Self::Error> {
        Object::from_record(&self.store.get(self.id, oid).expect("there"))
    }
}

fn image(name: &str) -> Image {
    Image { name: name.into(), version: "1".into(), build: 1, hash: vec![1; 32], bytes: vec![2; 50] }
}

/// Nothing but an object that is older than genesis, so that what is remembered of the root is put to the test.
fn empty() -> Kept {
    let rules = RulesBySchema::default().with(object_model::SCHEMA, Box::new(GraphRules::default()));
    let store = Store::new(MappingStorage::new(Ticks(1)), 1 << 20).with_rules(Box::new(rules));
    let mut kept = Kept { store, id: TransactionId::new(0), image: Oid::ROOT, process: Oid::ROOT };
    kept.begin();
    kept.add(Object::new());
    kept.commit().expect("no rule concerns it");
    kept.begin();
    kept
}

fn kept() -> Kept {
    let mut kept = empty();
    establish(&mut kept, Oid::ROOT, None).expect("made");
    kept.commit().expect("genesis keeps its own rules");
    kept.begin();
    kept.image = kept.with_image("test_proc");
    kept.process = kept.with_process();
    kept.commit().expect("an image and a process are let in");
    kept.begin();
    kept
}

impl Kept {
    fn begin(&mut self) {
        self.id = self.store.begin(Metadata::default()).expect("in memory");
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.store.commit(self.id).map(drop)
    }

    fn oid(&mut self, name: &str) -> Oid {
        self.get(Oid::ROOT).expect("there").reference(name).expect(name)
    }

    fn with_image(&mut self, name: &str) -> Oid {
        let (oid, prototype) = (self.new_object().expect("enough"), self.oid("Image"));
        self.put(oid, &crate::image(prototype, oid, &image(name), None)).expect("small");
        let directory = self.oid("images");
        self.change(directory, |images| crate::enter_image(images, name, oid));
        oid
    }

    fn with_process(&mut self) -> Oid {
        let oid = self.new_object().expect("enough");
        let (prototype, capabilities) = (self.oid("Process"), self.oid("userCapabilities"));
        let made = Made { prototype, cell: "test_proc", image: self.image, capabilities, restart: Restart::Allowed };
        self.put(oid, &crate::process(oid, made)).expect("small");
        let list = self.oid("processes");
        self.change(list, |list| crate::enter_process(list, oid));
        oid
    }

    fn change(&mut self, oid: Oid, change: impl FnOnce(&mut Object)) {
        let mut object = self.get(oid).expect("there");
        change(&mut object);
        self.put(oid, &object).expect("small");
    }

    /// A new object, stored.
    fn add(&mut self, object: Object) -> Oid {
        let oid = self.new_object().expect("enough");
        self.put(oid, &object).expect("small");
        oid
    }

    #[track_caller]
    fn breaks(mut self, oid: Oid, rule: Rule) {
        assert_eq!(self.commit(), Err(StoreError::Broken(Broken { oid, rule: rule as u16 })));
        self.store.abort(self.id).expect("open");
    }

    #[track_caller]
    fn enters(mut self) {
        assert_eq!(self.commit(), Ok(()));
    }
}

#[test]
fn the_root_keeps_its_version_and_what_it_names() {
    let root = |change: fn(&mut Object)| {
        let mut kept = kept();
        kept.change(Oid::ROOT, change);
        kept
    };
    root(|root| root.set("version", SlotKind::Data, Value::Int(1))).breaks(Oid::ROOT, Rule::Root);
    root(|root| drop(root.remove("version"))).breaks(Oid::ROOT, Rule::Root);
    root(|root| drop(root.remove("lobby"))).breaks(Oid::ROOT, Rule::Root);
    root(|root| {
        let other = root.reference("Server").expect("there");
        let value = root.refer(other);
        root.set("Process", SlotKind::Data, value);
    })
    .breaks(Oid::ROOT, Rule::Root);
    let mut half = empty();
    half.put(Oid::ROOT, &Object::new().data("version", Value::Int(crate::VERSION))).expect("small");
    half.breaks(Oid::ROOT, Rule::Root);
    root(|root| root.set("version", SlotKind::Data, Value::Int(3))).enters();
    root(|root| root.set("more", SlotKind::Data, Value::Int(3))).enters();
}

#[test]
fn an_upgrade_keeps_the_rules() {
    let mut kept = empty();
    super::version_1::create(&mut kept, Oid::ROOT).expect("made");
    kept.commit().expect("version 1 keeps them");
    kept.begin();
    kept.image = kept.with_image("test_proc");
    kept.process = kept.with_process();
    kept.commit().expect("an image and a process are let in");
    kept.begin();
    let root = kept.get(Oid::ROOT).expect("there");
    assert_eq!(establish(&mut kept, Oid::ROOT, Some(root)), Ok(crate::Established::Upgraded { from: 1 }));
    let upgrade = kept.store.commit(kept.id).expect("the upgrade keeps them");
    kept.begin();
    assert_eq!(crate::state(&kept.get(kept.process).expect("there")), Some(crate::State::Running));
    kept.store.undo(kept.id, upgrade).expect("nothing came after it");
    kept.breaks(Oid::ROOT, Rule::Root);
}

#[test]
fn what_was_an_object_stays_one() {
    for record in [
        Record { schema: object_model::SCHEMA, version: 1, payload: vec![255; 9], ..Record::default() },
        Record { schema: 77, ..Record::default() },
        Record { schema: object_model::SCHEMA, version: 99, ..Record::default() },
    ] {
        let mut kept = kept();
        let oid = kept.oid("MemoryRegion");
        kept.store.put(kept.id, oid, record).expect("it is stored as it is");
        kept.breaks(oid, Rule::Decodes);
    }
    let mut kept = kept();
    let oid = kept.new_object().expect("enough");
    kept.store.put(kept.id, oid, Record { schema: 77, ..Record::default() }).expect("stored");
    kept.enters();
}

#[test]
fn directories_name_what_they_are_for() {
    let images = |name: &'static str, target: fn(&mut Kept) -> Oid| {
        let mut kept = kept();
        let (directory, target) = (kept.oid("images"), target(&mut kept));
        kept.change(directory, |images| crate::enter_image(images, name, target));
        (kept, directory)
    };
    let (broken, directory) = images("shell", |kept| kept.process);
    broken.breaks(directory, Rule::Directory);
    let (broken, directory) = images("shell", |kept| kept.image);
    broken.breaks(directory, Rule::Directory);
    images("test_proc new", |kept| kept.image).0.enters();
    let mut kept_images = kept();
    let directory = kept_images.oid("images");
    kept_images.change(directory, |images| images.set("x", SlotKind::Data, Value::Int(1)));
    kept_images.breaks(directory, Rule::Directory);

    let list = |change: fn(&mut Object, Oid)| {
        let mut kept = kept();
        let (list, image) = (kept.oid("processes"), kept.image);
        kept.change(list, |object| change(object, image));
        (kept, list)
    };
    let (broken, oid) = list(crate::enter_process);
    broken.breaks(oid, Rule::Directory);
    let (broken, oid) = list(|list, _| list.set("list", SlotKind::Data, Value::Nil));
    broken.breaks(oid, Rule::Directory);
    list(|list, _| list.set("list", SlotKind::Data, Value::List(vec![]))).0.enters();
}

#[test]
fn an_image_keeps_its_bytes() {
    let changed = |change: fn(&mut Object)| {
        let mut kept = kept();
        let image = kept.image;
        kept.change(image, change);
        (kept, image)
    };
    for change in [
        (|image| image.set("bytes", SlotKind::Data, Value::Bytes(vec![3]))) as fn(&mut Object),
        |image| image.set("name", SlotKind::Data, Value::text("shell")),
        |image| drop(image.remove("hash")),
    ] {
        let (broken, image) = changed(change);
        broken.breaks(image, Rule::Image);
    }
    changed(|image| image.set("seen", SlotKind::Data, Value::Bool(true))).0.enters();
}

#[test]
fn a_process_keeps_its_slots() {
    let changed = |change: fn(&mut Object)| {
        let mut kept = kept();
        let process = kept.process;
        kept.change(process, change);
        (kept, process)
    };
    for change in [
        (|process| drop(process.remove("tcbCap"))) as fn(&mut Object),
        |process| process.set("vspaceCap", SlotKind::Data, Value::Int(5)),
        |process| process.set("state", SlotKind::Data, Value::text("flying")),
        |process| process.set("image", SlotKind::Data, Value::Nil),
        |process| drop(process.remove("capabilities")),
        |process| {
            let void = process.capability(Recipe::Void(CapabilityKind::Frame));
            process.set("tcbCap", SlotKind::Data, void);
        },
    ] {
        let (broken, process) = changed(change);
        broken.breaks(process, Rule::Process);
    }
    changed(|process| process.set("colour", SlotKind::Data, Value::text("red"))).0.enters();
    let mut kept = kept();
    let prototype = kept.oid("Process");
    kept.change(prototype, |process| drop(process.remove("cspaceCap")));
    kept.breaks(prototype, Rule::Process);
}

#[test]
fn a_server_keeps_its_endpoint() {
    for of in [Recipe::Void(CapabilityKind::Endpoint), crate::process::endpoint("memory")] {
        let mut kept = kept();
        let server = kept.oid("persistence");
        kept.change(server, |server| {
            let value = server.capability(of);
            server.set("endpointCap", SlotKind::Data, value);
        });
        kept.breaks(server, Rule::Server);
    }
}

#[test]
fn parents_lead_not_back() {
    let mut kept_one = kept();
    let base = kept_one.oid("BaseObject");
    let server = kept_one.oid("Server");
    kept_one.change(base, |base| {
        let value = base.refer(server);
        base.set("parent", SlotKind::Parent, value);
    });
    kept_one.breaks(base, Rule::Parents);
    let mut two = kept();
    let other = two.new_object().expect("enough");
    two.store.put(two.id, other, Record { schema: 77, ..Record::default() }).expect("stored");
    let child = two.add(Object::new().parent("parent", Some(other)));
    two.breaks(child, Rule::Parents);
    let mut three = kept();
    let first = three.add(Object::new());
    three.add(Object::new().parent("a", Some(first)).parent("b", Some(first)));
    three.enters();
}

#[test]
fn an_object_is_composed_of_traits() {
    let composed = |of: &str, origin: &str| {
        let mut kept = kept();
        let (of, origin) = (kept.oid(of), kept.oid(origin));
        let mut object = Object::new();
        object.set_composition(Some(Composition { steps: vec![Step::Trait(of)] }));
        let from = kept.get(origin).expect("there");
        let slot = from.slot("note/1").or(from.slots().first()).expect("one").clone();
        let mut with = Object::new().primitive("x", "x");
        crate::tests::invariants::mark(&mut with, &slot, origin);
        with.set_composition(object.composition().cloned());
        let oid = kept.add(with);
        (kept, oid)
    };
    let (broken, oid) = composed("Process", "Transactional");
    broken.breaks(oid, Rule::Traits);
    let (broken, oid) = composed("Callable", "Transactional");
    broken.breaks(oid, Rule::Traits);
    composed("Transactional", "Transactional").0.enters();
}

/// Puts a slot as if it came from a trait.
fn mark(object: &mut Object, slot: &Slot, of: Oid) {
    let Value::Reference(index) = object.refer(of) else { panic!("a reference") };
    object.put(Slot {
        origin: Some(object_model::Origin { of: index, name: None }),
        value: Value::Nil,
        ..slot.clone()
    });
}

#[test]
fn no_recipe_is_forged() {
    let service = |name: &str| crate::process::endpoint(name);
    let with = |object: Object| {
        let mut kept = kept();
        let oid = kept.add(object);
        (kept, oid)
    };
    for forged in [
        Object::new().holding("cap", service("memory")),
        Object::new().data("name", Value::text("memory")).holding("endpointCap", service("memory")),
        Object::new().data("name", Value::text("adder")).holding("endpointCap", service("adder")),
    ] {
        let (broken, oid) = with(forged);
        broken.breaks(oid, Rule::Recipe);
    }
    with(Object::new().holding("cap", Recipe::Void(CapabilityKind::Endpoint))).0.enters();
    with(Object::new().holding("cap", Recipe::Held { kind: CapabilityKind::Frame, number: 9 })).0.enters();
    // A process that calls itself as a server does.
    let mut named = kept();
    let process = named.process;
    let object = named.get(process).expect("there").data("name", Value::text("memory"));
    named.put(process, &crate::serving(object)).expect("small");
    named.breaks(process, Rule::Recipe);
    // As the process server writes it.
    let mut kept = kept();
    let process = kept.process;
    let served = crate::serving(kept.get(process).expect("there"));
    kept.put(process, &served).expect("small");
    kept.enters();
}

/// The process loses its endpoint, and neither undo nor a view of the past gives it back.
#[test]
fn the_past_brings_no_recipe_back() {
    let mut kept = kept();
    let process = kept.process;
    let recipe = |kept: &mut Kept| {
        let object = kept.get(process).expect("there");
        object.get("endpointCap").and_then(|value| object.recipe(value)).cloned()
    };
    let served = crate::serving(kept.get(process).expect("there"));
    kept.put(process, &served).expect("small");
    kept.commit().expect("as the process server writes it");
    kept.begin();
    assert_eq!(recipe(&mut kept), Some(crate::process::endpoint("test_proc")));
    let before = kept.store.storage().last_transaction();
    kept.change(process, |object| {
        let void = object.capability(Recipe::Void(CapabilityKind::Endpoint));
        object.set("endpointCap", SlotKind::Data, void);
    });
    let voided = kept.store.commit(kept.id).expect("authority may always be given up");
    kept.begin();
    kept.store.undo(kept.id, voided).expect("nothing came after it");
    kept.commit().expect("an undo keeps the rules");
    kept.begin();
    assert_eq!(recipe(&mut kept), Some(Recipe::Void(CapabilityKind::Endpoint)));
    kept.id = kept.store.view_at(before).expect("not packed");
    assert_eq!(recipe(&mut kept), Some(Recipe::Void(CapabilityKind::Endpoint)), "nor does looking at it");
}

#[test]
fn what_a_transaction_does_not_write_is_not_read() {
    struct Counting(BTreeMap<Oid, Arc<Record>>, Vec<Oid>);
    impl Prospect for Counting {
        fn before(&mut self, oid: Oid) -> Option<Arc<Record>> {
            self.1.push(oid);
            self.0.get(&oid).cloned()
        }
        fn after(&mut self, oid: Oid) -> Option<Arc<Record>> {
            self.before(oid)
        }
    }
    let mut kept = kept();
    let base = kept.oid("BaseObject");
    let object = Object::new().parent("parent", Some(base)).data("n", Value::Int(1));
    let records = [(Oid::ROOT, kept.get(Oid::ROOT)), (Oid::new(900), Ok(object.clone()))];
    let records = records.map(|(oid, object)| (oid, Arc::new(object.expect("there").to_record().expect("small"))));
    let mut graph = Counting(records.into_iter().collect(), vec![]);
    let record = object.data("n", Value::Int(2)).to_record().expect("small");
    assert_eq!(GraphRules::default().admit(Oid::new(900), &record, &mut graph), Ok(()));
    assert_eq!(graph.1, [Oid::new(900), Oid::ROOT], "the object as it was, and the root");
}

proptest! {
    /// Whatever bytes stand in the place of an object of genesis: either they are refused, or everything still holds.
    #[test]
    fn flipped_bytes_break_nothing(which in 0usize..18, place in any::<prop::sample::Index>(), bit in 0u8..8, section in any::<bool>()) {
        let mut kept = kept();
        let oid = NAMES.get(which).map_or(Oid::ROOT, |name| kept.oid(name));
        let mut record = Record::clone(&kept.store.get(kept.id, oid).expect("there"));
        let bytes = if section && !record.capabilities.is_empty() { &mut record.capabilities } else { &mut record.payload };
        if let Some(byte) = (!bytes.is_empty()).then(|| place.index(bytes.len())).and_then(|place| bytes.get_mut(place)) {
            *byte ^= 1 << bit;
        }
        kept.store.put(kept.id, oid, record).expect("stored");
        let committed = kept.commit();
        if let Err(error) = committed {
            prop_assert!(matches!(error, StoreError::Broken(Broken { oid: broken, .. }) if broken == oid), "{:?}", error);
            kept.store.abort(kept.id).expect("open");
        }
        kept.begin();
        let root = kept.get(Oid::ROOT).expect("it decodes");
        prop_assert_eq!(crate::present(&root), crate::Present::Version(crate::VERSION).max_of(&root));
        for name in NAMES {
            let object = kept.get(root.reference(name).expect(name)).expect("it decodes");
            let recipes = object.recipes().iter().filter(|recipe| matches!(recipe, Recipe::Service { .. }));
            prop_assert!(recipes.into_iter().all(|recipe| *recipe == crate::process::endpoint(name)), "{}", name);
        }
    }
}

trait MaxOf {
    fn max_of(self, root: &Object) -> Self;
}

impl MaxOf for crate::Present {
    /// A flipped bit may make the version a later one, which is no harm: the next boot says that it is.
    fn max_of(self, root: &Object) -> Self {
        match root.get("version") {
            Some(Value::Int(version)) if *version > crate::VERSION => Self::Newer(*version),
            _ => self,
        }
    }
}
