//! What the commands say of a sound state.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use object_store::{FORMAT_VERSION, Oid};
use serde_json::json;
use support::{Folder, Sample, public, sample, telosfs};
use telosfs::Status;

fn fine(sample: &Sample, line: &str) -> String {
    let said = telosfs(&sample.path, line);
    assert_eq!((said.status, said.notes.as_str()), (Status::Fine, ""), "{line}");
    said.out
}

#[test]
fn the_log_is_told_newest_first_and_can_be_cut() {
    let folder = Folder::new("log");
    let sample = sample(&folder);
    let all = telosfs(&sample.path, "log --format json").json();
    let tids: Vec<u64> = all.as_array().expect("rows").iter().map(|row| row["tid"].as_u64().expect("a TID")).collect();
    let expected: Vec<u64> = sample.tids.iter().rev().map(|tid| tid.number()).collect();
    assert_eq!(tids, expected);
    let first = all.as_array().expect("rows").last().expect("genesis").clone();
    assert_eq!((&first["user"], &first["description"]), (&json!("root task"), &json!("genesis")));
    assert_eq!(all[1]["objects"], json!([{ "oid": public(sample.ended), "bytes": 0, "deleted": true }]));
    let since = format!("log --since {} --format json", expected[2]);
    assert_eq!(telosfs(&sample.path, &since).json().as_array().map(Vec::len), Some(3));
    assert_eq!(telosfs(&sample.path, "log --since 2100-01-01 --format json").json(), json!([]));
    let text = fine(&sample, "log -n 2");
    assert_eq!(text.lines().count(), 3);
    assert!(text.contains("2026-11-24 04:1") && text.contains("edit\\tfor the\\u{1b}[2Jlast time"), "{text}");
}

#[test]
fn an_object_is_shown_as_it_stands_and_as_it_stood() {
    let folder = Folder::new("show");
    let sample = sample(&folder);
    let document = public(sample.document);
    let text = fine(&sample, &format!("show {document}"));
    assert!(text.starts_with(&format!("object {document} documents: ")), "{text}");
    assert!(
        text.contains("text = \"last\"") && text.contains(&format!("next = {} (root)", public(Oid::ROOT))),
        "{text}"
    );
    let short = document.get(1..6).expect("digits");
    assert_eq!(fine(&sample, &format!("show {short}")), text);
    let then = format!("show {document} --at {} --format json", sample.tids[3].number());
    let then = telosfs(&sample.path, &then).json();
    assert_eq!(then["tid"], json!(sample.tids[3].number()));
    assert_eq!(then["next"], json!(sample.tids[4].number()));
    assert_eq!(then["slots"][1]["value"], json!("turn 1"));
    assert_eq!(then["slots"][2]["value"], json!({ "reference": public(sample.raw) }));
    let raw = fine(&sample, &format!("show {}", public(sample.raw)));
    assert!(raw.contains("schema 77, version 3") && raw.contains("300 bytes: abab"), "{raw}");
    let root = fine(&sample, "show root");
    assert!(root.contains("BaseObject") && root.contains("documents") && root.contains(&document), "{root}");
    // Methods, parents, capabilities and traits of genesis are all shown.
    let persistence = fine(&sample, "show root --format json");
    let persistence: serde_json::Value = serde_json::from_str(&persistence).expect("JSON");
    let slot = persistence["slots"].as_array().expect("slots").iter().find(|slot| slot["name"] == "persistence");
    let oid = slot.expect("a server")["value"]["reference"].as_str().expect("an OID").to_owned();
    let server = fine(&sample, &format!("show {oid}"));
    for part in [
        "parent*",
        "_dispatchMessage/1()",
        "native: label 1 of persistenceCap",
        "(from #",
        "capability (Endpoint of persistence",
    ] {
        assert!(server.contains(part), "{part}: {server}");
    }
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    let folder = Folder::new("absent");
    let sample = sample(&folder);
    let ended = public(sample.ended);
    for (line, status, said) in [
        (format!("show {ended}"), Status::NotFound, "was deleted by TID"),
        (
            format!("show {} --at {}", public(sample.document), sample.tids[0].number()),
            Status::NotFound,
            "created later",
        ),
        ("show #0123456789abcdef".into(), Status::NotFound, "no object"),
        ("show root --at 1".into(), Status::NotFound, "there never was"),
        ("show root --at 2100-01-01".into(), Status::NotFound, "not known yet"),
        ("show xyz".into(), Status::Usage, "no OID"),
        ("history".into(), Status::Usage, "telosfs history OID"),
    ] {
        let answer = telosfs(&sample.path, &line);
        assert_eq!(answer.status, status, "{line}: {}", answer.notes);
        // The root exists since genesis: before it, it was not created yet.
        let said = if line == "show root --at 1" { "created later" } else { said };
        assert!(answer.notes.contains(said), "{line}: {}", answer.notes);
        assert_eq!(answer.out, "");
    }
    let history = telosfs(&sample.path, &format!("history {ended} --format json")).json();
    assert_eq!((&history[0]["deleted"], &history[1]["deleted"]), (&json!(true), &json!(false)));
}

#[test]
fn an_ambiguous_prefix_names_the_candidates() {
    let folder = Folder::new("prefix");
    let sample = sample(&folder);
    let graph = telosfs(&sample.path, "graph --format json").json();
    let oids: Vec<String> = graph["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| node["oid"].as_str().expect("an OID").into())
        .collect();
    // More objects than digits: two of them begin alike.
    assert!(oids.len() > 16);
    let twice = |digit: &char| oids.iter().filter(|oid| oid.chars().nth(1) == Some(*digit)).count() > 1;
    let digit = "0123456789abcdef".chars().find(twice).expect("two that begin alike");
    let answer = telosfs(&sample.path, &format!("show {digit}"));
    assert_eq!(answer.status, Status::Usage);
    assert!(
        answer.notes.contains("objects begin with") && answer.notes.contains(&format!("#{digit}")),
        "{}",
        answer.notes
    );
}

#[test]
fn references_are_followed_both_ways() {
    let folder = Folder::new("references");
    let sample = sample(&folder);
    let root = public(Oid::ROOT);
    let refs = telosfs(&sample.path, &format!("refs {} --format json", public(sample.document))).json();
    assert_eq!(refs, json!([{ "oid": root, "name": "root", "slots": ["next"], "exists": true }]));
    let before = format!("refs {} --at {} --format json", public(sample.document), sample.tids[2].number());
    assert_eq!(telosfs(&sample.path, &before).json()[0]["oid"], json!(public(sample.raw)));
    let referrers = telosfs(&sample.path, "referrers root --format json").json();
    assert_eq!(referrers, json!([{ "oid": public(sample.document), "name": "documents", "slots": ["next"] }]));
    let to_document = fine(&sample, &format!("referrers {}", public(sample.document)));
    assert!(to_document.contains(&root) && to_document.contains(&public(sample.raw)), "{to_document}");
    // An object that ended refers to nothing any more.
    assert!(!to_document.contains(&public(sample.ended)), "{to_document}");
}

#[test]
fn a_difference_names_objects_and_slots() {
    let folder = Folder::new("diff");
    let sample = sample(&folder);
    let [from, to] = [sample.tids[2].number(), sample.tids.last().expect("some").number()];
    let forth = telosfs(&sample.path, &format!("diff {from} {to} --format json")).json();
    let changed = json!([
        { "name": "text", "old": "turn 0", "new": "last" },
        { "name": "next", "old": { "reference": public(sample.raw) }, "new": { "reference": public(Oid::ROOT) } },
    ]);
    let objects = forth["objects"].as_array().expect("objects");
    let find = |oid: Oid| objects.iter().find(|one| one["oid"] == public(oid)).expect("it differs");
    assert_eq!(objects.len(), 2);
    assert_eq!(find(sample.document)["slots"], changed);
    assert_eq!(find(sample.ended)["change"], json!("deleted"));
    let back = telosfs(&sample.path, &format!("diff {to} {from} --format json")).json();
    assert!(back["objects"].as_array().expect("objects").iter().any(|one| one["change"] == "created"));
    let text = fine(&sample, &format!("diff {from} {to}"));
    assert!(text.contains("  - text = \"turn 0\"\n  + text = \"last\""), "{text}");
    assert_eq!(fine(&sample, &format!("diff {to} {to}")), "nothing differs\n");
}

#[test]
fn the_graph_is_drawn_for_three_readers() {
    let folder = Folder::new("graph");
    let sample = sample(&folder);
    let graph = telosfs(&sample.path, "graph --format json").json();
    let nodes = graph["nodes"].as_array().expect("nodes");
    let node = |oid: Oid| nodes.iter().find(|node| node["oid"] == public(oid)).expect("a node");
    assert_eq!((&node(Oid::ROOT)["distance"], &node(sample.raw)["distance"]), (&json!(0), &json!(1)));
    assert!(!nodes.iter().any(|node| node["oid"] == public(sample.ended)));
    let dot = fine(&sample, "graph");
    assert!(dot.starts_with("digraph") && dot.contains("label=\"documents\""));
    assert_eq!(dot.matches(" -> ").count(), graph["edges"].as_array().expect("edges").len());
    let page = fine(&sample, "graph --format html");
    assert_eq!(page.matches("<g id=").count(), nodes.len());
    assert!(
        !page.contains("http://www.w3.org/2000/svg\" src") && !page.contains("<script src") && !page.contains("<link")
    );
}

#[test]
fn the_export_has_every_object_once() {
    let folder = Folder::new("export");
    let sample = sample(&folder);
    let export = telosfs(&sample.path, "export").json();
    assert_eq!((&export["format"], &export["root"]), (&json!("telosfs 1"), &json!(public(Oid::ROOT))));
    let objects = export["objects"].as_array().expect("objects");
    let document = objects.iter().find(|one| one["oid"] == public(sample.document)).expect("exported");
    assert_eq!(document["slots"][1]["value"], json!("last"));
    assert_eq!(document["references"], json!([public(Oid::ROOT)]));
    let raw = objects.iter().find(|one| one["oid"] == public(sample.raw)).expect("exported");
    assert_eq!(raw["payload"], json!("ab".repeat(300)));
    let out = folder.path("out.json");
    let line = format!("export --output {}", out.display());
    assert_eq!(fine(&sample, &line), "");
    let again = telosfs(&sample.path, &line);
    assert_eq!(again.status, Status::CannotWrite);
    assert!(again.notes.contains("exists"), "{}", again.notes);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&fs::read(out).expect("written")).expect("JSON"), export);
}

#[test]
fn no_command_writes_to_the_state() {
    let folder = Folder::new("untouched");
    let sample = sample(&folder);
    let bytes = fs::read(&sample.path).expect("read");
    fs::set_permissions(&sample.path, fs::Permissions::from_mode(0o400)).expect("made read-only");
    let document = public(sample.document);
    let copy = folder.path("copy.fs");
    for line in [
        "verify".into(),
        "log".into(),
        format!("show {document}"),
        format!("history {document}"),
        format!("diff {} {}", sample.tids[0].number(), sample.tids[9].number()),
        format!("refs {document}"),
        "referrers root".into(),
        "graph --format html".into(),
        "export".into(),
        "export --format zodb".into(),
        format!("recover {}", copy.display()),
    ] {
        fine(&sample, &line);
    }
    assert!(fs::read(&sample.path).expect("read") == bytes);
}

#[test]
fn what_is_no_state_is_refused_by_name() {
    let folder = Folder::new("refused");
    let sample = sample(&folder);
    let whole = fs::read(&sample.path).expect("read");
    let mut other_version = whole.clone();
    // The version of the identity, with its checksum made right.
    other_version[8] = 9;
    let checksum = crc32(&other_version[..508]);
    other_version[508..512].copy_from_slice(&checksum.to_le_bytes());
    for (name, bytes, said) in [
        ("foreign", b"my holiday photographs".repeat(100_000), "something else"),
        ("blank", vec![0; 2 << 20], "is blank"),
        ("version", other_version, "format version 9"),
        ("cut", whole[..whole.len() / 2].to_vec(), "was cut"),
    ] {
        let path = folder.path(name);
        fs::write(&path, bytes).expect("written");
        for line in ["verify", "log", "recover x"] {
            let answer = telosfs(&path, line);
            let expected = if name == "cut" { Status::Damage } else { Status::CannotOpen };
            assert_eq!((answer.status, answer.out.contains("no damage")), (expected, false), "{name} {line}");
            assert!(format!("{}{}", answer.out, answer.notes).contains(said), "{name} {line}: {}", answer.notes);
        }
        assert!(format!("{}", FORMAT_VERSION) != "9");
    }
    let answer = telosfs(&folder.path("none.fs"), "log");
    assert_eq!(answer.status, Status::CannotOpen);
    assert!(answer.notes.contains("there is no") && answer.notes.contains("make run"), "{}", answer.notes);
}

/// The checksum of the format, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(!0, step)
}
