//! What goes over to the next version of this server.

use alloc::vec::Vec;

use runtime::Exports;

use super::Service;
use crate::backing::Backing;
use crate::handover::{Ground, SCHEMA};

/// What is in memory ends with this instance, and a pack or a verification does: it exports nothing then, and is not replaced.
impl<S: Backing> Exports for Service<S> {
    fn export(&mut self, schema: u32) -> Option<Vec<u8>> {
        // What is told is in the log or is not.
        self.wait_for_flush();
        let ground = self.ground_for(schema)?;
        let mut bytes = Vec::new();
        self.sessions.export(&ground, &mut bytes).ok()?;
        Some(bytes)
    }

    fn export_changes(&mut self, schema: u32) -> Option<Vec<u8>> {
        let ground = self.ground_for(schema)?;
        let mut bytes = Vec::new();
        self.sessions.export_changes(&ground, &mut bytes).ok()?;
        Some(bytes)
    }

    fn is_proven(&mut self) {
        self.sessions.end_trial();
    }
}

impl<S: Backing> Service<S> {
    /// What is told beside the transactions; `None` in another schema, or where no other instance could go on.
    fn ground_for(&self, schema: u32) -> Option<Ground> {
        let storage = self.sessions.store().storage();
        // What an instance on trial has begun goes with it, where it fails.
        let is_busy = self.sessions.maintenance().is_under_way() && !self.sessions.is_on_trial();
        let can_be_told = schema == SCHEMA && S::OUTLIVES_THE_SERVER && !is_busy;
        let (next_oid, last) = (storage.oid_limit(), storage.last_transaction());
        can_be_told.then(|| Ground { next_oid, last, ..self.ground.clone() })
    }
}
