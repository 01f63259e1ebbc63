//! Packing: the past and what nothing reaches make room.

use alloc::format;
use alloc::string::String;

use runtime::Call;
use runtime::abi::CallError;
use runtime::abi::interfaces::persistence::{PackProgress, PackState, StartPack, UNSEEN};

use crate::failure::{Failure, Server};
use crate::moments::Moment;
use crate::progress::{COMPLETE, Steps};
use crate::servers::Servers;
use crate::text::{Oid, Size};

/// Packs up to a transaction, or all that may go, and says how far it is until it is done.
///
/// # Errors
/// Those of the calls; `NoMoment`, `Pack`.
pub fn pack(servers: &Servers, until: Option<Moment>) -> Result<String, Failure> {
    let before = until.map(|moment| moment.tid(servers)).transpose()?.unwrap_or(0);
    let endpoint = servers.endpoint(Server::Persistence)?;
    Call::new(endpoint, StartPack { before }).value().map_err(failed)?;
    servers.console.write(b"packing; requests are served meanwhile\n");
    let (mut steps, mut seen) = (Steps::default(), UNSEEN);
    loop {
        // The answer comes when there is another one to give.
        let (progress, state) = Call::new(endpoint, PackProgress { seen })
            .decode(|answered, state| (answered.value, state))
            .map_err(failed)?;
        if let Some(line) = steps.line(progress) {
            servers.console.write(line.as_bytes());
        }
        if progress >= COMPLETE {
            return outcome(&state);
        }
        seen = progress;
    }
}

fn outcome(state: &PackState) -> Result<String, Failure> {
    let PackState {
        horizon,
        dropped: (objects, revisions, transactions),
        bytes,
        dangling,
        first_dangling,
        failure,
        ..
    } = *state;
    if failure != 0 {
        return Err(failed(CallError::Server(failure, 0)));
    }
    let mut text = format!(
        "packed up to TID {horizon}: dropped {objects} objects, {revisions} revisions, {transactions} transactions, {} of \
         records\n",
        Size(bytes)
    );
    if dangling > 0 {
        text += &format!("{dangling} references lead to objects that are not there");
        if let Some((from, to)) = first_dangling {
            text += &format!("; the first, of {} to {}", Oid(from), Oid(to));
        }
        text.push('\n');
    }
    Ok(text)
}

fn failed(error: CallError) -> Failure {
    Failure::Call(Server::Persistence, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use runtime::abi::interfaces::persistence::STORE_FULL;

    #[test]
    fn what_a_pack_did_is_said() {
        let state = PackState { horizon: 9, dropped: (1, 2, 3), bytes: 1536, ..PackState::default() };
        let said = "packed up to TID 9: dropped 1 objects, 2 revisions, 3 transactions, 1.5 KiB of records\n";
        assert_eq!(outcome(&state), Ok(said.into()));
        let state = PackState { dangling: 2, first_dangling: Some((10, 11)), ..state };
        let tail =
            "2 references lead to objects that are not there; the first, of #000000000000000a to #000000000000000b\n";
        assert_eq!(outcome(&state), Ok(said.to_string() + tail));
        let state = PackState { failure: STORE_FULL, ..state };
        assert!(outcome(&state).is_err());
    }
}
