//! The name that was probably meant.

use alloc::vec::Vec;

/// The candidate with the fewest letters to change, the first of several; `None` where more than half of the letters would
/// have to change.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (changes, candidate) =
        candidates.map(|candidate| (distance(name, candidate), candidate)).min_by_key(|(changes, _)| *changes)?;
    let letters = name.chars().count().max(candidate.chars().count());
    (2 * changes <= letters).then_some(candidate)
}

/// Levenshtein's distance: insertions, deletions and replacements that make one word of another.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, from) in from.chars().enumerate() {
        let mut left = index + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (pair, to) in row.windows(2).zip(&to) {
            let &[diagonal, above] = pair else { continue };
            let replaced = diagonal + usize::from(from != *to);
            left = replaced.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("flaw", "lawn"), 2);
    }

    #[test]
    fn the_nearest_is_the_least_typed_wrong() {
        let names = ["help", "halt", "ps", "spawn"];
        assert_eq!(nearest("hlt", names.into_iter()), Some("halt"));
        assert_eq!(nearest("pss", names.into_iter()), Some("ps"));
        assert_eq!(nearest("x", [].into_iter()), None);
        assert_eq!(nearest("exit", names.into_iter()), None);
    }

    proptest! {
        #[test]
        fn it_is_a_metric(a in "[abc]{0,6}", b in "[abc]{0,6}", c in "[abc]{0,6}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
        }
    }
}
