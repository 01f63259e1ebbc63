//! Requests, label by label.

use alloc::string::ToString;
use alloc::vec;

use proptest::prelude::*;

use super::*;

fn endpoint(service: &str) -> Recipe {
    Recipe::Service { kind: CapabilityKind::Endpoint, service: service.into(), rights: 5 }
}

fn made(service: &str, label: u32, arguments: &[Argument]) -> Result<Request, Refused> {
    let endpoint = endpoint(service);
    request(&Call { endpoint: &endpoint, label, selector: "m/1", receiver: Oid::new(40), arguments })
}

fn words(service: &str, label: u32, arguments: &[Argument]) -> [u64; 3] {
    made(service, label, arguments).expect("taken").words
}

fn object(number: u64) -> Argument {
    Argument::Object(Oid::new(number))
}

#[test]
fn the_plans_table_is_kept() {
    let spawn = made("process", 1, &[object(3), object(4)]).expect("taken");
    assert_eq!((spawn.label, spawn.words, spawn.answer), (1, [3, 4, 0], Answer::Object));
    let typed = process::CreateProcess { image: 3, capabilities: 4 };
    assert_eq!(spawn.words, typed.words());
    let allocated = made("memory", 1, &[Argument::Int(100), Argument::Int(64)]).expect("taken");
    assert_eq!(allocated.words, memory::AllocateUntyped { size: 100, alignment: 64 }.words());
    assert_eq!(allocated.answer, Answer::Capability(CapabilityKind::Untyped));
}

#[test]
fn a_process_is_spawned_into_the_receiver() {
    let spawn = made("process", 19, &[object(3), object(4)]).expect("taken");
    let typed = process::SpawnInto { process: 40, image: 3, capabilities: 4 };
    assert_eq!((spawn.words, spawn.answer), (typed.words(), Answer::Object));
    assert!(made("process", 19, &[object(3)]).is_err());
    let yielded = made("process", 20, &[]).expect("taken");
    assert_eq!((yielded.words, yielded.answer), (process::YieldTimeslice { process: 40 }.words(), Answer::Nothing));
}

#[test]
fn memory_is_of_a_type() {
    for label in [1, 3] {
        let untyped = made("memory", label, &[Argument::Int(4096), Argument::Text("untyped".into())]).expect("taken");
        assert_eq!((untyped.label, untyped.words), (1, [4096, PAGE, 0]));
        let frame = made("memory", label, &[Argument::Int(5000), Argument::Symbol("frame".into())]).expect("taken");
        let typed = memory::AllocateObject { kind: Kind::Frame as u64, size_bits: 13 };
        assert_eq!((frame.label, frame.words), (3, typed.words()));
        assert_eq!(frame.answer, Answer::Capability(CapabilityKind::Frame));
    }
    for bad in [
        &[][..],
        &[Argument::Int(0)],
        &[Argument::Int(-1)],
        &[Argument::Int(1), Argument::Text("gold".into())],
        &[Argument::Int(1), Argument::Int(-1)],
        &[Argument::Text("1".into())],
        &[Argument::Int(1), Argument::Int(1), Argument::Int(1)],
    ] {
        assert!(matches!(made("memory", 1, bad), Err(Refused::Other(_))), "{bad:?}");
    }
    assert!(made("memory", 3, &[Argument::Int(i64::MAX), Argument::Text("frame".into())]).is_ok());
}

#[test]
fn only_what_is_held_is_given_back() {
    let held = Recipe::Held { kind: CapabilityKind::Untyped, number: 77 };
    let returned = made("memory", 2, &[Argument::Capability(held)]).expect("taken");
    assert_eq!(returned.returned, Some(77));
    let void = Argument::Capability(Recipe::Void(CapabilityKind::Untyped));
    assert!(matches!(made("memory", 2, &[void]), Err(Refused::Void(_))));
    assert!(matches!(made("memory", 2, &[Argument::Int(3)]), Err(Refused::Other(_))));
}

#[test]
fn the_receiver_goes_where_it_is_asked_for() {
    assert_eq!(words("process", 3, &[]), [40, 0, 0]);
    assert_eq!(words("process", 18, &[Argument::Int(9)]), [40, 9, 0]);
    let spawned = made("process", 4, &[Argument::Text("shell".into())]).expect("taken");
    assert_eq!((spawned.words, spawned.body.as_slice()), ([0; 3], b"shell".as_slice()));
    assert!(made("process", 18, &[]).is_err());
    assert!(made("process", 18, &[Argument::Text("x".into())]).is_err());
    assert!(made("process", 4, &[Argument::Text("x".repeat(BODY_MAX + 1))]).is_err());
}

#[test]
fn labels_that_no_program_may_send_are_refused() {
    for label in [0, 5, 6, 99] {
        assert!(matches!(made("persistence", label, &[object(1)]), Err(Refused::Other(_))), "{label}");
    }
    // Failures of a process are planted by tests alone.
    assert!(matches!(made("process", process::PlantFailure::LABEL, &[Argument::Int(1)]), Err(Refused::Other(_))));
}

#[test]
fn other_servers_take_numbers_and_a_text() {
    let arguments = [Argument::Int(1), Argument::Text("t".into()), object(2), Argument::Bool(true)];
    let sent = made("counter", 7, &arguments).expect("taken");
    assert_eq!((sent.words, sent.body.as_slice(), sent.label), ([1, 2, 1], b"t".as_slice(), 7));
    assert!(made("counter", 7, &vec![Argument::Int(1); 4]).is_err());
    assert!(made("counter", 7, &[Argument::Nil]).is_err());
}

#[test]
fn what_is_no_endpoint_sends_nothing() {
    for recipe in [
        Recipe::Void(CapabilityKind::Endpoint),
        Recipe::Held { kind: CapabilityKind::Endpoint, number: 1 },
        Recipe::Service { kind: CapabilityKind::Tcb, service: "memory".to_string(), rights: 7 },
    ] {
        let call = Call { endpoint: &recipe, label: 1, selector: "m", receiver: Oid::ROOT, arguments: &[] };
        assert!(matches!(request(&call), Err(Refused::Void(_))), "{recipe:?}");
    }
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        Just(Argument::Nil),
        any::<i64>().prop_map(Argument::Int),
        any::<bool>().prop_map(Argument::Bool),
        any::<u64>().prop_map(|number| Argument::Object(Oid::new(number))),
        "(?s).{0,9}".prop_map(Argument::Text),
        "untyped|frame|buf|endpoint".prop_map(Argument::Symbol),
        any::<u64>().prop_map(|number| Argument::Capability(Recipe::Held { kind: CapabilityKind::Frame, number })),
        prop::collection::vec(any::<u8>(), 0..3000).prop_map(Argument::Bytes),
    ]
}

proptest! {
    #[test]
    fn any_send_becomes_a_request_or_is_refused(
        service in "memory|process|persistence|other", label in 0u32..40, arguments in prop::collection::vec(argument(), 0..5),
    ) {
        if let Ok(request) = made(&service, label, &arguments) {
            prop_assert!(request.body.len() <= BODY_MAX);
            prop_assert_eq!(request.service, service);
        }
    }
}
