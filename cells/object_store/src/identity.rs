//! The numbers that name things in a store.
//!
//! An [`Oid`] names an object for ever, a [`Tid`] a transaction; neither is reused and a [`Tid`] never goes back. A
//! [`SegmentId`] names a place on the device, an [`Epoch`] a publication of the root. All are plain numbers here: authority
//! over an object is made elsewhere, from a permuted image of its [`Oid`].

use core::fmt;

use serde::{Deserialize, Serialize};

/// Declares an ordered newtype over an integer, with a constructor and an accessor.
macro_rules! number {
    ($(#[$meta:meta])* $name:ident, $inner:ty) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Wraps a number.
            #[must_use]
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }

            /// The number itself.
            #[must_use]
            pub const fn number(self) -> $inner {
                self.0
            }
        }
    };
}

number!(
    /// The identity of an object: issued once by a storage, never again, also after a power cut.
    ///
    /// A storage counts them from 0. Whoever is on the other side of an [`OidPermutation`](crate::OidPermutation) knows an object
    /// by its image, holds that as an [`Oid`] too, and shows it to people as `#` and 16 hexadecimal digits.
    Oid,
    u64
);
number!(
    /// The identity of a transaction and its place in the order of commits.
    ///
    /// Taken from the clock in microseconds since 1970, but always greater than every one before it.
    Tid,
    u64
);
number!(
    /// The place of a segment on the device, counted from 0.
    SegmentId,
    u32
);
number!(
    /// A publication of the root. A segment carries the epoch that published it as its generation.
    Epoch,
    u64
);

impl Oid {
    /// The object from which every other must be reachable, as a storage counts.
    pub const ROOT: Self = Self(0);
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:016x}", self.0)
    }
}

impl Tid {
    /// Before every transaction: what an object that does not exist yet is based on.
    pub const ZERO: Self = Self(0);
    /// After every transaction: `load_before(oid, Tid::MAX)` is the current revision.
    pub const MAX: Self = Self(u64::MAX);

    /// The next number, for turning "at" into "before".
    #[must_use]
    pub const fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
