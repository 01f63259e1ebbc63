//! What failed, why, and what to do: one line for every way in which a command can fail.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use abi::interfaces::{memory, persistence, process};
use abi::{CallError, KernelError};
use object_model::BadObject;
use runtime::abi;

use crate::text::{Oid, Plain};
use crate::undo::Changed;

/// A server, by its name in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The persistence server.
    Persistence,
    /// The memory server.
    Memory,
    /// The process server.
    Process,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Server::Persistence => "persistence",
            Server::Memory => "memory",
            Server::Process => "process",
        })
    }
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The shell was not given the server.
    NoServer(Server),
    /// The shell was not given the machine.
    NoMachine,
    /// A call of a server failed.
    Call(Server, CallError),
    /// A reply was not what its interface says.
    BadReply(Server),
    /// The record is longer than the shell reads.
    TooLong(u64),
    /// It cannot be done while a transaction is open.
    TransactionOpen,
    /// The kernel refused a step of the shell's own.
    Kernel(KernelError),
    /// The record of an object is not the encoding of one.
    Corrupt(u64),
    /// The record of an object is sound, and no object of the kind that is shown.
    NoObject(u64, BadObject),
    /// An object lacks this slot, which genesis gives it.
    NoSlot(u64, &'static str),
    /// There is no image of a name.
    NoImage {
        /// The name.
        name: String,
        /// The one that may have been meant.
        meant: Option<String>,
    },
    /// Neither a process of a name runs nor a service.
    NoProcess {
        /// The name.
        name: String,
        /// The one that may have been meant.
        meant: Option<String>,
    },
    /// The process of this name serves nobody.
    ServesNobody(String),
    /// It does not serve a label.
    NoLabel {
        /// Its name.
        name: String,
        /// The label.
        label: u32,
    },
    /// It refused, with a code of its own.
    Refused {
        /// Its name.
        name: String,
        /// The code.
        code: u32,
        /// What belongs to that.
        detail: u64,
    },
    /// It did not answer.
    Unanswered {
        /// Its name.
        name: String,
        /// Why, as the kernel says it.
        error: KernelError,
    },
    /// There is no such transaction; the oldest that there is, where that is known.
    NoMoment(Option<u64>),
    /// What a transaction did was changed since.
    NotUndoable {
        /// The transaction.
        tid: u64,
        /// What of it.
        changed: Vec<Changed>,
    },
    /// Undoing would end an object that others refer to, or another transaction was quicker.
    StillReferred(u64),
    /// Several processes of a name run: two of them.
    Ambiguous {
        /// The name.
        name: String,
        /// Two of them.
        oids: [u64; 2],
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoServer(server) => {
                write!(f, "this shell holds no capability for {server}; grant one where the shell is started")
            }
            Failure::NoMachine => {
                f.write_str("this shell holds no capability for the machine; grant one, or stop it from outside")
            }
            Failure::Call(server, CallError::Kernel(error, detail)) => kernel(f, *server, *error, *detail),
            Failure::Call(server, CallError::Server(code, detail)) => refused(f, *server, *code, *detail),
            Failure::Call(server, CallError::Malformed) | Failure::BadReply(server) => write!(
                f,
                "{server} answered in another form than this shell knows; replace one of the two by a version that fits"
            ),
            Failure::TooLong(bytes) => {
                write!(f, "the record has {bytes} bytes, more than this shell reads; read the state file with telosfs")
            }
            Failure::TransactionOpen => f.write_str(
                "that cannot be done while a transaction is open; `self.commit()` keeps what it did, `self.abort()` does not",
            ),
            Failure::Kernel(error) => write!(
                f,
                "the kernel refused this shell: {error:?}; restart the shell, and report it if that does not help"
            ),
            Failure::Corrupt(oid) => {
                let oid = Oid(*oid);
                write!(f, "the record of {oid} is corrupt; `inspect -x {oid}` shows its bytes")
            }
            Failure::NoObject(oid, why) => {
                let oid = Oid(*oid);
                write!(f, "{oid} cannot be shown by its slots: ")?;
                bad_object(f, *why)?;
                write!(f, "; `inspect -x {oid}` shows its bytes")
            }
            Failure::NoSlot(oid, name) => {
                let oid = Oid(*oid);
                write!(f, "{oid} has no slot `{name}`, which genesis gives it; `inspect {oid}` shows what it has")
            }
            Failure::NoImage { name, meant } => {
                write!(f, "there is no image `{}`; ", Plain(name))?;
                match meant {
                    Some(meant) => write!(f, "did you mean `{}`?", Plain(meant)),
                    None => f.write_str("`inspect` shows the root, whose slot `images` names all"),
                }
            }
            Failure::NoProcess { name, meant } => {
                write!(f, "neither a process nor a service of the name `{}` runs; ", Plain(name))?;
                match meant {
                    Some(meant) => write!(f, "did you mean `{}`?", Plain(meant)),
                    None => f.write_str("`ps` and `cells` list them"),
                }
            }
            Failure::ServesNobody(_)
            | Failure::NoLabel { .. }
            | Failure::Refused { .. }
            | Failure::Unanswered { .. } => self.of_unknown(f),
            Failure::NoMoment(None) => f.write_str("no transaction is as old as that; `txlog` lists them"),
            Failure::NoMoment(Some(oldest)) => {
                write!(f, "there are not so many transactions: TID {oldest} is the first; `txlog` lists them")
            }
            Failure::NotUndoable { tid, changed } => not_undoable(f, *tid, changed),
            Failure::StillReferred(oid) => write!(
                f,
                "{0} was made by it, and other objects refer to it since, or it was changed just now; `history {0}` tells",
                Oid(*oid)
            ),
            Failure::Ambiguous { name, oids: [first, second] } => {
                let (name, first, second) = (Plain(name), Oid(*first), Oid(*second));
                write!(f, "several processes of the name `{name}` run; say which: {first}, {second}; `ps` lists all")
            }
        }
    }
}

/// The most objects that are named.
const NAMED: usize = 4;

fn not_undoable(f: &mut fmt::Formatter<'_>, tid: u64, changed: &[Changed]) -> fmt::Result {
    write!(f, "TID {tid} cannot be undone, since later transactions changed ")?;
    for (index, Changed { oid, slots }) in changed.iter().take(NAMED).enumerate() {
        write!(f, "{}{}", if index == 0 { "" } else { ", " }, Oid(*oid))?;
        for (index, slot) in slots.iter().enumerate() {
            write!(f, "{}`{}`", if index == 0 { " in " } else { " and " }, Plain(slot))?;
        }
    }
    if changed.len() > NAMED {
        write!(f, ", and {} more objects", changed.len() - NAMED)?;
    }
    f.write_str("; undo those too, the latest first: `undo LATER... ")?;
    write!(f, "{tid}`, as `history` lists them")
}

fn bad_object(f: &mut fmt::Formatter<'_>, why: BadObject) -> fmt::Result {
    match why {
        BadObject::OtherSchema { found } => write!(f, "its record is of schema {found}, which is none of objects"),
        BadObject::OtherVersion { found, known } => {
            write!(f, "its record is of version {found}, and this shell reads {known} at most")
        }
        BadObject::Malformed => f.write_str("its record does not hold the encoding of slots"),
        BadObject::DoubledName => f.write_str("two of its slots have one name"),
        BadObject::NoSuchIndex(index) => write!(f, "a slot names entry {index} of a table that has fewer"),
        BadObject::TooLarge => f.write_str("it has more values, or deeper ones, than an object may"),
    }
}

fn kernel(f: &mut fmt::Formatter<'_>, server: Server, error: KernelError, detail: u64) -> fmt::Result {
    match error {
        KernelError::ServerDied => write!(
            f,
            "{server} died on the request, which may have taken effect (its epoch is {detail} now); look before you try again"
        ),
        KernelError::TimedOut => write!(f, "{server} did not answer in time; try again"),
        KernelError::UnknownLabel | KernelError::WrongSignature => write!(
            f,
            "{server} does not serve this request in the form that this shell sends ({error:?}); replace one of the two by a version that fits"
        ),
        KernelError::EndpointGone | KernelError::InvalidCapability => {
            write!(f, "{server} is gone, or was taken from this shell ({error:?}); start the shell again with it")
        }
        _ => write!(f, "the kernel refused the call of {server}: {error:?} ({detail}); report it"),
    }
}

fn refused(f: &mut fmt::Formatter<'_>, server: Server, code: u32, detail: u64) -> fmt::Result {
    match server {
        Server::Persistence => by_persistence(f, code, detail),
        Server::Memory => by_memory(f, code, detail),
        Server::Process => by_process(f, code, detail),
    }
}

fn by_persistence(f: &mut fmt::Formatter<'_>, code: u32, detail: u64) -> fmt::Result {
    let oid = Oid(detail);
    match code {
        persistence::CONFLICT => {
            write!(f, "another transaction changed {oid} first; try again")
        }
        persistence::NO_SUCH_OBJECT => {
            write!(f, "there is no object {oid}; `inspect` shows the root, from which all are reached")
        }
        persistence::NO_TRANSACTION => f.write_str("no transaction is open; begin one"),
        persistence::NOT_THE_BEGINNER => f.write_str("the transaction was begun elsewhere; commit it there"),
        persistence::BAD_RECORD => {
            write!(f, "the record is malformed, or refers to {oid}, which does not exist; mend it")
        }
        persistence::BUFFER_TOO_SMALL => {
            write!(f, "the record has {detail} bytes and does not fit; lend a larger buffer")
        }
        persistence::STORE_FULL => f.write_str("the state file is full; pack it, or give it a larger device"),
        persistence::STORE_STOPPED => {
            f.write_str("the device failed and the store has stopped; read the log, mend the device, and start again")
        }
        persistence::MUST_ABORT => f.write_str("a commit failed; abort the transaction first"),
        persistence::PACKED_AWAY => {
            write!(f, "a pack has dropped that part of the past; it is whole from TID {detail} on")
        }
        persistence::BEYOND_LAST => write!(f, "that is yet to come; the last transaction is TID {detail}"),
        persistence::NO_SUCH_TRANSACTION => write!(f, "there is no transaction {detail}; `txlog` lists them"),
        persistence::NOT_UNDOABLE => write!(f, "what TID {detail} did was changed since; undo the later ones first"),
        persistence::NOT_POSSIBLE => f.write_str(
            "a pack or a check is under way, or the store is in memory, which has nothing to check; try again later",
        ),
        _ => unknown(f, Server::Persistence, code, detail),
    }
}

fn by_memory(f: &mut fmt::Formatter<'_>, code: u32, detail: u64) -> fmt::Result {
    match code {
        memory::OUT_OF_MEMORY => write!(
            f,
            "the largest free block has {detail} bytes, which is too little; end a process that you can spare"
        ),
        memory::QUOTA_EXCEEDED => write!(f, "only {detail} bytes are left of this shell's quota; give it a larger one"),
        memory::BAD_SIZE => f.write_str("there are no blocks of this size; ask for another"),
        memory::NOT_ALLOCATED => f.write_str("the memory is not this shell's; it may be free already"),
        _ => unknown(f, Server::Memory, code, detail),
    }
}

fn by_process(f: &mut fmt::Formatter<'_>, code: u32, detail: u64) -> fmt::Result {
    match code {
        process::BAD_IMAGE => f.write_str("there is no such image; store it first, with `make push`"),
        process::IMAGE_REFUSED => {
            f.write_str("the image does not verify; build and sign it for this kernel, and store it again")
        }
        process::BAD_CAPABILITIES => {
            f.write_str("its list of capabilities is malformed, or asks for what cannot be granted; mend the list")
        }
        process::OUT_OF_MEMORY => f.write_str("there is not enough memory for it; `mem` shows what there is"),
        process::STORE_FAILED => {
            f.write_str("the store refused: ")?;
            by_persistence(f, u32::try_from(detail).unwrap_or(u32::MAX), 0)
        }
        process::NO_SUCH_PROCESS => f.write_str("there is no such process; `ps` lists them"),
        process::BUSY => f.write_str("it is being replaced, or does not run; `replacements` and `cells` show that"),
        process::OTHER_INTERFACE => write!(
            f,
            "the image does not serve label {detail} as the service does, so its clients could not go on; build one that does"
        ),
        process::OTHER_STATE => f.write_str(
            "the image cannot go on with the state of what serves, or could not give it back; build one that reads and writes its schema",
        ),
        process::SERVES_NOBODY => f.write_str("it serves nobody; `top` shows who has requests"),
        process::BAD_PRIORITY => write!(f, "a process can have the priorities from 1 to {detail}; choose one of them"),
        process::WOULD_LOSE_STATE => {
            f.write_str("it has a state of its own, which would be lost by force; leave out `-f`, or kill it")
        }
        process::NO_PREVIOUS => f.write_str("no image was current before; `replace` takes one by its OID"),
        process::PLANTED => f.write_str("a test planted this failure; nothing is to be done"),
        _ => unknown(f, Server::Process, code, detail),
    }
}

fn unknown(f: &mut fmt::Formatter<'_>, server: Server, code: u32, detail: u64) -> fmt::Result {
    write!(f, "{server} refused with code {code} ({detail}), which this shell does not know; look in its interface")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_says_why_and_what_to_do() {
        let servers = [Server::Persistence, Server::Memory, Server::Process];
        let errors =
            (0..30u32)
                .map(|code| CallError::Server(code, 7))
                .chain((1..=20).filter_map(|code| {
                    KernelError::from_status(1 << 63 | code).map(|error| CallError::Kernel(error, 7))
                }))
                .chain([CallError::Malformed]);
        for error in errors {
            for server in servers {
                let text = Failure::Call(server, error).to_string();
                assert!(text.contains("; "), "{text}");
            }
        }
    }

    #[test]
    fn objects_that_cannot_be_shown_say_why() {
        let bad = [
            BadObject::OtherSchema { found: 7 },
            BadObject::OtherVersion { found: 2, known: 1 },
            BadObject::Malformed,
            BadObject::DoubledName,
            BadObject::NoSuchIndex(3),
            BadObject::TooLarge,
        ];
        for failure in bad.map(|why| Failure::NoObject(26, why)).into_iter().chain([Failure::Corrupt(26)]) {
            let text = failure.to_string();
            assert!(
                text.contains("#000000000000001a") && text.ends_with("`inspect -x #000000000000001a` shows its bytes"),
                "{text}"
            );
        }
        let unknown = Failure::Call(Server::Persistence, CallError::Server(persistence::NO_SUCH_OBJECT, 99));
        assert!(unknown.to_string().starts_with("there is no object #0000000000000063; `inspect` shows the root"));
    }

    #[test]
    fn what_stands_against_an_undo_is_named() {
        let changed = |oid, slots: &[&str]| Changed { oid, slots: slots.iter().map(|slot| (*slot).into()).collect() };
        let text =
            Failure::NotUndoable { tid: 7, changed: [changed(10, &["a", "b"]), changed(11, &[])].to_vec() }.to_string();
        let said = "TID 7 cannot be undone, since later transactions changed #000000000000000a in `a` and `b`, #000000000000000b; ";
        assert!(text.starts_with(said), "{text}");
        let many = Failure::NotUndoable { tid: 7, changed: (0..9).map(|oid| changed(oid, &[])).collect() };
        assert!(many.to_string().contains(", and 5 more objects; "), "{many}");
    }

    #[test]
    fn an_image_that_is_not_there_is_named_with_the_nearest() {
        let failure = |meant: Option<&str>| Failure::NoImage { name: "tst".into(), meant: meant.map(String::from) };
        assert_eq!(failure(Some("test")).to_string(), "there is no image `tst`; did you mean `test`?");
        assert!(failure(None).to_string().contains("`inspect` shows the root"));
    }

    #[test]
    fn the_store_s_reason_goes_through() {
        let full = u64::from(persistence::STORE_FULL);
        let error = CallError::Server(process::STORE_FAILED, full);
        let text = Failure::Call(Server::Process, error).to_string();
        assert!(text.starts_with("the store refused: the state file is full"), "{text}");
    }
}
