//! Control: compiled to jumps, so that what stands in its braces is part of the function around it.

use super::{Compiler, Result};
use crate::code::Operation;

impl Compiler<'_> {
    pub(super) fn conditional(&mut self) -> Result<()> {
        self.advance();
        self.expression()?;
        let otherwise = self.emit(Operation::JumpIfFalse(0))?;
        self.braced()?;
        let end = self.emit(Operation::Jump(0))?;
        self.land(otherwise);
        if self.take("else") {
            if self.at("if") { self.deeper(Self::conditional)? } else { self.braced()? }
        } else {
            self.emit(Operation::Nil)?;
        }
        self.land(end);
        Ok(())
    }

    pub(super) fn repeat(&mut self) -> Result<()> {
        self.advance();
        let start = self.here();
        self.expression()?;
        let end = self.emit(Operation::JumpIfFalse(0))?;
        self.braced()?;
        self.emit(Operation::Pop)?;
        self.emit(Operation::Loop(start))?;
        self.land(end);
        self.emit(Operation::Nil).map(|_| ())
    }

    pub(super) fn each(&mut self) -> Result<()> {
        self.advance();
        let Some(name) = self.name_here() else { return self.error("a name must follow `for`") };
        self.advance();
        self.expect("in", "behind the name")?;
        self.expression()?;
        self.emit(Operation::Int(0))?;
        let start = self.here();
        let end = self.emit(Operation::Next(0))?;
        let place = self.fresh(&name)?;
        self.write(place, &name)?;
        self.braced()?;
        self.emit(Operation::Pop)?;
        self.emit(Operation::Loop(start))?;
        self.land(end);
        self.emit(Operation::Nil).map(|_| ())
    }

    pub(super) fn guarded(&mut self) -> Result<()> {
        self.advance();
        let handler = self.emit(Operation::Try(0))?;
        self.braced()?;
        self.emit(Operation::EndTry)?;
        let end = self.emit(Operation::Jump(0))?;
        self.land(handler);
        self.skip_newlines();
        self.expect("catch", "behind the body of `try`")?;
        let Some(name) = self.name_here() else { return self.error("a name must follow `catch`") };
        self.advance();
        let place = self.fresh(&name)?;
        self.write(place, &name)?;
        self.braced()?;
        self.land(end);
        Ok(())
    }

    pub(super) fn atomic(&mut self) -> Result<()> {
        self.advance();
        self.emit(Operation::Begin)?;
        self.count_atomic(1);
        self.braced()?;
        self.count_atomic(-1);
        self.emit(Operation::Commit).map(|_| ())
    }

    pub(super) fn count_atomic(&mut self, change: isize) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.atomic = scope.atomic.saturating_add_signed(change);
        }
    }
}
