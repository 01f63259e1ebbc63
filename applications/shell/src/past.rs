//! Objects as they stood after a transaction.

use alloc::format;
use alloc::string::String;

use crate::command::Form;
use crate::failure::Failure;
use crate::moments::Moment;
use crate::records::Records;
use crate::servers::Servers;
use crate::text::Date;
use crate::{objects, processes, replacements};

/// What of the past is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// An object; the root without an OID.
    Inspect {
        /// Which.
        oid: Option<u64>,
        /// How.
        form: Form,
    },
    /// The processes.
    Processes,
    /// The images.
    Images,
}

/// Shows it as it stood after a transaction. All that is read on the way is read as of then.
///
/// # Errors
/// Those of what is shown; `NoMoment`.
pub fn show(servers: &Servers, records: &mut Records, moment: Moment, view: View) -> Result<String, Failure> {
    let tid = moment.tid(servers)?;
    records.view(Some(tid));
    let shown = match view {
        View::Inspect { oid, form } => objects::inspect(servers, records, oid, form),
        View::Processes => processes::list_past(servers, records),
        View::Images => replacements::images(servers, records),
    };
    records.view(None);
    // A TID counts microseconds since 1970.
    let time = Date(tid.saturating_mul(1000));
    shown.map(|shown| format!("as it stood after TID {tid} ({time})\n{shown}"))
}
