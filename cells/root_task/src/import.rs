//! Bringing the graph up to date: genesis on an empty store, and the images of the boot archive.

use alloc::string::{String, ToString};

use abi::interfaces::persistence::NO_SUCH_OBJECT;
use abi::token::{CallOnly, Cap, Endpoint};
use abi::{CallError, KernelError};
use clients::{Graph, GraphError, processes};
use genesis::{Established, Image, Present, State};
use object_model::{Object, Oid, Value};
use runtime::{Console, objects, say};
use sha2::Digest;

use crate::{Authority, archive};

/// Why it cannot be done.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// The graph refused.
    Graph(GraphError),
    /// The state was made by a newer system: its version.
    Newer(i64),
    /// The root mapping lacks what genesis put there.
    Incomplete,
    /// The process server refused.
    Process(CallError),
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        Failure::Graph(error)
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::Graph(error) => write!(f, "{error}"),
            Failure::Newer(version) => write!(
                f,
                "this state has genesis version {version}, and this system knows {} at most: boot the newer system",
                genesis::VERSION
            ),
            Failure::Incomplete => f.write_str("the root mapping lacks what genesis puts there"),
            Failure::Process(error) => write!(f, "the process server refused: {error}"),
        }
    }
}

/// Genesis where there is none, and every image of the archive whose hash the graph has not seen, as the current one of its
/// name: each in one transaction. An image that does not verify is passed over.
pub fn bring_up_to_date(graph: &mut Graph, root: Oid, authority: &mut Authority, say: &Console) -> Result<(), Failure> {
    bring_up_genesis(graph, root, say)?;
    let mut count = 0;
    let tid = transaction(graph, "boot archive", |graph| {
        count = import(graph, root, authority, say)?;
        Ok(())
    })?;
    if count > 0 {
        say!(say, "{count} images of the boot archive became current at TID {tid}");
    }
    Ok(())
}

fn bring_up_genesis(graph: &mut Graph, root: Oid, say: &Console) -> Result<(), Failure> {
    let found = match graph.object(root) {
        Ok(found) => Some(found),
        Err(GraphError::Call(CallError::Server(NO_SUCH_OBJECT, _))) => None,
        Err(error) => return Err(error.into()),
    };
    match found.as_ref().map_or(Present::Nothing, genesis::present) {
        Present::Newer(version) => return Err(Failure::Newer(version)),
        Present::Version(genesis::VERSION) => return Ok(()),
        Present::Version(_) | Present::Nothing => {}
    }
    let mut established = Established::Found;
    let tid = transaction(graph, "genesis", |graph| {
        established = genesis::establish(graph, root, found)?;
        Ok(())
    })?;
    match established {
        Established::Upgraded { from } => {
            say!(say, "genesis of version {from} brought to version {} at TID {tid}", genesis::VERSION);
        }
        Established::Made | Established::Found => say!(say, "genesis committed at TID {tid}"),
    }
    Ok(())
}

fn transaction(
    graph: &mut Graph,
    what: &str,
    work: impl FnOnce(&mut Graph) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    graph.begin()?;
    let done = graph.note(what).map_err(Failure::from).and_then(|()| work(graph)).and_then(|()| Ok(graph.commit()?));
    if done.is_err() {
        let _ = graph.abort();
    }
    done.map(|tid| tid.number())
}

fn import(graph: &mut Graph, root: Oid, authority: &mut Authority, say: &Console) -> Result<u32, Failure> {
    let root = graph.object(root)?;
    let prototype = root.reference("Image").ok_or(Failure::Incomplete)?;
    let directory = root.reference("images").ok_or(Failure::Incomplete)?;
    let mut images = graph.object(directory)?;
    let mut count = 0;
    for index in 0.. {
        let Some(archive::Entry { name, bytes }) = archive::read(&authority.loader, index) else { break };
        let hash = sha2::Sha256::digest(&bytes).to_vec();
        let previous = genesis::current_image(&images, &name);
        if was_seen(graph, previous, &hash)? {
            continue;
        }
        let (version, build) = match identity(authority, &bytes) {
            Ok(identity) => identity,
            Err(error) => {
                say!(
                    say,
                    "image {name} of the boot archive is passed over: {error:?}; `make build` makes a new archive"
                );
                continue;
            }
        };
        let oid = graph.new_object()?;
        let image = Image { name, version, build, hash, bytes };
        let object = genesis::image(prototype, oid, &image, previous);
        graph.put_object(oid, &object)?;
        genesis::enter_image(&mut images, &image.name, oid);
        count += 1;
    }
    if count > 0 {
        graph.put_object(directory, &images)?;
    }
    Ok(count)
}

/// Version and build of a signed image, as the kernel reads them once it has verified the whole.
fn identity(authority: &mut Authority, bytes: &[u8]) -> Result<(String, u64), KernelError> {
    let image = authority.memory.make_for_now(spawner::image_bits(bytes.len()))?;
    let read = objects::fill_image(&image, bytes).and_then(|()| {
        let mut room = [0; 64];
        let named = objects::image_name(&authority.loader, &image, &mut room)?;
        let version = named.split_once(' ').map_or("", |(_, version)| version);
        Ok((version.to_string(), objects::image_needs(&authority.loader, &image)?.build))
    });
    objects::delete(image);
    read
}

/// Whether an image of this hash is the current one of its name, or was before.
fn was_seen(graph: &mut Graph, mut image: Option<Oid>, hash: &[u8]) -> Result<bool, Failure> {
    while let Some(oid) = image {
        let object = graph.object(oid)?;
        if matches!(object.get("hash"), Some(Value::Bytes(known)) if known == hash) {
            return Ok(true);
        }
        image = object.reference("previous");
    }
    Ok(false)
}

fn root_object(graph: &mut Graph) -> Result<Object, Failure> {
    let root = graph.root()?;
    Ok(graph.object(root)?)
}

fn image_oid(graph: &mut Graph, name: &str) -> Result<Oid, Failure> {
    let images = root_object(graph)?.reference("images").ok_or(Failure::Incomplete)?;
    genesis::current_image(&graph.object(images)?, name).ok_or(Failure::Incomplete)
}

/// The current image of a name.
pub fn current_image(graph: &mut Graph, name: &str) -> Option<Image> {
    let oid = image_oid(graph, name).ok()?;
    Image::of(&graph.object(oid).ok()?)
}

/// The newest Process object of a cell.
pub fn process_of(graph: &mut Graph, name: &str) -> Result<Option<(Oid, Object)>, Failure> {
    let list = root_object(graph)?.reference("processes").ok_or(Failure::Incomplete)?;
    for oid in genesis::processes(&graph.object(list)?).into_iter().rev() {
        let object = graph.object(oid)?;
        if genesis::cell_of(&object) == Some(name) {
            return Ok(Some((oid, object)));
        }
    }
    Ok(None)
}

/// The same, if it says that it runs.
pub fn running_process_of(graph: &mut Graph, name: &str) -> Result<Option<Oid>, Failure> {
    let found = process_of(graph, name)?;
    Ok(found.filter(|(_, object)| genesis::state(object) == Some(State::Running)).map(|(oid, _)| oid))
}

/// Asks the process server for a process of the current image of a name, with a list of the root mapping.
pub fn create_process(
    graph: &mut Graph,
    server: &Cap<Endpoint, CallOnly>,
    name: &str,
    capabilities: &str,
) -> Result<Oid, Failure> {
    let image = image_oid(graph, name)?;
    let list = root_object(graph)?.reference(capabilities).ok_or(Failure::Incomplete)?;
    processes::create(server, image, list).map_err(Failure::Process)
}
