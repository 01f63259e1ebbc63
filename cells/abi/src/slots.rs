//! Which capability stands in which slot of a new cell's CNode.
//!
//! Slots 1 to [`LAST_FIXED`] have a fixed meaning; a slot that its creator did not grant is empty. Everything else
//! comes from the explicit capability list of the creator, from [`FIRST_GRANTED`] on, in its order. Nothing is
//! inherited.

/// The cell's own CNode.
pub const CNODE: u32 = 1;
/// Its own VSpace.
pub const VSPACE: u32 = 2;
/// Its first thread.
pub const TCB: u32 = 3;
/// The endpoint that it serves, with the right to receive.
pub const ENDPOINT: u32 = 4;
/// The reply object of its main loop.
pub const REPLY: u32 = 5;
/// Its notification.
pub const NOTIFICATION: u32 = 6;
/// The console, to call.
pub const CONSOLE: u32 = 7;
/// The persistence server, to call.
pub const PERSISTENCE: u32 = 8;
/// The memory server, to call.
pub const MEMORY: u32 = 9;
/// The process server, to call.
pub const PROCESS: u32 = 10;
/// Untyped memory for the reply objects of a server that a user started.
pub const SCRATCH: u32 = 11;
/// The last slot with a fixed meaning.
pub const LAST_FIXED: u32 = 15;
/// The first slot of the creator's capability list.
pub const FIRST_GRANTED: u32 = 16;
