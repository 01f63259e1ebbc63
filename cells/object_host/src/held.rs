//! Capabilities that came with replies.
//!
//! They stay in the cell's table until they are given back or the cell ends. What a program has of one is a number that stands
//! for nothing elsewhere. An object of the kernel that was made in a transaction is gone where that was aborted: then the
//! capability is still here and opens nothing, and giving it back is refused by the server.

use alloc::collections::BTreeMap;

use object_model::{CapabilityKind, Recipe};

/// The capabilities of a cell, by their numbers; `T` is what holds one.
#[derive(Debug)]
pub struct Held<T> {
    held: BTreeMap<u64, (T, u64)>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Held { held: BTreeMap::new() }
    }
}

impl<T> Held<T> {
    /// Keeps a capability under a number that nothing else ever has; its recipe.
    pub fn keep(&mut self, number: u64, kind: CapabilityKind, capability: T, allocation: u64) -> Recipe {
        self.held.insert(number, (capability, allocation));
        Recipe::Held { kind, number }
    }

    /// The allocation of a capability.
    #[must_use]
    pub fn allocation(&self, number: u64) -> Option<u64> {
        self.held.get(&number).map(|(_, allocation)| *allocation)
    }

    /// Takes a capability out.
    pub fn take(&mut self, number: u64) -> Option<T> {
        self.held.remove(&number).map(|(capability, _)| capability)
    }

    /// Takes out those of which `is_alive` says that they open nothing any more.
    pub fn sweep(&mut self, is_alive: impl Fn(&T) -> bool, mut gone: impl FnMut(T)) {
        let dead = self.held.iter().filter(|(_, (capability, _))| !is_alive(capability)).map(|(number, _)| *number);
        for number in dead.collect::<alloc::vec::Vec<_>>() {
            if let Some(capability) = self.take(number) {
                gone(capability);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_given_back_once() {
        let mut held = Held::default();
        let recipe = held.keep(77, CapabilityKind::Frame, "frame", 5);
        assert_eq!(recipe, Recipe::Held { kind: CapabilityKind::Frame, number: 77 });
        assert_eq!(held.allocation(77), Some(5));
        assert_eq!(held.take(77), Some("frame"));
        assert_eq!((held.allocation(77), held.take(77)), (None, None));
    }

    #[test]
    fn what_is_gone_is_swept_out() {
        let mut held = Held::default();
        for number in 0..4u64 {
            held.keep(number, CapabilityKind::Untyped, number, number + 10);
        }
        let mut gone = alloc::vec::Vec::new();
        held.sweep(|number| number % 2 == 0, |number| gone.push(number));
        assert_eq!(gone, [1, 3]);
        assert_eq!((held.allocation(0), held.allocation(1)), (Some(10), None));
    }
}
