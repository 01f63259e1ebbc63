//! Looking after the store: packing, verification, statistics.

use abi::interfaces::persistence::{
    GetStoreStatistics, Pack, PackProgress, PackState, StoreStatistics, UNSEEN, Verify, VerifyState,
};
use object_store::Tid;
use runtime::Call;

use crate::graph::{Graph, Result};

impl Graph {
    /// Drops the past before a transaction, or all of it, and what is not reachable; answers when that is done, with the bytes of
    /// records that were dropped.
    ///
    /// # Errors
    /// `NOT_POSSIBLE`; the store's.
    pub fn pack(&self, before: Option<Tid>) -> Result<u64> {
        Ok(Call::new(self.endpoint(), Pack { before: before.map_or(0, Tid::number) }).value()?)
    }

    /// How far the pack is, in thousandths, as soon as that differs from what was seen; at once where nothing was.
    ///
    /// # Errors
    /// The call failed.
    pub fn pack_progress(&self, seen: Option<u64>) -> Result<(u64, PackState)> {
        let method = PackProgress { seen: seen.unwrap_or(UNSEEN) };
        Ok(Call::new(self.endpoint(), method).decode(|answered, state| (answered.value, state))?)
    }

    /// How far the verification is, in the same way. It is begun where nothing was seen.
    ///
    /// # Errors
    /// `NOT_POSSIBLE`.
    pub fn verify(&self, seen: Option<u64>) -> Result<(u64, VerifyState)> {
        let method = Verify { seen: seen.unwrap_or(UNSEEN) };
        Ok(Call::new(self.endpoint(), method).decode(|answered, state| (answered.value, state))?)
    }

    /// What the store does with its device and its memory.
    ///
    /// # Errors
    /// The call failed.
    pub fn store_statistics(&self) -> Result<StoreStatistics> {
        Ok(Call::new(self.endpoint(), GetStoreStatistics {}).decode(|_, statistics| statistics)?)
    }
}
