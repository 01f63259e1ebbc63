//! Bytecode: what the compiler makes of a source, and what is kept of it beside the source.
//!
//! A [`Unit`] is one method or one program: its functions (the first is itself, the others are the blocks in it), and the
//! literals that they share. The operations work on a stack of values; locals are numbered, parameters first. Nothing here
//! depends on the store or on addresses, so that a unit means the same in every session. A unit that was read is run only
//! after [`verify`](crate::verify) has looked at it.

use alloc::string::String;
use alloc::vec::Vec;

use object_model::Method;
use serde::{Deserialize, Serialize};

/// The version of the encoding; a unit of another version is compiled anew from its source.
pub const BYTECODE_VERSION: u8 = 1;

/// Functions with their literals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unit {
    pub functions: Vec<Function>,
    pub literals: Vec<Literal>,
}

/// A method, a program, or a block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Function {
    pub parameters: u8,
    /// Locals, parameters included.
    pub locals: u16,
    /// What a block takes along from the function around it.
    pub captures: Vec<Capture>,
    pub operations: Vec<Operation>,
    /// Where operations come from: number of the operation, position in the source. In order; each holds up to the next.
    pub positions: Vec<(u32, u32)>,
}

/// A variable that a block takes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Capture {
    /// A boxed local of the function around it.
    Local(u16),
    /// What that function took along itself.
    Captured(u16),
}

/// A constant of a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Literal {
    Int(i64),
    Float(f64),
    /// A symbol, a selector, the name of a variable.
    Name(String),
    Text(String),
    Bytes(Vec<u8>),
    Names(Vec<String>),
    Method(Method),
}

/// An operation. `u16` operands are numbers of literals where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Operation {
    Nil,
    True,
    False,
    SelfValue,
    /// A small number.
    Int(i32),
    /// A literal number, symbol, text or byte string.
    Literal(u16),
    Pop,
    Duplicate,
    /// Locals, by number.
    Local(u16),
    SetLocal(u16),
    /// Puts a local's value into a box of its own, for blocks to share.
    Box(u16),
    Boxed(u16),
    SetBoxed(u16),
    Captured(u16),
    SetCaptured(u16),
    /// A variable of the session.
    Variable(u16),
    SetVariable(u16),
    /// Receiver and arguments are on the stack.
    Send {
        selector: u16,
        arguments: u8,
    },
    /// The same, where the receiver is `self`.
    SendSelf {
        selector: u16,
        arguments: u8,
    },
    Resend {
        selector: u16,
        arguments: u8,
    },
    ResendVia {
        selector: u16,
        arguments: u8,
        parent: u16,
    },
    /// Receiver and value are on the stack; leaves nothing.
    Assign {
        selector: u16,
        own: bool,
    },
    Binary {
        operator: Binary,
        selector: u16,
    },
    Negate,
    Not,
    /// Jumps, to the number of an operation. Only `Loop` goes back.
    Jump(u32),
    Loop(u32),
    JumpIfFalse(u32),
    /// Like the former where the value decides, and leaves it; takes it otherwise. Both operands of `and` and `or` are
    /// checked to be truth values.
    And(u32),
    Or(u32),
    CheckBool,
    /// Collection and number are on the stack: pushes the next item, or takes both and jumps.
    Next(u32),
    List(u16),
    Map(u16),
    Block(u16),
    Return,
    /// From a block, out of the method that it stands in.
    ReturnHome,
    /// An error up to `EndTry` goes to the operation of that number, as a value on the stack.
    Try(u32),
    EndTry,
    /// A transaction up to `Commit`; it goes back here after a conflict.
    Begin,
    Commit,
    /// Parent (or nil) on the stack: pushes a new object.
    Object {
        has_parent: bool,
    },
    Trait(u16),
    /// Object and value on the stack: leaves the object.
    DefineData {
        name: u16,
        flags: u8,
    },
    DefineParent {
        name: u16,
    },
    DefineMethod {
        name: u16,
        method: u16,
        flags: u8,
    },
    DefineNative {
        name: u16,
        target: u16,
    },
    /// Object and composition on the stack: leaves the object.
    Compose,
    /// What was under construction is whole.
    Whole,
}

/// Operators that numbers answer without a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Binary {
    pub(crate) fn of(mark: &str) -> Option<(Self, u8)> {
        Some(match mark {
            "==" => (Self::Equal, 1),
            "!=" => (Self::Different, 1),
            "<" => (Self::Less, 1),
            "<=" => (Self::LessOrEqual, 1),
            ">" => (Self::Greater, 1),
            ">=" => (Self::GreaterOrEqual, 1),
            "+" => (Self::Add, 2),
            "-" => (Self::Subtract, 2),
            "*" => (Self::Multiply, 3),
            "/" => (Self::Divide, 3),
            "%" => (Self::Remainder, 3),
            _ => return None,
        })
    }

    pub(crate) fn selector(self) -> &'static str {
        match self {
            Self::Add => "+/1",
            Self::Subtract => "-/1",
            Self::Multiply => "*/1",
            Self::Divide => "//1",
            Self::Remainder => "%/1",
            Self::Equal => "==/1",
            Self::Different => "!=/1",
            Self::Less => "</1",
            Self::LessOrEqual => "<=/1",
            Self::Greater => ">/1",
            Self::GreaterOrEqual => ">=/1",
        }
    }
}

/// Flags of a slot that is defined.
pub(crate) const PRIVATE: u8 = 1;
pub(crate) const CONSTANT: u8 = 2;

impl Unit {
    /// Version and postcard.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // The types have nothing that postcard refuses.
        let mut bytes = alloc::vec![BYTECODE_VERSION];
        bytes.extend(postcard::to_allocvec(self).unwrap_or_default());
        bytes
    }

    /// `None` for anything else, or another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        match (*version, postcard::take_from_bytes(rest)) {
            (BYTECODE_VERSION, Ok((unit, []))) => Some(unit),
            _ => None,
        }
    }
}

impl Function {
    /// Where in the source an operation comes from.
    pub(crate) fn position(&self, operation: usize) -> u32 {
        let end = self.positions.partition_point(|(number, _)| *number as usize <= operation);
        end.checked_sub(1).and_then(|last| self.positions.get(last)).map_or(0, |(_, position)| *position)
    }
}
