//! The arguments of a line: what they stand for, and what is wrong with them.

use alloc::string::String;
use core::fmt;

use crate::moments::Moment;
use crate::oids::BadOid;
use crate::text::Plain;

/// What is wrong with the arguments of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// This one is missing.
    Missing(&'static str),
    /// There is one too many.
    Unexpected(String),
    /// There is no such option.
    Option(String),
    /// It is no OID.
    Oid(BadOid),
    /// It is no transaction.
    Transaction(String),
    /// It is neither a transaction nor a time.
    Moment(String),
    /// It cannot be shown as it was.
    NoView(String),
    /// It is no count.
    Count(String),
    /// It is no number that a message carries.
    Word(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Missing(what) => write!(f, "{what} is missing"),
            Wrong::Unexpected(word) => write!(f, "`{}` is one argument too many", Plain(word)),
            Wrong::Option(word) => write!(f, "there is no option `{}`", Plain(word)),
            Wrong::Oid(bad) => bad.fmt(f),
            Wrong::Transaction(word) => {
                write!(f, "`{}` is no transaction, which is a TID, or -1 for the last", Plain(word))
            }
            Wrong::Moment(word) => write!(
                f,
                "`{}` is no transaction, which is a TID, -1 for the last, or a time as 2026-11-27T22:30:05",
                Plain(word)
            ),
            Wrong::NoView(word) => {
                write!(f, "`{}` cannot be shown as it was, but `inspect`, `ps` and `images` can", Plain(word))
            }
            Wrong::Word(word) => {
                write!(f, "`{}` is no number of 64 bits (32 for a method), decimal or behind 0x", Plain(word))
            }
            Wrong::Count(word) => write!(f, "`{}` is no count, which is a number from 1 on", Plain(word)),
        }
    }
}

/// Nothing may follow.
pub fn none(words: &[&str]) -> Result<(), Wrong> {
    match words {
        [] => Ok(()),
        [word, ..] => Err(Wrong::Unexpected((*word).into())),
    }
}

/// One argument at most.
pub fn at_most_one<'a>(words: &[&'a str]) -> Result<Option<&'a str>, Wrong> {
    match words {
        [] => Ok(None),
        [word] => Ok(Some(word)),
        [_, word, ..] => Err(Wrong::Unexpected((*word).into())),
    }
}

/// One argument, no less and no more.
pub fn one<'a>(words: &[&'a str], what: &'static str) -> Result<&'a str, Wrong> {
    at_most_one(words)?.filter(|word| !word.is_empty()).ok_or(Wrong::Missing(what))
}

/// One argument, and perhaps another one.
pub fn one_or_two<'a>(words: &[&'a str], what: &'static str) -> Result<(&'a str, Option<&'a str>), Wrong> {
    match words {
        [first, second] => Ok((one(&[first], what)?, Some(second))),
        [_, _, word, ..] => Err(Wrong::Unexpected((*word).into())),
        few => Ok((one(few, what)?, None)),
    }
}

/// Takes an option off the front; another one there is wrong.
pub fn option<'w, 'a>(words: &'w [&'a str], name: &str) -> Result<(bool, &'w [&'a str]), Wrong> {
    options(words, [name]).map(|([is_there], rest)| (is_there, rest))
}

/// Takes options off the front, in any order; another one there is wrong.
pub fn options<'w, 'a, const N: usize>(
    mut words: &'w [&'a str],
    names: [&str; N],
) -> Result<([bool; N], &'w [&'a str]), Wrong> {
    let mut are_there = [false; N];
    while let [first, rest @ ..] = words
        && first.len() > 1
        && first.starts_with('-')
    {
        let found = names.iter().zip(&mut are_there).find(|(name, is_there)| *name == first && !**is_there);
        let Some((_, is_there)) = found else { return Err(Wrong::Option((*first).into())) };
        *is_there = true;
        words = rest;
    }
    Ok((are_there, words))
}

/// An OID, whose spelling is whole: see [`crate::oids`].
pub fn oid(word: &str) -> Result<u64, Wrong> {
    let digits = word.strip_prefix('#').filter(|digits| digits.len() == 16);
    digits.and_then(|digits| number(digits, 16)).ok_or_else(|| Wrong::Oid(BadOid::Malformed(word.into())))
}

/// A transaction.
pub fn transaction(word: &str) -> Result<Moment, Wrong> {
    let moment = Moment::parse(word).filter(|moment| !matches!(moment, Moment::Time(_)));
    moment.ok_or_else(|| Wrong::Transaction(word.into()))
}

/// A transaction, or a time.
pub fn moment(word: &str) -> Result<Moment, Wrong> {
    Moment::parse(word).ok_or_else(|| Wrong::Moment(word.into()))
}

/// A number for a message: decimal, or hexadecimal behind `0x`.
pub fn word(word: &str) -> Result<u64, Wrong> {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => number(digits, 16),
        None => number(word, 10),
    };
    parsed.ok_or_else(|| Wrong::Word(word.into()))
}

/// A count, from 1 on.
pub fn count(word: &str) -> Result<u64, Wrong> {
    number(word, 10).filter(|count| *count > 0).ok_or_else(|| Wrong::Count(word.into()))
}

fn number(digits: &str, radix: u32) -> Option<u64> {
    // The parser of the library would take a sign.
    let is_digits = digits.chars().all(|digit| digit.is_digit(radix));
    is_digits.then(|| u64::from_str_radix(digits, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oid_has_sixteen_digits() {
        assert_eq!(oid("#000000000000001a"), Ok(26));
        assert_eq!(oid("#FFFFFFFFFFFFFFFF"), Ok(u64::MAX));
        for word in ["", "#", "0x1a", "26", "#1a", "#+00000000000001a", "#0000000000000001a", "000000000000001a"] {
            assert_eq!(oid(word), Err(Wrong::Oid(BadOid::Malformed(word.into()))), "{word}");
        }
    }

    #[test]
    fn a_count_is_not_nothing() {
        assert_eq!(count("12"), Ok(12));
        for word in ["0", "-1", "ten", "0x1", ""] {
            assert_eq!(count(word), Err(Wrong::Count(word.into())), "{word}");
        }
    }

    #[test]
    fn options_stand_first() {
        assert_eq!(option(&["-x", "1"], "-x"), Ok((true, &["1"][..])));
        assert_eq!(option(&["1", "-x"], "-x"), Ok((false, &["1", "-x"][..])));
        assert_eq!(option(&["-y"], "-x"), Err(Wrong::Option("-y".into())));
        assert_eq!(option(&["-"], "-x"), Ok((false, &["-"][..])));
    }
}
