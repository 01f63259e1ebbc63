//! The shell as a person uses it.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::fail;
use crate::failure::{Context, Result};
use crate::monitor::{MACHINE_CHECK, Monitor};
use crate::qemu::{Echo, Machine, Stopped};
use crate::run::make_state;
use crate::scenarios::{PATIENCE, Stage};

/// What rows begin with.
const BEGINNINGS: [&str; 7] =
    ["telos> ", "TelOS: ", "root_task: ", "persistence: ", "memory: ", "process: ", "shell: "];
/// The end of what happens when a process has ended.
const NOTED: &str = "ended (Exited(0)), noted at TID ";
const UP: &str = "\x1b[A";

/// Every command, history, completion, and what is wrong with what was typed; then a second boot, which knows the processes
/// of the first.
pub fn commands(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    helps(&mut machine)?;
    lists(&mut machine)?;
    objects(&mut machine)?;
    spawns(&mut machine)?;
    keys(&mut machine)?;
    mistakes(&mut machine)?;
    let first = processes(&mut machine)?;
    machine.send("\x04")?;
    machine.wait(PATIENCE)?.clean()?;

    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    let second = processes(&mut machine)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()?;
    if second.len() != first.len() {
        fail!("the second boot lists other processes: {second:?}, not {first:?}");
    }
    // The shell is the same process; the others have ended, and no version of this boot is known of them.
    for [oid, state, version, name] in first {
        let version = if name == "shell" { version } else { "-".into() };
        let expected = [oid, state, version, name];
        if !second.contains(&expected) {
            fail!("the second boot was to list {expected:?}, and lists {second:?}");
        }
    }
    Ok(())
}

/// Waits until the first boot has nothing more to do, and for a prompt behind that.
pub(super) fn settle(machine: &mut Machine) -> Result<()> {
    machine.expect(NOTED, PATIENCE)?;
    catch_up(machine)
}

/// Waits for a prompt that is not an earlier one.
pub(super) fn catch_up(machine: &mut Machine) -> Result<()> {
    machine.send_line("uptime")?;
    machine.expect("\nup 0", PATIENCE)?;
    machine.expect_prompt(PATIENCE).map(drop)
}

/// Types a line and checks that each of these stands in the answer.
fn says(machine: &mut Machine, line: &str, expected: &[&str]) -> Result<String> {
    let said = machine.ask(line, PATIENCE)?;
    check(line, &said, expected)?;
    Ok(said)
}

fn check(line: &str, said: &str, expected: &[&str]) -> Result<()> {
    match expected.iter().find(|text| !said.contains(**text)) {
        Some(text) => fail!("`{line}` was to print {text:?}, and printed:\n{said}"),
        None => Ok(()),
    }
}

fn helps(machine: &mut Machine) -> Result<()> {
    let all =
        says(machine, "help", &["ps ", "cells ", "mem ", "inspect [-x] [OID]", "txlog [COUNT]", "spawn [-w] IMAGE"])?;
    let names = all.lines().skip_while(|line| !line.starts_with("COMMAND")).skip(1);
    for name in names.take_while(|line| !line.starts_with("telos> ")).filter_map(|line| line.split([' ', '[']).next()) {
        let usage = format!("\n{name}");
        says(machine, &format!("help {name}"), &[&usage])?;
    }
    says(machine, "help halt", &["status 2"])?;
    says(machine, "help shutdown", &["status 0"]).map(drop)
}

fn lists(machine: &mut Machine) -> Result<()> {
    let cells = says(machine, "cells", &["NAME", "VERSION", "HASH", "TEXT", "STATE"])?;
    for name in ["console", "virtio_blk", "persistence", "memory", "process", "shell"] {
        let row = cells.lines().find(|row| row.split_whitespace().next() == Some(name)).unwrap_or_default();
        let columns: Vec<&str> = row.split_whitespace().collect();
        let is_range = |text: &str| text.split_once('-').is_some_and(|(from, to)| from < to && from.len() == 16);
        match columns.as_slice() {
            [_, "0.1.0", hash, range, "running"] if hash.len() == 16 && *hash != "0".repeat(16) && is_range(range) => {}
            _ => fail!("`cells` lists {name} as {row:?}:\n{cells}"),
        }
    }
    says(machine, "mem", &["total ", "free ", "allocations "])?;
    says(machine, "uptime", &["up 0", " UTC\n"])?;
    let log = says(machine, "txlog", &["TIME (UTC)", "TID", "OBJECTS", "genesis", "boot archive", "process ended"])?;
    let tids: Vec<&str> =
        log.lines().filter_map(|line| line.split_whitespace().nth(2)).filter(|tid| is_tid(tid)).collect();
    if tids.len() < 4 || !tids.is_sorted_by(|newer, older| newer > older) {
        fail!("`txlog` was to list transactions, the newest first, with whole TIDs:\n{log}");
    }
    let newest = says(machine, "txlog 1", &tids[..1])?;
    match newest.lines().filter(|line| line.split_whitespace().nth(2).is_some_and(is_tid)).count() {
        1 => Ok(()),
        count => fail!("`txlog 1` lists {count} transactions"),
    }
}

/// Microseconds since 1970, for the next centuries.
fn is_tid(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The root names what there is; what it names can be shown in turn.
fn objects(machine: &mut Machine) -> Result<()> {
    let root = says(machine, "inspect", &["object #", "version ", "BaseObject ", "Process ", "Server ", "processes "])?;
    let images = says(machine, &format!("inspect {}", reference(&root, "images")?), &["test_proc ", "shell "])?;
    let image = format!("inspect {}", reference(&images, "test_proc")?);
    says(machine, &image, &["parent*", "name    = \"test_proc\"", "hash    = <", "bytes   = <", " bytes>"])?;
    let server = format!("inspect {}", reference(&root, "memory")?);
    says(machine, &server, &["capability (Endpoint of memory", "commit()", "(from #"])?;
    let raw = says(machine, "inspect -x #root", &["\n000000  "])?;
    let heading =
        |text: &str| text.lines().find_map(|line| line.strip_prefix("object ")?.split(':').next().map(String::from));
    let oid = heading(&root).unwrap_or_default();
    if heading(&raw).as_ref() != Some(&oid) || oid.len() != 17 {
        fail!("`#root` was to be the root, {oid}:\n{raw}");
    }
    names(machine, &oid)
}

/// OIDs are cut short, and guessed.
fn names(machine: &mut Machine, root: &str) -> Result<()> {
    let listed = says(machine, "images", &["OID"])? + &says(machine, "inspect", &["Process "])?;
    let oids: BTreeSet<&str> = listed.match_indices('#').filter_map(|(at, _)| listed.get(at..at + 17)).collect();
    // There are more of them than digits: two begin alike.
    let alike = oids.iter().zip(oids.iter().skip(1)).find(|(one, other)| one[..2] == other[..2]);
    let Some((one, other)) = alike else { fail!("more than sixteen OIDs were to be listed:\n{listed}") };
    let (begun, shared) = (&one[..2], one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count());
    let refusal = format!("inspect: `{begun}` begins ");
    says(machine, &format!("inspect {begun}"), &[&refusal, " OIDs that were shown: #", "; type more digits"])?;
    // One digit beyond what it shares with its neighbour; should a third begin so, all but the last.
    let enough = &one[..(shared + 1).max(12)];
    says(machine, &format!("inspect {enough}"), &[&format!("object {one}: ")])?;
    says(machine, &format!("inspect {enough}\t"), &[&format!("object {one}: ")])?;
    // The numbers that the store counts by, and the root's neighbours.
    let neighbour = u64::from_str_radix(&root[1..], 16).context("the root's OID")? ^ 1;
    for number in (0..8).chain([neighbour, u64::MAX]) {
        let said = format!(
            "inspect: there is no object #{number:016x}; `inspect` shows the root, from which all are reached\n"
        );
        says(machine, &format!("inspect #{number:016x}"), &[&said])?;
    }
    Ok(())
}

/// What a slot of an object refers to, as it is typed.
fn reference<'t>(object: &'t str, slot: &str) -> Result<&'t str> {
    let value = object.lines().find_map(|line| {
        let (name, value) = line.split_once(" = ")?;
        (name.trim() == slot).then_some(value)
    });
    match value {
        Some(value) if value.starts_with('#') => Ok(value),
        _ => fail!("there is no reference {slot} in\n{object}"),
    }
}

fn spawns(machine: &mut Machine) -> Result<()> {
    machine.send_line("spawn test_proc")?;
    let said = machine.expect(NOTED, PATIENCE)?;
    check("spawn test_proc", &said, &["started test_proc as #", "TelOS: test_proc alive.\n"])?;
    catch_up(machine)?;
    says(machine, "spawn -w test_proc", &["TelOS: test_proc alive.\n", "test_proc ended with status 0\n"])?;
    Ok(())
}

/// Editing, history and completion.
fn keys(machine: &mut Machine) -> Result<()> {
    says(machine, "uptimes\x08", &["up 0"])?;
    says(machine, "mem", &["allocations "])?;
    says(machine, UP, &["telos> mem", "allocations "])?;
    says(machine, &format!("{UP}{UP}"), &["up 0"])?;
    machine.send("never run\x03")?;
    machine.expect("^C\ntelos> ", PATIENCE)?;
    says(machine, "upt\t", &["up 0"])?;
    says(machine, "help sh\t", &["\nshutdown\n"])?;
    says(machine, "spawn -w test_p\t", &["TelOS: test_proc alive.\n"])?;
    // Twice the same letters: the choices are listed, and the line goes on.
    machine.send("h\t")?;
    machine.expect("halt  help  history\n", PATIENCE)?;
    machine.expect("telos> h", PATIENCE)?;
    says(machine, "e\t", &["COMMAND"])?;
    // OIDs are those that were listed last.
    let root = says(machine, "inspect", &["images "])?;
    let images = reference(&root, "images")?;
    says(machine, &format!("inspect {images}\t"), &[&format!("object {images}: ")]).map(drop)
}

fn mistakes(machine: &mut Machine) -> Result<()> {
    for (line, said) in [
        ("shutdwon", "there is neither a command nor a name `shutdwon`; did you mean `shutdown`? `help` lists all\n"),
        ("xyzzy", "there is neither a command nor a name `xyzzy`; `help` lists all\n"),
        ("spwan test_proc", "there is no command `spwan`; did you mean `spawn`? `help` lists all\n"),
        ("mem = 3", "`mem` is a command, and cannot be read as a name; choose another\n"),
        ("ps all", "ps: `all` is one argument too many; type `ps`\n"),
        (
            "inspect abc",
            "inspect: `abc` is no OID, which is written # and 16 hexadecimal digits, or #root; type `inspect [-x] [OID]`\n",
        ),
        (
            "inspect #00000000000f423f",
            "inspect: there is no object #00000000000f423f; `inspect` shows the root, from which all are reached\n",
        ),
        ("txlog 0", "txlog: `0` is no count, which is a number from 1 on; type `txlog [COUNT]`\n"),
        ("spawn", "spawn: the name of an image is missing; type `spawn [-w] IMAGE`\n"),
        ("spawn tset_proc", "spawn: there is no image `tset_proc`; did you mean `test_proc`?\n"),
        ("help \"ps", "a quotation mark is open; close it with `\"`\n"),
    ] {
        says(machine, line, &[said])?;
    }
    Ok(())
}

/// OID, state, version and name of each process.
fn processes(machine: &mut Machine) -> Result<Vec<[String; 4]>> {
    let said = says(machine, "ps", &["OID", "STATE", "VERSION", "NAME", "running", "exited 0", "shell", "test_proc"])?;
    let rows = said.lines().filter(|row| row.starts_with('#'));
    Ok(rows
        .filter_map(|row| {
            // A state may be of two words; the others are of one.
            let words: Vec<&str> = row.split_whitespace().collect();
            match words.as_slice() {
                [oid, state @ .., version, name] => {
                    Some([(*oid).into(), state.join(" "), (*version).into(), (*name).into()])
                }
                _ => None,
            }
        })
        .collect())
}

/// A process that has ended when a shutdown is asked for has its end noted first, however slow the disk is, and is not run
/// again at the next boot.
pub fn shutdown(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut slow = stage.boot.clone();
    slow.extra.extend(["-set", "drive.p_disk.throttling.iops-write=1"].map(String::from));
    for (boot, commands) in [(&stage.boot, [].as_slice()), (&slow, &["spawn test_proc"]), (&stage.boot, &[])] {
        let mut machine = Machine::spawn(boot, Some(&state), Echo::Silent)?;
        let printed = machine.expect_prompt(PATIENCE)?;
        let is_first = printed.contains("root_task: genesis committed at TID ");
        if printed.contains("of test_proc started") && !is_first {
            fail!("a process that had ended before the shutdown was run again:\n{printed}");
        }
        for command in commands {
            machine.ask(command, PATIENCE)?;
        }
        machine.send("\x04")?;
        machine.wait(PATIENCE)?.clean()?;
    }
    Ok(())
}

/// While somebody types, log lines of the kernel and of cells come whole, above the line; the line comes back as it was.
pub fn rows(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    for round in 0..4 {
        // The end of the process is logged while the next line is being typed.
        machine.send(&format!("spawn test_proc\nuptime {round}"))?;
        machine.expect(NOTED, PATIENCE)?;
        machine.expect(&format!("telos> uptime {round}"), PATIENCE)?;
        machine.send("\x08\x08\n")?;
        machine.expect("\nup 0", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    let transcript = machine.transcript();
    let rows = machine.rows();
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()?;
    if !transcript.contains("\x1b[Ktelos> u") {
        fail!("no message came while a line was open: nothing was tested\n{transcript}");
    }
    // Before its own server runs, the console is the firmware's and the boot loader's.
    let own = rows.iter().skip_while(|row| !row.contains("console started")).skip(1);
    for row in own {
        // What begins a row stands nowhere else; the kernel's lines begin with a time.
        let behind = |text: &str| row.get(1..).is_some_and(|rest| rest.contains(text));
        let is_mixed = BEGINNINGS.iter().any(|text| behind(text)) || behind("] kernel: ") != row.starts_with('[');
        if is_mixed {
            fail!("a row is of two: {row:?}\n{}", rows.join("\n"));
        }
    }
    Ok(())
}

/// A non-maskable interrupt ends neither the kernel nor a cell: the log tells of it, and the shell goes on.
pub fn non_maskable(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut boot = stage.boot.clone();
    let monitor = Monitor::attach(&mut boot);
    let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    for count in 1..=3 {
        let _open = monitor.command("nmi")?;
        machine.expect(
            &format!("a non-maskable interrupt came, which nothing in this machine should send: {count} "),
            PATIENCE,
        )?;
        machine.send_line("uptime")?;
        machine.expect("\nup 0", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// A kernel panic is on the console at once, below the open line, with its place and reason.
pub fn panic(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut boot = stage.boot.clone();
    let monitor = Monitor::attach(&mut boot);
    let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    machine.send("half a li")?;
    machine.expect("half a li", PATIENCE)?;
    let _open = monitor.command(MACHINE_CHECK)?;
    match machine.wait_for("never printed", Instant::now() + PATIENCE) {
        Err(Stopped::Panicked(text)) if text.starts_with("kernel panic: machine check: bank 1 ") => {}
        other => fail!("the kernel was to panic of a machine check, and there was {other:?}\n{}", machine.transcript()),
    }
    let rows = machine.rows();
    let stands_below = |pair: &[String]| pair[0] == "telos> half a li" && pair[1].starts_with("kernel panic: ");
    match rows.windows(2).any(stands_below) {
        true => Ok(()),
        false => fail!("the panic was to stand below the line:\n{}", rows.join("\n")),
    }
}
