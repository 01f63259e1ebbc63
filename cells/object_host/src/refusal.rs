//! What a call failed with, in words for a program's error.

use alloc::format;
use alloc::string::String;

use object_model::Oid;
use runtime::abi::interfaces::{memory, persistence, process};
use runtime::abi::{CallError, KernelError};

/// Why a service refused, or did not answer.
#[must_use]
pub fn words(service: &str, error: CallError) -> String {
    match error {
        CallError::Server(code, oid) if service == "persistence" && code >= persistence::INVARIANT => {
            format!("persistence refused: {} (object {})", rule(code - persistence::INVARIANT), Oid::new(oid))
        }
        CallError::Server(code, detail) => match reason(service, code) {
            Some(reason) => format!("{service} refused: {reason} ({detail})"),
            None => format!("{service} refused with code {code} ({detail})"),
        },
        CallError::Kernel(KernelError::ServerDied, _) => {
            format!("{service} died on the request, which may have taken effect: look before you try again")
        }
        CallError::Kernel(KernelError::UnknownLabel | KernelError::WrongSignature, _) => {
            format!("{service} does not serve this label in the form in which it was sent")
        }
        CallError::Kernel(KernelError::TimedOut, _) => format!("{service} did not answer in time"),
        CallError::Kernel(KernelError::EndpointGone | KernelError::InvalidCapability, _) => {
            format!("{service} is gone, or was taken from this cell")
        }
        CallError::Kernel(error, detail) => format!("the kernel refused the call of {service}: {error:?} ({detail})"),
        CallError::Malformed => format!("{service} answered in another form than this cell knows"),
    }
}

/// What a commit would break.
fn rule(number: u32) -> &'static str {
    match number {
        1 => "what was an object would be none",
        2 => "the root keeps its version and what it names",
        3 => "the directory of images names images by their names, and the list of processes lists processes",
        4 => "an image keeps its name, its hash and its bytes",
        5 => "a process keeps its capability slots, its image, its list of capabilities and a known state",
        6 => "a server keeps its endpoint",
        7 => "parents are objects and lead not back",
        8 => "an object is composed of traits, and its slots come from no others",
        9 => "the recipe of a service stands where only servers put one",
        _ => "the commit would break a rule of the graph",
    }
}

fn reason(service: &str, code: u32) -> Option<&'static str> {
    let table: &[(u32, &str)] = match service {
        "persistence" => &[
            (persistence::NO_TRANSACTION, "no transaction is open"),
            (persistence::NOT_THE_BEGINNER, "the transaction is another's, who alone commits it"),
            (persistence::BAD_RECORD, "a record is malformed, or refers to an object that does not exist"),
            (persistence::BUFFER_TOO_SMALL, "the record is longer than this cell reads"),
            (persistence::STORE_FULL, "the state file is full"),
            (persistence::STORE_STOPPED, "the disk failed, and the store has stopped"),
            (persistence::MUST_ABORT, "a commit failed, and the transaction must be aborted first"),
        ],
        "memory" => &[
            (memory::OUT_OF_MEMORY, "there is not so much memory; bytes of the largest free block"),
            (memory::QUOTA_EXCEEDED, "the quota is used up; bytes that are left"),
            (memory::BAD_SIZE, "the size or alignment is zero, no power of two where one is needed, or too large"),
            (memory::NOT_ALLOCATED, "the memory is not allocated, or not by this cell"),
        ],
        "process" => &[
            (process::BAD_IMAGE, "that is no image"),
            (process::IMAGE_REFUSED, "the image does not verify"),
            (process::BAD_CAPABILITIES, "that is no list of capabilities, or it names what cannot be granted"),
            (process::OUT_OF_MEMORY, "there is not enough memory; nothing was left behind"),
            (process::STORE_FAILED, "the store refused; its code"),
            (process::NO_SUCH_PROCESS, "there is no such process"),
            (process::BUSY, "a replacement is under way"),
            (process::NO_PREVIOUS, "there is no image that was current before"),
            (process::SERVES_NOBODY, "the process serves nobody"),
            (process::ALREADY_STARTED, "the object is a process already, or was one: spawn into a clone of it"),
            (process::BAD_INTERFACE, "the slot `interface` of the object is no map from labels to signatures"),
            (process::BAD_PRIORITY, "a process cannot have this priority; the greatest that it can have"),
        ],
        _ => &[],
    };
    table.iter().find(|(number, _)| *number == code).map(|(_, reason)| *reason)
}
