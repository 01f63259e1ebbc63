//! Images and processes in the graph.

use alloc::string::String;
use alloc::vec::Vec;

use abi::CallError;
use abi::interface::{Label, hash};
use abi::interfaces::persistence::{CONFLICT, NO_SUCH_OBJECT};
use abi::interfaces::process::State;
use clients::{Graph, GraphError};
use genesis::{Present, Restart, Standing};
use object_model::{Object, Value};
use object_store::{Oid, Tid};

use crate::decision::Desired;
use crate::place::Place;

pub use genesis::Image as ImageObject;

/// Why something is not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogueError {
    /// The graph refused.
    Graph(GraphError),
    /// The object is no image, or there is none of the name.
    NoImage,
    /// The object is no list of capabilities.
    BadList,
    /// The object is no Process.
    NoProcess,
    /// The object is a process already, or was one.
    Started,
    /// The object's interface is no declaration.
    BadInterface,
}

impl From<GraphError> for CatalogueError {
    fn from(error: GraphError) -> Self {
        CatalogueError::Graph(error)
    }
}

pub(crate) type Result<T> = core::result::Result<T, CatalogueError>;

/// Whose transaction something is done in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginner {
    /// This server's: it is committed here.
    Server,
    /// The caller's, which travels with its request: the caller commits it, or not.
    Caller,
}

/// The object of the root mapping's slot of a name.
fn named(graph: &mut Graph, name: &str) -> Result<Oid> {
    let root = graph.root()?;
    let root = graph.object(root)?;
    root.reference(name).ok_or(CatalogueError::Graph(GraphError::Record))
}

/// An image.
pub fn image(graph: &mut Graph, oid: Oid) -> Result<ImageObject> {
    let object = graph.object(oid).map_err(|_| CatalogueError::NoImage)?;
    ImageObject::of(&object).ok_or(CatalogueError::NoImage)
}

/// On what terms a process is made.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The names of its capabilities.
    pub names: Vec<String>,
    /// Whether it may be started again.
    pub restart: Restart,
}

/// What a list of capabilities says.
pub fn terms(graph: &mut Graph, oid: Oid) -> Result<Terms> {
    let object = graph.object(oid).map_err(|_| CatalogueError::BadList)?;
    let Some(Value::List(list)) = object.get("names") else { return Err(CatalogueError::BadList) };
    let names = list.iter().map(|value| match value {
        Value::Text(name) => Ok(name.clone()),
        _ => Err(CatalogueError::BadList),
    });
    Ok(Terms { names: names.collect::<Result<_>>()?, restart: genesis::restart(&object) })
}

/// What CreateProcess takes to make a process of the current image of a name: the image, and the list of capabilities of a
/// process that a user starts.
pub fn spawn_arguments(graph: &mut Graph, name: &str) -> Result<Wanted> {
    let images = images(graph)?;
    let images = graph.object(images)?;
    let image = genesis::current_image(&images, name).ok_or(CatalogueError::NoImage)?;
    let capabilities = named(graph, "userCapabilities")?;
    Ok(Wanted { image, capabilities })
}

/// The images of a name.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    /// The current one.
    pub current: Option<Oid>,
    /// The one before.
    pub previous: Option<Oid>,
    /// The one on trial.
    pub trial: Option<Oid>,
    /// The one that came last and was never current.
    pub newest: Option<Oid>,
}

/// The images of a name.
pub fn versions(graph: &mut Graph, name: &str) -> Result<Versions> {
    let images = images(graph)?;
    let images = graph.object(images)?;
    let (current, previous) = (genesis::current_image(&images, name), genesis::previous_image(&images, name));
    let (trial, newest) = (genesis::trial_image(&images, name), genesis::newest_image(&images, name));
    Ok(Versions { current, previous, trial, newest })
}

/// The names for which an image is on trial.
pub fn on_trial(graph: &mut Graph) -> Result<Vec<String>> {
    let images = images(graph)?;
    let images = graph.object(images)?;
    let standings = genesis::standings(&images).into_iter();
    Ok(standings.filter(|(_, standing, _)| *standing == Standing::OnTrial).map(|(name, ..)| name).collect())
}

/// Names the image that is on trial for a name, or that none is, in a transaction of its own.
pub fn note_trial(graph: &mut Graph, name: &str, image: Option<Oid>) -> Result<Tid> {
    change_images(graph, "replacement", |images| genesis::enter_trial(images, name, image))
}

/// Makes an image the current one of a name, in a transaction of its own.
pub fn confirm(graph: &mut Graph, name: &str, image: Oid) -> Result<Tid> {
    change_images(graph, "replacement confirmed", |images| genesis::confirm_image(images, name, image))
}

/// What is done with an image that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is the current one of its name.
    Current,
    /// It waits for a replacement.
    Newest,
}

/// Whether an image that came was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was not.
    New,
    /// One with the same hash has a standing at the name.
    Known,
}

/// Where an image that came stands.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Its object.
    pub oid: Oid,
    /// The transaction that made it.
    pub tid: Tid,
    /// Whether it was there before.
    pub found: Found,
}

/// Stores an image in a transaction of its own, or finds the object that it is already; either has the standing then.
pub fn store_image(graph: &mut Graph, image: &ImageObject, entry: Entry) -> Result<Stored> {
    let prototype = named(graph, "Image")?;
    graph.begin()?;
    let stored = try_store_image(graph, prototype, image, entry).and_then(|known| Ok((known, graph.commit()?)));
    if stored.is_err() {
        let _ = graph.abort();
    }
    let ((oid, found), committed) = stored?;
    let tid = match found {
        Found::New => committed,
        Found::Known => graph.revision(oid)?,
    };
    Ok(Stored { oid, tid, found })
}

fn try_store_image(graph: &mut Graph, prototype: Oid, image: &ImageObject, entry: Entry) -> Result<(Oid, Found)> {
    let directory = named(graph, "images")?;
    let mut images = graph.object(directory)?;
    let name = &image.name;
    let current = genesis::current_image(&images, name);
    let (oid, found) = match known_image(graph, &images, image)? {
        Some(oid) => (oid, Found::Known),
        None => {
            let oid = graph.new_object()?;
            graph.put_object(oid, &genesis::image(prototype, oid, image, current))?;
            (oid, Found::New)
        }
    };
    match entry {
        Entry::Current => genesis::confirm_image(&mut images, name, oid),
        // What is current waits for nothing, nor does what came before it any more.
        Entry::Newest if current == Some(oid) => genesis::forget_newest(&mut images, name),
        Entry::Newest => genesis::enter_newest(&mut images, name, oid),
    }
    graph.put_object(directory, &images)?;
    graph.note("image pushed")?;
    Ok((oid, found))
}

/// The image of the same name and hash that has a standing.
fn known_image(graph: &mut Graph, images: &Object, image: &ImageObject) -> Result<Option<Oid>> {
    for (name, _, oid) in genesis::standings(images) {
        if name == image.name
            && matches!(graph.object(oid)?.get("hash"), Some(Value::Bytes(hash)) if *hash == image.hash)
        {
            return Ok(Some(oid));
        }
    }
    Ok(None)
}

fn change_images(graph: &mut Graph, note: &str, mut change: impl FnMut(&mut Object)) -> Result<Tid> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        match try_change_images(graph, note, &mut change) {
            Err(CatalogueError::Graph(GraphError::Call(CallError::Server(CONFLICT, _)))) if attempts > 0 => {}
            changed => return changed,
        }
    }
}

fn try_change_images(graph: &mut Graph, note: &str, change: &mut impl FnMut(&mut Object)) -> Result<Tid> {
    graph.begin()?;
    let changed = named(graph, "images").and_then(|oid| {
        let mut images = graph.object(oid)?;
        change(&mut images);
        graph.put_object(oid, &images)?;
        graph.note(note)?;
        Ok(graph.commit()?)
    });
    if changed.is_err() {
        let _ = graph.abort();
    }
    changed
}

/// What a process is made of.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Its image.
    pub image: Oid,
    /// Its list of capabilities.
    pub capabilities: Oid,
}

/// A Process object that is to run. A replaced image counts: what runs is the current one of the name.
pub fn process(graph: &mut Graph, oid: Oid) -> Result<Wanted> {
    let object = graph.object(oid)?;
    let capabilities = object.reference("capabilities").ok_or(CatalogueError::NoProcess)?;
    let image = object.reference("image").ok_or(CatalogueError::NoProcess)?;
    let images = images(graph)?;
    let images = graph.object(images)?;
    let current = genesis::cell_of(&object).and_then(|name| genesis::current_image(&images, name));
    Ok(Wanted { image: current.unwrap_or(image), capabilities })
}

/// Stores a Process object in the open transaction, with the process that had it made, if one had.
pub fn store_process(
    graph: &mut Graph,
    oid: Oid,
    place: Place,
    wanted: Wanted,
    (cell, restart): (&str, Restart),
    starter: Option<Oid>,
) -> Result<()> {
    let made = genesis::Made {
        prototype: prototype(graph)?,
        cell,
        image: wanted.image,
        capabilities: wanted.capabilities,
        restart,
    };
    let object = match place {
        Place::New => genesis::process(oid, made),
        Place::Object(_, object) => {
            let serves = !labels(&object)?.is_empty();
            let object = genesis::filled(object, oid, made);
            if serves { genesis::serving(object) } else { object }
        }
    };
    let object = match starter {
        Some(starter) => genesis::started_by(object, starter),
        None => object,
    };
    Ok(graph.put_object(oid, &object)?)
}

/// The name under which a process is found; `None` where the graph does not tell.
pub fn process_name(graph: &mut Graph, oid: Oid) -> Option<String> {
    graph.object(oid).ok().as_ref().and_then(genesis::name_of).map(String::from)
}

/// The labels that a Process object declares, for a cell that hosts it. See [`genesis::interface`].
pub fn labels(object: &Object) -> Result<Vec<Label>> {
    let declared = genesis::interface::interface(object).ok_or(CatalogueError::BadInterface)?;
    let label = |served: genesis::interface::Served| Label {
        number: served.label,
        signature: hash(&served.signature),
        is_replayable: false,
    };
    Ok(declared.into_iter().map(label).collect())
}

/// Enters a Process object in the list, in the open transaction.
pub fn enter_process(graph: &mut Graph, oid: Oid) -> Result<()> {
    let list = named(graph, "processes")?;
    let mut object = graph.object(list)?;
    genesis::enter_process(&mut object, oid);
    Ok(graph.put_object(list, &object)?)
}

/// The object of images.
pub fn images(graph: &mut Graph) -> Result<Oid> {
    named(graph, "images")
}

/// What every Process object is a clone of.
pub fn prototype(graph: &mut Graph) -> Result<Oid> {
    named(graph, "Process")
}

/// The Process objects that were entered in the list; none before genesis.
pub fn listed(graph: &mut Graph) -> Result<Vec<Oid>> {
    let root = graph.root()?;
    let root: Object = match graph.object(root) {
        Ok(root) => root,
        Err(_) => return Ok(Vec::new()),
    };
    if genesis::present(&root) == Present::Nothing {
        return Ok(Vec::new());
    }
    let list = root.reference("processes").ok_or(CatalogueError::NoProcess)?;
    Ok(genesis::processes(&graph.object(list)?))
}

/// What the committed graph says of a process.
pub fn desired(graph: &mut Graph, oid: Oid) -> Desired {
    match graph.object(oid) {
        Ok(object) if genesis::state(&object) == Some(genesis::State::Running) => {
            Desired::Running(genesis::restart(&object))
        }
        Ok(_) | Err(GraphError::Record | GraphError::Call(CallError::Server(NO_SUCH_OBJECT, _))) => Desired::Stopped,
        Err(_) => Desired::Unknown,
    }
}

/// The priority that the committed graph asks for, if it does.
pub fn priority(graph: &mut Graph, oid: Oid) -> Option<u8> {
    graph.object(oid).ok().as_ref().and_then(genesis::priority)
}

/// Writes the priority of a process, in a transaction of its own, or in the one that travels with the request being served.
pub fn set_priority(graph: &mut Graph, oid: Oid, priority: u8, beginner: Beginner) -> Result<()> {
    change_process(graph, oid, beginner, "priority", |object| genesis::with_priority(object, priority))
}

/// Says of a process, in the transaction of whoever asks for it, that it is not to run any more.
pub fn note_terminated(graph: &mut Graph, oid: Oid) -> Result<()> {
    change_process(graph, oid, Beginner::Caller, "terminated", |object| {
        genesis::with_state(object, genesis::State::Failed)
    })
}

/// Changes a Process object in a transaction of this server, or in its caller's, which that one commits.
fn change_process(
    graph: &mut Graph,
    oid: Oid,
    beginner: Beginner,
    note: &str,
    change: impl FnOnce(Object) -> Object,
) -> Result<()> {
    graph.begin()?;
    let changed = graph.object(oid).map_err(|_| CatalogueError::NoProcess).and_then(|object| {
        genesis::state(&object).ok_or(CatalogueError::NoProcess)?;
        graph.put_object(oid, &change(object))?;
        if beginner == Beginner::Server {
            graph.note(note)?;
            graph.commit()?;
        }
        Ok(())
    });
    if changed.is_err() && beginner == Beginner::Server {
        let _ = graph.abort();
    }
    changed
}

/// How often the end of a process is noted anew when somebody else changes its object at the same time.
const ATTEMPTS: u32 = 3;

/// Notes what became of a process, in a transaction of its own.
pub fn note_end(graph: &mut Graph, oid: Oid, state: State) -> Result<Tid> {
    let state = match state {
        State::Running => genesis::State::Running,
        State::Exited(status) => genesis::State::Exited(status),
        State::Failed => genesis::State::Failed,
    };
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        match try_note(graph, oid, state) {
            Err(GraphError::Call(CallError::Server(CONFLICT, _))) if attempts > 0 => {}
            noted => return Ok(noted?),
        }
    }
}

fn try_note(graph: &mut Graph, oid: Oid, state: genesis::State) -> core::result::Result<Tid, GraphError> {
    graph.begin()?;
    let noted = graph
        .object(oid)
        .and_then(|object| graph.put_object(oid, &genesis::with_state(object, state)))
        .and_then(|()| graph.note("process ended"))
        .and_then(|()| graph.commit());
    if noted.is_err() {
        let _ = graph.abort();
    }
    noted
}

/// Keeps a failure, in a transaction of its own.
pub fn keep_fault(graph: &mut Graph, fault: &genesis::Fault) -> core::result::Result<Tid, GraphError> {
    graph.begin()?;
    let kept = enter_fault(graph, fault).and_then(|()| graph.note("cell failed")).and_then(|()| graph.commit());
    if kept.is_err() {
        let _ = graph.abort();
    }
    kept
}

fn enter_fault(graph: &mut Graph, fault: &genesis::Fault) -> core::result::Result<(), GraphError> {
    let oid = graph.new_object()?;
    graph.put_object(oid, &fault.object(oid))?;
    let root_oid = graph.root()?;
    let root = graph.object(root_oid)?;
    let (list, old) = match root.reference("faults") {
        Some(list) => (list, graph.object(list)?),
        None => {
            let list = graph.new_object()?;
            graph.put_object(root_oid, &root.referring("faults", list))?;
            (list, Object::new())
        }
    };
    graph.put_object(list, &genesis::with_fault(list, &old, oid))
}
