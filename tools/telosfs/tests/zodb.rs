//! The export for ZODB, read by ZODB itself where it is installed, and always by a reader that trusts nothing.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use support::{Folder, public, sample, telosfs};
use telosfs::Status;

/// Reads the whole file as the format says, and answers the objects with the number of their revisions.
fn read(bytes: &[u8]) -> BTreeMap<u64, usize> {
    let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes")) as usize;
    assert_eq!(&bytes[..4], b"FS30");
    let (mut position, mut last_tid) = (4, 0);
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    while position < bytes.len() {
        let (tid, length) = (word(position), word(position + 8) as usize);
        assert!(tid > last_tid);
        assert_eq!(bytes[position + 16], b' ');
        let end = position + length;
        assert_eq!(word(end) as usize, length, "the length stands behind the transaction again");
        let texts = half(position + 17) + half(position + 19) + half(position + 21);
        let mut record = position + 23 + texts;
        while record < end {
            let (oid, previous, size) = (word(record), word(record + 16), word(record + 34) as usize);
            assert_eq!((word(record + 8), word(record + 24) as usize, half(record + 32)), (tid, position, 0));
            let known = places.entry(oid).or_default();
            assert_eq!(known.last().copied().unwrap_or(0), previous as usize);
            known.push(record);
            record += 42 + if size == 0 { 8 } else { size };
        }
        assert_eq!(record, end);
        (position, last_tid) = (end + 8, tid);
    }
    places.into_iter().map(|(oid, places)| (oid, places.len())).collect()
}

#[test]
fn the_file_is_what_the_format_says() {
    let folder = Folder::new("zodb");
    let sample = sample(&folder);
    let out = folder.path("Data.fs");
    let said = telosfs(&sample.path, &format!("export --format zodb --output {}", out.display()));
    assert_eq!((said.status, said.notes.as_str()), (Status::Fine, ""));
    let objects = read(&fs::read(out).expect("written"));
    assert_eq!(objects[&sample.document.number()], 22);
    assert_eq!(objects[&sample.ended.number()], 2);
    assert!(objects[&0] == 2 && objects.len() > 16);
}

/// What the script below prints of an opened database.
const SCRIPT: &str = r#"
import sys, ZODB, ZODB.FileStorage, pickle
from ZODB.POSException import POSKeyError
from ZODB.utils import p64
path, document, ended, raw = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
storage = ZODB.FileStorage.FileStorage(path, read_only=True)
transactions = list(storage.iterator())
print(len(transactions), transactions[0].user.decode(), transactions[0].description.decode())
print([one.extension['telos_tid'] for one in transactions][0])
database = ZODB.DB(storage)
connection = database.open()
root = connection.root()
print(root['documents'].telos_oid, root['documents']['text'], root['documents']['next'] is root)
print(root['raw']['payload'] == b'\xab' * 300, root['raw'].telos_schema, root['raw']['references'][0] is root['documents'])
print(root['persistence']['endpointCap'], root['persistence']['parent*'] is root['Server'])
print(len(storage.history(p64(document), size=100)))
try:
    connection.get(p64(ended)); print('there')
except POSKeyError:
    print('ended')
seen, waiting = set(), [root]
while waiting:
    one = waiting.pop()
    if one._p_oid not in seen:
        seen.add(one._p_oid)
        for value in list(one.values()):
            waiting.extend(x for x in (value if isinstance(value, list) else [value]) if hasattr(x, '_p_oid'))
print(len(seen) > 16)
then = database.open(at=transactions[3].tid)
print(then.root()['documents']['text'])
"#;

#[test]
fn zodb_opens_it() {
    // `TELOSFS_PYTHON` names an interpreter that has ZODB, where the usual one has not.
    let python = std::env::var("TELOSFS_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_zodb =
        Command::new(&python).args(["-c", "import ZODB"]).output().is_ok_and(|output| output.status.success());
    if !has_zodb {
        println!("{python} has no ZODB: the file was read by the test's own reader alone");
        return;
    }
    let folder = Folder::new("zodb-itself");
    let sample = sample(&folder);
    let out = folder.path("Data.fs");
    let said = telosfs(&sample.path, &format!("export --format zodb --output {}", out.display()));
    assert_eq!(said.status, Status::Fine, "{}", said.notes);
    let numbers = [sample.document, sample.ended, sample.raw].map(|oid| oid.number().to_string());
    let output = Command::new(&python).args(["-c", SCRIPT]).arg(&out).args(numbers).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let expected = format!(
        "{} root task genesis\n{}\n{} last True\nTrue [77, 3] True\n\
         {{'capability': 'Endpoint', 'service': 'persistence', 'rights': 5}} True\n22\nended\nTrue\nturn 1\n",
        sample.tids.len(),
        sample.tids[0].number(),
        public(sample.document),
    );
    assert_eq!(told, expected, "{}", String::from_utf8_lossy(&output.stderr));
}
