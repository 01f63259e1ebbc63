//! CreateProcess, in the plan's sequence: one transaction that travels with the calls.
//!
//! Begin, or join the caller's; read the image; memory for the kernel objects from the memory server, under the
//! transaction's scope; code, capabilities and thread; the Process object with its slots; the list of processes; commit, by
//! whoever began. Only then does the reconciler start the thread. What fails before the commit aborts the transaction, or
//! dooms the caller's: the kernel revokes everything that was made under it, so nothing needs to be taken apart here, and the
//! graph never heard of it (an OID may be burnt).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::CallError;
use abi::interface::Label;
use abi::interfaces::process as codes;
use abi::slots;
use abi::token::{All, Cap, Endpoint, Image, Loader, Scheduler, Untyped};
use clients::{Allocation, Graph, GraphError, MemoryServer, Outcome};
use genesis::Restart;
use object_store::{Oid, Tid};
use runtime::objects::Share;
use runtime::{Console, objects, say};
use spawner::{Instance, Memory};

use crate::backoff::Failures;
use crate::catalogue::{self, Beginner, CatalogueError, ImageObject, Terms, Wanted};
use crate::decision::Desired;
use crate::failure_points::Point;
use crate::grants::{GrantError, Grants};
use crate::identity::Identity;
use crate::place::{self, Place};
use crate::subject::Owner;
use crate::table::{Prepared, Process, Standing};

/// Bytes of the memory that a process which serves has for its reply objects, as a power of two.
const SCRATCH_BITS: u8 = 13;
/// What processes may have of the processor.
const SHARE: Share = Share::unlimited(16);

/// Everything that making a process needs.
#[derive(Debug)]
pub struct Factory {
    /// The graph.
    pub graph: Graph,
    /// Memory.
    pub memory: MemoryServer,
    /// Authority over instances.
    pub loader: Arc<Cap<Loader, All>>,
    /// Authority over priorities.
    pub scheduler: Cap<Scheduler, All>,
    /// What processes may be given.
    pub grants: Grants,
    /// Where it logs.
    pub console: Console,
    /// A failure that a test planted.
    pub planted: Option<Point>,
}

/// Why a process was not made: a code of the interface, with its detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u32, pub u64);

impl From<GraphError> for Refusal {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Call(CallError::Server(code, _)) => Refusal(codes::STORE_FAILED, code.into()),
            _ => Refusal(codes::STORE_FAILED, 0),
        }
    }
}

impl From<CatalogueError> for Refusal {
    fn from(error: CatalogueError) -> Self {
        match error {
            CatalogueError::Graph(error) => error.into(),
            CatalogueError::NoImage => Refusal(codes::BAD_IMAGE, 0),
            CatalogueError::BadList => Refusal(codes::BAD_CAPABILITIES, 0),
            CatalogueError::NoProcess => Refusal(codes::NO_SUCH_PROCESS, 0),
            CatalogueError::BadInterface => Refusal(codes::BAD_INTERFACE, 0),
            CatalogueError::Started => Refusal(codes::ALREADY_STARTED, 0),
        }
    }
}

impl From<GrantError> for Refusal {
    fn from(_: GrantError) -> Self {
        Refusal(codes::BAD_CAPABILITIES, 0)
    }
}

impl From<abi::KernelError> for Refusal {
    fn from(error: abi::KernelError) -> Self {
        match error {
            abi::KernelError::ImageRefused => Refusal(codes::IMAGE_REFUSED, 0),
            _ => Refusal(codes::OUT_OF_MEMORY, 0),
        }
    }
}

impl From<clients::NoMemory> for Refusal {
    fn from(error: clients::NoMemory) -> Self {
        match error.0 {
            CallError::Kernel(error, _) => error.into(),
            _ => Refusal(codes::OUT_OF_MEMORY, 0),
        }
    }
}

impl Factory {
    fn pass(&mut self, point: Point) -> Result<(), Refusal> {
        if self.planted == Some(point) {
            self.planted = None;
            return Err(Refusal(codes::PLANTED, point as u64));
        }
        Ok(())
    }

    /// Makes a process of an image with a list of capabilities, for the process that asks for it, if one does: a new object, or the
    /// one of number `into`. It does not run yet: that is for the commit to decide.
    ///
    /// # Errors
    /// Nothing was left behind; a caller's transaction is doomed.
    pub fn create(
        &mut self,
        wanted: Wanted,
        into: Option<Oid>,
        beginner: Beginner,
        starter: Option<Oid>,
    ) -> Result<Prepared, Refusal> {
        let image = wanted.image;
        let transaction = self.graph.begin()?;
        say!(self.console, "create process of image #{}: transaction {transaction}", image.number());
        let made = self.build(wanted, into, starter).and_then(|process| {
            if beginner == Beginner::Server {
                let (tid, number) = (self.commit(transaction)?.number(), process.oid.number());
                say!(self.console, "process #{number} of {} committed at TID {tid}", process.name);
            }
            Ok(process)
        });
        let allocations = self.memory.take_allocations();
        match made {
            Ok(process) => Ok(Prepared { process: Process { allocations, ..process }, transaction: Some(transaction) }),
            Err(refusal) => {
                // What was allocated hangs on the transaction's scope, and goes with it: at once where it ends here.
                if let Err(error) = self.graph.abort() {
                    say!(self.console, "the abort failed: {error}");
                }
                if beginner == Beginner::Caller {
                    // Nor does it stay where the caller did not wait for this, and has committed meanwhile.
                    self.give_back(allocations);
                }
                say!(self.console, "no process of image #{}: code {}", image.number(), refusal.0);
                Err(refusal)
            }
        }
    }

    /// Commits this server's own transaction. Where the answer was lost it is asked for.
    fn commit(&self, transaction: u64) -> Result<Tid, GraphError> {
        self.graph.commit().or_else(|error| match (error, self.graph.outcome(transaction)) {
            (GraphError::Call(CallError::Kernel(..)), Ok(Outcome::Committed(tid))) => Ok(tid),
            _ => Err(error),
        })
    }

    /// Gives memory back, with all that was made of it. What an abort has revoked is back already.
    pub fn give_back(&self, allocations: Vec<Allocation>) {
        for allocation in allocations {
            let _ = self.memory.free(allocation);
        }
    }

    fn build(&mut self, wanted: Wanted, into: Option<Oid>, starter: Option<Oid>) -> Result<Process, Refusal> {
        self.pass(Point::Begun)?;
        let place = into.map_or(Ok(Place::New), |oid| place::find(&mut self.graph, oid))?;
        let object = catalogue::image(&mut self.graph, wanted.image)?;
        let terms = catalogue::terms(&mut self.graph, wanted.capabilities)?;
        self.pass(Point::ImageRead)?;
        let oid = match &place {
            Place::New => self.graph.new_object()?,
            Place::Object(oid, _) => *oid,
        };
        let cell = object.name.clone();
        let labels = match &place {
            Place::New => Vec::new(),
            Place::Object(_, object) => catalogue::labels(object)?,
        };
        let mut process = self.instance(&object, oid, &terms, &labels)?;
        catalogue::store_process(&mut self.graph, oid, place, wanted, (&cell, terms.restart), starter)?;
        process.name = catalogue::process_name(&mut self.graph, oid).unwrap_or(process.name);
        self.pass(Point::ObjectStored)?;
        catalogue::enter_process(&mut self.graph, oid)?;
        self.pass(Point::Entered)?;
        Ok(process)
    }

    /// An instance for a Process object that says it should run, of an image, or of the current one of its name.
    ///
    /// # Errors
    /// It has no instance; the object stays as it is.
    pub fn remake(&mut self, oid: Oid, image: Option<Oid>) -> Result<Prepared, Refusal> {
        let wanted = catalogue::process(&mut self.graph, oid)?;
        let object = catalogue::image(&mut self.graph, image.unwrap_or(wanted.image))?;
        let terms = catalogue::terms(&mut self.graph, wanted.capabilities)?;
        let own = self.graph.object(oid)?;
        let name = genesis::name_of(&own).map(String::from);
        let made = self.instance(&object, oid, &terms, &catalogue::labels(&own)?);
        let made = made.map(|process| Process { name: name.unwrap_or(process.name.clone()), ..process });
        let allocations = self.memory.take_allocations();
        match made {
            Ok(process) => Ok(Prepared { process: Process { allocations, ..process }, transaction: None }),
            Err(refusal) => {
                self.give_back(allocations);
                Err(refusal)
            }
        }
    }

    /// Whether a process hosts its object: its image serves nothing of its own, and its endpoint what the object declares.
    pub fn hosts(&self, process: &Process) -> bool {
        let is_silent =
            |image| objects::image_interface(&self.loader, image).is_ok_and(|interface| interface.labels == 0);
        process.endpoint.is_some() && process.image.as_ref().is_some_and(is_silent)
    }

    /// Whether a process begins again when it fails, as its object says.
    pub fn restart_of(&mut self, oid: Oid) -> Restart {
        match catalogue::desired(&mut self.graph, oid) {
            Desired::Running(restart) => restart,
            Desired::Stopped | Desired::Unknown => Restart::Never,
        }
    }

    /// The kernel objects of a process.
    fn instance(
        &mut self,
        object: &ImageObject,
        oid: Oid,
        terms: &Terms,
        declared: &[Label],
    ) -> Result<Process, Refusal> {
        self.memory.note_owner(Owner::Process(oid).noted());
        let made = self.noted_instance(object, oid, terms, declared);
        self.memory.note_owner(clients::Owner::default());
        made
    }

    /// The endpoint of a process whose image serves something, or whose object declares what an image without labels serves for it, with
    /// memory for its reply objects; both stay with the process when its instance is replaced.
    fn endpoint(
        &mut self,
        instance: &Instance,
        image: &Cap<Image, All>,
        declared: &[Label],
    ) -> Result<Option<Cap<Endpoint, All>>, Refusal> {
        let serves_itself = objects::image_interface(&self.loader, image)?.labels > 0;
        if !serves_itself && declared.is_empty() {
            return Ok(None);
        }
        let endpoint: Cap<Endpoint, All> = self.memory.make(0)?;
        if serves_itself {
            objects::serve_image(&endpoint, &self.loader, image)?;
        } else {
            objects::serve_labels(&endpoint, declared)?;
        }
        instance.grant(slots::ENDPOINT, &endpoint, 0)?;
        let scratch: Cap<Untyped, All> = self.memory.untyped(SCRATCH_BITS)?;
        instance.grant(slots::SCRATCH, &scratch, 0)?;
        Ok(Some(endpoint))
    }

    fn noted_instance(
        &mut self,
        object: &ImageObject,
        oid: Oid,
        terms: &Terms,
        declared: &[Label],
    ) -> Result<Process, Refusal> {
        let image: Cap<Image, All> = spawner::image(&mut self.memory, &object.bytes)?;
        self.pass(Point::ImageFilled)?;
        let Identity { name, version, hash } = Identity::of(&self.loader, &image)?;
        let instance = Instance::new(&mut self.memory, &self.loader, &image)?;
        self.pass(Point::InstanceMade)?;
        let endpoint = self.endpoint(&instance, &image, declared)?;
        for name in &terms.names {
            self.grants.grant(&instance, name, oid.number() + 1)?;
        }
        self.pass(Point::Granted)?;
        instance.configure(&self.scheduler, SHARE, oid.number())?;
        self.pass(Point::Configured)?;
        let (_, start, end) = objects::instance_info(&instance.vspace)?;
        Ok(Process {
            oid,
            name,
            version,
            hash,
            text: (start, end),
            state: codes::State::Running,
            noted: false,
            restart: terms.restart,
            failures: Failures::default(),
            rests: None,
            image: Some(image),
            instance: Some(instance),
            endpoint,
            standing: Standing::Own,
            allocations: Vec::new(),
            waiting: Vec::new(),
        })
    }
}
