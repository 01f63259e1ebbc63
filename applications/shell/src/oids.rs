//! The OIDs that this session knows: what it has shown, and what was begun of one.
//!
//! An OID has 16 hexadecimal digits, without an order that would help to remember it. So a few of the first are enough where one
//! object alone of those that were shown begins so, and `#root` stands for the root.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use crate::text::{Oid, Plain};

/// Digits of an OID.
const DIGITS: usize = 16;
/// The most OIDs that are remembered; the oldest are forgotten.
const MOST: usize = 4096;
/// The most that are named where several begin alike.
const NAMED: usize = 4;

/// The OIDs that were shown.
#[derive(Debug, Default)]
pub struct Oids {
    shown: BTreeSet<u64>,
    /// The same, the oldest first.
    order: VecDeque<u64>,
    /// Those of the last output that had any.
    last: BTreeSet<u64>,
    root: Option<u64>,
}

/// Why a word that begins with `#` stands for no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadOid {
    /// It is not written as OIDs are.
    Malformed(String),
    /// None that was shown begins so.
    Unknown(String),
    /// Several do: the first of them, and how many there are.
    Ambiguous {
        /// What was typed.
        typed: String,
        /// The first of them.
        first: Vec<u64>,
        /// How many there are.
        count: usize,
    },
    /// Nobody told which object the root is.
    NoRoot,
}

impl fmt::Display for BadOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadOid::Malformed(word) => {
                write!(f, "`{}` is no OID, which is written # and 16 hexadecimal digits, or #root", Plain(word))
            }
            BadOid::Unknown(word) => {
                write!(
                    f,
                    "nothing that was shown here begins with `{word}`; type all 16 digits, or list the object first"
                )
            }
            BadOid::Ambiguous { typed, first, count } => {
                write!(f, "`{typed}` begins {count} OIDs that were shown: ")?;
                for (index, oid) in first.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, Oid(*oid))?;
                }
                write!(f, "{}; type more digits", if *count > first.len() { ", ..." } else { "" })
            }
            BadOid::NoRoot => f.write_str("the persistence server does not tell which object the root is; try again"),
        }
    }
}

impl Oids {
    /// Remembers what a text shows.
    pub fn note(&mut self, text: &str) {
        let mentioned = mentioned(text);
        if mentioned.is_empty() {
            return;
        }
        for oid in &mentioned {
            if self.shown.insert(*oid) {
                self.order.push_back(*oid);
            }
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.shown.remove(&oldest);
            }
        }
        self.last = mentioned;
    }

    /// Remembers which object the root is.
    pub fn note_root(&mut self, root: u64) {
        self.root = Some(root);
    }

    /// The whole spelling of a word that begins with `#`; other words are as they are.
    ///
    /// # Errors
    /// [`BadOid`].
    pub fn whole(&self, word: &str) -> Result<String, BadOid> {
        let Some(begun) = word.strip_prefix('#') else { return Ok(word.into()) };
        if begun == "root" {
            return self.root.map(|root| Oid(root).to_string()).ok_or(BadOid::NoRoot);
        }
        let range = range(begun).ok_or_else(|| BadOid::Malformed(word.into()))?;
        if begun.len() == DIGITS {
            return Ok(Oid(*range.start()).to_string());
        }
        let mut found = self.shown.range(range);
        let first: Vec<u64> = found.by_ref().take(NAMED).copied().collect();
        match first.as_slice() {
            [] => Err(BadOid::Unknown(word.into())),
            [oid] => Ok(Oid(*oid).to_string()),
            _ => {
                let count = first.len() + found.count();
                Err(BadOid::Ambiguous { typed: word.into(), first, count })
            }
        }
    }

    /// What a word can become that begins with `#`, or is empty: those of the last output, or of all once a digit was typed.
    pub fn completions(&self, word: &str) -> Vec<String> {
        let candidates = match word.strip_prefix('#') {
            Some(begun) if !begun.is_empty() => &self.shown,
            _ => &self.last,
        };
        candidates.iter().map(|oid| Oid(*oid).to_string()).chain(["#root".to_string()]).collect()
    }
}

/// The numbers whose digits begin so; `None` where these are no digits, or too many.
fn range(begun: &str) -> Option<RangeInclusive<u64>> {
    // The parser of the library would take a sign.
    let is_begun = (1..=DIGITS).contains(&begun.len()) && begun.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u64::from_str_radix(begun, 16).ok().filter(|_| is_begun)?;
    let open = 4 * (DIGITS - begun.len()) as u32;
    let first = number << open;
    Some(first..=first | ((1u64 << open) - 1))
}

/// The OIDs that a text mentions.
fn mentioned(text: &str) -> BTreeSet<u64> {
    let oid = |rest: &str| {
        let (digits, behind) = rest.split_at_checked(DIGITS)?;
        let ends = !behind.starts_with(|next: char| next.is_alphanumeric());
        range(digits).map(|range| *range.start()).filter(|_| ends)
    };
    text.split('#').skip(1).filter_map(oid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    const TEXT: &str = "#3a10000000000001  running\nlist = [#3a1f000000000002, #4400000000000003](#4400000000000004 #) # \
                        #12 #zzzz #3a10000000000001 #44000000000000055 symbol #4400000000000006b";

    fn known() -> Oids {
        let mut oids = Oids::default();
        oids.note(TEXT);
        oids
    }

    #[test]
    fn oids_are_found_in_what_was_listed() {
        let expected = [0x3a10000000000001, 0x3a1f000000000002, 0x4400000000000003, 0x4400000000000004];
        assert_eq!(mentioned(TEXT), BTreeSet::from(expected));
        let mut oids = known();
        oids.note("no OID");
        assert_eq!(oids.completions("").len(), 5, "the last output that had any, and #root");
        oids.note("#0000000000000007");
        assert_eq!(oids.completions("#"), ["#0000000000000007", "#root"]);
        assert_eq!(oids.completions("#3").len(), 6);
    }

    #[test]
    fn a_few_digits_are_enough_where_one_alone_begins_so() {
        let oids = known();
        assert_eq!(oids.whole("#3a10"), Ok("#3a10000000000001".into()));
        assert_eq!(oids.whole("#3A1F"), Ok("#3a1f000000000002".into()));
        assert_eq!(oids.whole("#0123456789abcdef"), Ok("#0123456789abcdef".into()), "whole ones need not be known");
        assert_eq!(oids.whole("memory"), Ok("memory".into()));
        assert_eq!(oids.whole("#5"), Err(BadOid::Unknown("#5".into())));
        let ambiguous = oids.whole("#3a1").expect_err("two begin so");
        let said = "`#3a1` begins 2 OIDs that were shown: #3a10000000000001, #3a1f000000000002; type more digits";
        assert_eq!(ambiguous.to_string(), said);
        for word in ["#", "#x", "#+1", "#-1", "##1", "#0x1", "#00000000000000001", "#1 2", "#é"] {
            assert_eq!(oids.whole(word), Err(BadOid::Malformed(word.into())), "{word}");
        }
    }

    #[test]
    fn the_root_has_a_name() {
        let mut oids = Oids::default();
        assert_eq!(oids.whole("#root"), Err(BadOid::NoRoot));
        oids.note_root(0xab);
        assert_eq!(oids.whole("#root"), Ok("#00000000000000ab".into()));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut oids = Oids::default();
        for number in 0..=MOST as u64 {
            oids.note(&Oid(number << 40).to_string());
        }
        assert_eq!(oids.shown.len(), MOST);
        assert!(!oids.shown.contains(&0));
    }

    proptest! {
        #[test]
        fn a_prefix_is_taken_just_where_one_begins_so(numbers in prop::collection::btree_set(any::<u64>(), 1..40), digits in 1usize..17) {
            let mut oids = Oids::default();
            let text: Vec<String> = numbers.iter().map(|number| Oid(*number).to_string()).collect();
            oids.note(&text.join(" "));
            for word in &text {
                let begun = &word[..=digits];
                let alike = text.iter().filter(|other| other.starts_with(begun)).count();
                match oids.whole(begun) {
                    Ok(whole) => prop_assert!(digits == DIGITS || (whole == *word && alike == 1)),
                    Err(BadOid::Ambiguous { first, count, .. }) => {
                        prop_assert_eq!(count, alike);
                        prop_assert_eq!(first.len(), alike.min(NAMED));
                    }
                    Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
        }

        #[test]
        fn any_word_is_whole_or_refused(word in "#?.{0,20}") {
            if let Err(bad) = known().whole(&word) {
                prop_assert!(!bad.to_string().contains(char::is_control));
            }
        }
    }
}
