//! Services that are replaced while they serve.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use genesis::Standing;
use runtime::Call;
use runtime::abi::interfaces::process::{
    NO_SUCH_PROCESS, Progress, Replace, ReplacementSummary, Replacements, Rollback, WaitReplaced, Why,
};
use runtime::abi::kernel::{BODY_MAX, Overdue};
use runtime::abi::{CallError, KernelError};

use crate::command::Until;
use crate::directory::{self, Image};
use crate::failure::{Failure, Server};
use crate::nearest::nearest;
use crate::processes;
use crate::records::Records;
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::{Oid, Plain};

/// Replaces a service's instance, and waits until that has begun, or is over.
///
/// # Errors
/// Those of the calls; `NoProcess`.
pub fn replace(
    servers: &Servers,
    name: &str,
    (image, overdue): (Option<u64>, Overdue),
    until: Until,
) -> Result<String, Failure> {
    let method = Replace { image: image.unwrap_or(0), force: overdue as u64 };
    let begun = Call::new(servers.endpoint(Server::Process)?, method).bytes(name.as_bytes()).send().map(drop);
    follow(servers, name, begun, until)
}

/// Replaces it by the image that was current before.
///
/// # Errors
/// As [`replace`].
pub fn rollback(servers: &Servers, name: &str) -> Result<String, Failure> {
    let begun = Call::new(servers.endpoint(Server::Process)?, Rollback {}).bytes(name.as_bytes()).send();
    follow(servers, name, begun.map(drop), Until::Ended)
}

fn follow(servers: &Servers, name: &str, begun: Result<(), CallError>, until: Until) -> Result<String, Failure> {
    match begun {
        Ok(()) => {}
        Err(CallError::Server(NO_SUCH_PROCESS, _)) => {
            let names = processes::cell_names(servers).unwrap_or_default();
            let meant = nearest(name, names.iter().map(String::as_str)).map(String::from);
            return Err(Failure::NoProcess { name: name.into(), meant });
        }
        Err(error) => return Err(failed(error)),
    }
    let line = format!("{} is being replaced\n", Plain(name));
    if until == Until::Started {
        return Ok(line);
    }
    servers.console.write(line.as_bytes());
    let endpoint = servers.endpoint(Server::Process)?;
    let mut room = [0; BODY_MAX];
    loop {
        match Call::new(endpoint, WaitReplaced {}).bytes(name.as_bytes()).into_bytes(&mut room) {
            Ok((_, length)) => {
                let body = room.get(..length).unwrap_or(&[]);
                let summary: ReplacementSummary<'_> =
                    postcard::from_bytes(body).map_err(|_| Failure::BadReply(Server::Process))?;
                return Ok(outcome(&summary));
            }
            // Whoever was asked ended: whoever came after it knows as well.
            Err(CallError::Kernel(KernelError::ServerDied, _)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

fn outcome(summary: &ReplacementSummary<'_>) -> String {
    let ReplacementSummary { name, progress, pause, parked, .. } = summary;
    let waited = format!("requests waited for {} us, {parked} at the most", pause / 1000);
    match progress {
        Progress::Confirmed => format!("{} is replaced; {waited}\n", Plain(name)),
        Progress::Returned(why) => {
            format!("{} is not replaced: {}; the old instance serves\n", Plain(name), because(*why))
        }
        other => format!("{}: {}; {waited}\n", Plain(name), said(*other)),
    }
}

const fn because(why: Why) -> &'static str {
    match why {
        Why::Aborted => "it was called off",
        Why::TimedOut => "it took too long",
        Why::Refused => "its state could not be handed over",
        Why::OldEnded => "the old instance ended",
        Why::NewEnded => "the new instance failed",
    }
}

fn said(progress: Progress) -> String {
    match progress {
        Progress::Rehearsing => "rehearsing".to_string(),
        Progress::Draining => "draining".to_string(),
        Progress::Moving => "moving state".to_string(),
        Progress::Trial => "on trial".to_string(),
        Progress::Confirmed => "confirmed".to_string(),
        Progress::Returned(why) => format!("not replaced: {}", because(why)),
        Progress::Lost => "begun again".to_string(),
    }
}

/// The last replacement of each service.
///
/// # Errors
/// Those of the call.
pub fn list(servers: &Servers) -> Result<String, Failure> {
    let mut room = [0; BODY_MAX];
    let (_, length) =
        Call::new(servers.endpoint(Server::Process)?, Replacements {}).into_bytes(&mut room).map_err(failed)?;
    let body = room.get(..length).unwrap_or(&[]);
    let list: Vec<ReplacementSummary<'_>> =
        postcard::from_bytes(body).map_err(|_| Failure::BadReply(Server::Process))?;
    Ok(table(&list).to_string())
}

fn table(list: &[ReplacementSummary<'_>]) -> Table {
    let columns = [
        ("NAME", Side::Left),
        ("WAITED", Side::Right),
        ("PARKED", Side::Right),
        ("HELD", Side::Right),
        ("STATE", Side::Left),
    ];
    let mut table = Table::new(&columns);
    for ReplacementSummary { name, progress, pause, parked, delivered } in list {
        let (pause, parked, delivered) = ((pause / 1000).to_string(), parked.to_string(), delivered.to_string());
        table.row([*name, &pause, &parked, &delivered, &said(*progress)]);
    }
    table
}

/// The images in the graph.
///
/// # Errors
/// Those of reading the objects.
pub fn images(servers: &Servers, records: &mut Records) -> Result<String, Failure> {
    Ok(image_table(&directory::image_list(servers, records)?).to_string())
}

fn image_table(images: &[Image]) -> Table {
    let columns = [
        ("OID", Side::Left),
        ("NAME", Side::Left),
        ("VERSION", Side::Left),
        ("BUILD", Side::Right),
        ("HASH", Side::Left),
        ("TID", Side::Left),
        ("BYTES", Side::Right),
        ("IS", Side::Left),
    ];
    let mut table = Table::new(&columns);
    for Image { oid, name, standing, version, build, hash, tid, bytes } in images {
        let is = match standing {
            Standing::Current => "current",
            Standing::Before => "before",
            Standing::New => "new",
            Standing::OnTrial => "on trial",
        };
        let version = if version.is_empty() { "-" } else { version };
        let build = if *build == 0 { "-".to_string() } else { build.to_string() };
        let (oid, hash, tid, bytes) =
            (Oid(*oid).to_string(), format!("{hash:016x}"), tid.to_string(), bytes.to_string());
        table.row([&oid, name, version, &build, &hash, &tid, &bytes, is]);
    }
    table
}

fn failed(error: CallError) -> Failure {
    Failure::Call(Server::Process, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: ReplacementSummary<'static> =
        ReplacementSummary { name: "memory", progress: Progress::Confirmed, pause: 1_234_567, parked: 3, delivered: 1 };

    #[test]
    fn what_came_of_it_is_said() {
        assert_eq!(outcome(&SUMMARY), "memory is replaced; requests waited for 1234 us, 3 at the most\n");
        let returned = ReplacementSummary { progress: Progress::Returned(Why::NewEnded), ..SUMMARY };
        assert_eq!(outcome(&returned), "memory is not replaced: the new instance failed; the old instance serves\n");
    }

    #[test]
    fn an_image_has_a_line() {
        let image = Image {
            oid: 26,
            name: "memory".into(),
            standing: Standing::New,
            version: "0.1.1".into(),
            build: 7,
            tid: 1_795_530_277_442_780,
            hash: 0xab,
            bytes: 4096,
        };
        let older = Image { version: String::new(), build: 0, standing: Standing::Current, ..image.clone() };
        let text = image_table(&[image, older]).to_string();
        assert!(
            text.contains(
                "#000000000000001a  memory  0.1.1        7  00000000000000ab  1795530277442780   4096  new\n"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "#000000000000001a  memory  -            -  00000000000000ab  1795530277442780   4096  current\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn each_has_a_line() {
        let text = table(&[SUMMARY]).to_string();
        let [head, line] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["NAME", "WAITED", "PARKED", "HELD", "STATE"]);
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["memory", "1234", "3", "1", "confirmed"]);
    }
}
