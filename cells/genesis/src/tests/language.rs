//! The plan's lines, and the traits, run by the interpreter on what genesis makes.

use language::{Argument, Call, Host, Limits, Refused, Reply, Session, Store, compile_method};
use object_model::{CapabilityKind, Object, Oid, Recipe, Value};

use super::{InMemory, made};
use crate::Graph;

struct Kept {
    graph: InMemory,
    before: InMemory,
}

impl Store for Kept {
    fn begin(&mut self) -> Result<(), Refused> {
        self.before = self.graph.clone();
        Ok(())
    }
    fn commit(&mut self) -> Result<u64, Refused> {
        Ok(1)
    }
    fn abort(&mut self) {
        self.graph = self.before.clone();
    }
    fn note(&mut self, _: &str) -> Result<(), Refused> {
        Ok(())
    }
    fn new_oid(&mut self) -> Result<Oid, Refused> {
        self.graph.new_object().map_err(|why| Refused::BadObject(Oid::ROOT, why))
    }
    fn load(&mut self, oid: Oid) -> Result<Object, Refused> {
        match self.graph.records.get(&oid) {
            Some(record) => Object::from_record(record).map_err(|why| Refused::BadObject(oid, why)),
            None => Err(Refused::NoObject(oid)),
        }
    }
    fn store(&mut self, oid: Oid, object: &Object) -> Result<(), Refused> {
        self.graph.put(oid, object).map_err(|why| Refused::BadObject(oid, why))
    }
    fn users(&mut self, of: Oid) -> Result<Vec<Oid>, Refused> {
        let oids: Vec<Oid> = self.graph.records.keys().copied().collect();
        let uses = |oid: &Oid| {
            let object = self.graph.get(*oid).expect("decodes");
            object.composition().is_some_and(|one| one.traits().any(|used| used == of))
        };
        Ok(oids.into_iter().filter(uses).collect())
    }
}

#[derive(Default)]
struct Answers {
    sent: Vec<(String, u32, Oid, Vec<Argument>)>,
}

impl Host for Answers {
    fn call(&mut self, call: &Call<'_>) -> Result<Reply, Refused> {
        let Recipe::Service { service, .. } = call.endpoint else { return Err(Refused::Void("void".into())) };
        self.sent.push((service.clone(), call.label, call.receiver, call.arguments.to_vec()));
        Ok(Reply::value(match service.as_str() {
            "memory" => Argument::Capability(Recipe::Held { kind: CapabilityKind::Untyped, number: 7 }),
            _ => Argument::Object(call.receiver),
        }))
    }
}

struct Prompt {
    session: Session,
    store: Kept,
    host: Answers,
}

fn prompt() -> Prompt {
    let (mut graph, root) = made();
    // An image stands in the directory, as the root task puts it there.
    let oid = graph.new_object().expect("enough");
    let image = crate::Image { name: "test_proc".into(), ..crate::Image::of(&graph.named("Image")).expect("one") };
    let object = crate::image(root.reference("Image").expect("there"), oid, &image, None);
    graph.put(oid, &object).expect("small");
    let mut images = graph.named("images");
    crate::enter_image(&mut images, "test_proc", oid);
    graph.put(root.reference("images").expect("there"), &images).expect("small");
    let session = Session::new(root.reference("lobby"), Limits::default());
    let store = Kept { before: graph.clone(), graph };
    Prompt { session, store, host: Answers::default() }
}

impl Prompt {
    #[track_caller]
    fn value(&mut self, source: &str) -> String {
        match self.session.run_source(&mut self.store, &mut self.host, source) {
            Ok(outcome) => outcome.text,
            Err(error) => panic!("{source}\n{error}"),
        }
    }

    #[track_caller]
    fn error(&mut self, source: &str) -> String {
        match self.session.run_source(&mut self.store, &mut self.host, source) {
            Ok(outcome) => panic!("{source}\nanswered {}", outcome.text),
            Err(error) => error.to_string(),
        }
    }

    fn last(&self) -> (&str, u32, Oid, &[Argument]) {
        let (service, label, receiver, arguments) = self.host.sent.last().expect("something was sent");
        (service, *label, *receiver, arguments)
    }
}

#[test]
fn a_process_is_spawned_into_its_clone() {
    let mut prompt = prompt();
    prompt.value("image_obj = images.test_proc; cap_list = userCapabilities");
    prompt.value("new_proc = Process.clone().spawn(image_obj, cap_list)");
    let (service, label, receiver, arguments) = prompt.last();
    assert_eq!((service, label, arguments.len()), ("process", 19, 2));
    let clone = prompt.store.graph.get(receiver).expect("it was stored before the message was sent");
    assert!(clone.get("tcbCap").is_some());
    assert_ne!(Some(receiver), prompt.store.graph.root().reference("Process"));
    prompt.value("new_proc.setPriority(9)");
    let receiver = receiver_of(&prompt);
    assert_eq!(prompt.last(), ("process", 18, receiver, &[Argument::Int(9)][..]));
    prompt.value("new_proc.yieldTimeslice()");
    assert_eq!(prompt.last().1, 20);
}

fn receiver_of(prompt: &Prompt) -> Oid {
    prompt.host.sent.first().expect("sent").2
}

#[test]
fn memory_is_allocated() {
    let mut prompt = prompt();
    prompt.value("size = 8192; type = #frame; mem_cap = MMS.allocate(size, type)");
    assert_eq!(prompt.last().0, "memory");
    assert_eq!(prompt.last().3, [Argument::Int(8192), Argument::Symbol("frame".into())]);
    prompt.value("region = MemoryRegion.clone().allocate(4096, #untyped)");
    assert_eq!(prompt.value("region.size"), "4096");
    prompt.value("region.free()");
    assert_eq!(prompt.last().1, 2);
    assert_eq!(prompt.value("MemoryRegion.size"), "0");
}

#[test]
fn a_transaction_is_controlled_by_any_object() {
    let mut prompt = prompt();
    prompt.value("MyObject = object of BaseObject uses Transactional { state = 'old' }");
    prompt.value("MyObject.beginTransaction(); MyObject.state = 'new'; MyObject.commit()");
    assert_eq!(prompt.value("MyObject.state"), "'new'");
    prompt.value("PS.beginTransaction(); MyObject.state = 'lost'; PS.abort()");
    assert_eq!(prompt.value("MyObject.state"), "'new'");
}

#[test]
fn a_process_that_only_delegates_reaches_the_server_too() {
    let mut prompt = prompt();
    prompt.value("p = object of Process { }");
    prompt.value("p.terminate()");
    assert_eq!(prompt.last().1, 3);
    assert!(prompt.error("(object of PS { }).statistics()").contains("capVoid"), "no capability is inherited");
}

#[test]
fn a_method_of_the_live_server_prototype_is_every_server_s() {
    let mut prompt = prompt();
    prompt.value(r"mirror(Server).define('method greet { \'I am \' + self.name }')");
    assert_eq!(prompt.value("MMS.greet"), "'I am memory'");
}

#[test]
fn a_message_is_dispatched_by_the_object() {
    let mut prompt = prompt();
    let source = "Greeter = object of Server uses Callable { method add(a, b) { a + b } }";
    prompt.value(source);
    assert_eq!(prompt.value("Greeter.mainLoop([selector: 'add', arguments: [2, 3], label: 1])"), "5");
    assert_eq!(prompt.value("mirror(PMS).origin(#_dispatchMessage/1) == Callable"), "true");
}

#[test]
fn an_edited_trait_changes_the_three_servers() {
    let mut prompt = prompt();
    prompt.value("mirror(Callable).define('method hello { 5 }')");
    assert_eq!(prompt.value("[PS.hello, MMS.hello, PMS.hello]"), "[5, 5, 5]");
}

#[test]
fn the_sources_compile_and_say_what_they_send() {
    let (mut graph, _) = made();
    for name in crate::NAMES {
        for slot in graph.named(name).slots() {
            if let Value::Method(method) = &slot.value {
                let compiled =
                    compile_method(&method.source).unwrap_or_else(|error| panic!("{name}.{}: {error}", slot.name));
                assert_eq!(compiled.method.sends, method.sends, "{name}.{}", slot.name);
                assert_eq!(object_model::arity(&slot.name), compiled.parameters, "{name}.{}", slot.name);
            }
        }
    }
}
