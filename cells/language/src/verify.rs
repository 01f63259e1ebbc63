//! The verifier: what a unit must be before it runs.
//!
//! Every operand names something that is there and of the right kind, every jump lands on an operation, the height of the
//! stack is one number at each operation, never below what is taken, and no function runs off its end. The interpreter
//! relies on none of it for safety, since it checks its accesses; it is what makes an error in stored bytecode an error
//! *before* anything has run.

use alloc::vec::Vec;

use crate::code::{Capture, Function, Literal, Operation, Unit};

/// The most operations, literals or functions of a unit.
const COUNT_LIMIT: usize = 1 << 16;
/// The highest that the stack of one function may grow.
pub(crate) const HEIGHT_LIMIT: usize = 4096;
/// The most locals of a function.
pub(crate) const LOCAL_LIMIT: u16 = 1024;

/// What is wrong with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadCode {
    /// It does not decode, or is of another version.
    Malformed,
    /// Too much of something.
    TooLarge,
    /// An operand names nothing, or a thing of another kind.
    Operand,
    /// A jump goes where no operation is, or back without `Loop`.
    Target,
    /// The stack would run empty, over, or have two heights.
    Height,
    /// A function can run off its end.
    NoReturn,
    /// A block takes along what is not there.
    Capture,
}

/// For each function, how high its stack grows.
pub(crate) fn verify(unit: &Unit) -> Result<Vec<usize>, BadCode> {
    if unit.functions.is_empty() {
        return Err(BadCode::Malformed);
    }
    if unit.functions.len() > COUNT_LIMIT || unit.literals.len() > COUNT_LIMIT {
        return Err(BadCode::TooLarge);
    }
    let heights: Result<Vec<usize>, BadCode> =
        unit.functions.iter().enumerate().map(|(number, _)| function(unit, number)).collect();
    heights
}

fn function(unit: &Unit, number: usize) -> Result<usize, BadCode> {
    let function = unit.functions.get(number).ok_or(BadCode::Operand)?;
    let length = function.operations.len();
    if length > COUNT_LIMIT || function.locals > LOCAL_LIMIT || function.captures.len() > LOCAL_LIMIT as usize {
        return Err(BadCode::TooLarge);
    }
    if u16::from(function.parameters) > function.locals || (number == 0 && !function.captures.is_empty()) {
        return Err(BadCode::Operand);
    }
    let mut heights: Vec<Option<usize>> = alloc::vec![None; length];
    let mut waiting: Vec<(usize, usize)> = alloc::vec![(0, 0)];
    let mut highest = 0;
    while let Some((at, height)) = waiting.pop() {
        let place = heights.get_mut(at).ok_or(BadCode::NoReturn)?;
        match *place {
            Some(known) if known == height => continue,
            Some(_) => return Err(BadCode::Height),
            None => *place = Some(height),
        }
        let operation = *function.operations.get(at).ok_or(BadCode::NoReturn)?;
        operands(unit, function, number, operation)?;
        let (takes, gives) = effect(operation);
        let after = height.checked_sub(takes).ok_or(BadCode::Height)? + gives;
        highest = highest.max(after).max(height + 1);
        if highest > HEIGHT_LIMIT {
            return Err(BadCode::TooLarge);
        }
        let target = |to: u32, back: bool| {
            let to = to as usize;
            if to < length && (to <= at) == back { Ok(to) } else { Err(BadCode::Target) }
        };
        match operation {
            Operation::Return | Operation::ReturnHome => continue,
            Operation::Jump(to) => waiting.push((target(to, false)?, after)),
            Operation::Loop(to) => waiting.push((target(to, true)?, after)),
            Operation::JumpIfFalse(to) => waiting.extend([(at + 1, after), (target(to, false)?, after)]),
            Operation::And(to) | Operation::Or(to) => waiting.extend([(at + 1, after), (target(to, false)?, height)]),
            Operation::Next(to) => {
                let empty = height.checked_sub(2).ok_or(BadCode::Height)?;
                waiting.extend([(at + 1, after), (target(to, false)?, empty)]);
            }
            // The handler finds the error on the stack as it was here.
            Operation::Try(to) => waiting.extend([(at + 1, after), (target(to, false)?, height + 1)]),
            _ => waiting.push((at + 1, after)),
        }
    }
    Ok(highest)
}

/// How many values an operation takes from the stack, and how many it puts there.
fn effect(operation: Operation) -> (usize, usize) {
    use Operation as Op;
    match operation {
        Op::Nil | Op::True | Op::False | Op::SelfValue | Op::Int(_) | Op::Literal(_) => (0, 1),
        Op::Local(_) | Op::Boxed(_) | Op::Captured(_) | Op::Variable(_) | Op::Block(_) | Op::Trait(_) => (0, 1),
        Op::Pop | Op::SetLocal(_) | Op::SetBoxed(_) | Op::SetCaptured(_) | Op::SetVariable(_) => (1, 0),
        Op::JumpIfFalse(_) | Op::Return | Op::ReturnHome | Op::And(_) | Op::Or(_) => (1, 0),
        Op::Duplicate => (1, 2),
        Op::Box(_) | Op::Jump(_) | Op::Loop(_) | Op::Try(_) | Op::EndTry | Op::Begin | Op::Commit => (0, 0),
        Op::Send { arguments, .. } | Op::SendSelf { arguments, .. } => (usize::from(arguments) + 1, 1),
        Op::Resend { arguments, .. } | Op::ResendVia { arguments, .. } => (usize::from(arguments) + 1, 1),
        Op::Assign { .. } => (2, 0),
        Op::Binary { .. } | Op::Compose | Op::DefineData { .. } | Op::DefineParent { .. } => (2, 1),
        Op::Negate | Op::Not | Op::CheckBool | Op::DefineMethod { .. } | Op::DefineNative { .. } | Op::Whole => (1, 1),
        Op::Next(_) => (2, 3),
        Op::List(count) => (usize::from(count), 1),
        Op::Map(count) => (usize::from(count) * 2, 1),
        Op::Object { has_parent } => (usize::from(has_parent), 1),
    }
}

fn operands(unit: &Unit, function: &Function, number: usize, operation: Operation) -> Result<(), BadCode> {
    use Operation as Op;
    let literal = |index: u16| unit.literals.get(usize::from(index)).ok_or(BadCode::Operand);
    let name = |index: u16| match literal(index)? {
        Literal::Name(_) => Ok(()),
        _ => Err(BadCode::Operand),
    };
    let selector = |index: u16, arguments: usize| match literal(index)? {
        Literal::Name(name) if object_model::arity(name) == arguments => Ok(()),
        _ => Err(BadCode::Operand),
    };
    let ok = |condition: bool| if condition { Ok(()) } else { Err(BadCode::Operand) };
    match operation {
        Op::Literal(index) => ok(!matches!(literal(index)?, Literal::Method(_) | Literal::Names(_))),
        Op::Local(index) | Op::SetLocal(index) | Op::Box(index) | Op::Boxed(index) | Op::SetBoxed(index) => {
            ok(index < function.locals)
        }
        Op::Captured(index) | Op::SetCaptured(index) => ok(usize::from(index) < function.captures.len()),
        Op::Variable(index) | Op::SetVariable(index) => name(index),
        Op::Send { selector: index, arguments }
        | Op::SendSelf { selector: index, arguments }
        | Op::Resend { selector: index, arguments } => selector(index, usize::from(arguments)),
        Op::ResendVia { selector: index, arguments, parent } => {
            name(parent)?;
            selector(index, usize::from(arguments))
        }
        Op::Assign { selector: index, .. } | Op::Binary { selector: index, .. } => selector(index, 1),
        Op::Block(index) => {
            let block = unit.functions.get(usize::from(index)).filter(|_| usize::from(index) > number);
            let captures = &block.ok_or(BadCode::Operand)?.captures;
            let there = |capture: &Capture| match *capture {
                Capture::Local(local) => local < function.locals,
                Capture::Captured(index) => usize::from(index) < function.captures.len(),
            };
            if captures.iter().all(there) { Ok(()) } else { Err(BadCode::Capture) }
        }
        Op::Trait(index) => ok(matches!(literal(index)?, Literal::Names(_))),
        Op::DefineData { name: index, flags } => {
            ok(flags <= 3)?;
            selector(index, 0)
        }
        Op::DefineParent { name: index } => selector(index, 0),
        Op::DefineMethod { name: index, method, flags } => {
            ok(flags <= 3 && matches!(literal(method)?, Literal::Method(_)))?;
            name(index)
        }
        Op::DefineNative { name: index, target } => {
            name(index)?;
            ok(matches!(literal(target)?, Literal::Text(_)))
        }
        _ => Ok(()),
    }
}
