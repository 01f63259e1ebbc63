//! The revisions of an object.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use runtime::Call;
use runtime::abi::interfaces::persistence::{History, RevisionSummary};
use runtime::abi::kernel::BODY_MAX;

use crate::failure::{Failure, Server};
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::Date;

/// Lists so many revisions, the newest first, in as many replies as it takes.
///
/// # Errors
/// Those of the calls.
pub fn list(servers: &Servers, oid: u64, count: u64) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Persistence)?;
    let mut listing = Listing::new(count);
    let mut room = [0; BODY_MAX];
    while let Some(before) = listing.before {
        let (_, length) = Call::new(endpoint, History { oid, before })
            .into_bytes(&mut room)
            .map_err(|error| Failure::Call(Server::Persistence, error))?;
        listing.append(room.get(..length).unwrap_or(&[]))?;
    }
    Ok(listing.table.to_string())
}

/// A list that grows by replies.
struct Listing {
    table: Table,
    /// Revisions still wanted.
    left: u64,
    /// Before which TID to ask next; 0 for the newest, `None` when nothing more is wanted, or there is nothing.
    before: Option<u64>,
}

impl Listing {
    fn new(count: u64) -> Self {
        let columns = [
            ("TIME (UTC)", Side::Left),
            ("TID", Side::Left),
            ("BYTES", Side::Right),
            ("USER", Side::Left),
            ("DESCRIPTION", Side::Left),
        ];
        Listing { table: Table::new(&columns), left: count, before: (count > 0).then_some(0) }
    }

    fn append(&mut self, body: &[u8]) -> Result<(), Failure> {
        let given: Vec<RevisionSummary<'_>> =
            postcard::from_bytes(body).map_err(|_| Failure::BadReply(Server::Persistence))?;
        let before = self.before.take();
        for revision in &given {
            if self.left == 0 {
                return Ok(());
            }
            self.left -= 1;
            self.line(revision);
        }
        let oldest = given.last().map(|revision| revision.tid);
        // TIDs fall from reply to reply; a server that does not keep to that is not asked for ever.
        self.before = oldest.filter(|tid| *tid > 0 && (before == Some(0) || Some(*tid) < before));
        self.before = self.before.filter(|_| self.left > 0);
        Ok(())
    }

    fn line(&mut self, revision: &RevisionSummary<'_>) {
        let RevisionSummary { tid, deleted, bytes, user, description } = revision;
        // A TID counts microseconds since 1970.
        let time = Date(tid.saturating_mul(1000)).to_string();
        let bytes = if *deleted { "ended".to_string() } else { bytes.to_string() };
        self.table.row([&time, &tid.to_string(), &bytes, user, description]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(tids: &[u64]) -> Vec<u8> {
        let summary = |tid: &u64| RevisionSummary {
            tid: *tid,
            deleted: *tid % 2 == 1,
            bytes: 120,
            user: "client 1",
            description: "genesis",
        };
        let revisions: Vec<_> = tids.iter().map(summary).collect();
        postcard::to_allocvec(&revisions).expect("it is encodable")
    }

    #[test]
    fn a_revision_is_a_line_with_its_time() {
        let mut listing = Listing::new(10);
        listing.append(&body(&[1_795_487_336_634_061, 1_795_487_336_629_748])).expect("well-formed");
        let expected = "\
TIME (UTC)           TID               BYTES  USER      DESCRIPTION
2026-11-24 02:28:56  1795487336634061  ended  client 1  genesis
2026-11-24 02:28:56  1795487336629748    120  client 1  genesis
";
        assert_eq!(listing.table.to_string(), expected);
    }

    #[test]
    fn a_listing_goes_on_behind_the_last_reply_and_ends() {
        let mut listing = Listing::new(3);
        listing.append(&body(&[9, 8])).expect("well-formed");
        assert_eq!(listing.before, Some(8));
        listing.append(&body(&[7, 6])).expect("well-formed");
        assert_eq!((listing.before, listing.table.len()), (None, 3));
        let mut listing = Listing::new(9);
        listing.append(&body(&[5])).expect("well-formed");
        listing.append(&body(&[5])).expect("a server that repeats itself");
        assert_eq!(listing.before, None);
    }

    proptest! {
        #[test]
        fn any_reply_is_shown_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut listing = Listing::new(5);
            let _ = listing.append(&bytes);
            prop_assert!(!listing.table.to_string().replace('\n', "").contains(char::is_control));
        }
    }
}
