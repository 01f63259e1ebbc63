//! How much each client holds, and how much it may hold.
//!
//! A client is the badge of the capability that it calls with. What a client holds never exceeds its limit; a client
//! without an account of its own has the default limit.

use alloc::collections::BTreeMap;

/// The client without a limit: the one whose capability has no badge.
pub const UNLIMITED: u64 = 0;

/// The charge would exceed the client's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Bytes that the client may still take.
    pub left: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    held: u64,
    limit: Option<u64>,
}

/// The accounts of all clients.
#[derive(Debug)]
pub struct Quotas {
    default_limit: u64,
    accounts: BTreeMap<u64, Account>,
}

impl Quotas {
    /// Accounts that begin empty, with a limit for clients that have none of their own.
    pub fn new(default_limit: u64) -> Self {
        Quotas { default_limit, accounts: BTreeMap::new() }
    }

    /// Sets the limit of clients that have none of their own. What they hold already stays theirs.
    pub fn set_default_limit(&mut self, limit: u64) {
        self.default_limit = limit;
    }

    /// Gives a client a limit of its own. What it holds already stays its own, even beyond that.
    pub fn set_limit(&mut self, client: u64, limit: u64) {
        self.accounts.entry(client).or_default().limit = Some(limit);
    }

    /// Bytes that a client may still take.
    pub fn left(&self, client: u64) -> u64 {
        if client == UNLIMITED {
            return u64::MAX;
        }
        let account = self.accounts.get(&client).copied().unwrap_or_default();
        let limit = account.limit.unwrap_or(self.default_limit);
        limit.saturating_sub(account.held)
    }

    /// Bytes that a client holds.
    pub fn held(&self, client: u64) -> u64 {
        self.accounts.get(&client).map_or(0, |account| account.held)
    }

    /// Charges a client.
    ///
    /// # Errors
    /// [`Exceeded`]; then nothing was charged.
    pub fn charge(&mut self, client: u64, bytes: u64) -> Result<(), Exceeded> {
        let left = self.left(client);
        let held = self.held(client).checked_add(bytes);
        let (true, Some(held)) = (bytes <= left, held) else {
            return Err(Exceeded { left });
        };
        self.accounts.entry(client).or_default().held = held;
        Ok(())
    }

    /// Charges a client with what it was found to hold, whatever its limit is.
    pub fn restore(&mut self, client: u64, bytes: u64) {
        let account = self.accounts.entry(client).or_default();
        account.held = account.held.saturating_add(bytes);
    }

    /// Takes a charge back. An account that holds nothing and has no limit of its own is forgotten.
    pub fn release(&mut self, client: u64, bytes: u64) {
        let Some(account) = self.accounts.get_mut(&client) else {
            return;
        };
        account.held = account.held.saturating_sub(bytes);
        if account.held == 0 && account.limit.is_none() {
            self.accounts.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_stops_at_its_limit_and_others_do_not() {
        let mut quotas = Quotas::new(100);
        assert_eq!(quotas.charge(3, 60), Ok(()));
        assert_eq!(quotas.charge(3, 41), Err(Exceeded { left: 40 }));
        assert_eq!(quotas.charge(3, 40), Ok(()));
        assert_eq!(quotas.charge(4, 100), Ok(()));
        assert_eq!(quotas.charge(UNLIMITED, 1 << 40), Ok(()));
    }

    #[test]
    fn what_is_released_can_be_charged_again() {
        let mut quotas = Quotas::new(100);
        quotas.charge(3, 100).expect("within the limit");
        quotas.release(3, 30);
        assert_eq!((quotas.held(3), quotas.left(3)), (70, 30));
        quotas.release(3, 70);
        assert_eq!((quotas.held(3), quotas.left(3)), (0, 100));
    }

    #[test]
    fn a_limit_below_what_is_held_leaves_nothing() {
        let mut quotas = Quotas::new(100);
        quotas.charge(3, 100).expect("within the limit");
        quotas.set_limit(3, 50);
        assert_eq!(quotas.left(3), 0);
        assert_eq!(quotas.charge(3, 1), Err(Exceeded { left: 0 }));
        quotas.release(3, 100);
        assert_eq!(quotas.left(3), 50);
    }

    #[test]
    fn numbers_at_the_edge_do_not_wrap() {
        let mut quotas = Quotas::new(u64::MAX);
        quotas.charge(UNLIMITED, u64::MAX).expect("unlimited");
        assert!(quotas.charge(UNLIMITED, 1).is_err());
        quotas.charge(3, 1).expect("within the limit");
        assert!(quotas.charge(3, u64::MAX).is_err());
    }
}
