//! The processes that have, had, or may come to have a running instance since boot.

use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::process::State;
use abi::token::{All, Cap, Endpoint, Image};
use clients::Allocation;
use genesis::Restart;
use object_store::Oid;
use runtime::Pending;
use spawner::Instance;

use crate::backoff::{Failures, Verdict};

/// One process.
#[derive(Debug)]
pub struct Process {
    /// Its Process object.
    pub oid: Oid,
    /// Name and version of its image.
    pub name: String,
    /// Version of its image.
    pub version: String,
    /// First bytes of the image's hash.
    pub hash: u64,
    /// Addresses of its text.
    pub text: (u64, u64),
    /// What it is doing.
    pub state: State,
    /// Whether it begins again when it fails.
    pub restart: Restart,
    /// Its failures in a row.
    pub failures: Failures,
    /// When it is to begin again, where it has failed.
    pub rests: Option<Verdict>,
    /// Its image, where it may begin again.
    pub image: Option<Cap<Image, All>>,
    /// Whether the graph says what became of it.
    pub noted: bool,
    /// Its kernel objects, until they are given back.
    pub instance: Option<Instance>,
    /// Where it serves others, if it does. It outlives the instance.
    pub endpoint: Option<Cap<Endpoint, All>>,
    /// Whether the image is its own, or one that it tries.
    pub standing: Standing,
    /// What they are made of.
    pub allocations: Vec<Allocation>,
    /// Who waits for its end.
    pub waiting: Vec<Pending>,
}

impl Process {
    /// Whether it runs, or is about to again.
    pub fn is_to_run(&self) -> bool {
        self.state == State::Running || self.rests.is_some() || self.standing != Standing::Own
    }
}

/// Whose image a process is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The current one of its name.
    Own,
    /// One that it tries until a time, in nanoseconds since boot.
    OnTrial {
        /// The time.
        until: u64,
    },
    /// The kernel replaces its instance.
    Replaced,
}

/// A process whose instance was never started.
#[derive(Debug)]
pub struct Prepared {
    /// The process.
    pub process: Process,
    /// The transaction that it was made in, as long as that is not known to have ended.
    pub transaction: Option<u64>,
}
