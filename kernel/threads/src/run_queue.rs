//! The run queue: runnable threads by priority, first come first served within one.

use lists::{Link, List};

/// Priorities run from 0 (idle) to `PRIORITIES - 1`.
pub const PRIORITIES: u8 = 64;

/// A thread's place on the run queue. Zeroed memory is off the queue at priority 0.
#[repr(C)]
#[derive(Debug)]
pub struct RunNode {
    link: Link,
    priority: u8,
    queued: bool,
}

impl RunNode {
    /// Where its priority lies, in bytes: for assembly.
    pub const PRIORITY: usize = core::mem::offset_of!(RunNode, priority);

    /// Its present priority.
    #[inline(always)]
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// Changes the priority of a thread that is known not to stand on the queue.
    #[inline(always)]
    pub fn set_priority(&mut self, priority: u8) {
        debug_assert!(!self.queued && priority < PRIORITIES);
        self.priority = priority;
    }

    /// Whether it stands on the queue.
    #[inline(always)]
    pub fn is_queued(&self) -> bool {
        self.queued
    }
}

/// Runnable threads that do not run.
#[derive(Debug)]
pub struct RunQueue {
    /// Bit `p` is set when a thread of priority `p` waits.
    occupied: u64,
    /// The highest priority that waits, 0 also where none does.
    top: u8,
    queues: [List; PRIORITIES as usize],
}

impl Default for RunQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl RunQueue {
    /// Where the highest priority that waits lies, in bytes, 0 where none does: for assembly.
    pub const TOP: usize = core::mem::offset_of!(RunQueue, top);

    /// An empty queue.
    pub const fn new() -> Self {
        RunQueue { occupied: 0, top: 0, queues: [const { List::EMPTY }; PRIORITIES as usize] }
    }

    /// Appends a node to the queue of its priority; nothing if it stands there already.
    ///
    /// # Safety
    /// The contract of [`lists`].
    #[inline(always)]
    pub unsafe fn push(&mut self, node: *mut RunNode) {
        // SAFETY: live by the contract.
        let this = unsafe { &mut *node };
        if this.queued {
            return;
        }
        this.queued = true;
        let priority = this.priority % PRIORITIES;
        self.occupied |= 1 << priority;
        self.top = self.top.max(priority);
        // SAFETY: the node is live and, not being queued, on no list.
        unsafe { self.queues[priority as usize].push_back(node.cast()) };
    }

    /// Takes the first node of the highest priority, null when none waits.
    ///
    /// # Safety
    /// The contract of [`lists`].
    #[inline(always)]
    pub unsafe fn pop(&mut self) -> *mut RunNode {
        let Some(priority) = self.highest() else {
            return core::ptr::null_mut();
        };
        let node = self.queues[priority as usize].first().cast();
        // SAFETY: the first node of an occupied queue is live and queued.
        unsafe { self.remove(node) };
        node
    }

    /// Takes a node off; nothing if it is not queued.
    ///
    /// # Safety
    /// The contract of [`lists`].
    #[inline(always)]
    pub unsafe fn remove(&mut self, node: *mut RunNode) {
        // SAFETY: live by the contract.
        let this = unsafe { &mut *node };
        if !this.queued {
            return;
        }
        this.queued = false;
        let priority = this.priority % PRIORITIES;
        let queue = &mut self.queues[priority as usize];
        // SAFETY: a queued node stands on the queue of its priority.
        unsafe { queue.remove(node.cast::<Link>()) };
        if queue.is_empty() {
            self.occupied &= !(1 << priority);
            self.top = self.highest().unwrap_or(0);
        }
    }

    /// Changes a node's priority, wherever it is; a queued one goes to the end of its new queue.
    ///
    /// # Safety
    /// The contract of [`lists`].
    pub unsafe fn set_priority(&mut self, node: *mut RunNode, priority: u8) {
        // SAFETY: live by the contract.
        let this = unsafe { &mut *node };
        if this.priority == priority {
            return;
        }
        let queued = this.queued;
        // SAFETY: live.
        unsafe { self.remove(node) };
        this.priority = priority.min(PRIORITIES - 1);
        if queued {
            // SAFETY: live, and taken off just now.
            unsafe { self.push(node) };
        }
    }

    /// Whether a thread of a higher priority than this waits.
    #[inline(always)]
    pub fn has_above(&self, priority: u8) -> bool {
        self.top > priority
    }

    /// The highest priority that waits.
    #[inline(always)]
    pub fn highest(&self) -> Option<u8> {
        (self.occupied != 0).then(|| 63 - self.occupied.leading_zeros() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_highest_priority_runs_first_and_equals_take_turns(
            steps in prop::collection::vec((0u8..4, 0usize..6, 0u8..64), 1..100)
        ) {
            // SAFETY: zeroed nodes are valid, as their document says.
            let mut nodes: [RunNode; 6] = unsafe { core::mem::zeroed() };
            let base = nodes.as_mut_ptr();
            let mut queue = RunQueue::new();
            let mut model: Vec<(u8, usize)> = Vec::new();
            let mut priorities = [0u8; 6];
            for (step, which, priority) in steps {
                // SAFETY: `which` is below 6.
                let node = unsafe { base.add(which) };
                match step {
                    0 => {
                        // SAFETY: live.
                        unsafe { queue.push(node) };
                        if !model.iter().any(|(_, id)| *id == which) {
                            model.push((priorities[which], which));
                        }
                    }
                    1 => {
                        // SAFETY: live.
                        let popped = unsafe { queue.pop() };
                        let top = model.iter().map(|(p, _)| *p).max();
                        let expected = top.and_then(|top| model.iter().position(|(p, _)| *p == top));
                        let expected = expected.map(|at| model.remove(at).1);
                        // SAFETY: popped nodes are of the array.
                        let got = (!popped.is_null()).then(|| unsafe { popped.offset_from(base) } as usize);
                        prop_assert_eq!(got, expected);
                    }
                    2 => {
                        // SAFETY: live.
                        unsafe { queue.remove(node) };
                        model.retain(|(_, id)| *id != which);
                    }
                    _ => {
                        // SAFETY: live.
                        unsafe { queue.set_priority(node, priority) };
                        if priorities[which] != priority {
                            priorities[which] = priority;
                            if let Some(at) = model.iter().position(|(_, id)| *id == which) {
                                model.remove(at);
                                model.push((priority, which));
                            }
                        }
                    }
                }
                prop_assert_eq!(queue.highest(), model.iter().map(|(p, _)| *p).max());
                for level in 0..PRIORITIES {
                    prop_assert_eq!(queue.has_above(level), model.iter().any(|(p, _)| *p > level));
                }
            }
        }
    }
}
