//! Statements and expressions. The grammar stands in the language guide.

use alloc::string::String;
use alloc::vec::Vec;

use super::scope::Role;
use super::{Compiler, Result};
use crate::code::{Binary, Literal, Operation};
use crate::token::{Kind, SOFT};

/// The most arguments, parameters, or items of a literal that stand on the stack at once.
const ARGUMENT_LIMIT: usize = 200;
const ITEM_LIMIT: usize = 2000;

impl Compiler<'_> {
    /// Statements up to a closing brace, or to the end; leaves the value of the last one, or nil.
    pub(super) fn statements(&mut self, close: Option<&str>) -> Result<()> {
        let mut left = false;
        loop {
            while matches!(self.peek(), Kind::Newline) || self.at(";") {
                self.advance();
            }
            let done = match close {
                Some(mark) => self.at(mark),
                None => matches!(self.peek(), Kind::End),
            };
            if done {
                break;
            }
            if left {
                self.emit(Operation::Pop)?;
            }
            left = self.statement()?;
            let ends = matches!(self.peek(), Kind::Newline | Kind::End) || self.at(";");
            if !ends && !close.is_some_and(|mark| self.at(mark)) {
                return self.error(&alloc::format!("a statement ends before {}", self.found()));
            }
            if matches!(self.peek(), Kind::End) && close.is_some() {
                return self.error("expected `}` before the end");
            }
        }
        if !left {
            self.emit(Operation::Nil)?;
        }
        Ok(())
    }

    /// A block of statements in braces, in the function around it.
    pub(super) fn braced(&mut self) -> Result<()> {
        self.expect("{", "before statements")?;
        self.deeper(|this| this.statements(Some("}")))?;
        self.expect("}", "behind statements")
    }

    /// One statement; whether it leaves a value.
    fn statement(&mut self) -> Result<bool> {
        if self.take("return") {
            match self.peek() {
                Kind::Newline | Kind::End | Kind::Mark(";" | "}") => self.emit(Operation::Nil).map(|_| ())?,
                _ => self.expression()?,
            }
            let (role, atomic) = self.scopes.last().map_or((Role::Program, 0), |scope| (scope.role, scope.atomic));
            for _ in 0..atomic {
                self.emit(Operation::Commit)?;
            }
            let home = role == Role::Block;
            self.emit(if home { Operation::ReturnHome } else { Operation::Return })?;
            return Ok(false);
        }
        if let (Some(name), Kind::Mark("=")) = (self.name_here(), self.after(1)) {
            self.advance();
            self.advance();
            self.expression()?;
            let place = self.target(&name)?;
            self.write(place, &name)?;
            return Ok(false);
        }
        self.deeper(|this| this.full(true))
    }

    pub(super) fn expression(&mut self) -> Result<()> {
        self.deeper(|this| this.full(false)).map(|_| ())
    }

    /// An expression; where `statement` is asked for, perhaps an assignment to a slot, which leaves no value.
    fn full(&mut self, statement: bool) -> Result<bool> {
        let leaves = self.conjunction(statement)?;
        while leaves && self.take("or") {
            let jump = self.emit(Operation::Or(0))?;
            self.conjunction(false)?;
            self.emit(Operation::CheckBool)?;
            self.land(jump);
        }
        Ok(leaves)
    }

    fn conjunction(&mut self, statement: bool) -> Result<bool> {
        let leaves = self.negation(statement)?;
        while leaves && self.take("and") {
            let jump = self.emit(Operation::And(0))?;
            self.negation(false)?;
            self.emit(Operation::CheckBool)?;
            self.land(jump);
        }
        Ok(leaves)
    }

    fn negation(&mut self, statement: bool) -> Result<bool> {
        if self.take("not") {
            self.deeper(|this| this.negation(false))?;
            self.emit(Operation::Not)?;
            return Ok(true);
        }
        self.binary(1, statement)
    }

    /// Operators of a precedence and above. Comparisons do not chain.
    fn binary(&mut self, least: u8, statement: bool) -> Result<bool> {
        let leaves = self.unary(statement)?;
        let mut compared = false;
        while leaves && let Kind::Mark(mark) = self.peek() {
            let Some((operator, precedence)) = Binary::of(mark).filter(|(_, precedence)| *precedence >= least) else {
                break;
            };
            if precedence == 1 && compared {
                return self.error("comparisons do not chain; put parentheses");
            }
            compared = precedence == 1;
            let at = self.token().start;
            self.advance();
            self.skip_newlines();
            self.deeper(|this| this.binary(precedence + 1, false))?;
            let selector = self.name_literal(operator.selector())?;
            self.emit_at(Operation::Binary { operator, selector }, at)?;
        }
        Ok(leaves)
    }

    fn unary(&mut self, statement: bool) -> Result<bool> {
        if !self.take("-") {
            return self.postfix(statement);
        }
        if let Kind::Int(number) = *self.peek() {
            // So that the least number can be written too, its size is read with the sign; what follows is sent to it.
            self.advance();
            self.int(-number)?;
            return self.suffixes(false);
        }
        self.deeper(|this| this.unary(false))?;
        self.emit(Operation::Negate)?;
        Ok(true)
    }

    fn postfix(&mut self, statement: bool) -> Result<bool> {
        self.primary()?;
        match self.assigned() {
            true if statement => Ok(false),
            true => self.error("an assignment is a statement and has no value"),
            false => self.suffixes(statement),
        }
    }

    /// What is sent to the value on the stack.
    fn suffixes(&mut self, statement: bool) -> Result<bool> {
        loop {
            let at = self.token().start;
            if self.take("[") {
                self.expression()?;
                self.expect("]", "behind an index")?;
                let selector = self.selector_literal("at", 1)?;
                self.emit_at(Operation::Send { selector, arguments: 1 }, at)?;
            } else if self.take(".") {
                // `self.` was recognised by `primary`.
                self.message(statement, false, at)?;
                if self.assigned() {
                    return Ok(false);
                }
            } else {
                return Ok(true);
            }
        }
    }

    /// Whether the last thing emitted was an assignment.
    fn assigned(&self) -> bool {
        let last = self.scopes.last().and_then(|scope| scope.function.operations.last());
        matches!(last, Some(Operation::Assign { .. }))
    }

    /// A message behind a dot: a send, or an assignment where one may stand.
    fn message(&mut self, statement: bool, own: bool, at: u32) -> Result<()> {
        self.skip_newlines();
        let Some(name) = self.word_here() else {
            return self.error("a name must follow the dot");
        };
        self.advance();
        if self.at("=") {
            if !statement {
                return self.error("an assignment is a statement and has no value");
            }
            self.advance();
            self.expression()?;
            let mut setter = name;
            setter.push('=');
            let selector = self.selector_literal(&setter, 1)?;
            self.emit_at(Operation::Assign { selector, own }, at)?;
            return Ok(());
        }
        let arguments = if self.at("(") { self.arguments()? } else { 0 };
        self.send(&name, arguments, own, at)
    }

    fn send(&mut self, name: &str, arguments: usize, own: bool, at: u32) -> Result<()> {
        let selector = self.selector_literal(name, arguments)?;
        let arguments = arguments as u8;
        if own {
            self.sends.insert(object_model::selector(name, usize::from(arguments)));
            self.emit_at(Operation::SendSelf { selector, arguments }, at)?;
        } else {
            self.emit_at(Operation::Send { selector, arguments }, at)?;
        }
        Ok(())
    }

    /// Arguments in parentheses; how many.
    fn arguments(&mut self) -> Result<usize> {
        self.expect("(", "before arguments")?;
        let mut count = 0;
        while !self.take(")") {
            if count > 0 {
                self.expect(",", "between arguments")?;
            }
            self.expression()?;
            count += 1;
            if count > ARGUMENT_LIMIT {
                return self.error("more than 200 arguments");
            }
        }
        Ok(count)
    }

    /// Names up to a closing mark: parameters.
    pub(super) fn parameters(&mut self, close: &str) -> Result<Vec<String>> {
        self.advance();
        let mut names: Vec<String> = Vec::new();
        while !self.take(close) {
            if !names.is_empty() {
                self.expect(",", "between parameters")?;
            }
            let Some(name) = self.name_here() else { return self.error("a parameter is a name") };
            if names.contains(&name) {
                return self.error("two parameters have one name");
            }
            self.advance();
            names.push(name);
            if names.len() > ARGUMENT_LIMIT {
                return self.error("more than 200 parameters");
            }
        }
        Ok(names)
    }

    /// The next token as a name, where it can be one.
    pub(super) fn name_here(&self) -> Option<String> {
        match self.peek() {
            Kind::Name(name) => Some(name.clone()),
            Kind::Mark(word) if SOFT.contains(word) => Some(String::from(*word)),
            _ => None,
        }
    }

    /// The next token as the name of a message: every word is one.
    fn word_here(&self) -> Option<String> {
        match self.peek() {
            Kind::Mark(word) if word.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                Some(String::from(*word))
            }
            _ => self.name_here(),
        }
    }

    fn primary(&mut self) -> Result<()> {
        let at = self.token().start;
        let literal = match self.peek() {
            Kind::Int(number) => {
                self.advance();
                return self.int(*number);
            }
            Kind::Float(number) => Literal::Float(*number),
            Kind::Text(text) => Literal::Text(text.clone()),
            Kind::Bytes(bytes) => Literal::Bytes(bytes.clone()),
            Kind::Symbol(name) => Literal::Name(name.clone()),
            Kind::Name(_) => return self.name(at),
            Kind::Mark(mark) => return self.marked(mark, at),
            Kind::Newline | Kind::End => {
                return self.error(&alloc::format!("an expression is missing before {}", self.found()));
            }
        };
        self.advance();
        let number = self.literal(literal)?;
        self.emit(Operation::Literal(number)).map(|_| ())
    }

    fn int(&mut self, number: i64) -> Result<()> {
        let operation = match i32::try_from(number) {
            Ok(small) => Operation::Int(small),
            Err(_) => Operation::Literal(self.literal(Literal::Int(number))?),
        };
        self.emit(operation).map(|_| ())
    }

    /// A bare name: a variable, a call of one, or a message to `self`.
    fn name(&mut self, at: u32) -> Result<()> {
        let Some(name) = self.name_here() else { return self.error("expected a name") };
        self.advance();
        let called = self.at("(");
        match self.resolve(&name) {
            Some(place) => {
                self.read(place, &name)?;
                if called {
                    let arguments = self.arguments()?;
                    self.send("value", arguments, false, at)?;
                }
                Ok(())
            }
            None => {
                self.emit_at(Operation::SelfValue, at)?;
                let arguments = if called { self.arguments()? } else { 0 };
                self.send(&name, arguments, true, at)
            }
        }
    }

    fn marked(&mut self, mark: &str, at: u32) -> Result<()> {
        let simple = match mark {
            "nil" => Some(Operation::Nil),
            "true" => Some(Operation::True),
            "false" => Some(Operation::False),
            _ => None,
        };
        if let Some(operation) = simple {
            self.advance();
            return self.emit(operation).map(|_| ());
        }
        match mark {
            "(" => {
                self.advance();
                self.expression()?;
                self.expect(")", "behind an expression")
            }
            "self" => self.own(at),
            "resend" => self.resend(at),
            "[" => self.collection(),
            "{" => self.deeper(Self::block),
            "if" => self.deeper(Self::conditional),
            "while" => self.deeper(Self::repeat),
            "for" => self.deeper(Self::each),
            "try" => self.deeper(Self::guarded),
            "atomically" => self.deeper(Self::atomic),
            "object" if matches!(self.after(1), Kind::Mark("{" | "of" | "uses")) => self.deeper(Self::object),
            "trait" if matches!(self.after(1), Kind::Mark("{" | "requires" | "uses")) => {
                self.deeper(Self::trait_literal)
            }
            word if SOFT.contains(&word) => self.name(at),
            _ => self.error(&alloc::format!("an expression is missing before {}", self.found())),
        }
    }

    /// `self`, and the first message to it, which is one of its own.
    fn own(&mut self, at: u32) -> Result<()> {
        self.advance();
        self.emit_at(Operation::SelfValue, at)?;
        let dot = self.token().start;
        // Whether `self.x = v` may stand here is for the statement to know; it looks ahead for it.
        let assignable = self.is_statement_of_self();
        if self.take(".") { self.message(assignable, true, dot) } else { Ok(()) }
    }

    /// Whether the `self` just taken begins a statement.
    fn is_statement_of_self(&self) -> bool {
        match self.next.checked_sub(2).and_then(|before| self.tokens.get(before)).map(|token| &token.kind) {
            None | Some(Kind::Newline | Kind::Mark(";" | "{")) => true,
            // The bar behind the parameters of a block.
            Some(Kind::Mark("|")) => true,
            _ => false,
        }
    }

    fn resend(&mut self, at: u32) -> Result<()> {
        self.advance();
        let in_method = self.scopes.first().is_some_and(|scope| scope.role == Role::Method);
        if !in_method {
            return self.error_at(at, "`resend` hands a message on, and stands in methods only");
        }
        let parent = match self.take("@") {
            true => match self.word_here() {
                Some(name) => {
                    self.advance();
                    Some(self.name_literal(&name)?)
                }
                None => return self.error("the name of a parent slot must follow `@`"),
            },
            false => None,
        };
        self.expect(".", "behind `resend`")?;
        let Some(name) = self.word_here() else { return self.error("a name must follow the dot") };
        self.advance();
        self.emit_at(Operation::SelfValue, at)?;
        let arguments = if self.at("(") { self.arguments()? } else { 0 };
        let selector = self.selector_literal(&name, arguments)?;
        let arguments = arguments as u8;
        self.emit_at(
            match parent {
                Some(parent) => Operation::ResendVia { selector, arguments, parent },
                None => Operation::Resend { selector, arguments },
            },
            at,
        )
        .map(|_| ())
    }

    /// `[1, 2]`, `['a': 1, b: 2]`, `[:]`.
    fn collection(&mut self) -> Result<()> {
        self.advance();
        if self.take(":") {
            self.expect("]", "behind `[:`")?;
            return self.emit(Operation::Map(0)).map(|_| ());
        }
        let (mut count, mut is_map) = (0, None);
        while !self.take("]") {
            if count > 0 {
                self.expect(",", "between items")?;
                if self.take("]") {
                    break;
                }
            }
            let bare = self.name_here().filter(|_| matches!(self.after(1), Kind::Mark(":")));
            match bare {
                Some(name) => {
                    self.advance();
                    let number = self.literal(Literal::Text(name))?;
                    self.emit(Operation::Literal(number))?;
                }
                None => self.expression()?,
            }
            let has_value = self.take(":");
            if *is_map.get_or_insert(has_value) != has_value {
                return self.error("a list has items, a map has `key: value`; this is both");
            }
            if has_value {
                self.expression()?;
            }
            count += 1;
            if count > ITEM_LIMIT {
                return self.error("more than 2000 items in one literal");
            }
        }
        let count = count as u16;
        self.emit(if is_map == Some(true) { Operation::Map(count) } else { Operation::List(count) }).map(|_| ())
    }

    fn block(&mut self) -> Result<()> {
        self.advance();
        let parameters = if self.at("|") { self.parameters("|")? } else { Vec::new() };
        self.open(Role::Block, &parameters)?;
        self.statements(Some("}"))?;
        self.emit(Operation::Return)?;
        let number = self.close();
        self.expect("}", "behind a block")?;
        match u16::try_from(number) {
            Ok(number) => self.emit(Operation::Block(number)).map(|_| ()),
            Err(_) => self.error("too many blocks in one source"),
        }
    }
}
