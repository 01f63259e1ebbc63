//! Clients that go on while a flush is under way, and the notification that tells each of its end.

use alloc::vec::Vec;

use abi::token::{CallOnly, Cap, Notification};
use runtime::objects;

/// How many clients may listen: each keeps a slot of the driver's CNode.
const MOST: usize = 8;

/// The right to signal one client.
pub(crate) type Signal = Cap<Notification, CallOnly>;

/// The clients, by their badges.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<(u64, Signal)>);

/// As many listen as may; what was to be kept.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Signal);

impl Listeners {
    /// Whether a client has named a notification.
    pub(crate) fn has(&self, client: u64) -> bool {
        self.0.iter().any(|(known, _)| *known == client)
    }

    /// Keeps a client's notification; answers the one that it named before.
    ///
    /// # Errors
    /// As many clients listen as may.
    pub(crate) fn put(&mut self, client: u64, signal: Signal) -> Result<Option<Signal>, Refused> {
        if let Some((_, kept)) = self.0.iter_mut().find(|(known, _)| *known == client) {
            return Ok(Some(core::mem::replace(kept, signal)));
        }
        if self.0.len() == MOST {
            return Err(Refused(signal));
        }
        self.0.push((client, signal));
        Ok(None)
    }

    /// Signals a client. One that is gone hears nothing, and nobody needs to know.
    pub(crate) fn signal(&self, client: u64, bits: u64) {
        if let Some((_, signal)) = self.0.iter().find(|(known, _)| *known == client) {
            let _ = objects::signal(signal, bits);
        }
    }
}
