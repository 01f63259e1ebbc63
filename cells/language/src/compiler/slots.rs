//! Literals of objects and traits, and definitions of slots.

use alloc::string::String;

use super::{Compiler, Result, SourceError, Walk, method_at};
use crate::code::{Binary, CONSTANT, Literal, Operation, PRIVATE};
use crate::token::Kind;

impl Compiler<'_> {
    /// `object of P uses T { slots }`: leaves the object.
    pub(super) fn object(&mut self) -> Result<()> {
        self.advance();
        let has_parent = self.take("of");
        if has_parent {
            self.expression()?;
        }
        self.emit(Operation::Object { has_parent })?;
        self.body()
    }

    /// `trait requires a, b/1 uses T { slots }`: leaves the trait.
    pub(super) fn trait_literal(&mut self) -> Result<()> {
        self.advance();
        let mut names = alloc::vec::Vec::new();
        if self.take("requires") {
            loop {
                names.push(self.selector_here()?);
                if !self.take(",") {
                    break;
                }
                self.skip_newlines();
            }
        }
        let names = self.literal(Literal::Names(names))?;
        self.emit(Operation::Trait(names))?;
        self.body()
    }

    /// `name` or `name/2`.
    fn selector_here(&mut self) -> Result<String> {
        let Some(name) = self.name_here() else { return self.error("a selector is a name, or `name/arguments`") };
        self.advance();
        if !self.take("/") {
            return Ok(name);
        }
        match *self.peek() {
            Kind::Int(arguments) if (0..=200).contains(&arguments) => {
                self.advance();
                Ok(object_model::selector(&name, arguments as usize))
            }
            _ => self.error("the number of arguments must follow `/`"),
        }
    }

    /// The rest of both literals. The traits are evaluated before the slots and laid in after them.
    fn body(&mut self) -> Result<()> {
        let composed = if self.take("uses") {
            self.expression()?;
            let local = self.new_local("")?;
            self.emit(Operation::SetLocal(local))?;
            Some(local)
        } else {
            None
        };
        self.expect("{", "before slots")?;
        loop {
            while matches!(self.peek(), Kind::Newline) || self.at(";") {
                self.advance();
            }
            if self.take("}") {
                break;
            }
            self.slot()?;
            if !matches!(self.peek(), Kind::Newline | Kind::Mark(";" | "}")) {
                return self.error(&alloc::format!("a slot ends before {}", self.found()));
            }
        }
        if let Some(local) = composed {
            self.emit(Operation::Local(local))?;
            self.emit(Operation::Compose)?;
        }
        self.emit(Operation::Whole).map(|_| ())
    }

    fn slot(&mut self) -> Result<()> {
        let mut flags = 0;
        // A word of this list is a name where `=` follows it.
        while !matches!(self.after(1), Kind::Mark("=")) {
            if self.take("private") {
                flags |= PRIVATE;
            } else if self.take("const") {
                flags |= CONSTANT;
            } else {
                break;
            }
        }
        let is_name = matches!(self.after(1), Kind::Mark("="));
        if !is_name && self.take("method") {
            return self.method_slot(flags);
        }
        if !is_name && self.take("native") {
            return self.native_slot();
        }
        let is_parent = !is_name && self.take("parent");
        let Some(name) = self.name_here() else {
            return self.error(&alloc::format!("expected a slot, found {}", self.found()));
        };
        self.advance();
        self.expect("=", "behind the name of a slot")?;
        self.expression()?;
        let name = self.name_literal(&name)?;
        self.emit(if is_parent { Operation::DefineParent { name } } else { Operation::DefineData { name, flags } })
            .map(|_| ())
    }

    /// The name of a method: a word, a word with `=` (what an assignment sends), or an operator.
    fn method_name(&mut self) -> Result<String> {
        if let Some(mut name) = self.name_here() {
            let end = self.token().end;
            self.advance();
            let setter = self.at("=") && self.token().start == end && matches!(self.after(1), Kind::Mark("("));
            if setter {
                self.advance();
                name.push('=');
            }
            return Ok(name);
        }
        match self.peek() {
            Kind::Mark(mark) if Binary::of(mark).is_some() => {
                self.advance();
                Ok(String::from(*mark))
            }
            _ => self.error("the name of a method must follow"),
        }
    }

    pub(super) fn method_slot(&mut self, flags: u8) -> Result<()> {
        let name = self.method_name()?;
        self.take("=");
        let start = self.token().start;
        let first = self.next;
        let end = self.skip_method()?;
        if self.walk == Walk::First {
            let name = self.name_literal(&name)?;
            return self.emit(Operation::DefineMethod { name, method: 0, flags }).map(|_| ());
        }
        let source = self.source.get(start as usize..end as usize).unwrap_or("");
        let compiled = method_at(source, self.depth)
            .map_err(|error| SourceError::new(self.source, start.saturating_add(error.at), error.message))?;
        let name = object_model::selector(&name, compiled.parameters);
        if Binary::of(object_model::base_name(&name)).is_some() && compiled.parameters != 1 {
            let at = self.tokens.get(first).map_or(start, |token| token.start);
            return self.error_at(at, "an operator takes one argument");
        }
        let name = self.name_literal(&name)?;
        let method = self.literal(Literal::Method(compiled.method))?;
        self.emit(Operation::DefineMethod { name, method, flags }).map(|_| ())
    }

    /// Passes over parameters and body; where the body ends.
    fn skip_method(&mut self) -> Result<u32> {
        if self.at("(") {
            while !self.take(")") {
                if matches!(self.peek(), Kind::End) {
                    return self.error("expected `)` behind parameters");
                }
                self.advance();
            }
        }
        self.skip_newlines();
        if !self.at("{") {
            return self.error(&alloc::format!("expected `{{` before the body of a method, found {}", self.found()));
        }
        let mut open = 0_usize;
        loop {
            match self.peek() {
                Kind::Mark("{") => open += 1,
                Kind::Mark("}") => open -= 1,
                Kind::End => return self.error("the body of a method has no end"),
                _ => {}
            }
            let end = self.token().end;
            self.advance();
            if open == 0 {
                return Ok(end);
            }
        }
    }

    /// `native spawn(image, list) = 'endpointCap/4'`.
    fn native_slot(&mut self) -> Result<()> {
        let Some(name) = self.name_here() else { return self.error("the name of a native method must follow") };
        self.advance();
        let parameters = if self.at("(") { self.parameters(")")?.len() } else { 0 };
        self.expect("=", "before the endpoint slot and label")?;
        let Kind::Text(text) = self.peek() else { return self.error("expected a text: 'endpointSlot/label'") };
        let whole = text.rsplit_once('/').is_some_and(|(slot, label)| !slot.is_empty() && label.parse::<u32>().is_ok());
        if !whole {
            return self.error("expected a text of this form: 'endpointSlot/label'");
        }
        self.advance();
        let target = self.literal(Literal::Text(text.clone()))?;
        let name = self.selector_literal(&name, parameters)?;
        self.emit(Operation::DefineNative { name, target }).map(|_| ())
    }
}
