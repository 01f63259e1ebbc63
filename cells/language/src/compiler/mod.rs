//! The compiler: source to bytecode in one walk over the tokens.
//!
//! [`grammar`] and [`control`] recognise, [`slots`] does the literals of objects and traits, [`scope`] knows the names. There is no tree in
//! between, so that the depth of the source is the only thing that recursion follows, and that is bounded.
//!
//! Which locals blocks share is known only at the end of a function, so every source is walked twice; the first walk's code
//! is thrown away. Methods inside a source are compiled by themselves, in the second walk only, from exactly the text that
//! is kept as their source.

mod control;
mod grammar;
mod scope;
mod slots;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::Method;

use crate::code::{Literal, Operation, Unit};
use crate::source::{Position, SourceError};
use crate::token::{Kind, Token, scan};
use scope::{Role, Scope};

/// How deep expressions, blocks and literals may stand in each other.
const DEPTH_LIMIT: usize = 48;
/// The longest selector or name, in bytes.
const NAME_LIMIT: usize = 255;

type Result<T> = core::result::Result<T, SourceError>;

/// Compiles what was typed at the prompt. `known` are the variables that the session has.
///
/// # Errors
/// What is wrong with the source.
pub(crate) fn compile_program(source: &str, known: impl Fn(&str) -> bool) -> Result<Unit> {
    let tokens = scan(source)?;
    let mut captured = BTreeSet::new();
    for walk in [Walk::First, Walk::Second] {
        let mut compiler = Compiler::new(source, &tokens, &known, captured, walk, 0);
        compiler.program()?;
        if let Walk::Second = walk {
            return Ok(compiler.unit);
        }
        captured = compiler.captured;
    }
    Err(SourceError::new(source, 0, "nothing was compiled"))
}

/// Compiles a method: its parameters, where it has any, and its body.
///
/// # Errors
/// What is wrong with the source.
pub fn compile_method(source: &str) -> core::result::Result<CompiledMethod, SourceError> {
    method_at(source, 0)
}

/// A method, and how many arguments it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledMethod {
    /// What is kept of it.
    pub method: Method,
    /// Its parameters.
    pub parameters: usize,
}

fn method_at(source: &str, depth: usize) -> Result<CompiledMethod> {
    let tokens = scan(source)?;
    let mut captured = BTreeSet::new();
    for walk in [Walk::First, Walk::Second] {
        let mut compiler = Compiler::new(source, &tokens, &|_| false, captured, walk, depth);
        let parameters = compiler.method()?;
        if let Walk::Second = walk {
            let sends = compiler.sends.into_iter().collect();
            let method = Method { source: source.into(), bytecode: compiler.unit.encode(), sends };
            return Ok(CompiledMethod { method, parameters });
        }
        captured = compiler.captured;
    }
    Err(SourceError::new(source, 0, "nothing was compiled"))
}

#[derive(Clone, Copy, PartialEq)]
enum Walk {
    First,
    Second,
}

struct Compiler<'a> {
    source: &'a str,
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    walk: Walk,
    known: &'a dyn Fn(&str) -> bool,
    /// The functions that are open, the innermost last.
    scopes: Vec<Scope>,
    unit: Unit,
    /// Locals that blocks share: number of the function, number of the local.
    captured: BTreeSet<(usize, u16)>,
    variables: Vec<String>,
    sends: BTreeSet<String>,
}

impl<'a> Compiler<'a> {
    fn new(
        source: &'a str,
        tokens: &'a [Token],
        known: &'a dyn Fn(&str) -> bool,
        captured: BTreeSet<(usize, u16)>,
        walk: Walk,
        depth: usize,
    ) -> Self {
        let (scopes, variables, sends) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { source, tokens, next: 0, depth, walk, known, scopes, unit: Unit::default(), captured, variables, sends }
    }

    fn program(&mut self) -> Result<()> {
        self.open(Role::Program, &[])?;
        self.statements(None)?;
        self.emit(Operation::Return)?;
        self.close();
        Ok(())
    }

    /// A whole method; the number of its parameters.
    fn method(&mut self) -> Result<usize> {
        self.skip_newlines();
        let parameters = if self.at("(") { self.parameters(")")? } else { Vec::new() };
        self.open(Role::Method, &parameters)?;
        self.skip_newlines();
        self.braced()?;
        self.emit(Operation::Return)?;
        self.close();
        self.skip_newlines();
        match self.peek() {
            Kind::End => Ok(parameters.len()),
            _ => self.error("nothing may follow the body of a method"),
        }
    }

    fn token(&self) -> &'a Token {
        // `scan` ends with `End`, which `advance` never passes.
        const END: &Token = &Token { kind: Kind::End, start: 0, end: 0 };
        self.tokens.get(self.next).or(self.tokens.last()).unwrap_or(END)
    }

    fn peek(&self) -> &'a Kind {
        &self.token().kind
    }

    fn after(&self, count: usize) -> &'a Kind {
        self.tokens.get(self.next + count).map_or(&Kind::End, |token| &token.kind)
    }

    fn advance(&mut self) {
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
    }

    fn at(&self, mark: &str) -> bool {
        matches!(self.peek(), Kind::Mark(found) if *found == mark)
    }

    /// Takes a mark if it is next.
    fn take(&mut self, mark: &str) -> bool {
        let found = self.at(mark);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, mark: &str, what: &str) -> Result<()> {
        if self.take(mark) {
            return Ok(());
        }
        self.error(&alloc::format!("expected `{mark}` {what}, found {}", self.found()))
    }

    fn skip_newlines(&mut self) {
        while matches!(self.peek(), Kind::Newline) {
            self.advance();
        }
    }

    /// What the next token is, in words.
    fn found(&self) -> String {
        match self.peek() {
            Kind::Mark(mark) => alloc::format!("`{mark}`"),
            Kind::Newline => "the end of the line".into(),
            Kind::End => "the end".into(),
            Kind::Name(name) => alloc::format!("`{name}`"),
            _ => "a literal".into(),
        }
    }

    fn error<T>(&self, message: &str) -> Result<T> {
        self.error_at(self.token().start, message)
    }

    fn error_at<T>(&self, at: Position, message: &str) -> Result<T> {
        Err(SourceError::new(self.source, at, message))
    }

    /// One step deeper, for as long as `body` lasts.
    fn deeper<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return self.error("this stands too deep in other expressions");
        }
        let done = body(self);
        self.depth -= 1;
        done
    }

    /// The number of a literal, which is added where it is not there.
    fn literal(&mut self, literal: Literal) -> Result<u16> {
        let same = |other: &Literal| match (other, &literal) {
            // Zero and minus zero are equal, and different.
            (Literal::Float(one), Literal::Float(other)) => one.to_bits() == other.to_bits(),
            (one, other) => one == other,
        };
        // Far ones are found too seldom to be worth the walk.
        let recent = self.unit.literals.len().saturating_sub(64);
        let found = self.unit.literals.iter().skip(recent).position(same).map(|place| place + recent);
        let place = found.unwrap_or(self.unit.literals.len());
        match u16::try_from(place) {
            Ok(number) if number < u16::MAX => {
                if found.is_none() {
                    self.unit.literals.push(literal);
                }
                Ok(number)
            }
            _ => self.error("too many literals in one source"),
        }
    }

    fn name_literal(&mut self, name: &str) -> Result<u16> {
        if name.len() > NAME_LIMIT {
            return self.error("this name is longer than 255 bytes");
        }
        self.literal(Literal::Name(name.into()))
    }

    fn selector_literal(&mut self, name: &str, arguments: usize) -> Result<u16> {
        self.name_literal(&object_model::selector(name, arguments))
    }
}

/// A method that is to stand in a slot.
pub(crate) struct DefinedMethod {
    pub selector: String,
    pub method: Method,
    pub is_private: bool,
}

/// Compiles `method name(parameters) { ... }`, perhaps after `private`.
///
/// # Errors
/// What is wrong with the source.
pub(crate) fn compile_slot(source: &str) -> core::result::Result<DefinedMethod, SourceError> {
    let tokens = scan(source)?;
    let mut compiler = Compiler::new(source, &tokens, &|_| false, BTreeSet::new(), Walk::Second, 0);
    compiler.open(Role::Method, &[])?;
    compiler.skip_newlines();
    let is_private = compiler.take("private");
    compiler.expect("method", "before the name of a method")?;
    compiler.method_slot(0)?;
    compiler.skip_newlines();
    if !matches!(compiler.peek(), Kind::End) {
        return compiler.error("nothing may follow the body of a method");
    }
    let scope = compiler.scopes.pop();
    let last = scope.and_then(|scope| scope.function.operations.last().copied());
    if let Some(Operation::DefineMethod { name, method, .. }) = last
        && let Some(Literal::Name(selector)) = compiler.unit.literals.get(usize::from(name))
        && let Some(Literal::Method(method)) = compiler.unit.literals.get(usize::from(method))
    {
        return Ok(DefinedMethod { selector: selector.clone(), method: method.clone(), is_private });
    }
    Err(SourceError::new(source, 0, "this defines no method"))
}
