//! The world of a session: objects in memory, their shapes, methods and names, and look-up over them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use object_model::{Method, Oid, Sender};

use super::convert::Numbers;
use super::heap::Heap;
use super::link::{Code, MethodId, Target, link};
use super::primitives::Primitive;
use super::shape::{Shape, Shapes, Slot};
use super::transaction::Undo;
use super::value::{HeapId, ObjectId, ShapeId, Symbol, Val, kind};
use crate::code::Unit;
use crate::error::{ErrorKind, Raise, error, raise};
use crate::host::Outside;

/// Places of the cache that all sites share. A power of two.
pub(crate) const SHARED_CACHE: usize = 1024;

/// The most names that programs may make up.
const NAMES_LIMIT: usize = 1 << 17;

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

    /// The symbol of a name that a program made up. There are so many at most, since none is ever forgotten.
    ///
    /// # Errors
    /// `Memory`.
    pub(crate) fn made_up(&mut self, name: &str) -> Result<Symbol, Raise> {
        if self.names.len() >= NAMES_LIMIT && !self.numbers.contains_key(name) {
            return raise(ErrorKind::Memory, "the session has seen too many names");
        }
        Ok(self.symbol(name))
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

/// A send to a shape, and what it found.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    pub shape: ShapeId,
    pub selector: Symbol,
    pub sender: Sender,
    pub epoch: u32,
    pub target: Target,
}

/// Everything in memory but the stack.
pub(crate) struct World {
    pub names: Names,
    pub heap: Heap,
    pub shapes: Shapes,
    pub objects: Vec<ObjectCell>,
    pub(crate) free_objects: Vec<ObjectId>,
    pub(crate) methods: Vec<Option<MethodCell>>,
    pub(crate) free_methods: Vec<MethodId>,
    pub(crate) method_numbers: BTreeMap<Rc<[u8]>, MethodId>,
    pub by_oid: BTreeMap<Oid, ObjectId>,
    /// Counts changes of what caches hold.
    pub epoch: u32,
    /// For each kind of value that is no object, the object whose slots it understands.
    pub kinds: Vec<ObjectId>,
    /// What every value understands, where nothing else answers.
    pub any: ObjectId,
    pub primitives: Vec<Primitive>,
    pub undo: Vec<Undo>,
    /// Objects that the transaction has made or changed.
    pub changed: Vec<ObjectId>,
    /// Objects that got their number in the transaction.
    pub numbered: Vec<ObjectId>,
    pub(crate) cache: Box<[Option<Shared>]>,
    pub(crate) object_marks: Vec<bool>,
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
            primitives: super::primitives::table(),
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
        self.heap.pressure += shape.slots.len() * 4;
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
}

/// Places of objects as the model's numbers, and back. The model knows no others, so both are numbers to it.
pub(crate) fn local_oid(id: ObjectId) -> Oid {
    Oid::new(id.0 + 1)
}

/// The place that stands behind such a number.
pub(crate) fn local_id(oid: Oid) -> ObjectId {
    ObjectId(oid.number().wrapping_sub(1))
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
