//! Names of the prompt that outlive the session: slots of the lobby.
//!
//! While a program runs, what it assigns to bare names are variables. When it has ended they become slots of the lobby, in the
//! same transaction, and bare names find them there from then on. What cannot be kept stays a variable: blocks, mirrors
//! and compositions, which belong to the session.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use object_model::DEPTH_LIMIT;

use crate::error::{ErrorKind, Raise, raise};
use crate::host::Outside;
use crate::runtime::heap::Cell;
use crate::runtime::primitives::put_slot;
use crate::runtime::shape::{Content, Slot};
use crate::runtime::value::{Symbol, Val};
use crate::runtime::world::World;
use crate::session::Session;

impl Session {
    /// From here on, names that a program assigns at the prompt are kept in the lobby, where their values can be kept at all.
    pub fn keep_names(&mut self) {
        self.keeps_names = true;
    }

    /// Makes slots of the lobby of the variables that can be kept. Those that were there before the program, and that it left as
    /// they were, are among them: nothing else would have kept them.
    pub(crate) fn keep_variables(&mut self, outside: &mut Outside<'_>) -> Result<(), Raise> {
        let Val::Object(lobby) = self.lobby else { return Ok(()) };
        if !self.keeps_names {
            return Ok(());
        }
        let kept: Vec<(Symbol, Val)> = self
            .variables
            .iter()
            .filter(|(_, value)| self.world.can_be_kept(**value, DEPTH_LIMIT))
            .map(|(name, value)| (*name, *value))
            .collect();
        if kept.is_empty() {
            return Ok(());
        }
        self.world.ensure(lobby, outside)?;
        for (name, value) in kept {
            let own = self.world.slot_of(lobby, name)?.map(|slot| (slot.content.clone(), slot.constant));
            match own {
                Some((Content::Data(place), false)) => {
                    self.world.touch(lobby)?;
                    if let Some(place) = self.world.cell_mut(lobby)?.data.get_mut(place as usize) {
                        *place = value;
                    }
                }
                None => {
                    let slot = Slot { name, content: Content::Data(0), private: false, constant: false, origin: None };
                    put_slot(&mut self.world, outside, lobby, slot, Some(value))?;
                }
                Some(_) => {
                    self.variables.remove(&name);
                    let name = self.world.names.name(name);
                    let message = format!("`{name}` is a part of the lobby that no assignment changes");
                    return raise(ErrorKind::Constant, message);
                }
            }
            self.variables.remove(&name);
        }
        Ok(())
    }

    /// The variables as they are, to go back to.
    pub(crate) fn saved_variables(&self) -> Option<BTreeMap<Symbol, Val>> {
        self.keeps_names.then(|| self.variables.clone())
    }
}

impl World {
    /// Whether a value may stand in a slot of a persistent object. What its objects hold is not looked at.
    fn can_be_kept(&self, value: Val, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let Val::Heap(id) = value else { return true };
        match self.heap.get(id) {
            Cell::Text(_) | Cell::Bytes(_) | Cell::Capability(_) => true,
            Cell::List { .. } => {
                self.heap.items(value).unwrap_or(&[]).iter().all(|item| self.can_be_kept(*item, depth))
            }
            Cell::Map(entries) => entries.values().all(|item| self.can_be_kept(*item, depth)),
            _ => false,
        }
    }
}
