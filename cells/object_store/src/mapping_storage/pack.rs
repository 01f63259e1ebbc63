//! Packing in memory: mark and sweep, in one step.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{MappingStorage, Revision};
use crate::{Change, Garbage, Oid, PackReport, PackRequest, RevisionKind, Tid};

/// A pack that was begun.
pub(super) struct Pack {
    horizon: Tid,
    in_flight: Vec<Oid>,
    garbage: Garbage,
}

impl Pack {
    pub(super) fn new(request: PackRequest, horizon: Tid) -> Self {
        Self { horizon, in_flight: request.in_flight, garbage: request.garbage }
    }
}

impl<C> MappingStorage<C> {
    pub(super) fn carry_out(&mut self, pack: Pack) -> PackReport {
        let mut report = PackReport::new(pack.horizon);
        if pack.horizon <= self.packed {
            report.horizon = self.packed;
            return report;
        }
        self.packed = pack.horizon;
        let live = self.mark(&pack, &mut report);
        report.dangling.sort_unstable();
        self.sweep(&live, &mut report);
        report
    }

    /// The live objects.
    fn mark(&self, pack: &Pack, report: &mut PackReport) -> BTreeSet<Oid> {
        let mut waiting = alloc::vec![Oid::ROOT];
        waiting.extend(&pack.in_flight);
        for pending in &self.pending {
            for (&oid, staged) in &pending.changes {
                waiting.push(oid);
                if let Change::Record(record) = &staged.change {
                    waiting.extend(&record.references);
                }
            }
        }
        for (&oid, revisions) in &self.objects {
            if pack.garbage == Garbage::Keep || revisions.last().is_some_and(|last| last.tid > pack.horizon) {
                waiting.push(oid);
            }
        }
        let mut live = BTreeSet::new();
        while let Some(oid) = waiting.pop() {
            if !live.insert(oid) {
                continue;
            }
            let mut seen = BTreeSet::new();
            for record in self.kept(oid, pack.horizon).iter().filter_map(|revision| revision.state.as_ref()) {
                for &to in &record.references {
                    if seen.insert(to) && !self.survives(to, pack.horizon) {
                        report.note_dangling(oid, to);
                    }
                    waiting.push(to);
                }
            }
        }
        live
    }

    /// The revisions of an object that a pack keeps if it is live.
    fn kept(&self, oid: Oid, horizon: Tid) -> &[Revision] {
        let revisions = self.objects.get(&oid).map(Vec::as_slice).unwrap_or_default();
        revisions.get(first_kept(revisions, horizon)..).unwrap_or_default()
    }

    /// Whether a live object has a state at the horizon or later.
    fn survives(&self, oid: Oid, horizon: Tid) -> bool {
        self.kept(oid, horizon).iter().any(|revision| revision.state.is_some())
    }

    fn sweep(&mut self, live: &BTreeSet<Oid>, report: &mut PackReport) {
        let horizon = report.horizon;
        self.objects.retain(|oid, revisions| {
            let dropped = if live.contains(oid) { first_kept(revisions, horizon) } else { revisions.len() };
            report.revisions += dropped as u64;
            report.bytes += revisions.drain(..dropped).map(|revision| bytes(revision.kind)).sum::<u64>();
            report.objects += u64::from(revisions.is_empty());
            !revisions.is_empty()
        });
        let objects = &self.objects;
        self.transactions.retain(|&tid, info| {
            if tid > horizon {
                return true;
            }
            info.changes.retain(|change| {
                objects.get(&change.oid).is_some_and(|revisions| revisions.iter().any(|revision| revision.tid == tid))
            });
            report.transactions += u64::from(info.changes.is_empty());
            !info.changes.is_empty()
        });
    }
}

/// The index of the state as of the horizon, or of the first one after it.
fn first_kept(revisions: &[Revision], horizon: Tid) -> usize {
    revisions.partition_point(|revision| revision.tid <= horizon).saturating_sub(1)
}

fn bytes(kind: RevisionKind) -> u64 {
    match kind {
        RevisionKind::Data { bytes } => u64::from(bytes),
        RevisionKind::Deletion => 0,
    }
}
