//! What runs: values, shapes, linked code, and the loop.

pub(crate) mod assign;
pub(crate) mod atomic;
pub(crate) mod collect;
pub(crate) mod construct;
pub(crate) mod convert;
pub(crate) mod dispatch;
pub(crate) mod heap;
pub(crate) mod hints;
pub(crate) mod interpret;
pub(crate) mod link;
pub(crate) mod merge;
pub(crate) mod native;
pub(crate) mod operands;
pub(crate) mod primitives;
pub(crate) mod print;
pub(crate) mod search;
pub(crate) mod shape;
pub(crate) mod trace;
pub(crate) mod transaction;
pub(crate) mod value;
pub(crate) mod world;
