//! Clients that go on while a flush is under way, and the notification that tells each of its end.

use alloc::vec::Vec;

use abi::token::{CallOnly, Cap, Notification};
use runtime::objects;

/// How many clients may listen: each keeps a slot of the driver's CNode.
const MOST: usize = 8;

/// The right to signal one client.
pub(crate) type Signal = Cap<Notification, CallOnly>;

/// One naming of a notification: what was begun for an earlier one of the same client is not told any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenerId(u64);

/// The clients.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    known: Vec<Listener>,
    named: u64,
}

#[derive(Debug)]
struct Listener {
    id: ListenerId,
    /// The client's badge.
    client: u64,
    signal: Signal,
}

/// As many listen as may; what was to be kept.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Signal);

impl Listeners {
    /// The notification that a client has named last.
    pub(crate) fn of(&self, client: u64) -> Option<ListenerId> {
        self.known.iter().find(|known| known.client == client).map(|known| known.id)
    }

    /// Keeps a client's notification; answers the one that it named before.
    ///
    /// # Errors
    /// As many clients listen as may.
    pub(crate) fn put(&mut self, client: u64, signal: Signal) -> Result<Option<Signal>, Refused> {
        let id = ListenerId(self.named);
        if let Some(known) = self.known.iter_mut().find(|known| known.client == client) {
            self.named += 1;
            known.id = id;
            return Ok(Some(core::mem::replace(&mut known.signal, signal)));
        }
        if self.known.len() == MOST {
            return Err(Refused(signal));
        }
        self.named += 1;
        self.known.push(Listener { id, client, signal });
        Ok(None)
    }

    /// Signals a client. One that is gone hears nothing, and nobody needs to know.
    pub(crate) fn signal(&self, id: ListenerId, bits: u64) {
        if let Some(known) = self.known.iter().find(|known| known.id == id) {
            let _ = objects::signal(&known.signal, bits);
        }
    }
}
