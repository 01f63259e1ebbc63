//! Transactions as they are typed: by TID, from the last one backwards, or by a time.

use alloc::string::String;
use alloc::vec::Vec;

use runtime::Call;
use runtime::abi::interfaces::persistence::{TransactionSummary, Transactions};
use runtime::abi::kernel::BODY_MAX;

use crate::failure::{Failure, Server};
use crate::servers::Servers;
use crate::text::microseconds;

/// Microseconds a second: a TID counts microseconds since 1970.
const SECOND: u64 = 1_000_000;

/// A transaction, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This one.
    Tid(u64),
    /// The last one for 1, the one before it for 2, and so on.
    Back(u64),
    /// The last one up to this point in time, in microseconds since 1970.
    Time(u64),
}

impl Moment {
    /// What a word stands for: `1795487336634060`, `-1`, `2026-11-27T22:30` or `2026-11-27T22:30:05`. A time is UTC.
    pub fn parse(word: &str) -> Option<Moment> {
        let number = |digits: &str| {
            let is_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
            is_digits.then(|| digits.parse::<u64>().ok())?.filter(|number| *number > 0)
        };
        match word.strip_prefix('-') {
            Some(digits) => number(digits).map(Moment::Back),
            None => number(word).map(Moment::Tid).or_else(|| microseconds(word).map(Moment::Time)),
        }
    }

    /// Its TID.
    ///
    /// # Errors
    /// Those of the calls; `NoMoment` where there is no such transaction.
    pub fn tid(self, servers: &Servers) -> Result<u64, Failure> {
        match self {
            Moment::Tid(tid) => Ok(tid),
            Moment::Back(count) => {
                let tids = newest(servers, count)?;
                let place = usize::try_from(count).unwrap_or(usize::MAX);
                tids.get(place - 1).copied().ok_or(Failure::NoMoment(tids.last().copied()))
            }
            Moment::Time(time) => {
                // The second is meant as a whole.
                let before = time.saturating_add(SECOND);
                let found = summaries(servers, before, |page| page.first().map(|first| first.tid))?;
                found.ok_or(Failure::NoMoment(None))
            }
        }
    }
}

/// What a transaction says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// How many objects it wrote.
    pub objects: u32,
    /// Who.
    pub user: String,
    /// What for.
    pub description: String,
}

/// What a transaction says of itself; `None` where there is none of this TID.
///
/// # Errors
/// Those of the calls.
pub fn said(servers: &Servers, tid: u64) -> Result<Option<Said>, Failure> {
    summaries(servers, tid.saturating_add(1), |page| {
        let first = page.first().filter(|first| first.tid == tid)?;
        let (user, description) = (first.user.into(), first.description.into());
        Some(Said { objects: first.objects, user, description })
    })
}

/// The TIDs of the newest transactions, the newest first, at least so many if there are.
fn newest(servers: &Servers, count: u64) -> Result<Vec<u64>, Failure> {
    let mut tids: Vec<u64> = Vec::new();
    while (tids.len() as u64) < count {
        let last = tids.last().copied();
        let page =
            summaries(servers, last.unwrap_or(0), |page| page.iter().map(|each| each.tid).collect::<Vec<u64>>())?;
        // TIDs fall from reply to reply; a server that does not keep to that is not asked for ever.
        let older = page.iter().copied().filter(|tid| last.is_none_or(|last| *tid < last));
        let before = tids.len();
        tids.extend(older);
        if tids.len() == before {
            break;
        }
    }
    Ok(tids)
}

fn summaries<T>(
    servers: &Servers,
    before: u64,
    read: impl FnOnce(&[TransactionSummary<'_>]) -> T,
) -> Result<T, Failure> {
    let mut room = [0; BODY_MAX];
    let (_, length) = Call::new(servers.endpoint(Server::Persistence)?, Transactions { before })
        .into_bytes(&mut room)
        .map_err(|error| Failure::Call(Server::Persistence, error))?;
    let page: Vec<TransactionSummary<'_>> =
        postcard::from_bytes(room.get(..length).unwrap_or(&[])).map_err(|_| Failure::BadReply(Server::Persistence))?;
    Ok(read(&page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_transaction_has_three_spellings() {
        for (word, moment) in [
            ("1795487336634060", Some(Moment::Tid(1_795_487_336_634_060))),
            ("-1", Some(Moment::Back(1))),
            ("-20", Some(Moment::Back(20))),
            ("2026-11-24T02:28:56", Some(Moment::Time(1_795_487_336_000_000))),
            ("2026-11-24T02:28", Some(Moment::Time(1_795_487_280_000_000))),
            ("0", None),
            ("-0", None),
            ("--1", None),
            ("+1", None),
            ("", None),
            ("-", None),
            ("yesterday", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(Moment::parse(word), moment, "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_a_moment_or_none(word in ".{0,24}") {
            let _ = Moment::parse(&word);
        }
    }
}
