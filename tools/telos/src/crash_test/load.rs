//! A machine under load, and what its clients say.

use std::path::Path;

use crash_replay::check::whole;
use crash_replay::disk::Disk;
use object_store::Tid;

use crate::fail;
use crate::failure::{Context, Result};
use crate::project::read;
use crate::qemu::{Machine, tail};
use crate::scenarios::PATIENCE;

/// What the load prints of a commit that was acknowledged, before the TID.
const ACKNOWLEDGED: &str = " acknowledged at TID ";
/// What a client prints when it has found its account.
const FINDS: &str = " accounts that balance, its own at ";
/// What a client prints that found the accounts broken.
const BROKEN: &str = " ends: BROKEN";

/// Starts so many clients at the prompt, and waits until each has begun.
///
/// # Errors
/// One does not begin.
pub fn start(machine: &mut Machine, clients: usize) -> Result<()> {
    for _ in 0..clients {
        machine.send_line("spawn load")?;
        machine.expect(FINDS, PATIENCE)?;
    }
    Ok(())
}

/// Waits for so many acknowledged commits.
///
/// # Errors
/// They do not come, or a client found the accounts broken.
pub fn work(machine: &mut Machine, commits: usize) -> Result<()> {
    for _ in 0..commits {
        machine.expect(ACKNOWLEDGED, PATIENCE)?;
        // The line counts once it is whole.
        machine.expect("\n", PATIENCE)?;
    }
    sound(&machine.transcript())
}

/// Waits until so many clients have come back after a reboot, and looked at the accounts.
///
/// # Errors
/// They do not come, or found the accounts broken.
pub fn come_back(machine: &mut Machine, clients: usize) -> Result<()> {
    for _ in 0..clients {
        if let Err(failure) = machine.expect(FINDS, PATIENCE) {
            sound(&machine.transcript())?;
            return Err(failure);
        }
    }
    sound(&machine.transcript())
}

/// Whether no client found the accounts broken.
fn sound(transcript: &str) -> Result<()> {
    match transcript.contains(BROKEN) {
        true => fail!("a client found the accounts broken:\n{}", tail(transcript)),
        false => Ok(()),
    }
}

/// Looks at a state file, to the last byte: it can be read, the accounts balance, and what was acknowledged is there.
///
/// # Errors
/// What is wrong.
pub fn verify(state: &Path, acknowledged: &[Tid]) -> Result<()> {
    let history = whole(&Disk::new(read(state)?)).context(state.display())?;
    match acknowledged.iter().find(|tid| history.place(**tid).is_none()) {
        Some(tid) => fail!("{}: {tid:?} was acknowledged, and is not there", state.display()),
        None => Ok(()),
    }
}

/// The commits that were acknowledged to a client, as far as their lines were printed whole.
#[must_use]
pub fn acknowledged(transcript: &str) -> Vec<Tid> {
    let whole = transcript.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.filter_map(|line| line.split_once(ACKNOWLEDGED)?.1.trim().parse().ok().map(Tid::new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::{FileStorage, FormatOptions, MemoryDevice};

    #[test]
    fn acknowledgements_are_read_from_whole_lines() {
        let text = "load: client 1f has transaction 3 acknowledged at TID 17\r\nload: client 1f ends: 4\n\
                    telos> load: client 2 has transaction 4 acknowledged at TID 18\nload: client 2 has transaction 5 \
                    acknowledged at TID 1";
        assert_eq!(acknowledged(text), [Tid::new(17), Tid::new(18)]);
    }

    #[test]
    fn a_state_without_what_was_acknowledged_or_with_damage_is_a_failure() {
        let path = std::env::temp_dir().join(format!("telos-load-{}.fs", std::process::id()));
        let mut device = MemoryDevice::zeroed(1 << 13);
        FileStorage::format(&mut device, [7; 16], FormatOptions::default()).expect("formatted");
        std::fs::write(&path, device.bytes()).expect("written");
        assert!(verify(&path, &[]).is_ok());
        assert!(verify(&path, &[Tid::new(5)]).expect_err("missing").0.contains("was acknowledged"));
        device.bytes_mut()[8 * 512 + 40] ^= 1;
        std::fs::write(&path, device.bytes()).expect("written");
        assert!(verify(&path, &[]).expect_err("damaged").0.contains("damage"));
        std::fs::remove_file(&path).expect("removed");
    }

    #[test]
    fn broken_accounts_are_a_failure() {
        assert!(sound("load: client 3 finds 4 accounts that balance, its own at 2\n").is_ok());
        assert!(sound("load: client 3 ends: BROKEN: the balances come to 5\n").is_err());
    }
}
