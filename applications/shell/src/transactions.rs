//! The transaction log.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use runtime::Call;
use runtime::abi::interfaces::persistence::{TransactionSummary, Transactions};
use runtime::abi::kernel::BODY_MAX;

use crate::failure::{Failure, Server};
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::Date;

/// Lists so many transactions, the newest first, in as many replies as it takes.
///
/// # Errors
/// Those of the calls.
pub fn list(servers: &Servers, count: u64) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Persistence)?;
    let mut listing = Listing::new(count);
    let mut room = [0; BODY_MAX];
    while let Some(before) = listing.before {
        let (_, length) = Call::new(endpoint, Transactions { before })
            .into_bytes(&mut room)
            .map_err(|error| Failure::Call(Server::Persistence, error))?;
        listing.append(room.get(..length).unwrap_or(&[]))?;
    }
    Ok(listing.table.to_string())
}

/// A list that grows by replies.
struct Listing {
    table: Table,
    /// Transactions still wanted.
    left: u64,
    /// Before which TID to ask next; 0 for the newest, `None` when nothing more is wanted, or there is nothing.
    before: Option<u64>,
}

impl Listing {
    fn new(count: u64) -> Self {
        let columns = [
            ("TIME (UTC)", Side::Left),
            ("TID", Side::Left),
            ("OBJECTS", Side::Right),
            ("USER", Side::Left),
            ("DESCRIPTION", Side::Left),
        ];
        Listing { table: Table::new(&columns), left: count, before: (count > 0).then_some(0) }
    }

    fn append(&mut self, body: &[u8]) -> Result<(), Failure> {
        let given: Vec<TransactionSummary<'_>> =
            postcard::from_bytes(body).map_err(|_| Failure::BadReply(Server::Persistence))?;
        let before = self.before.take();
        for transaction in &given {
            if self.left == 0 {
                return Ok(());
            }
            self.left -= 1;
            self.line(transaction);
        }
        let oldest = given.last().map(|transaction| transaction.tid);
        // TIDs fall from reply to reply; a server that does not keep to that is not asked for ever.
        self.before = oldest.filter(|tid| *tid > 0 && (before == Some(0) || Some(*tid) < before));
        self.before = self.before.filter(|_| self.left > 0);
        Ok(())
    }

    fn line(&mut self, transaction: &TransactionSummary<'_>) {
        let TransactionSummary { tid, objects, user, description } = transaction;
        // A TID counts microseconds since 1970.
        let time = Date(tid.saturating_mul(1000)).to_string();
        self.table.row([&time, &tid.to_string(), &objects.to_string(), user, description]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(tids: &[u64]) -> Vec<u8> {
        let summary =
            |tid: &u64| TransactionSummary { tid: *tid, objects: 2, user: "client 1", description: "genesis" };
        let transactions: Vec<_> = tids.iter().map(summary).collect();
        postcard::to_allocvec(&transactions).expect("it is encodable")
    }

    #[test]
    fn a_transaction_is_a_line_with_its_time() {
        let mut listing = Listing::new(10);
        listing.append(&body(&[1_795_487_336_634_060, 1_795_487_336_629_748])).expect("well-formed");
        let expected = "\
TIME (UTC)           TID               OBJECTS  USER      DESCRIPTION
2026-11-24 02:28:56  1795487336634060        2  client 1  genesis
2026-11-24 02:28:56  1795487336629748        2  client 1  genesis
";
        // `date -u -d @1795487336`.
        assert_eq!(listing.table.to_string(), expected);
    }

    #[test]
    fn a_listing_goes_on_behind_the_last_reply() {
        let mut listing = Listing::new(3);
        assert_eq!(listing.before, Some(0));
        listing.append(&body(&[9, 8])).expect("well-formed");
        assert_eq!(listing.before, Some(8));
        listing.append(&body(&[7, 6])).expect("well-formed");
        assert_eq!(listing.before, None);
        assert_eq!(listing.table.len(), 3);
    }

    #[test]
    fn a_listing_ends_with_the_log() {
        let mut listing = Listing::new(100);
        listing.append(&body(&[2, 1])).expect("well-formed");
        assert_eq!(listing.before, Some(1));
        listing.append(&body(&[])).expect("well-formed");
        assert_eq!(listing.before, None);
        assert_eq!(Listing::new(0).before, None);
    }

    #[test]
    fn a_server_that_repeats_itself_is_not_asked_for_ever() {
        let mut listing = Listing::new(100);
        listing.append(&body(&[5])).expect("well-formed");
        listing.append(&body(&[5])).expect("well-formed");
        assert_eq!(listing.before, None);
    }

    proptest! {
        #[test]
        fn any_reply_is_shown_or_refused(tid: u64, user in "(?s).{0,30}", description in "(?s).{0,30}", cut: prop::sample::Index) {
            let (user, description) = (user.as_str(), description.as_str());
            let summary = TransactionSummary { tid, objects: 1, user, description };
            let bytes = postcard::to_allocvec(&[summary].as_slice()).expect("it is encodable");
            for length in [bytes.len(), cut.index(bytes.len())] {
                let mut listing = Listing::new(5);
                let appended = listing.append(&bytes[..length]);
                prop_assert_eq!(appended.is_ok(), length == bytes.len());
                prop_assert!(!listing.table.to_string().replace('\n', "").contains(char::is_control));
            }
        }
    }
}
