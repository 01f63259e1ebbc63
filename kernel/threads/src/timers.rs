//! Timers: what is due when. Time is in a unit of their owner's, such as nanoseconds since boot.

use lists::{Link, List};

/// A deadline on the timer list. Zeroed memory is unarmed.
#[repr(C)]
#[derive(Debug)]
pub struct TimerNode {
    link: Link,
    deadline: u64,
    armed: bool,
}

impl TimerNode {
    /// Where it stands whether it will fire, as a byte: for assembly.
    pub const ARMED: usize = core::mem::offset_of!(TimerNode, armed);

    /// Whether it will fire.
    pub fn is_armed(&self) -> bool {
        self.armed
    }
}

/// Armed timers, sorted by deadline.
#[derive(Debug, Default)]
pub struct Timers {
    list: List,
}

impl Timers {
    /// No timers.
    pub const fn new() -> Self {
        Timers { list: List::EMPTY }
    }

    /// Arms a node, or moves its deadline.
    ///
    /// # Safety
    /// The contract of [`lists`].
    pub unsafe fn arm(&mut self, node: *mut TimerNode, deadline: u64) {
        // SAFETY: live by the contract.
        unsafe { self.disarm(node) };
        // SAFETY: as above.
        let this = unsafe { &mut *node };
        this.deadline = deadline;
        this.armed = true;
        // SAFETY: the list hands the closure its own live nodes.
        let later = |other: *mut Link| unsafe { (*other.cast::<TimerNode>()).deadline > deadline };
        // SAFETY: unarmed, so on no list.
        unsafe { self.list.insert_sorted(node.cast(), later) };
    }

    /// Disarms a node; nothing if it is not armed.
    ///
    /// # Safety
    /// The contract of [`lists`].
    #[inline(always)]
    pub unsafe fn disarm(&mut self, node: *mut TimerNode) {
        // SAFETY: live by the contract.
        let this = unsafe { &mut *node };
        if this.armed {
            this.armed = false;
            // SAFETY: an armed node stands on the list.
            unsafe { self.list.remove(node.cast::<Link>()) };
        }
    }

    /// Takes one node whose deadline is not after `now`, null when none is due.
    ///
    /// # Safety
    /// The contract of [`lists`].
    pub unsafe fn pop_due(&mut self, now: u64) -> *mut TimerNode {
        let node = self.list.first().cast::<TimerNode>();
        // SAFETY: the first node is live by the contract.
        if node.is_null() || unsafe { (*node).deadline } > now {
            return core::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { self.disarm(node) };
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn timers_fire_in_order_and_never_early(
            steps in prop::collection::vec((0u8..3, 0usize..6, 0u64..50), 1..80)
        ) {
            // SAFETY: zeroed nodes are valid, as their document says.
            let mut nodes: [TimerNode; 6] = unsafe { core::mem::zeroed() };
            let base = nodes.as_mut_ptr();
            let mut timers = Timers::new();
            let mut model: Vec<(u64, usize)> = Vec::new();
            for (step, which, time) in steps {
                // SAFETY: `which` is below 6.
                let node = unsafe { base.add(which) };
                match step {
                    0 => {
                        // SAFETY: live.
                        unsafe { timers.arm(node, time) };
                        model.retain(|(_, id)| *id != which);
                        let at = model.iter().position(|(t, _)| *t > time).unwrap_or(model.len());
                        model.insert(at, (time, which));
                    }
                    1 => {
                        // SAFETY: live.
                        unsafe { timers.disarm(node) };
                        model.retain(|(_, id)| *id != which);
                    }
                    _ => {
                        // SAFETY: live.
                        let due = unsafe { timers.pop_due(time) };
                        let expected = (model.first().is_some_and(|(t, _)| *t <= time)).then(|| model.remove(0).1);
                        // SAFETY: nodes are of the array.
                        let got = (!due.is_null()).then(|| unsafe { due.offset_from(base) } as usize);
                        prop_assert_eq!(got, expected);
                    }
                }
            }
        }
    }
}
