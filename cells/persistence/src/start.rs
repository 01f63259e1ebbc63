//! Memory and capabilities, as they were given or as another instance has left them.
//!
//! The untyped of this server has two parts. In one lie the scopes of transactions, which outlive an instance; in the other what
//! an instance makes for itself, which goes with it. An instance that begins anew has no use for either: it takes all
//! back, and what earlier transactions have under their scopes goes.

use alloc::collections::BTreeSet;

use object_store::{Oid, Tid};
use runtime::abi::KernelError;
use runtime::abi::interfaces::block::Flush;
use runtime::abi::token::{All, CNode, CallOnly, Cap, Endpoint, Notification, Object, Rights, Scope, Untyped};
use runtime::{Call, Console, Environment, objects, say};

use crate::FIRST_OWN;
use crate::handover::{Ground, Handover, Place};
use crate::opening::Facts;
use crate::scopes::{ScopePool, place_of};
use crate::sessions::{Left, Resumed};

/// Bytes of the memory for scopes, as a power of two: it holds many times as many as there are transactions.
const KEPT_BITS: u8 = 17;
/// Bytes of the memory of an instance.
const OWN_BITS: u8 = 19;
/// How often the memory is asked back that was lent to the driver.
const ATTEMPTS: u32 = 100;

/// The two parts.
#[derive(Debug)]
pub struct Memory {
    /// Of scopes.
    pub kept: Cap<Untyped>,
    /// Of this instance. Nothing is made of it yet.
    pub own: Cap<Untyped>,
}

impl Memory {
    /// Those that were handed over, with what else there is to be taken over; or new ones, and then nothing is left of the
    /// instance before this one.
    ///
    /// What that has lent to the driver comes back first: so nothing that it has sent to the disk is under way any more.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(
        whole: &Cap<Untyped>,
        handover: Option<&Handover>,
        driver: Option<&Cap<Endpoint, CallOnly>>,
        environment: &mut Environment,
        cnode: &Cap<CNode, All>,
    ) -> Result<(Memory, Holdings), KernelError> {
        let Some(Handover { ground, .. }) = handover else {
            take_back(whole, driver)?;
            Holdings::find(environment).discard(environment);
            let (kept, own) = (objects::retype(whole, KEPT_BITS, cnode)?, objects::retype(whole, OWN_BITS, cnode)?);
            return Ok((Memory { kept, own }, Holdings::default()));
        };
        let (kept, own) = (take(environment, ground.kept), take(environment, ground.own));
        let (Some(kept), Some(own)) = (kept, own) else { return Err(KernelError::InvalidCapability) };
        take_back(&own, driver)?;
        // Before anything is made, which would stand among it.
        Ok((Memory { kept, own }, Holdings::find(environment)))
    }

    /// What is handed over of them, and of what was found on the disk.
    pub fn ground(&self, facts: Facts) -> Ground {
        let (kept, own) = (place_of(&self.kept), place_of(&self.own));
        Ground { facts, kept, own, next_oid: Oid::ROOT, last: Tid::ZERO }
    }
}

/// Takes everything back that was made of memory. What is lent to the driver stays until that has answered, which a flush waits for.
fn take_back(memory: &Cap<Untyped>, driver: Option<&Cap<Endpoint, CallOnly>>) -> Result<(), KernelError> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        match (objects::revoke(memory), driver) {
            (Err(KernelError::Pinned), Some(driver)) if attempts > 0 => {
                // Where it fails the disk cannot be opened either: that is told there.
                let _ = Call::new(driver, Flush {}).words();
            }
            (done, _) => return done,
        }
    }
}

/// Takes a capability that is where it is said to be.
fn take<T: Object, R: Rights>(environment: &mut Environment, place: Place) -> Option<Cap<T, R>> {
    let slot = u32::try_from(place.slot).ok()?;
    environment.inspect(slot).filter(|info| info.generation == place.generation)?;
    environment.take(slot)
}

/// What is in the CNode and was not there at the first start.
#[derive(Debug, Default)]
pub struct Holdings(BTreeSet<u32>);

impl Holdings {
    fn find(environment: &Environment) -> Self {
        Holdings(environment.left(FIRST_OWN).into_iter().collect())
    }

    /// To be taken over, one by one.
    pub fn of<'a>(&'a mut self, environment: &'a mut Environment) -> Taking<'a> {
        Taking { holdings: self, environment }
    }

    /// What nobody has taken goes: what was made for a request that was never answered.
    pub fn discard(&mut self, environment: &mut Environment) {
        core::mem::take(&mut self.0).into_iter().for_each(|slot| environment.discard(slot));
    }
}

/// See [`Holdings::of`].
#[derive(Debug)]
pub struct Taking<'a> {
    holdings: &'a mut Holdings,
    environment: &'a mut Environment,
}

impl Taking<'_> {
    fn take<T: Object, R: Rights>(&mut self, place: Place) -> Option<Cap<T, R>> {
        let slot = u32::try_from(place.slot).ok()?;
        if !self.holdings.0.contains(&slot) {
            return None;
        }
        let taken = take(self.environment, place)?;
        self.holdings.0.remove(&slot);
        Some(taken)
    }
}

impl Left<ScopePool> for Taking<'_> {
    fn scope(&mut self, place: Place) -> Option<Cap<Scope, All>> {
        self.take(place)
    }

    fn signal(&mut self, place: Place) -> Option<Cap<Notification, CallOnly>> {
        self.take(place)
    }
}

/// Says what was found of what another instance has left.
pub fn tell(resumed: &Resumed, console: &Console) {
    say!(console, "goes on with {} open transactions", resumed.open);
    for (id, tid) in &resumed.committed {
        say!(console, "transaction {} was committed at TID {}, unanswered", id.number(), tid.number());
    }
    for id in &resumed.aborted {
        say!(console, "transaction {} was ended, unanswered", id.number());
    }
}
