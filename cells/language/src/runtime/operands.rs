//! What the loop asks for with each kind of operand, and what it pays for once a slice.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::heap::Cell;
use super::interpret::corrupt;
use super::value::{HeapId, ObjectId, Val};
use crate::error::{ErrorKind, Raise, error, raise};
use crate::host::Outside;
use crate::session::Session;

/// Calls and turns between two looks at fuel, interruption and memory.
const SLICE: u32 = 1024;

impl Session {
    pub(crate) fn boxed(&self, place: Val) -> Result<Val, Raise> {
        match place {
            Val::Heap(id) => match self.world.heap.get(id) {
                Cell::Box(value) => Ok(*value),
                _ => Err(corrupt()),
            },
            _ => Err(corrupt()),
        }
    }

    pub(crate) fn set_boxed(&mut self, place: Val, value: Val) -> Result<(), Raise> {
        match place {
            Val::Heap(id) => match self.world.heap.get_mut(id) {
                Some(Cell::Box(there)) => {
                    *there = value;
                    Ok(())
                }
                _ => Err(corrupt()),
            },
            _ => Err(corrupt()),
        }
    }

    pub(crate) fn captured(&self, block: Option<HeapId>, index: u16) -> Result<Val, Raise> {
        match block.map(|id| self.world.heap.get(id)) {
            Some(Cell::Block(block)) => {
                block.captured.get(usize::from(index)).map(|id| Val::Heap(*id)).ok_or_else(corrupt)
            }
            _ => Err(corrupt()),
        }
    }

    /// The item of a number of what `for` walks: items of a list, keys of a map, characters of a text, numbers below one.
    pub(crate) fn next(&mut self, collection: Val, number: Val) -> Result<Option<Val>, Raise> {
        let Val::Int(number) = number else { return Err(corrupt()) };
        let place = usize::try_from(number).map_err(|_| corrupt())?;
        if let Val::Int(end) = collection {
            return Ok((number < end).then_some(Val::Int(number)));
        }
        if let Some(items) = self.world.heap.items(collection) {
            return Ok(items.get(place).copied());
        }
        let Val::Heap(id) = collection else {
            return raise(ErrorKind::Type, format!("`for` cannot walk {}", self.world.describe(collection)));
        };
        match self.world.heap.get(id) {
            Cell::Map(entries) => {
                let key = entries.keys().nth(place).cloned();
                Ok(key.map(|key| self.world.heap.put(Cell::Text(key))))
            }
            Cell::Text(text) => {
                let found: Option<String> = text.chars().nth(place).map(Into::into);
                Ok(found.map(|text| self.world.heap.text(&text)))
            }
            _ => raise(ErrorKind::Type, format!("`for` cannot walk {}", self.world.describe(collection))),
        }
    }

    pub(crate) fn map(&mut self, pairs: &[Val]) -> Result<Val, Raise> {
        let mut made = BTreeMap::new();
        for pair in pairs.chunks_exact(2) {
            if let [key, value] = pair {
                made.insert(self.world.name_argument(*key)?, *value);
            }
        }
        Ok(self.world.heap.put(Cell::Map(Rc::new(made))))
    }

    /// Drops the handlers of the call that ends.
    pub(crate) fn leave(&mut self) -> Result<(), Raise> {
        let depth = self.frames.len();
        while self.handlers.pop_if(|handler| handler.depth >= depth).is_some() {}
        match self.atomics.last() {
            Some(atomic) if atomic.depth >= depth => Err(corrupt()),
            _ => Ok(()),
        }
    }

    #[cold]
    pub(crate) fn grow(&mut self, needed: usize) -> Result<(), Raise> {
        if needed > self.limits.stack {
            return raise(ErrorKind::Depth, "the stack is higher than it may be");
        }
        self.stack.resize((needed * 2).min(self.limits.stack), Val::Nil);
        Ok(())
    }

    #[cold]
    pub(crate) fn no_bool(&self, found: Val) -> Raise {
        error(ErrorKind::Type, format!("true or false is needed, {} was given", self.world.describe(found)))
    }

    /// Fuel, interruption and memory, once a slice. `top` is the end of what is used of the stack.
    #[cold]
    pub(crate) fn slice(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        block: Option<HeapId>,
        holder: ObjectId,
    ) -> Result<(), Raise> {
        self.fuel = self.fuel.saturating_sub(u64::from(SLICE));
        if self.fuel == 0 {
            return raise(ErrorKind::Fuel, "the program ran longer than it may");
        }
        if outside.host.interrupted() {
            return raise(ErrorKind::Interrupted, "the program was stopped from outside");
        }
        self.left = SLICE.min(u32::try_from(self.fuel).unwrap_or(SLICE));
        if self.world.heap.pressure > self.limits.garbage.max(self.world.alive) {
            let stack = self.stack.get(..top).unwrap_or(&[]).iter().copied();
            let frames = self
                .frames
                .iter()
                .flat_map(|frame| frame.block.map(Val::Heap).into_iter().chain([Val::Object(frame.holder)]));
            let own = block.map(Val::Heap).into_iter().chain([Val::Object(holder), self.raised]);
            let roots = stack.chain(frames).chain(own).chain(self.variables.values().copied()).chain([self.lobby]);
            let roots: Vec<Val> = roots.collect();
            self.world.collect(roots.into_iter());
            // What lies above is stale, and may name places that are used again.
            if let Some(rest) = self.stack.get_mut(top..) {
                rest.fill(Val::Nil);
            }
            if self.world.alive > self.limits.memory {
                return raise(ErrorKind::Memory, "the session takes more memory than it may");
            }
        }
        Ok(())
    }
}
