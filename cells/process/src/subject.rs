//! What can be replaced while it runs, and what of it is noted with the capabilities of this server.

use abi::KernelError;
use abi::token::{All, CNode, Cap, Object};
use clients::Allocation;
use object_store::Oid;
use runtime::objects;

use crate::services;
use crate::table::Process;

/// What is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A service, by its number.
    Service(usize),
    /// A process.
    Process(Oid),
}

impl Subject {
    /// What runs under a name: a service, or the only process of the name that is to run. `None` where there is none, or several.
    pub fn named(name: &str, table: &[Process]) -> Option<Subject> {
        if let Some(number) = services::number_of(name) {
            return Some(Subject::Service(number));
        }
        let mut named = table.iter().filter(|process| process.name == name && process.is_to_run());
        match (named.next(), named.next()) {
            (Some(process), None) => Some(Subject::Process(process.oid)),
            _ => None,
        }
    }
}

/// Whose a capability of this server is. It is noted with the capability, so that the next instance of this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// This server's instance.
    Own,
    /// A process.
    Process(Oid),
    /// The instance of a service, which this server made.
    Instance(usize),
    /// An instance that is to take a place.
    Candidate(Subject),
    /// The record of a replacement.
    Record(Subject),
}

impl Owner {
    /// As the memory server's client notes it.
    pub fn noted(self) -> clients::Owner {
        let (role, number) = match self {
            Owner::Own => (1, 0),
            Owner::Process(oid) => (2, oid.number()),
            Owner::Instance(service) => (3, service as u64),
            Owner::Candidate(Subject::Service(service)) => (4, service as u64),
            Owner::Candidate(Subject::Process(oid)) => (5, oid.number()),
            Owner::Record(Subject::Service(service)) => (6, service as u64),
            Owner::Record(Subject::Process(oid)) => (7, oid.number()),
        };
        clients::Owner { number, role }
    }

    /// What a note says; `None` where it says nothing.
    pub fn of(noted: clients::Owner) -> Option<Owner> {
        let clients::Owner { number, role } = noted;
        let (service, process) = (number as usize, Oid::new(number));
        Some(match role {
            1 => Owner::Own,
            2 => Owner::Process(process),
            3 => Owner::Instance(service),
            4 => Owner::Candidate(Subject::Service(service)),
            5 => Owner::Candidate(Subject::Process(process)),
            6 => Owner::Record(Subject::Service(service)),
            7 => Owner::Record(Subject::Process(process)),
            _ => return None,
        })
    }
}

/// Notes another owner with a capability of this server.
///
/// # Errors
/// It is not there.
pub fn renote<T: Object>(cap: &Cap<T, All>, owner: clients::Owner, own: &Cap<CNode, All>) -> Result<(), KernelError> {
    let allocation = allocation_of(cap, own).ok_or(KernelError::InvalidCapability)?;
    objects::note(cap, owner.note(allocation))
}

/// The allocation that a capability of this server came with.
pub fn allocation_of<T: Object>(cap: &Cap<T, All>, own: &Cap<CNode, All>) -> Option<Allocation> {
    objects::inspect(own, cap.raw().slot as u32).map(|info| clients::Owner::of(info.note).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_role_is_nobody_s() {
        assert_eq!(Owner::of(clients::Owner::default()), None);
        assert_eq!(Owner::of(clients::Owner { number: 1, role: 8 }), None);
    }

    proptest! {
        #[test]
        fn what_is_noted_is_found_again(number in any::<u64>(), service in 0usize..16, allocation in 0u64..1 << 56) {
            let (process, service) = (Subject::Process(Oid::new(number)), Subject::Service(service));
            let mut owners = vec![Owner::Own, Owner::Process(Oid::new(number)), Owner::Instance(3)];
            owners.extend([process, service].map(Owner::Candidate));
            owners.extend([process, service].map(Owner::Record));
            for owner in owners {
                let (noted, found) = clients::Owner::of(owner.noted().note(clients::Allocation(allocation)));
                prop_assert_eq!(Owner::of(noted), Some(owner));
                prop_assert_eq!(found, clients::Allocation(allocation));
            }
        }
    }
}
