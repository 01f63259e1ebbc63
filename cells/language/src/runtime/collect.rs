//! The collection of what nothing leads to: values, objects, shapes and methods.

use alloc::vec::Vec;

use super::heap::Cell;
use super::link::MethodId;
use super::shape::Content;
use super::value::{ObjectId, ShapeId, Val, kind};
use super::world::{World, local_id};

impl World {
    /// Frees what nothing leads to. `roots` are the values and blocks in use; everything with a change to undo is kept.
    pub(crate) fn collect(&mut self, roots: impl Iterator<Item = Val>) {
        self.heap.start_marking();
        self.object_marks.clear();
        self.object_marks.resize(self.objects.len(), false);
        let mut shape_marks = alloc::vec![false; self.shapes.len() + kind::FIRST as usize];
        let mut method_marks = alloc::vec![false; self.methods.len()];
        let mut waiting: Vec<Val> = roots.collect();
        waiting.push(Val::Object(self.any));
        waiting.extend(self.kinds.iter().map(|id| Val::Object(*id)));
        let mut shapes: Vec<ShapeId> = Vec::new();
        for undo in &self.undo {
            waiting.push(Val::Object(undo.object));
            waiting.extend(&undo.data);
            shapes.push(undo.shape);
        }
        loop {
            while let Some(shape) = shapes.pop() {
                if shape_marks.get_mut(shape.0 as usize).is_some_and(|mark| !core::mem::replace(mark, true))
                    && let Some(shape) = self.shapes.get(shape)
                {
                    for slot in &shape.slots {
                        match &slot.content {
                            Content::Parent(Some(parent)) => waiting.push(Val::Object(*parent)),
                            Content::Method(id) => {
                                if let Some(mark) = method_marks.get_mut(id.0 as usize) {
                                    *mark = true;
                                }
                            }
                            _ => {}
                        }
                        waiting.extend(slot.origin.iter().map(|(origin, _)| Val::Object(*origin)));
                    }
                    let traits = shape.composition.iter().flat_map(|one| one.0.traits());
                    waiting.extend(traits.map(|oid| Val::Object(local_id(oid))));
                }
            }
            let Some(value) = waiting.pop() else { break };
            match value {
                Val::Object(id) => {
                    let Some(mark) = self.object_marks.get_mut(id.0 as usize) else { continue };
                    if !core::mem::replace(mark, true)
                        && let Some(cell) = self.objects.get(id.0 as usize)
                    {
                        waiting.extend(&cell.data);
                        shapes.push(cell.shape);
                    }
                }
                Val::Heap(id) if self.heap.mark(id) => match self.heap.get(id) {
                    Cell::List { items, .. } => waiting.push(Val::Heap(*items)),
                    Cell::Items(items) => waiting.extend(items),
                    Cell::Map(entries) => waiting.extend(entries.values()),
                    Cell::Block(block) => {
                        waiting.push(block.receiver);
                        waiting.push(Val::Object(block.holder));
                        waiting.extend(block.captured.iter().map(|id| Val::Heap(*id)));
                    }
                    Cell::Box(value) | Cell::Error(_, value) => waiting.push(*value),
                    Cell::Composition(one) => waiting.extend(one.traits().map(|oid| Val::Object(local_id(oid)))),
                    Cell::Mirror(id) => waiting.push(Val::Object(*id)),
                    _ => {}
                },
                _ => {}
            }
        }
        let marks = &self.object_marks;
        let is_marked = |id: &ObjectId| marks.get(id.0 as usize).copied().unwrap_or(false);
        self.changed.retain(is_marked);
        self.changed.sort_unstable();
        self.changed.dedup();
        self.numbered.retain(is_marked);
        let mut alive = self.heap.sweep();
        self.free_objects.clear();
        for (number, (cell, marked)) in self.objects.iter_mut().zip(&self.object_marks).enumerate() {
            if *marked {
                alive += 8 + cell.data.len();
                continue;
            }
            if let Some(oid) = cell.oid.take() {
                self.by_oid.remove(&oid);
            }
            cell.data = Vec::new();
            cell.shape = kind::GHOST;
            cell.is_ancestor = false;
            self.free_objects.push(ObjectId(number as u64));
        }
        self.shapes.sweep(|shape| shape_marks.get(shape.0 as usize).copied().unwrap_or(false));
        let methods = &mut self.methods;
        self.free_methods.clear();
        self.method_numbers.retain(|_, id| method_marks.get(id.0 as usize).copied().unwrap_or(false));
        for (number, (place, marked)) in methods.iter_mut().zip(&method_marks).enumerate() {
            if !marked {
                *place = None;
                self.free_methods.push(MethodId(number as u32));
            }
        }
        self.alive = alive;
        self.forget();
    }
}
