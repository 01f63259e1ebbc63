//! Objects under construction: what literals are evaluated into.

use alloc::format;
use alloc::vec::Vec;

use super::heap::Cell;
use super::interpret::corrupt;
use super::link::{Code, Constant};
use super::primitives;
use super::shape::{Content, Shape, Slot};
use super::value::Val;
use crate::code::{CONSTANT, PRIVATE};
use crate::error::{ErrorKind, Raise, raise};
use crate::host::Outside;
use crate::session::Session;

impl Session {
    pub(crate) fn make_object(
        &mut self,
        parent: Option<Val>,
        requires: Option<Vec<alloc::string::String>>,
    ) -> Result<Val, Raise> {
        let mut shape = Shape { requires, ..Shape::default() };
        if let Some(parent) = parent {
            let content = primitives::parent_content(&self.world, parent)?;
            let name = self.world.names.symbol("parent");
            shape.slots.push(Slot { name, content, private: false, constant: true, origin: None });
        }
        let shape = self.world.intern(shape);
        let id = self.world.new_object(shape, Vec::new());
        self.world.cell_mut(id)?.is_building = true;
        Ok(Val::Object(id))
    }

    /// A slot of an object whose literal is being evaluated.
    #[expect(clippy::too_many_arguments, reason = "what a slot is made of")]
    pub(crate) fn define(
        &mut self,
        outside: &mut Outside<'_>,
        code: &Code,
        object: Val,
        name: u16,
        flags: u8,
        content: Content,
        value: Option<Val>,
    ) -> Result<(), Raise> {
        let Val::Object(id) = object else { return Err(corrupt()) };
        let Some(Constant::Name(name)) = code.shared.constants.get(usize::from(name)) else { return Err(corrupt()) };
        if !self.world.cell(id)?.is_building {
            return raise(ErrorKind::Structure, "only a mirror changes an object that is whole");
        }
        if self.world.slot_of(id, *name)?.is_some() {
            let name = self.world.names.name(*name);
            return raise(ErrorKind::Structure, format!("two slots of one object are called `{name}`"));
        }
        let holds_authority = match value {
            Some(Val::Heap(id)) => matches!(self.world.heap.get(id), Cell::Capability(_)),
            _ => false,
        };
        let private = flags & PRIVATE != 0 || holds_authority;
        let constant = flags & CONSTANT != 0;
        primitives::put_slot(
            &mut self.world,
            outside,
            id,
            Slot { name: *name, content, private, constant, origin: None },
            value,
        )
    }

    pub(crate) fn compose(&mut self, outside: &mut Outside<'_>, object: Val, traits: Val) -> Result<(), Raise> {
        let Val::Object(id) = object else { return Err(corrupt()) };
        if !self.world.cell(id)?.is_building {
            return raise(ErrorKind::Structure, "only a mirror changes an object that is whole");
        }
        let composition = self.world.composition(traits, outside)?;
        primitives::compose(&mut self.world, outside, id, &composition)
    }
}
