//! The session's transaction as programs ask for it: `atomically`, `beginTransaction`, `commit`, `abort`, `note`.

use super::interpret::{Frame, corrupt};
use super::primitives::Control;
use super::value::Val;
use crate::error::{ErrorKind, Raise, raise};
use crate::host::Outside;
use crate::session::Session;

/// How often `atomically` is tried again after a conflict.
const RETRIES: u32 = 3;

impl Session {
    /// Gives up the transactions of `atomically` that an error leaves, all but so many.
    pub(crate) fn leave_atomics(&mut self, outside: &mut Outside<'_>, open: usize) -> Result<(), Raise> {
        while self.atomics.len() > open {
            let Some(atomic) = self.atomics.pop() else { break };
            if !atomic.joins {
                self.world.abort(outside);
                self.is_open = false;
                self.open(outside)?;
            }
        }
        Ok(())
    }

    /// Ends the innermost `atomically`. After a conflict that may be tried again: the frame to go on in, and its stack.
    pub(crate) fn settle(&mut self, outside: &mut Outside<'_>) -> Result<Option<(Frame, usize)>, Raise> {
        let Some(mut atomic) = self.atomics.pop() else { return Err(corrupt()) };
        if atomic.joins {
            return Ok(None);
        }
        self.is_open = false;
        let committed = self.world.commit(outside);
        self.open(outside)?;
        match committed {
            Ok(_) => Ok(None),
            Err(raised) if raised.kind == ErrorKind::Conflict && atomic.tries < RETRIES => {
                atomic.tries += 1;
                self.frames.truncate(atomic.depth + 1);
                let Some(mut frame) = self.frames.pop() else { return Err(corrupt()) };
                frame.next = atomic.retry;
                self.handlers.truncate(atomic.handlers);
                let top = atomic.top;
                self.atomics.push(atomic);
                Ok(Some((frame, top)))
            }
            Err(raised) => Err(raised),
        }
    }

    pub(crate) fn transaction(
        &mut self,
        outside: &mut Outside<'_>,
        control: Control,
        argument: Val,
    ) -> Result<Val, Raise> {
        if !self.atomics.is_empty() && control != Control::Note {
            return raise(ErrorKind::Transaction, "`atomically` begins and ends its transaction by itself");
        }
        match control {
            Control::Begin if self.is_explicit => raise(ErrorKind::Transaction, "a transaction is open already"),
            Control::Begin => {
                self.renew(outside)?;
                self.is_explicit = true;
                Ok(Val::Nil)
            }
            Control::Note => {
                let text = match self.world.text_of(argument) {
                    Some(text) => text,
                    None => return raise(ErrorKind::Type, "a text is needed"),
                };
                outside.store.note(&text).map_err(|refused| self.world.refused(refused))?;
                Ok(Val::Nil)
            }
            _ if !self.is_explicit => {
                raise(ErrorKind::Transaction, "no transaction is open; `beginTransaction()` opens one")
            }
            Control::Commit => {
                (self.is_explicit, self.is_open) = (false, false);
                let committed = self.world.commit(outside);
                self.open(outside)?;
                committed.map(|tid| Val::Int(tid.cast_signed()))
            }
            _ => {
                (self.is_explicit, self.is_open) = (false, false);
                self.world.abort(outside);
                self.open(outside)?;
                Ok(Val::Nil)
            }
        }
    }

    /// Commits what the line has done so far, so that a transaction of its own begins here.
    pub(crate) fn renew(&mut self, outside: &mut Outside<'_>) -> Result<(), Raise> {
        self.is_open = false;
        let committed = self.world.commit(outside);
        self.open(outside)?;
        committed.map(|_| ())
    }
}
