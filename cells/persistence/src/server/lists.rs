//! Answers that are lists: transactions, revisions, changes, conflicts.

use alloc::string::String;
use alloc::vec::Vec;

use object_store::{Oid, Tid};
use runtime::Request;
use runtime::abi::interfaces::persistence::{
    CHANGES_MAX, Changes, ConflictSummary, History, Invalidations, RevisionSummary, TransactionSummary, Transactions,
};

use super::{Service, refuse};
use crate::backing::Backing;
use crate::sessions::{Failure, Sender};
use crate::wire::{self, Page};

impl<S: Backing> Service<S> {
    pub(super) fn transactions(&mut self, request: Request<'_>, wish: Transactions) {
        let before = if wish.before == 0 { Tid::MAX } else { Tid::new(wish.before) };
        let mut page = Page::default();
        match self.sessions.transactions(before, |info| page.fits(&wire::summary(info))) {
            Ok(found) => {
                let summaries: Vec<TransactionSummary<'_>> = found.iter().map(wire::summary).collect();
                request.ok_body(summaries.len() as u64, &summaries);
            }
            Err(failure) => refuse(request, failure.into()),
        }
    }

    pub(super) fn history(&mut self, request: Request<'_>, wish: History) {
        let before = if wish.before == 0 { Tid::MAX } else { Tid::new(wish.before) };
        let mut page = Page::default();
        match self.sessions.history(Oid::new(wish.oid), before, |revision| page.fits(&wire::revision(revision))) {
            Ok(found) => {
                let summaries: Vec<RevisionSummary<'_>> = found.iter().map(wire::revision).collect();
                request.ok_body(summaries.len() as u64, &summaries);
            }
            Err(failure) => refuse(request, failure.into()),
        }
    }

    pub(super) fn changes(&self, request: Request<'_>, wish: Changes) {
        answer_oids(request, self.sessions.changes(Tid::new(wish.since), CHANGES_MAX));
    }

    pub(super) fn invalidations(&mut self, request: Request<'_>, sender: Sender, wish: Invalidations) {
        let found = self.sessions.invalidations(sender, Tid::new(wish.since), CHANGES_MAX);
        answer_oids(request, found);
    }

    pub(super) fn conflicts(&mut self, request: Request<'_>, sender: Sender) {
        let conflicts = match self.sessions.conflicts(sender) {
            Ok(conflicts) => conflicts,
            Err(failure) => return refuse(request, failure.into()),
        };
        let slots: Vec<String> = conflicts.iter().map(|conflict| conflict.slots.join("\n")).collect();
        let mut page = Page::default();
        let summaries = conflicts.iter().zip(&slots).map(|(conflict, slots)| ConflictSummary {
            oid: conflict.oid.number(),
            yours: conflict.yours.number(),
            theirs: conflict.theirs.number(),
            slots: wire::cut(slots, wire::SLOTS_SHOWN),
        });
        let summaries: Vec<ConflictSummary<'_>> = summaries.take_while(|summary| page.fits(summary)).collect();
        request.ok_body(conflicts.len() as u64, &summaries);
    }
}

/// Answers OIDs, and up to which transaction they are all.
fn answer_oids(request: Request<'_>, found: Result<(Tid, Vec<Oid>), Failure>) {
    match found {
        Ok((upto, oids)) => {
            let bytes: Vec<u8> = oids.iter().flat_map(|oid| oid.number().to_le_bytes()).collect();
            request.ok_bytes(upto.number(), &bytes);
        }
        Err(failure) => refuse(request, failure.into()),
    }
}
