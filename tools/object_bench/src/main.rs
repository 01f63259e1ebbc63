//! Times the object language beside Lua 5.4 and CPython, in turns within one run, and prints a table.
//!
//! The machine's own noise is the reason for the turns: each program is run several times, the systems one after another,
//! and the least time counts. A row's loop without the thing measured is subtracted. Run it as
//! `cargo run --release -p object_bench`, perhaps with a word, which measures the rows that contain it and of ours only; `lua5.4` and `python3` are taken where they are installed.

mod ours;
mod scripts;

use std::process::Command;
use std::time::Instant;

use scripts::{LUA, PYTHON, ROWS, Row};

/// Rounds; the least time of each counts.
const ROUNDS: usize = 25;
/// Turns of one system in a round.
const TURNS: usize = 3;

fn main() {
    let mut ours = ours::Bench::new();
    if let Some(word) = std::env::args().nth(1) {
        for row in ROWS.iter().filter(|row| row.name.contains(&word)) {
            let least = (0..ROUNDS * TURNS).map(|_| ours.time(row.ours)).fold(f64::INFINITY, f64::min);
            println!("{}: {:.2} ms", row.name, least * 1e3);
        }
        return;
    }
    let lua = installed("lua5.4");
    let python = installed("python3");
    let mut least = vec![[f64::INFINITY; 3]; ROWS.len()];
    for _ in 0..ROUNDS {
        for (row, least) in ROWS.iter().zip(&mut least) {
            let times = [
                Some((0..TURNS).map(|_| ours.time(row.ours)).fold(f64::INFINITY, f64::min)),
                lua.then(|| script("lua5.4", LUA, row)),
                python.then(|| script("python3", PYTHON, row)),
            ];
            for (time, least) in times.into_iter().zip(least) {
                *least = least.min(time.unwrap_or(f64::INFINITY));
            }
        }
    }
    println!("{:28} {:>10} {:>10} {:>10}   {:>8} {:>8}", "", "ours", "Lua 5.4", "CPython", "of Lua", "of ours");
    let empty = least.first().copied().unwrap_or_default();
    let mut local = 1.0;
    for (row, least) in ROWS.iter().zip(&least) {
        let net = |number: usize| match row.per {
            0 => (least[number] * 1e3, "ms"),
            per => ((least[number] - empty[number]) * 1e9 / per as f64, "ns"),
        };
        let (time, unit) = net(0);
        if row.name == scripts::LOCAL_SEND {
            local = time;
        }
        let of_lua = time / net(1).0;
        println!(
            "{:28} {:>7.1} {unit} {:>7.1} {unit} {:>7.1} {unit}   {:>8.2} {:>8.2}",
            row.name,
            time,
            net(1).0,
            net(2).0,
            of_lua,
            time / local
        );
    }
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("-v").output().or_else(|_| Command::new(program).arg("-V").output()).is_ok()
}

/// The seconds that a script says a row took. The interpreter's start is not in it.
fn script(program: &str, prelude: &str, row: &Row) -> f64 {
    let body = if program.starts_with("lua") { row.lua } else { row.python };
    let flag = if program.starts_with("lua") { "-e" } else { "-c" };
    let text = prelude.replace("BODY", body);
    let started = Instant::now();
    let output = Command::new(program).args([flag, &text]).output();
    let whole = started.elapsed().as_secs_f64();
    let told = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok());
    told.unwrap_or(whole)
}
