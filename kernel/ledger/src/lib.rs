//! The ledger: where each request is.
//!
//! A request is embedded in its caller's TCB and is in exactly one state:
//!
//! ```text
//!          call, a server waits            reply, cancel, death of the server
//!   Idle ------------------------> Delivered ------------------------------> Idle
//!     \  call, none waits                ^
//!      +-----------------> Parked -------+  receive
//!                             \------------------------> Idle   cancel, endpoint destroyed
//! ```
//!
//! Parked requests stand on their endpoint by priority, then first come. A delivered one is held by one [`Reply`] object.
//! The state machine knows no threads, no clock and no hardware: it says who is to run, and the caller makes it so.
//!
//! What a call and a reply touch is kept small. A reply object is *bound* to the endpoint at which a receiver last stood
//! ready with it, and stays on that endpoint's list when its request is answered: so the death of a server or of the
//! endpoint finds what was delivered, and no list is changed while the same server answers one request after another.
//! Waiting receivers are a stack: the one that waited last has its memory in the caches, and requests, not servers, are
//! served in turn. The state of a request is told by its links alone.
//!
//! An endpoint can be *shut*, while one server takes the place of another: then requests park whoever waits, and receivers go on
//! waiting. What a server holds can be parked again where its label is declared replayable.
//!
//! # Contract
//! As for [`lists`]: one CPU, interrupts off, and the pointers handed in are to live objects. An object that goes away
//! goes through [`Request::cancel`], [`Receiver::cancel`], [`Reply::release`] or [`Endpoint::destroy`] first, and a
//! receiver that goes away also through [`Reply::part`] at each reply object that names it.
#![cfg_attr(not(test), no_std)]

mod endpoint;
mod gate;
pub mod layout;
mod receiver;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use endpoint::{AbiError, Called, Endpoint, LABELS, Received};
pub use gate::{Count, Replay};
pub use receiver::Receiver;
pub use reply::{Reply, ReplyError};
pub use request::{Request, State};
