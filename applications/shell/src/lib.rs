//! The shell: commands at the console.
//!
//! * [`session`]: lines to commands and programs, and both carried out;
//! * [`lines`]: which of them a line is;
//! * [`program`]: the language of objects at the prompt;
//! * [`command`]: the table of commands, and what a line stands for;
//! * [`arguments`], [`words`] and [`nearest`]: what that takes;
//! * [`oids`]: the OIDs that were shown, a few digits of which are enough;
//! * [`completion`]: what a tab may put before the cursor;
//! * [`moments`]: transactions as they are typed;
//! * [`servers`]: what the shell may call;
//! * [`records`] and [`directory`]: what it reads in the graph;
//! * [`processes`], [`caps`], [`top`], [`tree`], [`replacements`], [`faults`], [`memory`], [`objects`], [`transactions`], [`history`], [`undo`],
//!   [`past`], [`pack`], [`fsck`], [`store`], [`search`], [`machine`], [`help`]: what the commands do;
//! * [`tour`]: the system in a few steps;
//! * [`failure`]: what failed, why, and what to do;
//! * [`table`] and [`text`]: lists in columns; numbers, times and foreign text.
//!
//! Lines are edited in the console server, which owns the row: the shell asks it for one line after another.
//!
//! # Capabilities
//! The fixed slots CNode, VSpace and console; persistence, memory and process as far as granted: a command without its
//! server says so. Then 16: the machine, to halt it; without it the end of input ends the shell alone.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod arguments;
pub mod calls;
pub mod caps;
pub mod command;
pub mod completion;
pub mod directory;
pub mod failure;
pub mod faults;
pub mod fsck;
pub mod help;
pub mod history;
pub mod lines;
pub mod machine;
pub mod memory;
pub mod moments;
pub mod nearest;
pub mod objects;
pub mod oids;
pub mod pack;
pub mod past;
pub mod processes;
pub mod program;
pub mod progress;
pub mod records;
pub mod replacements;
pub mod search;
pub mod servers;
pub mod session;
pub mod store;
pub mod table;
pub mod text;
pub mod top;
pub mod tour;
pub mod transactions;
pub mod tree;
pub mod undo;
pub mod words;

use runtime::Environment;
use servers::Servers;
use session::Session;

/// Reads and carries out commands until the input ends.
///
/// # Panics
/// Without its CNode, its VSpace or a console, which ends the cell by name.
pub fn main(environment: Environment) -> u64 {
    Session::new(Servers::new(environment)).run()
}
