//! Where images and processes stand in the graph.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use genesis::{Fault, Standing, State};
use object_model::{Object, Value};

use crate::failure::Failure;
use crate::records::{self, Records};
use crate::servers::Servers;

/// A process, as the graph has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its object.
    pub oid: u64,
    /// Its name.
    pub name: String,
    /// What its object says; `None` where that is no Process.
    pub state: Option<State>,
    /// The process that had it started; `None` where the system did.
    pub starter: Option<u64>,
}

/// The names of the images, in the order in which they came.
///
/// # Errors
/// Those of reading the objects.
pub fn images(servers: &Servers, records: &mut Records) -> Result<Vec<String>, Failure> {
    let images = named(servers, records, "images")?;
    let current = genesis::standings(&images).into_iter().filter(|(_, standing, _)| *standing == Standing::Current);
    Ok(current.map(|(name, ..)| name).collect())
}

/// An image that has a standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its object.
    pub oid: u64,
    /// Its name.
    pub name: String,
    /// What it is at that name.
    pub standing: Standing,
    /// Its version; empty where an older system stored it, which did not know.
    pub version: String,
    /// Its build; 0 where that is not known.
    pub build: u64,
    /// The transaction that stored it.
    pub tid: u64,
    /// First bytes of its hash.
    pub hash: u64,
    /// Bytes of the signed file.
    pub bytes: usize,
}

/// The images, by name and age.
///
/// # Errors
/// Those of reading the objects.
pub fn image_list(servers: &Servers, records: &mut Records) -> Result<Vec<Image>, Failure> {
    let images = named(servers, records, "images")?;
    let mut list = Vec::new();
    for (name, standing, oid) in genesis::standings(&images) {
        let oid = oid.number();
        let object = records.object(servers, oid)?;
        let Some(genesis::Image { version, build, hash, bytes, .. }) = genesis::Image::of(&object) else {
            return Err(Failure::NoSlot(oid, "bytes"));
        };
        let tid = records.revision(servers, oid)?;
        let hash = hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        list.push(Image { oid, name, standing, version, build, tid, hash, bytes: bytes.len() });
    }
    list.sort_by(|one, other| (&one.name, one.tid, one.oid).cmp(&(&other.name, other.tid, other.oid)));
    Ok(list)
}

/// The processes, the oldest first.
///
/// # Errors
/// Those of reading the objects.
pub fn processes(servers: &Servers, records: &mut Records) -> Result<Vec<Process>, Failure> {
    let list = named(servers, records, "processes")?;
    genesis::processes(&list)
        .into_iter()
        .map(|oid| records.object(servers, oid.number()).map(|object| process(oid.number(), &object)))
        .collect()
}

/// The process of a name that is to run; `None` where there is none.
///
/// # Errors
/// Those of reading the objects; `Ambiguous`.
pub fn running(servers: &Servers, records: &mut Records, name: &str) -> Result<Option<u64>, Failure> {
    let processes = processes(servers, records)?;
    let mut named = processes.iter().filter(|process| process.name == name && process.state == Some(State::Running));
    match (named.next(), named.next()) {
        (Some(first), Some(second)) => Err(Failure::Ambiguous { name: name.into(), oids: [first.oid, second.oid] }),
        (found, _) => Ok(found.map(|process| process.oid)),
    }
}

/// The last failures of cells, at most so many, the newest first.
///
/// # Errors
/// Those of reading the objects.
pub fn faults(servers: &Servers, records: &mut Records, count: usize) -> Result<Vec<Fault>, Failure> {
    let root = records::root(servers)?;
    // It comes with the first failure.
    let Some(list) = records.object(servers, root)?.reference("faults") else { return Ok(Vec::new()) };
    let list = records.object(servers, list.number())?;
    let newest = genesis::faults(&list).into_iter().rev().take(count);
    newest
        .filter_map(|oid| records.object(servers, oid.number()).map(|object| Fault::of(&object)).transpose())
        .collect()
}

/// The object in a slot of the root.
fn named(servers: &Servers, records: &mut Records, name: &'static str) -> Result<Object, Failure> {
    let root = records::root(servers)?;
    let oid = records.object(servers, root)?.reference(name).ok_or(Failure::NoSlot(root, name))?;
    records.object(servers, oid.number())
}

fn process(oid: u64, object: &Object) -> Process {
    let name = match object.get("name") {
        Some(Value::Text(name)) => name.clone(),
        _ => "?".to_string(),
    };
    let starter = genesis::starter(object).map(|starter| starter.number());
    Process { oid, name, state: genesis::state(object), starter }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::Oid;

    #[test]
    fn a_process_object_is_read() {
        let [prototype, oid, image, list] = [1, 2, 3, 4].map(Oid::new);
        let restart = genesis::Restart::Never;
        let made = genesis::Made { prototype, cell: "shell", image, capabilities: list, restart };
        let object = genesis::with_state(genesis::process(oid, made), State::Exited(3));
        let expected = Process { oid: 2, name: "shell".into(), state: Some(State::Exited(3)), starter: None };
        assert_eq!(process(2, &object), expected);
        let started = genesis::started_by(object, Oid::new(7));
        assert_eq!(process(2, &started), Process { starter: Some(7), ..expected });
        let unknown = Process { oid: 2, name: "?".into(), state: None, starter: None };
        assert_eq!(process(2, &Object::new()), unknown);
    }
}
