//! Copying the history of one storage into another.

use crate::{Load, RevisionKind, Storage, StorageError, Tid};

/// Why a copy ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyError {
    /// The storage that is copied cannot be read.
    Source(StorageError),
    /// The copy cannot be written.
    Target(StorageError),
}

/// Copies what `target` does not have yet; see [`Storage::copy_transactions_from`].
pub(crate) fn copy_transactions<A: Storage, B: Storage>(source: &mut A, target: &mut B) -> Result<u64, CopyError> {
    let mut copied = 0;
    let oid_limit = source.oid_limit();
    while let Some(info) = source.transaction_after(target.last_transaction()).map_err(CopyError::Source)? {
        let tid = info.tid;
        let mut transaction = target.begin_restore(tid, oid_limit, info.metadata).map_err(CopyError::Target)?;
        for change in info.changes {
            match (change.kind, source.load_revision(change.oid, tid).map_err(CopyError::Source)?) {
                (RevisionKind::Deletion, _) => transaction.stage_deletion(change.oid, Tid::ZERO),
                (RevisionKind::Data { .. }, Some(Load::Data { record, .. })) => {
                    transaction.stage_record(change.oid, Tid::ZERO, record);
                }
                // A pack took the record since it was told of, and left nothing of the object before.
                (RevisionKind::Data { .. }, _) => {}
            }
        }
        let voted = target.vote(transaction).map_err(CopyError::Target)?;
        target.finish(voted).map_err(CopyError::Target)?;
        copied += 1;
    }
    Ok(copied)
}
