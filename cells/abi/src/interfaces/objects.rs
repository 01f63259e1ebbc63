//! What a caller of an object that the cell `objects` hosts may be answered instead.
//!
//! The labels are the object's own: it declares them in its slot `interface`. Codes below [`FIRST`] are its own too: it refuses
//! with the number that it raises. Whatever the code, nothing of the request has been kept.

/// The first code that is not the object's own.
pub const FIRST: u32 = 0x8000_0000;
/// The object does not declare the label any more, or its declaration is malformed; detail: the label.
pub const NOT_SERVED: u32 = FIRST;
/// Words or body are not what the signature says.
pub const BAD_REQUEST: u32 = FIRST + 1;
/// The object, or another that the method asked, does not understand a message.
pub const NOT_UNDERSTOOD: u32 = FIRST + 2;
/// The method failed in another way, or raised what is no number.
pub const FAILED: u32 = FIRST + 3;
/// The method took too long, or too much memory, or called itself too often.
pub const EXHAUSTED: u32 = FIRST + 4;
/// Others changed the same objects each time that it was tried.
pub const CONTENDED: u32 = FIRST + 5;
/// The method answered what the signature does not say.
pub const BAD_ANSWER: u32 = FIRST + 6;
/// The store did not answer, or refused.
pub const STORE_FAILED: u32 = FIRST + 7;
/// A capability that the method needs is void, or a server that it asked refused.
pub const NATIVE_FAILED: u32 = FIRST + 8;
/// The method left a transaction open, which was aborted.
pub const LEFT_OPEN: u32 = FIRST + 9;
