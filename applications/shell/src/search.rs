//! Objects, searched: who answers a selector, who sends it, and what a receiver understands.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::CallError;
use abi::interfaces::persistence::NO_SUCH_OBJECT;
use object_model::{Object, Oid as ObjectId, Record};
use runtime::abi;
use workspace::search::{Found, implementors, senders};
use workspace::understood;
use workspace::walk::Extent;

use crate::failure::{Failure, Server};
use crate::program::LOBBY;
use crate::records::{self, Records};
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::Oid;

/// What hangs on these slots of the root is not searched: images are large, and nobody sends to what they hold.
const NOT_SEARCHED: [&str; 2] = ["images", "faults"];

/// Objects, as they were last committed, or as the open transaction has them.
struct Graph<'a> {
    servers: &'a Servers,
    records: &'a mut Records,
}

impl workspace::Objects for Graph<'_> {
    type Error = Failure;

    fn read(&mut self, oid: ObjectId) -> Result<Option<(Object, Vec<ObjectId>)>, Failure> {
        let record = match self.records.read(self.servers, oid.number()) {
            Ok(record) => record,
            Err(Failure::Call(Server::Persistence, CallError::Server(NO_SUCH_OBJECT, _))) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let Ok(record) = Record::decode(&record) else { return Ok(None) };
        Ok(Object::from_record(&record).ok().map(|object| (object, record.references)))
    }
}

/// Which side of a send is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Who answers.
    Implementors,
    /// Who sends.
    Senders,
}

/// Lists the slots that answer a selector, or the methods that send it.
///
/// # Errors
/// Those of reading the objects.
pub fn list(servers: &Servers, records: &mut Records, wanted: Wanted, selector: &str) -> Result<String, Failure> {
    let root = ObjectId::new(records::root(servers)?);
    let graph = &mut Graph { servers, records };
    let (found, extent) = match wanted {
        Wanted::Implementors => implementors(graph, root, &NOT_SEARCHED, selector)?,
        Wanted::Senders => senders(graph, root, &NOT_SEARCHED, selector)?,
    };
    Ok(shown(&found, extent))
}

fn shown(found: &[Found], extent: Extent) -> String {
    let columns = [("OBJECT", Side::Left), ("NAME", Side::Left), ("SLOT", Side::Left), ("WHAT", Side::Left)];
    let mut table = Table::new(&columns);
    for Found { oid, name, selector, origin, text } in found {
        let origin = origin.map_or(String::new(), |oid| alloc::format!(" (from {})", Oid(oid.number())));
        let what = alloc::format!("{text}{origin}");
        table.row([&Oid(oid.number()).to_string(), name.as_deref().unwrap_or("-"), selector, &what]);
    }
    let mut text = table.to_string();
    if extent == Extent::Cut {
        text.push_str("there are more objects than were searched\n");
    }
    text
}

/// What may stand in the place of the last word before the cursor, where that begins with names of the lobby and dots. A receiver
/// that cannot be read has nothing to complete.
pub fn completions(servers: &Servers, records: &mut Records, word: &str) -> Vec<String> {
    let Some((head, path)) = path(word) else { return Vec::new() };
    let mut lobby = || -> Result<ObjectId, Failure> {
        let root = records::root(servers)?;
        Ok(records.object(servers, root)?.reference(LOBBY).unwrap_or(ObjectId::new(root)))
    };
    let Ok(lobby) = lobby() else { return Vec::new() };
    let names = understood::names(&mut Graph { servers, records }, lobby, &path);
    names.unwrap_or_default().iter().map(|name| alloc::format!("{head}{name}")).collect()
}

/// A word in what stays as it is and the names that lead to the receiver: `f(MMS.st` in `f(MMS.` and `["MMS"]`.
fn path(word: &str) -> Option<(&str, Vec<&str>)> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    let start = word
        .rfind(|letter| !is_part(letter))
        .map_or(0, |place| place + word.get(place..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
    let chain = word.get(start..)?;
    let dot = chain.rfind('.').map_or(0, |dot| dot + 1);
    let head = word.get(..start + dot)?;
    // Behind a call or an index nothing is known of the receiver.
    if chain.starts_with('.') {
        return None;
    }
    let names: Vec<&str> = chain.get(..dot)?.split('.').filter(|name| !name.is_empty()).collect();
    Some((head, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_word_is_parted_at_its_last_dot() {
        assert_eq!(path("MMS.st"), Some(("MMS.", vec!["MMS"])));
        assert_eq!(path("f(a.b.c"), Some(("f(a.b.", vec!["a", "b"])));
        assert_eq!(path("acc"), Some(("", vec![])));
        assert_eq!(path("-acc"), Some(("-", vec![])));
        assert_eq!(path("f().x"), None);
        assert_eq!(path("ü(ß.x"), Some(("ü(ß.", vec!["ß"])));
    }

    #[test]
    fn what_was_found_is_a_table() {
        let found = Found {
            oid: ObjectId::new(7),
            name: Some("account".into()),
            selector: "deposit/1".into(),
            origin: Some(ObjectId::new(3)),
            text: "(n) { n }".into(),
        };
        let text = shown(&[found], Extent::Cut);
        let expected = "OBJECT             NAME     SLOT       WHAT\n\
            #0000000000000007  account  deposit/1  (n) { n } (from #0000000000000003)\n\
            there are more objects than were searched\n";
        assert_eq!(text, expected);
    }

    proptest! {
        #[test]
        fn any_word_has_a_head_that_it_begins_with(word in "(?s).{0,20}") {
            if let Some((head, _)) = path(&word) {
                prop_assert!(word.starts_with(head));
            }
        }
    }
}
