//! Work that takes long and is done in steps between requests: packing, and reading everything to see whether it is whole.

use object_store::{
    Damage, DanglingReference, Garbage, PackError, PackProgress, PackReport, StorageError, Tid, Verification, Verified,
};

use super::{Failure, Scopes, Sessions};
use crate::backing::Backing;

/// Records that a step looks at where nobody waits for anything else.
const STEP: usize = 256;
/// Records that a step looks at between two requests.
const STEP_BETWEEN: usize = 16;
/// The progress of what is over.
const COMPLETE: u64 = 1000;

/// The last pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Units of work done, and in all as far as is known.
    pub work: (u64, u64),
    /// What it did, once it is over.
    pub report: Option<PackReport>,
    /// Why it failed, if it did.
    pub failure: Option<PackError>,
}

/// The last verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verifying {
    /// What was read.
    pub verified: Verified,
    /// The first damage.
    pub first: Option<Damage>,
    /// Why it failed, if it did.
    pub failure: Option<StorageError>,
}

/// What is under way.
#[derive(Debug, Default)]
pub struct Maintenance {
    packs: bool,
    packed: Packed,
    verification: Option<Verification>,
    verifying: Verifying,
}

impl Maintenance {
    /// Whether there is something to do.
    pub fn is_under_way(&self) -> bool {
        self.packs || self.verification.is_some()
    }

    /// The last pack.
    pub fn packed(&self) -> &Packed {
        &self.packed
    }

    /// How far the pack is, in thousandths.
    pub fn pack_progress(&self) -> u64 {
        let (done, all) = self.packed.work;
        if self.packs { (999 * done.min(all)).checked_div(all).unwrap_or(0) } else { COMPLETE }
    }

    /// The last verification.
    pub fn verifying(&self) -> &Verifying {
        &self.verifying
    }
}

impl Packed {
    /// The first reference that leads nowhere.
    pub fn first_dangling(&self) -> Option<DanglingReference> {
        self.report.as_ref()?.dangling.first().copied()
    }
}

impl<S: Backing, K: Scopes> Sessions<S, K> {
    /// Objects in the store.
    pub fn objects(&self) -> u64 {
        self.store.storage().objects()
    }

    /// What is under way, and what the last of each has done.
    pub fn maintenance(&self) -> &Maintenance {
        &self.maintenance
    }

    /// Begins a pack up to a transaction. Requests are served while it goes on.
    ///
    /// # Errors
    /// `NotPossible` while a pack or a verification is under way, or where the storage does not pack; `Store`.
    pub fn pack(&mut self, until: Tid) -> Result<(), Failure> {
        if self.maintenance.is_under_way() {
            return Err(Failure::NotPossible);
        }
        self.append(|sessions| Ok(sessions.store.pack_start(until, Garbage::Collect)?))?;
        self.maintenance.packs = true;
        self.maintenance.packed = Packed::default();
        Ok(())
    }

    /// Begins to read and check everything. Requests are served while that goes on.
    ///
    /// # Errors
    /// `NotPossible` while a pack is under way, or a verification.
    pub fn verify(&mut self) -> Result<(), Failure> {
        if self.maintenance.is_under_way() {
            return Err(Failure::NotPossible);
        }
        self.maintenance.verifying = Verifying::default();
        self.maintenance.verification = self.store.storage().verify_start();
        Ok(())
    }

    /// How far the verification is, in thousandths.
    pub fn verify_progress(&self) -> u64 {
        let verification = self.maintenance.verification.as_ref();
        verification
            .map_or(COMPLETE, |verification| self.store.storage().verify_progress(verification).min(COMPLETE - 1))
    }

    /// Goes on with what is under way, by one step: a shorter one where requests come. Answers whether something has ended.
    pub fn work(&mut self, between_requests: bool) -> bool {
        let budget = if between_requests { STEP_BETWEEN } else { STEP };
        match (self.maintenance.packs, self.maintenance.verification.take()) {
            (true, _) => self.pack_step(budget),
            (false, Some(verification)) => self.verify_step(verification, budget),
            (false, None) => false,
        }
    }

    fn pack_step(&mut self, budget: usize) -> bool {
        let step = self.store.pack_step(budget);
        let packed = &mut self.maintenance.packed;
        match step {
            Ok(PackProgress::Working { done, total }) => {
                packed.work = (done, total);
                return false;
            }
            Ok(PackProgress::Done(report)) => packed.report = Some(report),
            Err(error) => packed.failure = Some(error),
        }
        self.maintenance.packs = false;
        // Clients may keep what is gone.
        self.recent.forget(self.store.storage().last_transaction());
        true
    }

    fn verify_step(&mut self, mut verification: Verification, budget: usize) -> bool {
        let mut first = None;
        let mut tell = |damage| {
            first.get_or_insert(damage);
        };
        let step = self.store.storage_mut().verify_step(&mut verification, budget, &mut tell);
        let verifying = &mut self.maintenance.verifying;
        verifying.first = verifying.first.or(first);
        verifying.verified = verification.verified();
        verifying.failure = step.err();
        if step.is_err() || verification.is_over() {
            return true;
        }
        self.maintenance.verification = Some(verification);
        false
    }
}
