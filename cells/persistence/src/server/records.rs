//! Records: to read, as they are and as they stood, and to store.

use alloc::sync::Arc;

use object_store::{Oid, Record, Tid};
use runtime::Request;
use runtime::abi::interfaces::persistence::{GetObject, GetObjectAt, NO_TRANSACTION, StoreObject};
use runtime::abi::kernel::BODY_MAX;

use super::{Service, refuse};
use crate::backing::Backing;
use crate::refusal::Refusal;
use crate::sessions::{Failure, Sender};
use crate::wire;

impl<S: Backing> Service<S> {
    pub(super) fn get(&mut self, request: Request<'_>, sender: Sender, wish: GetObject) {
        let found = self.sessions.get(sender, Oid::new(wish.oid));
        answer_record(request, found);
    }

    pub(super) fn get_at(&mut self, request: Request<'_>, wish: GetObjectAt) {
        let found = self.sessions.get_at(Oid::new(wish.oid), Tid::new(wish.tid));
        answer_record(request, found);
    }
    pub(super) fn store(
        &mut self,
        request: &mut Request<'_>,
        sender: Sender,
        wish: StoreObject,
    ) -> Result<u64, Refusal> {
        if sender.scope == 0 {
            return Err(Refusal::new(NO_TRANSACTION, 0));
        }
        let bytes = if wish.length == 0 {
            request.body()
        } else {
            let length = usize::try_from(wish.length).unwrap_or(usize::MAX);
            request.lease().get(..length).ok_or(Refusal::buffer_too_small(length))?
        };
        // Looked at before anything is copied.
        let length = bytes.len();
        if length > self.sessions.room() {
            return Err(Failure::TooMuchStaged(self.sessions.room()).into());
        }
        let record = wire::decode(bytes)?;
        self.sessions.put(sender, Oid::new(wish.oid), record, length)?;
        Ok(0)
    }
}

/// Answers a record, in the lent memory or in the body.
fn answer_record(mut request: Request<'_>, found: Result<Arc<Record>, Failure>) {
    let record = match found {
        Ok(record) => record,
        Err(failure) => return refuse(request, failure.into()),
    };
    let lease = request.lease();
    if !lease.is_empty() {
        return match wire::encode_into(&record, lease) {
            Ok(length) => request.ok(length as u64),
            Err(needed) => refuse(request, Refusal::buffer_too_small(needed)),
        };
    }
    let mut body = [0; BODY_MAX];
    match wire::encode_into(&record, &mut body) {
        Ok(length) => request.ok_bytes(length as u64, body.get(..length).unwrap_or(&[])),
        Err(needed) => refuse(request, Refusal::buffer_too_small(needed)),
    }
}
