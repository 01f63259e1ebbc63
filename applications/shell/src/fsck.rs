//! Reading the whole store to see whether it is whole.

use alloc::format;
use alloc::string::String;

use runtime::Call;
use runtime::abi::CallError;
use runtime::abi::interfaces::persistence::{Damaged, UNSEEN, Verify, VerifyState};

use crate::failure::{Failure, Server};
use crate::progress::{COMPLETE, Steps};
use crate::servers::Servers;
use crate::text::Oid;

/// Has everything read and checked, says how far that is, and names the first damage.
///
/// # Errors
/// Those of the calls.
pub fn check(servers: &Servers) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Persistence)?;
    let (mut steps, mut seen) = (Steps::default(), UNSEEN);
    loop {
        // The answer comes when there is another one to give.
        let (progress, state) =
            Call::new(endpoint, Verify { seen }).decode(|answered, state| (answered.value, state)).map_err(failed)?;
        if let Some(line) = steps.line(progress) {
            servers.console.write(line.as_bytes());
        }
        if progress >= COMPLETE {
            return outcome(&state);
        }
        seen = progress;
    }
}

fn outcome(state: &VerifyState) -> Result<String, Failure> {
    let VerifyState { read: (records, transactions, batches), damages, first, failure } = *state;
    if failure != 0 {
        return Err(failed(CallError::Server(failure, 0)));
    }
    let text = format!("read {records} records, {transactions} transactions, {batches} batches: ");
    let Some(first) = first.filter(|_| damages > 0) else { return Ok(text + "no damage\n") };
    Ok(format!("{text}{damages} damages\nthe first: {}\n", damage(first)))
}

/// What is damaged, where, and what to do.
fn damage((what, segment, offset): (Damaged, u32, u64)) -> String {
    let place = format!("segment {segment}, offset {offset}");
    match what {
        Damaged::Head => "the identity or a root of the state file; the next boot repairs it".into(),
        Damaged::Index => "a block of the index; the log has all of it, and the next boot makes it anew".into(),
        Damaged::Record(oid, tid) => {
            let oid = Oid(oid);
            format!("the record of {oid} of TID {tid}, {place}; `history {oid}` lists its other revisions")
        }
        Damaged::Transaction(tid) => {
            format!("what the transaction {tid} says of itself, {place}; its records are others")
        }
        Damaged::Batch => {
            format!("a byte of the log that no record needs, {place}; copy the state file while it can be read")
        }
    }
}

fn failed(error: CallError) -> Failure {
    Failure::Call(Server::Persistence, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_said() {
        let state = VerifyState { read: (3, 2, 1), ..VerifyState::default() };
        assert_eq!(outcome(&state), Ok("read 3 records, 2 transactions, 1 batches: no damage\n".into()));
        let first = Some((Damaged::Record(10, 7), 4, 512));
        let text = outcome(&VerifyState { damages: 2, first, ..state }).expect("read");
        assert!(text.contains(
            "batches: 2 damages\nthe first: the record of #000000000000000a of TID 7, segment 4, offset 512; "
        ));
        assert!(outcome(&VerifyState { failure: 8, ..state }).is_err());
        for what in [Damaged::Head, Damaged::Index, Damaged::Transaction(1), Damaged::Batch] {
            assert!(damage((what, 1, 2)).contains("; "), "{what:?}");
        }
    }
}
