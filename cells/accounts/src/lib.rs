//! What the clients of a load write, and what must hold of it in every state of the store.
//!
//! Each client has an [`Account`]; the [`Register`] refers to all of them, and the root mapping to the register, by [`SLOT`].
//! A transaction of a client moves an amount from its own account to another's, so that:
//!
//! * in every committed state the balances come to nothing: half a transaction would show ([`audit`]);
//! * a client counts its transactions in [`Account::sequence`], and writes into each which of its commits it has an
//!   acknowledgement of, in [`Account::acknowledged`]. Whoever finds the transaction on a disk knows by that, without asking
//!   anybody, that the acknowledged one was durable before this one was written.
//!
//! `applications/load` writes them; the audit runs inside the machine and, over a state file, on the host.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use object_model::{Object, Oid, SlotKind, Value};

/// The slot of the root mapping that refers to the register.
pub const SLOT: &str = "accounts";
/// What the slots of the register begin with; the number of the client follows, in hexadecimal digits.
const CLIENT: &str = "client";

/// One client's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it has; those of all accounts come to nothing.
    pub balance: i64,
    /// How many transactions of its client are in it.
    pub sequence: i64,
    /// The TID of the last commit that its client had an acknowledgement of when it wrote; 0: of none.
    pub acknowledged: u64,
}

impl Account {
    /// What an object says; `None` where it is no account.
    #[must_use]
    pub fn of(object: &Object) -> Option<Account> {
        let number = |name| match object.get(name) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        Some(Account {
            balance: number("balance")?,
            sequence: number("sequence")?,
            acknowledged: number("acknowledged")?.cast_unsigned(),
        })
    }

    /// An object with this in it; its other slots stay.
    #[must_use]
    pub fn into(self, object: Object) -> Object {
        object
            .data("balance", Value::Int(self.balance))
            .data("sequence", Value::Int(self.sequence))
            .data("acknowledged", Value::Int(self.acknowledged.cast_signed()))
    }
}

/// The object that refers to all accounts.
#[derive(Clone, Debug, Default)]
pub struct Register(Object);

impl Register {
    /// The register in its object.
    #[must_use]
    pub fn of(object: Object) -> Register {
        Register(object)
    }

    /// Its object.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.0
    }

    /// The account of a client, by the client's number.
    #[must_use]
    pub fn account(&self, client: u64) -> Option<Oid> {
        self.0.reference(&slot(client))
    }

    /// Enters the account of a client.
    pub fn enter(&mut self, client: u64, account: Oid) {
        let reference = self.0.refer(account);
        self.0.set(&slot(client), SlotKind::Data, reference);
    }

    /// All accounts, with the names of their slots.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, Oid)> {
        let slots = self.0.slots().iter().filter(|slot| slot.name.starts_with(CLIENT));
        slots.filter_map(|slot| Some((slot.name.as_str(), self.0.target(&slot.value)?)))
    }
}

fn slot(client: u64) -> String {
    alloc::format!("{CLIENT}{client:x}")
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A client that stands in the register has no account.
    NoAccount(String),
    /// The balances come to this.
    Unbalanced(i128),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::NoAccount(name) => write!(f, "{name} has no account"),
            Broken::Unbalanced(sum) => write!(f, "the balances come to {sum}"),
        }
    }
}

/// Looks at every account of a register in one state of the store, and answers them by the names of their clients.
///
/// # Errors
/// What does not hold.
pub fn audit(
    register: &Register,
    mut read: impl FnMut(Oid) -> Option<Object>,
) -> Result<Vec<(String, Account)>, Broken> {
    let mut found = Vec::new();
    for (name, oid) in register.accounts() {
        let account = read(oid).as_ref().and_then(Account::of).ok_or_else(|| Broken::NoAccount(name.to_string()))?;
        found.push((name.to_string(), account));
    }
    match found.iter().map(|(_, account)| i128::from(account.balance)).sum() {
        0 => Ok(found),
        sum => Err(Broken::Unbalanced(sum)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(accounts: &[i64]) -> (Register, Vec<Object>) {
        let mut register = Register::default();
        let mut objects = Vec::new();
        for (number, &balance) in accounts.iter().enumerate() {
            register.enter(number as u64 + 30, Oid::new(number as u64));
            objects.push(Account { balance, sequence: 2, acknowledged: u64::MAX }.into(Object::new()));
        }
        (register, objects)
    }

    fn audited(register: &Register, objects: &[Object]) -> Result<Vec<(String, Account)>, Broken> {
        audit(register, |oid| objects.get(oid.number() as usize).cloned())
    }

    #[test]
    fn balances_that_come_to_nothing_pass() {
        let (register, objects) = register(&[5, -7, 2]);
        let found = audited(&register, &objects).expect("passed");
        assert_eq!(found.len(), 3);
        assert_eq!(found[1], ("client1f".into(), Account { balance: -7, sequence: 2, acknowledged: u64::MAX }));
        assert_eq!(register.account(31), Some(Oid::new(1)));
        assert_eq!(register.account(3), None);
    }

    #[test]
    fn half_a_transaction_shows() {
        let (register, objects) = register(&[5, -7, 3]);
        assert_eq!(audited(&register, &objects), Err(Broken::Unbalanced(1)));
        assert_eq!(audited(&register, &objects[..2]), Err(Broken::NoAccount("client20".into())));
    }

    #[test]
    fn an_account_is_written_beside_what_else_is_in_its_object() {
        let account = Account { balance: -1, sequence: 9, acknowledged: 1 << 63 };
        let object = account.into(Object::new().data("ballast", Value::Bytes(alloc::vec![1; 9])));
        assert_eq!(Account::of(&object), Some(account));
        assert!(object.get("ballast").is_some());
        assert_eq!(Account::of(&Object::new()), None);
    }
}
