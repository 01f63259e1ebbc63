//! Packing and verification, and who waits to hear how far they are.

use alloc::vec::Vec;

use object_store::{Damage, PackError, StorageError, Tid};
use runtime::abi::interfaces::persistence::{
    COMPLETE, Damaged, NOT_POSSIBLE, Pack, PackProgress, PackState, UNSEEN, Verify, VerifyState,
};
use runtime::{Pending, Request, say};

use super::{Service, refuse};
use crate::backing::Backing;
use crate::refusal::{BUSY, Refusal};
use crate::sessions::Packed;

/// An answer to somebody who has waited.
#[derive(Debug)]
pub(super) struct Answer {
    /// Who it is for.
    pub to: Pending,
    /// The code, 0 for success.
    pub status: u32,
    /// The value word.
    pub value: u64,
    /// The body.
    pub body: Vec<u8>,
}

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// For the end of the pack.
    pack: Vec<Pending>,
    /// For another progress of the pack than they have seen.
    pack_progress: Vec<(u64, Pending)>,
    /// The same of the verification.
    verify_progress: Vec<(u64, Pending)>,
}

impl<S: Backing> Service<S> {
    pub(super) fn pack(&mut self, request: Request<'_>, wish: Pack) {
        let until = if wish.before == 0 { Tid::MAX } else { Tid::new(wish.before) };
        if let Err(failure) = self.sessions.pack(until) {
            return refuse(request, failure.into());
        }
        say!(self.console, "a pack has begun");
        defer(request, |pending| self.waiting.pack.push(pending));
    }

    pub(super) fn pack_progress(&mut self, request: Request<'_>, wish: PackProgress) {
        let progress = self.sessions.maintenance().pack_progress();
        if wish.seen == UNSEEN || progress != wish.seen || progress == COMPLETE {
            return request.ok_body(progress, &pack_state(self.sessions.maintenance().packed()));
        }
        defer(request, |pending| self.waiting.pack_progress.push((wish.seen, pending)));
    }

    pub(super) fn verify(&mut self, request: Request<'_>, wish: Verify) {
        if wish.seen == UNSEEN {
            if let Err(failure) = self.sessions.verify() {
                return refuse(request, failure.into());
            }
            say!(self.console, "a verification has begun");
        }
        let progress = self.sessions.verify_progress();
        if wish.seen == UNSEEN || progress != wish.seen || progress == COMPLETE {
            return request.ok_body(progress, &self.verify_state());
        }
        defer(request, |pending| self.waiting.verify_progress.push((wish.seen, pending)));
    }

    /// Goes on with what is under way; who waited for that is to be answered so.
    pub(super) fn work(&mut self, between_requests: bool) -> Vec<Answer> {
        let mut answers = Vec::new();
        if self.sessions.work(between_requests) {
            self.tell_end();
        }
        let maintenance = self.sessions.maintenance();
        let progress = maintenance.pack_progress();
        let state = pack_state(maintenance.packed());
        if progress == COMPLETE {
            for pending in self.waiting.pack.drain(..) {
                answers.push(Answer { to: pending, status: state.failure, value: state.bytes, body: Vec::new() });
            }
        }
        tell(&mut self.waiting.pack_progress, progress, &state, &mut answers);
        let (progress, state) = (self.sessions.verify_progress(), self.verify_state());
        tell(&mut self.waiting.verify_progress, progress, &state, &mut answers);
        answers
    }

    fn tell_end(&self) {
        let Packed { report, failure, .. } = self.sessions.maintenance().packed();
        if let Some(error) = failure {
            say!(self.console, "the pack has failed: {error:?}");
        } else if let Some(report) = report {
            let (horizon, bytes) = (report.horizon.number(), report.bytes);
            say!(
                self.console,
                "packed up to TID {horizon}: {} objects, {} revisions, {bytes} bytes dropped",
                report.objects,
                report.revisions
            );
        }
        let state = self.verify_state();
        if state.read != (0, 0, 0) {
            say!(self.console, "verified {} records: {} damages", state.read.0, state.damages);
        }
    }

    fn verify_state(&self) -> VerifyState {
        let verifying = self.sessions.maintenance().verifying();
        let verified = verifying.verified;
        VerifyState {
            read: (verified.records, verified.transactions, verified.batches),
            damages: verified.damages,
            first: verifying.first.map(damaged),
            failure: verifying.failure.map_or(0, code_of),
        }
    }
}

/// Keeps a request for later.
fn defer(request: Request<'_>, keep: impl FnOnce(Pending)) {
    match request.defer() {
        Ok(pending) => keep(pending),
        Err(request) => request.refuse(BUSY, 0),
    }
}

/// Those who have seen another progress are to be answered.
fn tell<T: serde::Serialize>(waiting: &mut Vec<(u64, Pending)>, progress: u64, state: &T, answers: &mut Vec<Answer>) {
    let due = waiting.extract_if(.., |(seen, _)| *seen != progress || progress == COMPLETE);
    for (_, pending) in due {
        let Ok(body) = postcard::to_allocvec(state) else { runtime::bug!("a progress cannot be encoded") };
        answers.push(Answer { to: pending, status: 0, value: progress, body });
    }
}

fn pack_state(packed: &Packed) -> PackState {
    let report = packed.report.as_ref();
    PackState {
        work: packed.work,
        horizon: report.map_or(0, |report| report.horizon.number()),
        dropped: report.map_or((0, 0, 0), |report| (report.objects, report.revisions, report.transactions)),
        bytes: report.map_or(0, |report| report.bytes),
        dangling: report.map_or(0, |report| report.dangling_count),
        first_dangling: packed.first_dangling().map(|dangling| (dangling.from.number(), dangling.to.number())),
        failure: packed.failure.map_or(0, |error| match error {
            PackError::Storage(error) => code_of(error),
            PackError::Running | PackError::NotRunning | PackError::Unsupported => NOT_POSSIBLE,
        }),
    }
}

fn code_of(error: StorageError) -> u32 {
    Refusal::from(error).code
}

/// A damage, with segment and offset.
fn damaged(damage: Damage) -> (Damaged, u32, u64) {
    match damage {
        Damage::Identity | Damage::Root(_) => (Damaged::Head, 0, 0),
        Damage::Index => (Damaged::Index, 0, 0),
        Damage::Record { oid, tid, segment, offset } => {
            (Damaged::Record(oid.number(), tid.number()), segment.number(), offset)
        }
        Damage::Transaction { tid, segment, offset } => (Damaged::Transaction(tid.number()), segment.number(), offset),
        Damage::Batch { segment, offset } => (Damaged::Batch, segment.number(), offset),
    }
}
