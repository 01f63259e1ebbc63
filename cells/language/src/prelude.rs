//! What the kinds of values understand beyond the primitives, in the language itself.

use alloc::rc::Rc;

use crate::compiler::compile_slot;
use crate::runtime::shape::{Content, Slot};
use crate::runtime::value::{ShapeId, kind};
use crate::runtime::world::World;

/// Kind and definition.
const METHODS: &[(ShapeId, &str)] = &[
    (kind::INT, "method times(block) { for n in self { block(n) } }"),
    (kind::INT, "method max(other) { if self < other { other } else { self } }"),
    (kind::INT, "method min(other) { if other < self { other } else { self } }"),
    (kind::LIST, "method each(block) { for item in self { block(item) } }"),
    (kind::LIST, "method map(block) { made = []; for item in self { made = made.add(block(item)) }; made }"),
    (
        kind::LIST,
        "method select(block) { made = []; for item in self { if block(item) { made = made.add(item) } }; made }",
    ),
    (kind::LIST, "method fold(start, block) { made = start; for item in self { made = block(made, item) }; made }"),
    (kind::LIST, "method first { self.at(0) }"),
    (kind::LIST, "method last { self.at(self.size - 1) }"),
    (kind::MAP, "method each(block) { for key in self { block(key, self.at(key)) } }"),
    (kind::TEXT, "method each(block) { for character in self { block(character) } }"),
];

/// Compiles them into the objects of the kinds.
pub(crate) fn install(world: &mut World) {
    for (of, source) in METHODS {
        let Some(owner) = world.kinds.get(of.0 as usize).copied() else { continue };
        let Ok(defined) = compile_slot(source) else { continue };
        let name = world.names.symbol(&defined.selector);
        let content = Content::Method(world.method(&Rc::new(defined.method)));
        let Ok(shape) = world.shape(owner) else { continue };
        let mut shape = shape.clone();
        shape.slots.push(Slot { name, content, private: false, constant: true, origin: None });
        // The kinds' objects are there from the beginning, so this does not fail.
        let _ = world.reshape(owner, shape, alloc::vec::Vec::new());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_prelude_compiles() {
        for (_, source) in super::METHODS {
            assert!(crate::compiler::compile_slot(source).is_ok(), "{source}");
        }
    }
}
