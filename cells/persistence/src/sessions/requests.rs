//! Which requests of which clients were carried out, by the transactions that did it.
//!
//! A client that must know whether its request took effect numbers it: the number stands in the extension of the transaction
//! that carries it out, so that one flush makes both durable. From there the table is made again when the store is opened, out
//! of the newest [`LOOKED_AT`] transactions. A client is known by its badge, which for a process is made of its object's number and so is the
//! same after a power cut.
//!
//! Of each client the last [`KEPT_OF_EACH`] requests are remembered, and [`CLIENTS`] clients: those that were heard of last.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use object_store::{Storage, StorageError, Tid};
use serde::{Deserialize, Serialize};

use crate::handover::Mark;

/// Requests that are remembered of each client.
pub const KEPT_OF_EACH: usize = 64;
/// Clients that are remembered.
pub const CLIENTS: usize = 256;
/// Transactions that are looked at when the store is opened.
pub const LOOKED_AT: usize = 1_024;

/// A request, as its client numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestId {
    /// The client's badge.
    pub client: u64,
    /// The client's number.
    pub sequence: u64,
}

/// What stands in front of the extension of a transaction, so that others may use extensions too.
const MARK: [u8; 4] = *b"REQ1";

impl RequestId {
    /// As the extension of a transaction.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        bytes.extend(self.client.to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes
    }

    /// Out of an extension, behind which a mark may stand; `None` where it is another one.
    #[must_use]
    pub fn decode(extension: &[u8]) -> Option<Self> {
        let (numbers, rest) = Mark::without(extension).strip_prefix(&MARK)?.as_chunks::<8>();
        match (numbers, rest) {
            ([client, sequence], []) => {
                Some(RequestId { client: u64::from_le_bytes(*client), sequence: u64::from_le_bytes(*sequence) })
            }
            _ => None,
        }
    }
}

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// This transaction did it.
    Out(Tid),
    /// None did.
    Never,
    /// It may be older than what is remembered.
    Unknown,
}

/// The requests of one client, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Client {
    requests: VecDeque<(u64, Tid)>,
    /// Whether requests of it were forgotten.
    forgotten: bool,
}

/// The requests that are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    clients: BTreeMap<u64, Client>,
    /// Whether all transactions of the store were looked at, and no client was forgotten.
    complete: bool,
}

impl Requests {
    /// What the newest transactions of a storage tell. Where one cannot be read, what is before it is not known.
    pub fn find<S: Storage>(storage: &mut S) -> Self {
        let mut found = Vec::new();
        let mut before = Tid::MAX;
        let mut complete = false;
        for _ in 0..LOOKED_AT {
            let info: Result<_, StorageError> = storage.transaction_before(before);
            let Ok(Some(info)) = info else {
                complete = matches!(info, Ok(None)) && storage.horizon() == Tid::ZERO;
                break;
            };
            before = info.tid;
            found.extend(RequestId::decode(&info.metadata.extension).map(|request| (request, info.tid)));
        }
        let mut requests = Requests { clients: BTreeMap::new(), complete };
        for (request, tid) in found.into_iter().rev() {
            requests.note(request, tid);
        }
        if !requests.complete {
            requests.clients.values_mut().for_each(|client| client.forgotten = true);
        }
        requests
    }

    /// A transaction has carried a request out.
    pub fn note(&mut self, request: RequestId, tid: Tid) {
        if !self.clients.contains_key(&request.client) && self.clients.len() == CLIENTS {
            let last = |client: &Client| client.requests.back().map(|(_, tid)| *tid);
            let silent = self.clients.iter().min_by_key(|(_, client)| last(client)).map(|(badge, _)| *badge);
            silent.map(|badge| self.clients.remove(&badge));
            self.complete = false;
        }
        let complete = self.complete;
        let client = self
            .clients
            .entry(request.client)
            .or_insert_with(|| Client { requests: VecDeque::new(), forgotten: !complete });
        if client.requests.len() == KEPT_OF_EACH {
            client.requests.pop_front();
            client.forgotten = true;
        }
        client.requests.push_back((request.sequence, tid));
    }

    /// What is known of a request. A client numbers its requests upwards: one above all that are remembered was never carried out,
    /// and so was one between two of them.
    #[must_use]
    pub fn of(&self, request: RequestId) -> Carried {
        let Some(client) = self.clients.get(&request.client) else {
            return if self.complete { Carried::Never } else { Carried::Unknown };
        };
        if let Some((_, tid)) = client.requests.iter().find(|(sequence, _)| *sequence == request.sequence) {
            return Carried::Out(*tid);
        }
        let is_after = client.requests.front().is_some_and(|(first, _)| *first < request.sequence);
        if is_after || !client.forgotten { Carried::Never } else { Carried::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(client: u64, sequence: u64) -> RequestId {
        RequestId { client, sequence }
    }

    fn empty() -> Requests {
        Requests { clients: BTreeMap::new(), complete: true }
    }

    #[test]
    fn the_last_requests_of_each_client_are_remembered() {
        let mut requests = empty();
        assert_eq!(requests.of(request(7, 1)), Carried::Never);
        for sequence in 1..=KEPT_OF_EACH as u64 + 1 {
            requests.note(request(7, sequence), Tid::new(100 + sequence));
        }
        assert_eq!(requests.of(request(7, 1)), Carried::Unknown, "older than what is remembered");
        assert_eq!(requests.of(request(7, 2)), Carried::Out(Tid::new(102)));
        assert_eq!(requests.of(request(7, 99)), Carried::Never);
        assert_eq!(requests.of(request(8, 1)), Carried::Never, "another client");
    }

    #[test]
    fn who_was_silent_longest_is_forgotten_and_nothing_is_said_for_sure() {
        let mut requests = empty();
        for client in 0..=CLIENTS as u64 {
            requests.note(request(client, 1), Tid::new(10 + client));
        }
        assert_eq!(requests.clients.len(), CLIENTS);
        assert_eq!(requests.of(request(0, 1)), Carried::Unknown);
        assert_eq!(requests.of(request(1, 1)), Carried::Out(Tid::new(11)));
        assert_eq!(requests.of(request(1, 2)), Carried::Never);
    }

    proptest! {
        #[test]
        fn a_request_survives_its_encoding(client: u64, sequence: u64) {
            let encoded = request(client, sequence).encode();
            prop_assert_eq!(RequestId::decode(&encoded), Some(request(client, sequence)));
        }

        #[test]
        fn other_extensions_are_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(found) = RequestId::decode(&bytes) {
                prop_assert_eq!(found.encode(), bytes);
            }
        }
    }
}
