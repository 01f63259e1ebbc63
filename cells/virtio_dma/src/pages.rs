//! Which pages of the pool are taken: first fit, runs of pages, bookkeeping alone.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// The pages of a pool. A page is free or belongs to exactly one run.
#[derive(Debug)]
pub(crate) struct Pages {
    taken: Vec<bool>,
}

impl Pages {
    /// So many free pages.
    pub(crate) fn new(count: usize) -> Self {
        Pages { taken: vec![false; count] }
    }

    /// Takes a run of free pages; answers the first. `None` where no gap is wide enough.
    pub(crate) fn take(&mut self, count: usize) -> Option<usize> {
        if count == 0 {
            return None;
        }
        let first = self.taken.windows(count).position(|run| run.iter().all(|taken| !taken))?;
        self.mark(first..first + count, true);
        Some(first)
    }

    /// Frees a run. `false`, and nothing changed, where a page of it is not taken.
    pub(crate) fn free(&mut self, run: Range<usize>) -> bool {
        let all_taken = self.taken.get(run.clone()).is_some_and(|pages| pages.iter().all(|taken| *taken));
        if all_taken {
            self.mark(run, false);
        }
        all_taken
    }

    fn mark(&mut self, run: Range<usize>, taken: bool) {
        for page in self.taken.get_mut(run).into_iter().flatten() {
            *page = taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_all_taken_is_not_freed_in_part() {
        let mut pages = Pages::new(4);
        assert_eq!(pages.take(2), Some(0));
        assert!(!pages.free(1..3));
        assert!(!pages.free(1..5));
        assert_eq!(pages.take(2), Some(2), "page 1 is still taken");
    }

    proptest! {
        #[test]
        fn runs_lie_inside_and_never_overlap(steps in proptest::collection::vec((0usize..9, any::<prop::sample::Index>(), any::<bool>()), 1..200)) {
            let mut pages = Pages::new(40);
            let mut held: Vec<(usize, usize)> = Vec::new();
            for (count, which, give_back) in steps {
                if give_back && !held.is_empty() {
                    let (first, count) = held.swap_remove(which.index(held.len()));
                    prop_assert!(pages.free(first..first + count));
                    prop_assert!(!pages.free(first..first + count), "freed twice");
                } else if let Some(first) = pages.take(count) {
                    prop_assert!(count > 0 && first + count <= 40);
                    prop_assert!(held.iter().all(|(other, length)| first + count <= *other || other + length <= first));
                    held.push((first, count));
                } else {
                    let taken: usize = held.iter().map(|(_, count)| count).sum();
                    prop_assert!(count == 0 || taken > 0, "refused with everything free");
                }
            }
            for (first, count) in held {
                prop_assert!(pages.free(first..first + count));
            }
            prop_assert_eq!(pages.take(40), Some(0));
        }
    }
}
