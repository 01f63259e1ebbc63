//! What the kernel and the cells agree on, in one crate that both compile.
//!
//! * [`kernel`]: the functions that a cell imports, and the memory layouts that cross that border;
//! * [`token`]: affine typed capability tokens, `Cap<T, R>`;
//! * [`error`]: what a call can fail with, and whose fault it is;
//! * [`interface`]: methods, labels and signature hashes, and the [`interfaces`] of each server;
//! * [`slots`]: which capability stands in which CNode slot when a cell starts.
//!
//! Only integers, `repr(C)` values and references that live for one call cross the border. No `Box`, `Vec`, `dyn` or
//! function pointer does: two cells are compiled apart, and equal names prove nothing about equal layouts.
#![cfg_attr(not(test), no_std)]

pub mod error;
pub mod interface;
pub mod interfaces;
pub mod kernel;
pub mod slots;
pub mod token;

pub use error::{CallError, KernelError};
pub use token::{Cap, Object, Rights};
