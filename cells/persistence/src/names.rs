//! What clients call objects.
//!
//! The store counts objects from 0. Clients know each by the image of its number under a permutation that only the key in the
//! state file tells: a number can be passed on, and cannot be guessed. Everything that crosses the wire is translated here and
//! in [`crate::wire`], and nothing behind it is: [`crate::sessions`] and the store know inner numbers alone.

use object_store::{Oid, OidPermutation, PublicOid, Record};
use runtime::abi::interfaces::persistence::FIRST_OID;

use crate::refusal::Detail;

/// The names of a store's objects.
#[derive(Debug)]
pub struct Names {
    permutation: OidPermutation,
}

impl Names {
    /// Under a key.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Self {
        Names { permutation: OidPermutation::new(key) }
    }

    /// What clients call an object.
    #[must_use]
    pub fn outside(&self, oid: Oid) -> u64 {
        self.permutation.outside(oid).number()
    }

    /// The object that a client names. Hardly any number names one that was ever issued.
    #[must_use]
    pub fn inside(&self, number: u64) -> Oid {
        self.permutation.inside(PublicOid::new(number))
    }

    /// Whether an object may be issued: its name is none of the small numbers that mean something else in messages.
    #[must_use]
    pub fn are_free(&self, oid: Oid) -> bool {
        self.outside(oid) >= FIRST_OID
    }

    /// Translates the references of a record that a client sent.
    pub fn take_in(&self, record: &mut Record) {
        for reference in &mut record.references {
            *reference = self.inside(reference.number());
        }
    }

    /// The detail of a refusal, as it is answered.
    #[must_use]
    pub fn detail(&self, detail: Detail) -> u64 {
        match detail {
            Detail::Number(number) => number,
            Detail::Object(oid) => self.outside(oid),
        }
    }
}

/// A key from random words, under which the root may be issued.
pub fn draw_key(mut random: impl FnMut() -> u64) -> [u8; 16] {
    loop {
        let key = (u128::from(random()) << 64 | u128::from(random())).to_le_bytes();
        if Names::new(&key).are_free(Oid::ROOT) {
            return key;
        }
    }
}
