//! The world of a session: objects in memory, their shapes, methods and names, and look-up over them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Method, Missing, Oid, Reach, Sender, World as Walk, base_name, only, search};

use super::convert::Numbers;
use super::heap::{Cell, Heap};
use super::link::{Code, MethodId, Target, link};
use super::shape::{Content, Shape, Shapes, Slot};
use super::transaction::Undo;
use super::value::{HeapId, ObjectId, ShapeId, Symbol, Val, kind};
use crate::code::Unit;
use crate::error::{ErrorKind, Raise, error, raise};
use crate::host::Outside;

/// Places of the cache that all sites share. A power of two.
const SHARED_CACHE: usize = 1024;

/// An object in memory.
#[derive(Debug)]
pub(crate) struct ObjectCell {
    pub shape: ShapeId,
    /// Whether the transaction has changed it and knows how to undo that.
    pub is_dirty: bool,
    /// Whether others may find slots in it: its shape is then part of what caches hold.
    pub is_ancestor: bool,
    /// Whether its literal is still being evaluated, which may give it slots.
    pub is_building: bool,
    pub data: Vec<Val>,
    /// Its number in the store, where it has one.
    pub oid: Option<Oid>,
}

/// Names by numbers.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<Rc<str>>,
    numbers: BTreeMap<Rc<str>, Symbol>,
}

impl Names {
    pub(crate) fn symbol(&mut self, name: &str) -> Symbol {
        if let Some(symbol) = self.numbers.get(name) {
            return *symbol;
        }
        let symbol = Symbol(self.names.len() as u64);
        let name: Rc<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, symbol);
        symbol
    }

    pub(crate) fn name(&self, symbol: Symbol) -> &str {
        self.names.get(symbol.0 as usize).map_or("", |name| name)
    }

    pub(crate) fn shared(&self, symbol: Symbol) -> Rc<str> {
        self.names.get(symbol.0 as usize).cloned().unwrap_or_else(|| "".into())
    }
}

#[derive(Debug)]
pub(crate) struct MethodCell {
    pub method: Rc<Method>,
    pub code: Option<Rc<Code>>,
}

#[derive(Clone, Copy)]
struct Shared {
    shape: ShapeId,
    selector: Symbol,
    sender: Sender,
    epoch: u32,
    target: Target,
}

/// Everything in memory but the stack.
pub(crate) struct World {
    pub names: Names,
    pub heap: Heap,
    pub shapes: Shapes,
    pub objects: Vec<ObjectCell>,
    free_objects: Vec<ObjectId>,
    methods: Vec<Option<MethodCell>>,
    free_methods: Vec<MethodId>,
    method_numbers: BTreeMap<Rc<[u8]>, MethodId>,
    pub by_oid: BTreeMap<Oid, ObjectId>,
    /// Counts changes of what caches hold.
    pub epoch: u32,
    /// For each kind of value that is no object, the object whose slots it understands.
    pub kinds: Vec<ObjectId>,
    /// What every value understands, where nothing else answers.
    pub any: ObjectId,
    pub undo: Vec<Undo>,
    /// Objects that the transaction has made or changed.
    pub changed: Vec<ObjectId>,
    /// Objects that got their number in the transaction.
    pub numbered: Vec<ObjectId>,
    cache: Box<[Option<Shared>]>,
    object_marks: Vec<bool>,
    /// What lived after the last collection, in values.
    pub alive: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            names: Names::default(),
            heap: Heap::default(),
            shapes: Shapes::default(),
            objects: Vec::new(),
            free_objects: Vec::new(),
            methods: Vec::new(),
            free_methods: Vec::new(),
            method_numbers: BTreeMap::new(),
            by_oid: BTreeMap::new(),
            epoch: 1,
            kinds: Vec::new(),
            any: ObjectId(0),
            undo: Vec::new(),
            changed: Vec::new(),
            numbered: Vec::new(),
            cache: alloc::vec![None; SHARED_CACHE].into(),
            object_marks: Vec::new(),
            alive: 0,
        };
        let empty = world.shapes.intern(Shape::default());
        world.any = world.new_object(empty, Vec::new());
        world.kinds = (0..kind::FIRST).map(|_| world.new_object(empty, Vec::new())).collect();
        world
    }

    pub(crate) fn new_object(&mut self, shape: ShapeId, data: Vec<Val>) -> ObjectId {
        self.heap.pressure += 8 + data.len();
        let cell = ObjectCell { shape, is_dirty: true, is_ancestor: false, is_building: false, data, oid: None };
        if let Some(id) = self.free_objects.pop()
            && let Some(place) = self.objects.get_mut(id.0 as usize)
        {
            *place = cell;
            self.changed.push(id);
            return id;
        }
        self.objects.push(cell);
        let id = ObjectId((self.objects.len() - 1) as u64);
        self.changed.push(id);
        id
    }

    /// The object of a number: as it is in memory, or a ghost of it.
    pub(crate) fn object_of(&mut self, oid: Oid) -> ObjectId {
        if let Some(id) = self.by_oid.get(&oid) {
            return *id;
        }
        let id = self.new_object(kind::GHOST, Vec::new());
        if let Some(cell) = self.objects.get_mut(id.0 as usize) {
            cell.oid = Some(oid);
            cell.is_dirty = false;
        }
        self.by_oid.insert(oid, id);
        id
    }

    pub(crate) fn cell(&self, id: ObjectId) -> Result<&ObjectCell, Raise> {
        self.objects.get(id.0 as usize).ok_or_else(|| error(ErrorKind::BadMethod, "a reference to no object"))
    }

    pub(crate) fn cell_mut(&mut self, id: ObjectId) -> Result<&mut ObjectCell, Raise> {
        self.objects.get_mut(id.0 as usize).ok_or_else(|| error(ErrorKind::BadMethod, "a reference to no object"))
    }

    /// Reads an object in, if it is a ghost.
    pub(crate) fn ensure(&mut self, id: ObjectId, outside: &mut Outside<'_>) -> Result<(), Raise> {
        let cell = self.cell(id)?;
        match cell.oid {
            Some(oid) if cell.shape == kind::GHOST => {
                let object = outside.store.load(oid).map_err(|refused| self.refused(refused))?;
                let (shape, data) = self.import(&object, Numbers::Store)?;
                let cell = self.cell_mut(id)?;
                cell.shape = shape;
                cell.data = data;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn shape_of(&self, value: Val) -> ShapeId {
        match value {
            Val::Nil => kind::NIL,
            Val::Bool(_) => kind::BOOL,
            Val::Int(_) => kind::INT,
            Val::Float(_) => kind::FLOAT,
            Val::Symbol(_) => kind::SYMBOL,
            Val::Object(id) => self.objects.get(id.0 as usize).map_or(kind::OTHER, |cell| cell.shape),
            Val::Heap(id) => self.heap.get(id).kind(),
        }
    }

    /// The shape of an object that was read in.
    pub(crate) fn shape(&self, id: ObjectId) -> Result<&Shape, Raise> {
        let shape = self.cell(id)?.shape;
        self.shapes.get(shape).ok_or_else(|| error(ErrorKind::Store, "an object that is not in memory"))
    }

    /// Gives an object another shape. The shape's parents may from now on be searched for it.
    pub(crate) fn reshape(&mut self, id: ObjectId, shape: Shape, data: Vec<Val>) -> Result<(), Raise> {
        let shape = self.intern(shape);
        let cell = self.cell_mut(id)?;
        cell.shape = shape;
        cell.data = data;
        if cell.is_ancestor {
            self.forget();
        }
        Ok(())
    }

    pub(crate) fn intern(&mut self, shape: Shape) -> ShapeId {
        let parents: Vec<ObjectId> = shape.parents().collect();
        for parent in parents {
            self.becomes_ancestor(parent);
        }
        self.shapes.intern(shape)
    }

    pub(crate) fn becomes_ancestor(&mut self, id: ObjectId) {
        if let Some(cell) = self.objects.get_mut(id.0 as usize) {
            cell.is_ancestor = true;
        }
    }

    /// Makes every cache stale.
    pub(crate) fn forget(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // Old entries would look new again.
            self.epoch = 1;
        }
    }

    pub(crate) fn slot_of(&self, id: ObjectId, name: Symbol) -> Result<Option<&Slot>, Raise> {
        Ok(self.shape(id)?.slot(name))
    }

    /// The number of a method; equal ones have one.
    pub(crate) fn method(&mut self, method: &Rc<Method>) -> MethodId {
        let mut key = Vec::from(method.source.as_bytes());
        key.push(0);
        key.extend(&method.bytecode);
        let key: Rc<[u8]> = key.into();
        if let Some(id) = self.method_numbers.get(&key) {
            return *id;
        }
        let cell = MethodCell { method: method.clone(), code: None };
        let id = self.free_methods.pop().unwrap_or_else(|| {
            self.methods.push(None);
            MethodId((self.methods.len() - 1) as u32)
        });
        if let Some(place) = self.methods.get_mut(id.0 as usize) {
            *place = Some(cell);
        }
        self.method_numbers.insert(key, id);
        id
    }

    pub(crate) fn method_cell(&self, id: MethodId) -> Option<&MethodCell> {
        self.methods.get(id.0 as usize)?.as_ref()
    }

    /// A method's code. Bytecode of another version, or bytes that do not verify, are made anew from the source.
    pub(crate) fn code(&mut self, id: MethodId, selector: Symbol) -> Result<Rc<Code>, Raise> {
        let Some(Some(cell)) = self.methods.get(id.0 as usize) else {
            return raise(ErrorKind::BadMethod, "no such method");
        };
        if let Some(code) = &cell.code {
            return Ok(code.clone());
        }
        let method = cell.method.clone();
        let source: Rc<str> = method.source.as_str().into();
        let stored = Unit::decode(&method.bytecode).map(|unit| link(unit, source.clone(), selector, &mut self.names));
        let code = match stored {
            Some(Ok(code)) => code,
            _ => {
                let compiled = crate::compiler::compile_method(&method.source).map_err(|wrong| {
                    error(ErrorKind::BadMethod, format!("the stored method does not compile:\n{wrong}"))
                })?;
                let unit = Unit::decode(&compiled.method.bytecode);
                match unit.map(|unit| link(unit, source, selector, &mut self.names)) {
                    Some(Ok(code)) => code,
                    _ => return raise(ErrorKind::BadMethod, "the stored method does not verify"),
                }
            }
        };
        if let Some(Some(cell)) = self.methods.get_mut(id.0 as usize) {
            cell.code = Some(code.clone());
        }
        Ok(code)
    }

    /// What answers a message, by the shared cache or by look-up.
    pub(crate) fn find(
        &mut self,
        receiver: Val,
        selector: Symbol,
        sender: Sender,
        outside: &mut Outside<'_>,
    ) -> Result<Option<Target>, Raise> {
        if let Val::Object(id) = receiver {
            self.ensure(id, outside)?;
        }
        let shape = self.shape_of(receiver);
        let place = (shape.0.wrapping_mul(31) as usize ^ selector.0.wrapping_mul(7) as usize) % SHARED_CACHE;
        if let Some(Some(known)) = self.cache.get(place)
            && known.shape == shape
            && known.selector == selector
            && known.epoch == self.epoch
            && known.sender == sender
        {
            return Ok(Some(known.target));
        }
        let start = match receiver {
            Val::Object(id) => id,
            _ => self.kinds.get(shape.0 as usize).copied().unwrap_or(self.any),
        };
        let mut found = self.search_from(&[start], start, selector, sender, outside)?;
        if found.is_none() && start != self.any {
            found = self.search_from(&[self.any], self.any, selector, Sender::Other, outside)?;
        }
        // A value that is no object holds nothing itself: what its kind's object has is inherited.
        if !matches!(receiver, Val::Object(_)) {
            found = found.map(|target| match target {
                Target::Own(number) => Target::Inherited(start, number),
                Target::Method(method, None) => Target::Method(method, Some(start)),
                other => other,
            });
        }
        if let Some(target) = found
            && let Some(entry) = self.cache.get_mut(place)
        {
            *entry = Some(Shared { shape, selector, sender, epoch: self.epoch, target });
        }
        Ok(found)
    }

    /// Look-up from some objects on.
    pub(crate) fn search_from(
        &mut self,
        start: &[ObjectId],
        receiver: ObjectId,
        selector: Symbol,
        sender: Sender,
        outside: &mut Outside<'_>,
    ) -> Result<Option<Target>, Raise> {
        let name = self.names.shared(selector);
        let mut finder = Finder::new(self, outside, selector);
        let found = search(&mut finder, start, receiver, &name, sender);
        let found = match found.and_then(only) {
            Ok(found) => found,
            Err(Missing::NotUnderstood) => return Ok(None),
            Err(Missing::World(raised)) => return Err(raised),
            Err(Missing::Ambiguous(paths)) => {
                let mut message = format!("`{name}` is ambiguous:");
                for path in paths {
                    let path: Vec<String> = path.iter().map(|id| self.describe(Val::Object(*id))).collect();
                    message.push_str("\n  ");
                    message.push_str(&path.join(" -> "));
                }
                return raise(ErrorKind::Ambiguous, message);
            }
            Err(Missing::TooFar | Missing::NoParent) => return raise(ErrorKind::Depth, "too many parents"),
        };
        let own = found.holder == receiver;
        self.becomes_ancestor(found.holder);
        for id in found.path {
            self.becomes_ancestor(id);
        }
        Ok(Some(match found.found {
            Content::Data(number) if own => Target::Own(number),
            Content::Data(number) => Target::Inherited(found.holder, number),
            Content::Parent(parent) => Target::Parent(parent),
            Content::Method(method) => Target::Method(method, (!own).then_some(found.holder)),
            Content::Primitive(number) => Target::Primitive(number),
            Content::Unknown(name) => Target::Unknown(name),
            Content::Native(slot, label) => Target::Native(slot, label),
        }))
    }

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

/// Places of objects as the model's numbers, and back. The model knows no others, so both are numbers to it.
pub(crate) fn local_oid(id: ObjectId) -> Oid {
    Oid::new(id.0 + 1)
}

/// The place that stands behind such a number.
pub(crate) fn local_id(oid: Oid) -> ObjectId {
    ObjectId(oid.number().wrapping_sub(1))
}

/// Objects in memory, for the model's look-up.
pub(crate) struct Finder<'w, 'o, 'b> {
    world: &'w mut World,
    outside: &'o mut Outside<'b>,
    selector: Symbol,
    base: Option<Symbol>,
}

impl<'w, 'o, 'b> Finder<'w, 'o, 'b> {
    fn new(world: &'w mut World, outside: &'o mut Outside<'b>, selector: Symbol) -> Self {
        let name = world.names.shared(selector);
        let base = Some(base_name(&name)).filter(|base| **base != *name).map(|base| world.names.symbol(base));
        Self { world, outside, selector, base }
    }
}

impl Walk for Finder<'_, '_, '_> {
    type Node = ObjectId;
    type Found = Content;
    type Error = Raise;

    fn own(&mut self, node: ObjectId, _: &str) -> Result<Option<(Content, Reach)>, Raise> {
        self.world.ensure(node, self.outside)?;
        let shape = self.world.shape(node)?;
        let any =
            |slot: &&Slot| matches!(slot.content, Content::Primitive(_) | Content::Native(..) | Content::Unknown(_));
        let slot = shape.slot(self.selector).or_else(|| shape.slot(self.base?).filter(any));
        Ok(slot.map(|slot| (slot.content.clone(), if slot.private { Reach::Private } else { Reach::Public })))
    }

    fn parents(&mut self, node: ObjectId) -> Result<Vec<ObjectId>, Raise> {
        self.world.ensure(node, self.outside)?;
        Ok(self.world.shape(node)?.parents().collect())
    }
}

/// What lives in the heap, for those that ask for a kind.
impl World {
    pub(crate) fn text_of(&self, value: Val) -> Option<Rc<str>> {
        self.heap.str(value).cloned()
    }

    pub(crate) fn heap_id(value: Val) -> Option<HeapId> {
        match value {
            Val::Heap(id) => Some(id),
            _ => None,
        }
    }
}
