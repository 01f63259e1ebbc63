//! The first objects of the graph: the plan's prototypes and traits, and where images and processes are found.
//!
//! ```text
//! root     version, BaseObject, Process, Server, MemoryRegion, Image, Callable, Transactional, Schedulable,
//!          persistence, memory, process (the three servers), images, processes, userCapabilities, onceCapabilities,
//!          shellCapabilities, lobby
//! lobby    what a session starts from: the prototypes, the traits, the servers as PS, MMS and PMS, and the directories
//! images   one slot an image name: the reference to its current Image object
//! processes   list of references to Process objects
//! faults   list of references to the last Fault objects; made with the first
//! ```
//!
//! Callable, Transactional and Schedulable are traits; the three servers are composed of the first two, Process of the last two.
//! What is to be sent to a server stands as native methods, each with the slot that leads to the endpoint and the label.
//!
//! Everything here is a function from objects to objects; [`Graph`] is where they are kept, so that the whole of genesis is
//! tested on the host.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod directory;
mod establish;
mod faults;
pub mod interface;
pub mod invariants;
mod process;
mod prototypes;
mod rules;
#[cfg(test)]
mod tests;

use object_model::{BadObject, Object, Oid};

pub use directory::{
    Image, Standing, confirm_image, current_image, enter_image, enter_newest, enter_process, enter_trial,
    forget_newest, image, image_name, newest_image, previous_image, processes, standings, trial_image,
};
pub use establish::{Established, establish};
pub use faults::{Fault, KEPT as KEPT_FAULTS, faults, with_fault};
pub use process::{
    CAPABILITIES, Made, Restart, State, cell_of, filled, name_of, priority, process, restart, serving, started_by,
    starter, state, with_priority, with_state,
};
pub use prototypes::{LOBBY, NAMES};
pub use rules::GraphRules;

/// The version of genesis that is written, and the newest that is read.
pub const VERSION: i64 = 2;

/// Where objects are kept, within a transaction.
pub trait Graph {
    /// What can go wrong there.
    type Error: From<BadObject>;

    /// A new object's number.
    ///
    /// # Errors
    /// The keeper's.
    fn new_object(&mut self) -> Result<Oid, Self::Error>;

    /// Keeps an object.
    ///
    /// # Errors
    /// The keeper's.
    fn put(&mut self, oid: Oid, object: &Object) -> Result<(), Self::Error>;

    /// An object that is kept.
    ///
    /// # Errors
    /// The keeper's.
    fn get(&mut self, oid: Oid) -> Result<Object, Self::Error>;
}

/// What the root mapping says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// There is no genesis yet.
    Nothing,
    /// Genesis of this version, which is understood.
    Version(i64),
    /// A version that is newer than what is understood.
    Newer(i64),
}

/// What a root mapping holds.
#[must_use]
pub fn present(root: &Object) -> Present {
    match root.get("version") {
        Some(object_model::Value::Int(version)) if *version > VERSION => Present::Newer(*version),
        Some(object_model::Value::Int(version)) => Present::Version(*version),
        _ => Present::Nothing,
    }
}
