//! Tests of failures that must stop the machine: it says what happened and where, and ends with the status of a failure.

use crate::config::Stop;
use crate::fail;
use crate::failure::Result;
use crate::iso::{self, Boot, Firmware};
use crate::monitor::Monitor;
use crate::project::Project;
use crate::qemu::{Echo, End, Machine, Outcome, panic_text, tail};
use crate::scenarios::PATIENCE;

/// Boots, brings the failure about, and judges the end.
///
/// # Errors
/// The machine did not stop, or not as it must.
pub fn run(project: &Project, stop: &Stop) -> Result<()> {
    let mut boot = Boot::new(iso::make(project, &stop.word)?, Firmware::Bios);
    let end = match &stop.inject {
        None => Machine::spawn(&boot, None, Echo::Silent)?.stop(PATIENCE)?,
        Some(inject) => {
            let monitor = Monitor::attach(&mut boot);
            let mut machine = Machine::spawn(&boot, None, Echo::Silent)?;
            machine.expect(&inject.after, PATIENCE)?;
            let _open = monitor.command(&inject.command)?;
            machine.stop(PATIENCE)?
        }
    };
    judge(&end, &stop.says)
}

/// Whether the machine stopped with the report that it must give.
fn judge(end: &End, says: &[String]) -> Result<()> {
    let Some(first) = panic_text(&end.transcript) else {
        fail!("no report of a failure ({:?})\n{}", end.outcome, tail(&end.transcript));
    };
    if end.outcome != Outcome::Failed {
        fail!("the machine reported {first:?} and did not end with a failure's status: {:?}", end.outcome);
    }
    let (_, mut rest) = end.transcript.split_once(&first).unwrap_or_default();
    for (number, words) in says.iter().enumerate() {
        let searched = if number == 0 { &first } else { rest };
        match searched.split_once(words.as_str()) {
            None => fail!("the report does not say {words:?}\n{}", tail(&end.transcript)),
            Some((_, after)) if number > 0 => rest = after,
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "boot\nkernel panic: page fault at 0x0\nkernel:   at 0x1 read+0x1\nkernel:   at 0x2 run+0x2\n";

    fn judged(outcome: Outcome, transcript: &str, says: &[&str]) -> Option<String> {
        let says: Vec<String> = says.iter().map(|words| String::from(*words)).collect();
        judge(&End { outcome, transcript: transcript.to_owned() }, &says).err().map(|failure| failure.0)
    }

    #[test]
    fn a_report_says_what_it_must_in_order() {
        assert_eq!(judged(Outcome::Failed, REPORT, &["page fault at ", "read+0x", "run+0x"]), None);
        assert_eq!(judged(Outcome::Failed, REPORT, &["page fault at "]), None);
        for wrong in [["double fault", "read+0x", "run+0x"], ["page fault", "run+0x", "read+0x"], ["read", "run", "2"]]
        {
            let failure = judged(Outcome::Failed, REPORT, &wrong).expect("refused");
            assert!(failure.contains("does not say"), "{failure}");
        }
    }

    #[test]
    fn only_a_stop_with_a_report_and_a_failures_status_will_do() {
        for outcome in [Outcome::Clean, Outcome::Ended(Some(0)), Outcome::Ended(None)] {
            let failure = judged(outcome, REPORT, &["page fault"]).expect("refused");
            assert!(failure.contains("did not end with a failure's status"), "{failure}");
        }
        let failure = judged(Outcome::Failed, "boot\n1 passed, 1 failed\n", &[]).expect("refused");
        assert!(failure.contains("no report"), "{failure}");
    }
}
