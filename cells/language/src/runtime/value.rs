//! Values as they lie on the stack: sixteen bytes, copied freely.
//!
//! What does not fit is a number of a place in the world's tables. Nothing outside the world makes such numbers, and every
//! use is checked, so that a wrong one is an error and never another's memory.

/// A value.
///
/// What each variant holds is an integer of 64 bits to the compiler, which therefore keeps a value in two registers and moves
/// it in two halves. Were they of different types it would move all in one, right after having written the halves, and
/// the processor would have to wait for that each time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Val {
    Nil,
    Bool(Truth),
    Int(i64),
    Float(Bits),
    Symbol(Symbol),
    Object(ObjectId),
    /// Anything in the heap: text, list, block, ...
    Heap(HeapId),
}

/// A truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Truth {
    False = 0,
    True = 1,
}

/// A floating-point number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(u64);

impl Truth {
    pub(crate) fn get(self) -> bool {
        self == Truth::True
    }
}

impl Bits {
    pub(crate) fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Val {
    #[inline]
    pub(crate) fn bool(value: bool) -> Self {
        Val::Bool(if value { Truth::True } else { Truth::False })
    }

    #[inline]
    pub(crate) fn float(value: f64) -> Self {
        Val::Float(Bits(value.to_bits()))
    }
}

/// A name, by its number in the table of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Symbol(pub u64);

/// An object in memory, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectId(pub u64);

/// A value in the heap, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HeapId(pub u64);

/// What a value is of, as far as look-up is concerned: of objects, their shape; of others, their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShapeId(pub u32);

/// Shapes of what is no object. `GHOST` is that of an object that is not in memory: no cache ever holds it.
pub(crate) mod kind {
    use super::ShapeId;

    pub const GHOST: ShapeId = ShapeId(0);
    pub const NIL: ShapeId = ShapeId(1);
    pub const BOOL: ShapeId = ShapeId(2);
    pub const INT: ShapeId = ShapeId(3);
    pub const FLOAT: ShapeId = ShapeId(4);
    pub const SYMBOL: ShapeId = ShapeId(5);
    pub const TEXT: ShapeId = ShapeId(6);
    pub const BYTES: ShapeId = ShapeId(7);
    pub const LIST: ShapeId = ShapeId(8);
    pub const MAP: ShapeId = ShapeId(9);
    pub const BLOCK: ShapeId = ShapeId(10);
    pub const COMPOSITION: ShapeId = ShapeId(11);
    pub const MIRROR: ShapeId = ShapeId(12);
    pub const MIRRORS: ShapeId = ShapeId(13);
    pub const ERROR: ShapeId = ShapeId(14);
    pub const CAPABILITY: ShapeId = ShapeId(15);
    pub const OTHER: ShapeId = ShapeId(16);
    /// Shapes of objects begin here.
    pub const FIRST: u32 = 17;
}
