//! Bytecode made by hand: what the compiler never makes.

use alloc::vec;
use alloc::vec::Vec;

use crate::code::{Binary, Capture, Function, Literal, Operation as Op, Unit};
use crate::host::{Argument, Call, Host, Refused, Reply, Store};
use crate::session::{Limits, Session};
use crate::verify::{BadCode, verify};
use crate::{ErrorKind, Outcome};
use object_model::{Object, Oid};

fn unit(operations: &[Op]) -> Unit {
    let literals = vec![Literal::Name("x".into()), Literal::Name("at/1".into()), Literal::Int(5)];
    Unit { functions: vec![function(operations)], literals }
}

fn function(operations: &[Op]) -> Function {
    Function { parameters: 0, locals: 1, captures: Vec::new(), operations: operations.to_vec(), positions: Vec::new() }
}

#[test]
fn the_verifier_tells_what_is_wrong() {
    let rows: &[(&[Op], BadCode)] = &[
        (&[], BadCode::NoReturn),
        (&[Op::Nil], BadCode::NoReturn),
        (&[Op::Return], BadCode::Height),
        (&[Op::Nil, Op::Pop, Op::Pop, Op::Nil, Op::Return], BadCode::Height),
        (&[Op::True, Op::JumpIfFalse(3), Op::Nil, Op::Nil, Op::Return], BadCode::Height),
        (&[Op::Jump(9)], BadCode::Target),
        (&[Op::Jump(0)], BadCode::Target),
        (&[Op::Loop(1), Op::Nil, Op::Return], BadCode::Target),
        (&[Op::Local(1), Op::Return], BadCode::Operand),
        (&[Op::Literal(9), Op::Return], BadCode::Operand),
        (&[Op::Captured(0), Op::Return], BadCode::Operand),
        (&[Op::SelfValue, Op::Send { selector: 2, arguments: 0 }, Op::Return], BadCode::Operand),
        (&[Op::SelfValue, Op::Send { selector: 1, arguments: 0 }, Op::Return], BadCode::Operand),
        (&[Op::Nil, Op::Nil, Op::Binary { operator: Binary::Add, selector: 0 }, Op::Return], BadCode::Operand),
        (&[Op::Block(0), Op::Return], BadCode::Operand),
        (&[Op::Trait(0), Op::Return], BadCode::Operand),
        (&[Op::SelfValue, Op::DefineMethod { name: 0, method: 2, flags: 0 }, Op::Return], BadCode::Operand),
        (&[Op::Nil, Op::Nil, Op::Next(0), Op::Return], BadCode::Target),
    ];
    for (operations, expected) in rows {
        assert_eq!(verify(&unit(operations)), Err(*expected), "{operations:?}");
    }
    assert_eq!(verify(&unit(&[Op::Nil, Op::Duplicate, Op::Pop, Op::Return])), Ok(vec![3]));
    let mut taking = unit(&[Op::Block(1), Op::Return]);
    taking.functions.push(Function { captures: vec![Capture::Local(7)], ..function(&[Op::Captured(0), Op::Return]) });
    assert_eq!(verify(&taking), Err(BadCode::Capture));
    assert_eq!(verify(&Unit::default()), Err(BadCode::Malformed));
    let high = vec![Op::Nil; 5000];
    assert_eq!(verify(&unit(&high)), Err(BadCode::TooLarge));
}

#[test]
fn an_encoded_unit_comes_back() {
    let unit = unit(&[Op::Int(-5), Op::Return]);
    let bytes = unit.encode();
    assert_eq!(Unit::decode(&bytes), Some(unit));
    let mut other = bytes.clone();
    other[0] += 1;
    assert_eq!(Unit::decode(&other), None);
    assert_eq!(Unit::decode(&[bytes, vec![0]].concat()), None);
}

/// A store of one object, number 1.
struct One;

impl Store for One {
    fn begin(&mut self) -> Result<(), Refused> {
        Ok(())
    }

    fn commit(&mut self) -> Result<u64, Refused> {
        Ok(1)
    }

    fn abort(&mut self) {}

    fn note(&mut self, _: &str) -> Result<(), Refused> {
        Ok(())
    }

    fn new_oid(&mut self) -> Result<Oid, Refused> {
        Ok(Oid::new(2))
    }

    fn load(&mut self, _: Oid) -> Result<Object, Refused> {
        Ok(Object::new().data("y", object_model::Value::Int(4)))
    }

    fn store(&mut self, _: Oid, _: &Object) -> Result<(), Refused> {
        Ok(())
    }
}

impl Host for One {
    fn call(&mut self, _: &Call<'_>) -> Result<Reply, Refused> {
        Ok(Reply::value(Argument::Nil))
    }
}

fn run(operations: &[Op]) -> Result<Outcome, ErrorKind> {
    let mut session = Session::new(Some(Oid::new(1)), Limits::default());
    session.run_bytecode(&mut One, &mut One, &unit(operations).encode(), "").map_err(|error| error.kind)
}

#[test]
fn bytecode_changes_no_object_that_is_whole() {
    let warm = [Op::SelfValue, Op::SendSelf { selector: 0, arguments: 0 }];
    assert!(matches!(run(&[&warm[..], &[Op::Return]].concat()), Err(ErrorKind::NotUnderstood)));
    let define = [Op::SelfValue, Op::Int(1), Op::DefineData { name: 0, flags: 0 }, Op::Return];
    assert_eq!(run(&define), Err(ErrorKind::Structure));
    let made = [Op::Object { has_parent: false }, Op::Int(1), Op::DefineData { name: 0, flags: 0 }, Op::Return];
    assert!(run(&made).is_ok_and(|outcome| outcome.text.ends_with("{x: 1}")));
    let compose = [Op::SelfValue, Op::Nil, Op::Compose, Op::Return];
    assert_eq!(run(&compose), Err(ErrorKind::Structure));
}

#[test]
fn operations_out_of_their_place_are_errors() {
    for operations in [
        &[Op::Commit, Op::Nil, Op::Return][..],
        &[Op::Begin, Op::Nil, Op::Return],
        &[Op::Nil, Op::ReturnHome],
        &[Op::Boxed(0), Op::Return],
        &[Op::Nil, Op::SetBoxed(0), Op::Nil, Op::Return],
    ] {
        assert_eq!(run(operations), Err(ErrorKind::BadMethod), "{operations:?}");
    }
    assert!(run(&[Op::EndTry, Op::Nil, Op::Return]).is_ok());
}
