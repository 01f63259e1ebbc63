//! Linked code: bytecode as the loop wants it.
//!
//! Linking verifies a unit, gives every name its number and every place that sends a cache, and joins some operations that
//! often stand together. It happens when a method is first called.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};

use object_model::Method;

use super::value::{ObjectId, ShapeId, Symbol, kind};
use super::world::Names;
use crate::code::{Binary, Capture, Function, Literal, Operation, Unit};
use crate::verify::{BadCode, verify};

/// A method in memory, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MethodId(pub u32);

/// A function that can run.
#[derive(Debug)]
pub(crate) struct Code {
    pub instructions: Box<[Instruction]>,
    /// For each instruction, the operation that it begins with.
    origins: Box<[u32]>,
    pub sites: Box<[Site]>,
    pub captures: Box<[Capture]>,
    pub parameters: u32,
    /// What a call needs on the stack above the receiver.
    pub room: u32,
    pub locals: u32,
    pub is_block: bool,
    pub selector: Symbol,
    /// What all functions of a unit share.
    pub shared: Rc<Shared>,
    number: usize,
    /// The blocks that this function makes, each linked when it is first made. Their numbers are greater than its own.
    blocks: Box<[(u16, OnceCell<Rc<Code>>)]>,
}

/// What the functions of a unit share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub constants: Vec<Constant>,
    functions: Vec<Function>,
    heights: Vec<usize>,
    pub source: Rc<str>,
}

/// A literal as it is used.
#[derive(Debug)]
pub(crate) enum Constant {
    Int(i64),
    Float(f64),
    Name(Symbol),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    Names(Vec<String>),
    Method(Rc<Method>),
}

/// A place that sends, with what it found last.
#[derive(Debug)]
pub(crate) struct Site {
    pub selector: Symbol,
    /// Of a directed resend: the parent slot.
    pub via: Symbol,
    pub cache: Cell<Cache>,
}

/// What a message to a shape found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cache {
    pub shape: ShapeId,
    pub epoch: u32,
    pub target: Target,
}

/// What answers a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// Data of the receiver.
    Own(u32),
    /// Data of an object that it inherits from.
    Inherited(ObjectId, u32),
    /// What stands in a parent slot.
    Parent(Option<ObjectId>),
    /// A method, in the receiver itself or in another object.
    Method(MethodId, Option<ObjectId>),
    Primitive(u32),
    Native(Symbol, u32),
    Unknown(Symbol),
}

impl Cache {
    pub(crate) const EMPTY: Cache = Cache { shape: kind::GHOST, epoch: 0, target: Target::Parent(None) };
}

/// An operation as the loop runs it. Targets are numbers of instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instruction {
    Plain(Operation),
    Nil,
    SelfValue,
    Int(i32),
    Local(u16),
    SetLocal(u16),
    Pop,
    Send {
        site: u32,
        arguments: u8,
    },
    SendSelf {
        site: u32,
        arguments: u8,
    },
    Resend {
        site: u32,
        arguments: u8,
    },
    Assign {
        site: u32,
        own: bool,
    },
    Binary {
        operator: Binary,
        site: u32,
    },
    Jump(u32),
    Loop(u32),
    JumpIfFalse(u32),
    Return,
    /// `Int`, `Binary`.
    BinaryInt {
        operator: Binary,
        site: u16,
        int: i32,
    },
    /// `Local`, `Int`, `Binary`.
    LocalInt {
        operator: Binary,
        local: u8,
        site: u16,
        int: i16,
    },
    /// The former and `JumpIfFalse`, which the next instruction still says.
    LocalIntJump {
        operator: Binary,
        local: u8,
        site: u16,
        int: i16,
    },
    /// `SelfValue`, `Local`.
    SelfLocal(u16),
}

impl Code {
    /// Where in the source an instruction comes from.
    pub(crate) fn position(&self, instruction: usize) -> u32 {
        let operation = self.origins.get(instruction).copied().unwrap_or(0);
        self.shared.functions.get(self.number).map_or(0, |function| function.position(operation as usize))
    }

    /// A block of the same unit.
    pub(crate) fn block(&self, number: u16) -> Option<Rc<Code>> {
        let (_, place) = self.blocks.iter().find(|(known, _)| *known == number)?;
        if let Some(code) = place.get() {
            return Some(code.clone());
        }
        let code = build(&self.shared, usize::from(number), self.selector)?;
        Some(place.get_or_init(|| code).clone())
    }
}

/// Links a unit; its first function.
pub(crate) fn link(unit: Unit, source: Rc<str>, selector: Symbol, names: &mut Names) -> Result<Rc<Code>, BadCode> {
    let heights = verify(&unit)?;
    let constants = unit.literals.into_iter().map(|literal| match literal {
        Literal::Int(number) => Constant::Int(number),
        Literal::Float(number) => Constant::Float(number),
        Literal::Name(name) => Constant::Name(names.symbol(&name)),
        Literal::Text(text) => Constant::Text(text.into()),
        Literal::Bytes(bytes) => Constant::Bytes(bytes.into()),
        Literal::Names(names) => Constant::Names(names),
        Literal::Method(method) => Constant::Method(Rc::new(method)),
    });
    let shared = Rc::new(Shared { constants: constants.collect(), functions: unit.functions, heights, source });
    build(&shared, 0, selector).ok_or(BadCode::Operand)
}

fn build(shared: &Rc<Shared>, number: usize, selector: Symbol) -> Option<Rc<Code>> {
    let function = shared.functions.get(number)?;
    let mut sites = Vec::new();
    let mut instructions = Vec::new();
    let mut origins = Vec::new();
    let targets = targets(&function.operations);
    let mut starts: Vec<u32> = Vec::new();
    let mut at = 0;
    while let Some(rest) = function.operations.get(at..).filter(|rest| !rest.is_empty()) {
        let lands = |ahead: usize| targets.get(at + ahead).copied().unwrap_or(true);
        let (instruction, taken) = one(rest, lands, &mut sites, shared)?;
        starts.extend(core::iter::repeat_n(instructions.len() as u32, taken));
        origins.push(at as u32);
        instructions.push(instruction);
        at += taken;
    }
    for instruction in &mut instructions {
        relocate(instruction, &starts);
    }
    let blocks = function.operations.iter().filter_map(|operation| match operation {
        Operation::Block(number) => Some((*number, OnceCell::new())),
        _ => None,
    });
    let room = function.locals as usize + shared.heights.get(number)? + 1;
    Some(Rc::new(Code {
        instructions: instructions.into(),
        origins: origins.into(),
        sites: sites.into(),
        captures: function.captures.clone().into(),
        parameters: u32::from(function.parameters),
        room: room as u32,
        locals: u32::from(function.locals),
        is_block: number > 0,
        selector,
        shared: shared.clone(),
        number,
        blocks: blocks.collect(),
    }))
}

/// Whether an operation is where a jump goes.
fn targets(operations: &[Operation]) -> Vec<bool> {
    let mut targets = alloc::vec![false; operations.len()];
    for operation in operations {
        if let Some(to) = target_of(*operation)
            && let Some(place) = targets.get_mut(to as usize)
        {
            *place = true;
        }
    }
    targets
}

fn target_of(operation: Operation) -> Option<u32> {
    match operation {
        Operation::Jump(to)
        | Operation::Loop(to)
        | Operation::JumpIfFalse(to)
        | Operation::And(to)
        | Operation::Or(to)
        | Operation::Next(to)
        | Operation::Try(to) => Some(to),
        _ => None,
    }
}

/// The first operations as one instruction, and how many they are.
fn one(
    rest: &[Operation],
    lands: impl Fn(usize) -> bool,
    sites: &mut Vec<Site>,
    shared: &Shared,
) -> Option<(Instruction, usize)> {
    use Instruction as I;
    use Operation as Op;
    let name = |literal: u16| match shared.constants.get(usize::from(literal)) {
        Some(Constant::Name(symbol)) => Some(*symbol),
        _ => None,
    };
    let mut site = |selector: u16, via: u16| -> Option<u32> {
        sites.push(Site { selector: name(selector)?, via: name(via)?, cache: Cell::new(Cache::EMPTY) });
        Some((sites.len() - 1) as u32)
    };
    let narrow = |site: u32| u16::try_from(site).ok();
    if let [Op::Local(local), Op::Int(int), Op::Binary { operator, selector }, ..] = rest
        && !lands(1)
        && !lands(2)
        && let (Ok(local), Ok(int)) = (u8::try_from(*local), i16::try_from(*int))
    {
        let jumps = matches!(rest.get(3), Some(Op::JumpIfFalse(_))) && !lands(3);
        let site = narrow(site(*selector, *selector)?)?;
        let operator = *operator;
        return Some(match jumps {
            true => (I::LocalIntJump { operator, local, site, int }, 3),
            false => (I::LocalInt { operator, local, site, int }, 3),
        });
    }
    if let [Op::Int(int), Op::Binary { operator, selector }, ..] = rest
        && !lands(1)
    {
        let site = narrow(site(*selector, *selector)?)?;
        return Some((I::BinaryInt { operator: *operator, site, int: *int }, 2));
    }
    if let [Op::SelfValue, Op::Local(local), ..] = rest
        && !lands(1)
    {
        return Some((I::SelfLocal(*local), 2));
    }
    let first = *rest.first()?;
    let instruction = match first {
        Op::Nil => I::Nil,
        Op::SelfValue => I::SelfValue,
        Op::Int(int) => I::Int(int),
        Op::Local(local) => I::Local(local),
        Op::SetLocal(local) => I::SetLocal(local),
        Op::Pop => I::Pop,
        Op::Send { selector, arguments } => I::Send { site: site(selector, selector)?, arguments },
        Op::SendSelf { selector, arguments } => I::SendSelf { site: site(selector, selector)?, arguments },
        Op::Resend { selector, arguments } => I::Resend { site: site(selector, selector)?, arguments },
        Op::ResendVia { selector, arguments, parent } => I::Resend { site: site(selector, parent)?, arguments },
        Op::Assign { selector, own } => I::Assign { site: site(selector, selector)?, own },
        Op::Binary { operator, selector } => I::Binary { operator, site: site(selector, selector)? },
        Op::Jump(to) => I::Jump(to),
        Op::Loop(to) => I::Loop(to),
        Op::JumpIfFalse(to) => I::JumpIfFalse(to),
        Op::Return => I::Return,
        other => I::Plain(other),
    };
    Some((instruction, 1))
}

/// Turns the number of an operation into that of its instruction.
fn relocate(instruction: &mut Instruction, starts: &[u32]) {
    let to = match instruction {
        Instruction::Jump(to) | Instruction::Loop(to) | Instruction::JumpIfFalse(to) => to,
        Instruction::Plain(Operation::And(to) | Operation::Or(to) | Operation::Next(to) | Operation::Try(to)) => to,
        _ => return,
    };
    *to = starts.get(*to as usize).copied().unwrap_or(u32::MAX);
}
