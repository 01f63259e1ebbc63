//! Failures: from the kernel's report to what the graph keeps and the log says.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::kernel::{Clock, FaultCause, FaultReport};
use object_store::Oid;

use crate::backoff::Verdict;
use crate::identity::Identity;

/// A failure that nobody has been told of yet.
#[derive(Debug)]
pub struct Fault {
    /// The cell.
    pub identity: Identity,
    process: Option<Oid>,
    /// How many times in a row.
    count: u32,
    verdict: Verdict,
    report: Option<Box<FaultReport>>,
}

impl Fault {
    /// What the kernel reported of an instance, if anything, and what is done about it.
    pub fn new(
        identity: Identity,
        process: Option<Oid>,
        count: u32,
        verdict: Verdict,
        report: Option<Box<FaultReport>>,
    ) -> Fault {
        Fault { identity, process, count, verdict, report }
    }

    /// As the graph keeps it. `symbol` names the function at an offset into the cell's text.
    pub fn resolve(self, symbol: impl Fn(u64) -> Option<String>) -> genesis::Fault {
        let named = |offset: u64| symbol(offset).unwrap_or_else(|| format!("text+{offset:#x}"));
        let report = self.report.as_deref();
        let instruction = report.map(|report| report.instruction).filter(|offset| *offset != u64::MAX);
        let trace = report.map_or(&[][..], |report| report.trace.get(..report.trace_length as usize).unwrap_or(&[]));
        let registers = report.map_or(&[][..], |report| &report.registers);
        let is_known = registers.iter().any(|register| *register != 0);
        let [label, badge, thread] = report.map_or([u64::MAX, 0, 0], |report| report.request);
        genesis::Fault {
            cause: report.map_or_else(|| "it ended, and nothing is known of why".into(), cause),
            // A call that does not return may be the last instruction of its function: the address behind it is another's.
            trace: instruction.into_iter().chain(trace.iter().map(|back| back.saturating_sub(1))).map(named).collect(),
            registers: if is_known { registers.to_vec() } else { Vec::new() },
            request: (label != u64::MAX).then_some([label, badge, thread]),
            time: wall(report.map(|report| report.time)),
            consequence: self.consequence(),
            cell: self.identity.name,
            version: self.identity.version,
            hash: self.identity.hash,
            process: self.process,
        }
    }

    fn consequence(&self) -> String {
        match (self.verdict, self.count) {
            (Verdict::At(_), 1) => "begins again".into(),
            (Verdict::At(_), count) => format!("begins again, failed {count} times in a row"),
            (Verdict::GiveUp, 0) => "stays as it is".into(),
            (Verdict::GiveUp, count) => format!("given up, failed {count} times in a row"),
        }
    }
}

/// The wall clock's time of a moment of this boot, or of now.
fn wall(moment: Option<u64>) -> u64 {
    let (now, wall) = (runtime::clock(Clock::Monotonic), runtime::clock(Clock::Wall));
    wall.saturating_sub(now.saturating_sub(moment.unwrap_or(now)))
}

fn cause(report: &FaultReport) -> String {
    let text = report.text.get(..report.text_length as usize).unwrap_or(&[]);
    let text = || String::from_utf8_lossy(text).into_owned();
    const PANIC: u32 = FaultCause::Panic as u32;
    const EXCEPTION: u32 = FaultCause::Exception as u32;
    const STACK_OVERFLOW: u32 = FaultCause::StackOverflow as u32;
    const STOPPED: u32 = FaultCause::Stopped as u32;
    match report.cause {
        PANIC => text(),
        EXCEPTION => exception(report),
        STACK_OVERFLOW => "stack overflow".into(),
        STOPPED => "stopped from outside".into(),
        cause => format!("unknown cause {cause}"),
    }
}

/// Exceptions of the processor (Intel SDM, volume 3, 6.15).
fn exception(report: &FaultReport) -> String {
    let name = match report.vector {
        0 => "division error",
        3 => "breakpoint",
        6 => "invalid opcode",
        12 => "stack fault",
        13 => "general protection",
        14 => return page_fault(report),
        16 => "x87 floating point error",
        17 => "alignment check",
        19 => "SIMD floating point error",
        vector => return format!("exception {vector} (error {:#x})", report.error_code),
    };
    format!("{name} (error {:#x})", report.error_code)
}

fn page_fault(report: &FaultReport) -> String {
    let access = match report.error_code & 0x12 {
        0 => "read of",
        2 => "write to",
        _ => "jump to",
    };
    format!("page fault: {access} {:#x}", report.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(report: FaultReport) -> String {
        cause(&report)
    }

    #[test]
    fn causes_have_words() {
        let report = FaultReport::NONE;
        let mut panic = FaultReport { cause: FaultCause::Panic as u32, text_length: 4, ..report };
        panic.text[..4].copy_from_slice(b"oops");
        assert_eq!(said(panic), "oops");
        let exception = FaultReport { cause: FaultCause::Exception as u32, ..report };
        assert_eq!(said(FaultReport { vector: 6, ..exception }), "invalid opcode (error 0x0)");
        assert_eq!(said(FaultReport { vector: 30, error_code: 2, ..exception }), "exception 30 (error 0x2)");
        let page = FaultReport { vector: 14, address: 0x10, ..exception };
        assert_eq!(said(page), "page fault: read of 0x10");
        assert_eq!(said(FaultReport { error_code: 2, ..page }), "page fault: write to 0x10");
        assert_eq!(said(FaultReport { error_code: 0x10, ..page }), "page fault: jump to 0x10");
    }
}
