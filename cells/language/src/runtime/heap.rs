//! The heap: everything that is neither an object nor fits a value.
//!
//! All of it is immutable, but for boxes (variables that blocks share) and the unused end of a list's items, so that a value
//! in a slot changes only when the slot is written, and undoing that write undoes everything.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use object_model::{Composition, Recipe};

use super::link::Code;
use super::value::{HeapId, ObjectId, ShapeId, Symbol, Val, kind};
use crate::error::Error;

/// One place of the heap.
#[derive(Debug)]
pub(crate) enum Cell {
    Free,
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    /// A list: so many first items of a place with `Items`.
    List {
        items: HeapId,
        length: u32,
    },
    Items(Vec<Val>),
    Map(Rc<BTreeMap<Rc<str>, Val>>),
    Block(Box<Block>),
    /// A variable that blocks share.
    Box(Val),
    /// An expression over traits. The numbers in it are those of [`ObjectId`].
    Composition(Composition),
    /// The right to look into one object and change its structure.
    Mirror(ObjectId),
    /// The right to make mirrors.
    Mirrors,
    Error(Box<Error>, Val),
    Capability(Recipe),
}

/// A block: code, what it took along, and the method that it belongs to.
#[derive(Debug)]
pub(crate) struct Block {
    pub code: Rc<Code>,
    pub captured: Box<[HeapId]>,
    pub receiver: Val,
    pub holder: ObjectId,
    pub selector: Symbol,
    /// The activation of its home method: place on the stack of frames, and its serial number.
    pub home: (u32, u64),
}

impl Cell {
    pub(crate) fn kind(&self) -> ShapeId {
        match self {
            Cell::Text(_) => kind::TEXT,
            Cell::Bytes(_) => kind::BYTES,
            Cell::List { .. } => kind::LIST,
            Cell::Map(_) => kind::MAP,
            Cell::Block(_) => kind::BLOCK,
            Cell::Composition(_) => kind::COMPOSITION,
            Cell::Mirror(_) => kind::MIRROR,
            Cell::Mirrors => kind::MIRRORS,
            Cell::Error(..) => kind::ERROR,
            Cell::Capability(_) => kind::CAPABILITY,
            Cell::Free | Cell::Items(_) | Cell::Box(_) => kind::OTHER,
        }
    }

    /// How many values' worth of memory it takes, roughly.
    fn weight(&self) -> usize {
        4 + match self {
            Cell::Text(text) => text.len() / 16,
            Cell::Bytes(bytes) => bytes.len() / 16,
            Cell::Items(items) => items.len(),
            Cell::Map(entries) => entries.len() * 4,
            Cell::Block(block) => 8 + block.captured.len(),
            _ => 0,
        }
    }
}

/// The table of places.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    cells: Vec<Cell>,
    free: Vec<HeapId>,
    /// Allocation since the last collection.
    pub pressure: usize,
    marks: Vec<bool>,
}

impl Heap {
    pub(crate) fn put(&mut self, cell: Cell) -> Val {
        Val::Heap(self.place(cell))
    }

    pub(crate) fn place(&mut self, cell: Cell) -> HeapId {
        self.pressure += cell.weight();
        if let Some(id) = self.free.pop()
            && let Some(place) = self.cells.get_mut(id.0 as usize)
        {
            *place = cell;
            return id;
        }
        self.cells.push(cell);
        HeapId((self.cells.len() - 1) as u64)
    }

    pub(crate) fn get(&self, id: HeapId) -> &Cell {
        self.cells.get(id.0 as usize).unwrap_or(&Cell::Free)
    }

    pub(crate) fn get_mut(&mut self, id: HeapId) -> Option<&mut Cell> {
        self.cells.get_mut(id.0 as usize)
    }

    pub(crate) fn text(&mut self, text: &str) -> Val {
        self.put(Cell::Text(text.into()))
    }

    pub(crate) fn list(&mut self, items: Vec<Val>) -> Val {
        let length = items.len() as u32;
        let items = self.place(Cell::Items(items));
        self.put(Cell::List { items, length })
    }

    /// The items of a list.
    pub(crate) fn items(&self, value: Val) -> Option<&[Val]> {
        let Val::Heap(id) = value else { return None };
        let Cell::List { items, length } = self.get(id) else { return None };
        match self.get(*items) {
            Cell::Items(items) => items.get(..*length as usize),
            _ => None,
        }
    }

    /// A list with one item more. A list whose items nothing was appended to yet shares them with the new one.
    pub(crate) fn append(&mut self, value: Val, item: Val) -> Option<Val> {
        let Val::Heap(id) = value else { return None };
        let Cell::List { items, length } = *self.get(id) else { return None };
        if let Some(Cell::Items(all)) = self.get_mut(items)
            && all.len() == length as usize
        {
            all.push(item);
            self.pressure += 1;
            return Some(self.put(Cell::List { items, length: length + 1 }));
        }
        let mut copy = self.items(value)?.to_vec();
        copy.push(item);
        Some(self.list(copy))
    }

    pub(crate) fn str(&self, value: Val) -> Option<&Rc<str>> {
        match value {
            Val::Heap(id) => match self.get(id) {
                Cell::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn start_marking(&mut self) {
        self.marks.clear();
        self.marks.resize(self.cells.len(), false);
    }

    /// Marks a place; `true` the first time.
    pub(crate) fn mark(&mut self, id: HeapId) -> bool {
        self.marks.get_mut(id.0 as usize).is_some_and(|mark| !core::mem::replace(mark, true))
    }

    /// Frees what is not marked; the weight of what is left.
    pub(crate) fn sweep(&mut self) -> usize {
        let mut weight = 0;
        self.free.clear();
        for (number, (cell, marked)) in self.cells.iter_mut().zip(&self.marks).enumerate() {
            if *marked {
                weight += cell.weight();
            } else {
                *cell = Cell::Free;
                self.free.push(HeapId(number as u64));
            }
        }
        self.pressure = 0;
        weight
    }
}
