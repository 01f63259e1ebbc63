//! Recipes of capabilities: what is kept of an authority across a power cut.
//!
//! A recipe is a name and no handle: holding the bytes gives nothing. Servers that hold the live token make the capability
//! again at its first use, and whoever may not have it finds the slot void.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// How a capability is made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recipe {
    /// There is none: the slot says what belongs there and holds nothing.
    Void(CapabilityKind),
    /// An object of a running service.
    Service {
        /// What of it.
        kind: CapabilityKind,
        /// The service.
        service: String,
        /// Bits of the rights, as the kernel counts them.
        rights: u8,
    },
    /// One that stands in the table of the cell that got it. It is void in every other cell, and when that one has ended.
    Held {
        /// What it is.
        kind: CapabilityKind,
        /// Under which number: an OID that no object has, so that it stands for nothing else, ever.
        number: u64,
    },
}

/// Kinds of kernel objects that slots hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the kernel's objects")]
pub enum CapabilityKind {
    Untyped,
    Frame,
    Tcb,
    CNode,
    VSpace,
    Endpoint,
    Notification,
    Buf,
    Image,
}

impl Recipe {
    /// What the capability is, or would be.
    #[must_use]
    pub fn kind(&self) -> CapabilityKind {
        match self {
            Self::Void(kind) | Self::Service { kind, .. } | Self::Held { kind, .. } => *kind,
        }
    }
}
