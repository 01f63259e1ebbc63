//! Lists inside a manifest that are read without allocating.
//!
//! [`List`] is a run of postcard items, kept as the bytes it came in and decoded one at a time. In the encoding it is
//! a byte string: its length in bytes, then the items.

use core::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list of `T` borrowed from a manifest. Its items decode on each pass; [`List::check`] says whether all do.
pub struct List<'a, T> {
    bytes: &'a [u8],
    item: PhantomData<fn() -> T>,
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<'a, T: Deserialize<'a>> List<'a, T> {
    /// The list whose items are encoded one after another in `bytes`.
    pub fn from_encoded(bytes: &'a [u8]) -> Self {
        List { bytes, item: PhantomData }
    }

    /// The items in order. Ends early at an item that does not decode, which a list in a
    /// [`VerifiedImage`](crate::VerifiedImage) does not have.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (item, after) = postcard::take_from_bytes(rest).ok()?;
            // An item of no bytes would never end the list.
            if after.len() == rest.len() {
                return None;
            }
            rest = after;
            Some(item)
        })
    }

    /// True if every byte belongs to an item that decodes.
    pub(crate) fn check(&self) -> bool {
        let mut rest = self.bytes;
        while !rest.is_empty() {
            match postcard::take_from_bytes::<T>(rest) {
                Ok((_, after)) if after.len() < rest.len() => rest = after,
                _ => return false,
            }
        }
        true
    }
}

impl<'a, T: Deserialize<'a> + core::fmt::Debug> core::fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.bytes)
    }
}

impl<'de: 'a, 'a, T> Deserialize<'de> for List<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&'de [u8]>::deserialize(deserializer)?;
        Ok(List { bytes, item: PhantomData })
    }
}
