//! The services that the root task starts from the boot archive, before there is a graph.

use abi::interfaces;
use abi::interfaces::process::services as process_services;
use abi::slots::{CONSOLE, ENDPOINT, FIRST_GRANTED, MEMORY, NOTIFICATION, PERSISTENCE, REPLY};
use abi::token::{
    All, CallOnly, Cap, DmaFrame, Endpoint, Image, Loader, Machine, Notification, Object, Reply, Rights, Scheduler,
    Serial, Settle, Untyped,
};
use runtime::objects::Share;
use runtime::{Environment, objects};
use spawner::{Instance, Memory};

use clients::Graph;

use crate::pci::{self, Functions};
use crate::{Authority, archive, import};

/// What the servers may have of the processor: whoever is called by more stands higher, and one that loops leaves the console
/// and the shell enough to be ended with.
pub mod share {
    use runtime::objects::Share;

    pub const CONSOLE: Share = server(52);
    pub const BLOCK: Share = server(50);
    pub const MEMORY: Share = server(48);
    pub const PERSISTENCE: Share = server(46);
    pub const PROCESS: Share = server(44);
    pub const IMAGE_PORT: Share = server(42);

    /// Half of the time at its own priority; more where nobody else wants it, or as much as its callers have.
    const fn server(priority: u8) -> Share {
        Share { priority, allowance: 50, period: 100 }
    }
}

/// What a service is made of, beyond its cell: it outlives the instance.
#[derive(Debug)]
pub struct Service {
    /// Its endpoint; the instance receives, others get the right to call.
    pub endpoint: Cap<Endpoint, All>,
    /// Its notification.
    pub notification: Cap<Notification, All>,
    /// The instance that serves.
    pub instance: Instance,
    /// What that is an instance of.
    image: Cap<Image, All>,
}

/// The labels of an interface, with their signatures.
type Labels = &'static [abi::interface::Label];

/// Bytes of untyped that a server gets for its reply objects.
const SCRATCH_BITS: u8 = 16;

impl Service {
    /// A service of an image of the archive, with endpoint, reply object, notification and scratch memory; not started.
    ///
    /// # Panics
    /// Where the archive lacks the image, or it does not verify: the system cannot be built.
    pub fn new(authority: &mut Authority, name: &str, labels: Labels) -> Service {
        let Some(entry) = archive::find(&authority.loader, name) else {
            panic!("the boot archive has no image of {name}: it was built without it")
        };
        Self::try_new(authority, &entry.bytes, labels)
            .unwrap_or_else(|error| panic!("{name} cannot be made: {error:?}"))
    }

    /// As [`Service::new`], of the image that the graph says is current. One that does not verify is skipped, and the
    /// archive's is taken: a bad image never blocks a boot.
    pub fn current(authority: &mut Authority, graph: &mut Graph, name: &str, labels: Labels) -> Service {
        if let Some(image) = import::current_image(graph, name) {
            match Self::try_new(authority, &image.bytes, labels) {
                Ok(service) => return service,
                Err(abi::KernelError::ImageRefused) => {}
                Err(error) => panic!("{name} cannot be made: {error:?}"),
            }
        }
        Self::new(authority, name, labels)
    }

    fn try_new(authority: &mut Authority, bytes: &[u8], labels: Labels) -> Result<Service, abi::KernelError> {
        let image = spawner::image(&mut authority.memory, bytes)?;
        let instance = Instance::new(&mut authority.memory, &authority.loader, &image)?;
        let endpoint: Cap<Endpoint, All> = authority.memory.make(0)?;
        // Calls park from now on, until the instance receives.
        objects::serve_labels(&endpoint, labels)?;
        instance.grant(ENDPOINT, &endpoint, 0)?;
        let reply: Cap<Reply, All> = authority.memory.make(0)?;
        instance.give(REPLY, reply)?;
        let notification: Cap<Notification, All> = authority.memory.make(0)?;
        instance.grant(NOTIFICATION, &notification, 0)?;
        Ok(Service { endpoint, notification, instance, image })
    }

    /// A capability to call it, for the root task itself.
    ///
    /// # Panics
    /// Where the root task's CNode is full.
    pub fn client(&self, authority: &Authority, badge: u64) -> Cap<Endpoint, CallOnly> {
        objects::duplicate(&self.endpoint, authority.memory.cnode(), badge)
            .unwrap_or_else(|error| panic!("no capability to a service can be made: {error:?}"))
    }

    /// Lets it log.
    pub fn lend_console(&self, console: &Service) {
        if let Err(error) = objects::copy(&console.endpoint, &self.instance.cnode, CONSOLE, CallOnly::BITS, 0) {
            panic!("a service cannot be given the console: {error:?}");
        }
    }

    /// Starts it.
    ///
    /// # Panics
    /// Where the kernel refuses.
    pub fn start(&self, authority: &Authority, share: Share) {
        let started = self.instance.configure(&authority.scheduler, share, 0).and_then(|()| self.instance.start());
        if let Err(error) = started {
            panic!("a service does not start: {error:?}");
        }
    }
}

/// Gives the process server what a service is made of, for it to keep an eye on.
fn entrust(server: &Service, index: u32, service: &Service) {
    let Instance { vspace, tcb, cnode, .. } = &service.instance;
    let first = process_services::FIRST + index * process_services::EACH;
    let to = &server.instance;
    let entrusted = to
        .grant(first, vspace, 0)
        .and_then(|()| to.grant(first + 1, tcb, 0))
        .and_then(|()| to.grant(first + 2, cnode, 0))
        .and_then(|()| to.grant(first + 3, &service.image, 0))
        .and_then(|()| to.grant(first + 4, &service.endpoint, 0));
    if let Err(error) = entrusted {
        panic!("the process server cannot be given a service: {error:?}");
    }
}

/// Memory for a server's reply objects.
fn scratch(authority: &mut Authority) -> Cap<Untyped, All> {
    authority.memory.make(SCRATCH_BITS).unwrap_or_else(|error| panic!("no boot memory is left: {error:?}"))
}

/// Gives a capability that the service cannot do without.
fn give<T: Object, R: Rights>(service: &Service, slot: u32, cap: Cap<T, R>) {
    if let Err(error) = service.instance.give(slot, cap) {
        panic!("a service cannot be given what it needs in slot {slot}: {error:?}");
    }
}

/// The console, on the serial line.
pub fn console(authority: &mut Authority, serial: Cap<Serial, All>) -> Service {
    let service = Service::new(authority, "console", interfaces::console::Console::LABELS);
    give(&service, FIRST_GRANTED, serial);
    give(&service, FIRST_GRANTED + 1, scratch(authority));
    service.start(authority, share::CONSOLE);
    service
}

/// Bytes of DMA memory of the block driver.
const DMA_BITS: u8 = 19;

/// The driver of the first virtio block device; `None` where the machine has none.
pub fn block(
    authority: &mut Authority,
    functions: &mut Functions,
    environment: &mut Environment,
    console: &Service,
) -> Option<Service> {
    let (function, irq) = functions.find(environment, pci::VIRTIO, &pci::BLOCK)?;
    let service = Service::new(authority, "virtio_blk", interfaces::block::Block::LABELS);
    let dma: Cap<DmaFrame, All> =
        authority.memory.make(DMA_BITS).unwrap_or_else(|error| panic!("no memory for DMA: {error:?}"));
    service.lend_console(console);
    give(&service, FIRST_GRANTED, function);
    give(&service, FIRST_GRANTED + 1, irq);
    give(&service, FIRST_GRANTED + 2, dma);
    give(&service, FIRST_GRANTED + 3, scratch(authority));
    service.start(authority, share::BLOCK);
    Some(service)
}

/// Bytes of the Buf that images come in, with room around it.
const PORT_BITS: u8 = 22;

/// The driver of the serial line on which images come; not started. `None` where the machine has none.
pub fn image_port(
    authority: &mut Authority,
    functions: &mut Functions,
    environment: &mut Environment,
    console: &Service,
) -> Option<Service> {
    let (function, irq) = functions.find(environment, pci::QEMU, &pci::SERIAL)?;
    let service = Service::new(authority, "image_port", &[]);
    let memory: Cap<Untyped, All> =
        authority.memory.make(PORT_BITS).unwrap_or_else(|error| panic!("no boot memory is left: {error:?}"));
    service.lend_console(console);
    give(&service, FIRST_GRANTED, function);
    give(&service, FIRST_GRANTED + 1, irq);
    give(&service, FIRST_GRANTED + 2, memory);
    Some(service)
}

/// Bytes of the persistence server's own memory.
const PERSISTENCE_BITS: u8 = 20;

/// The persistence server, on a block driver, or in memory without one.
pub fn persistence(
    authority: &mut Authority,
    settle: Cap<Settle, All>,
    block: Option<&Service>,
    console: &Service,
) -> Service {
    let service = Service::new(authority, "persistence", interfaces::persistence::Persistence::LABELS);
    service.lend_console(console);
    if let Some(block) = block {
        grant_call(&service, FIRST_GRANTED, block);
    }
    give(&service, FIRST_GRANTED + 1, settle);
    let own: Cap<Untyped, All> =
        authority.memory.make(PERSISTENCE_BITS).unwrap_or_else(|error| panic!("no boot memory is left: {error:?}"));
    give(&service, FIRST_GRANTED + 2, own);
    service.start(authority, share::PERSISTENCE);
    service
}

/// Lets a service call another one, without a badge: it mints those of its own clients.
pub fn grant_call(service: &Service, slot: u32, server: &Service) {
    if let Err(error) = objects::copy(&server.endpoint, &service.instance.cnode, slot, CallOnly::BITS, 0) {
        panic!("a service cannot be given what it calls in slot {slot}: {error:?}");
    }
}

/// The memory server; not started, and without memory yet.
pub fn memory(authority: &mut Authority, graph: &mut Graph, console: &Service) -> Service {
    let service = Service::current(authority, graph, "memory", interfaces::memory::Memory::LABELS);
    service.lend_console(console);
    give(&service, FIRST_GRANTED, scratch(authority));
    let watched = objects::watch_aborts(&authority.loader, &service.notification, 1);
    if let Err(error) = watched {
        panic!("the memory server cannot hear of aborted transactions: {error:?}");
    }
    service
}

/// Gives all memory that is left to the memory server; answers the bytes. The pieces that boot services are made of go to it
/// as well: what a retired one leaves comes back.
pub fn delegate(authority: &mut Authority, memory: &Service) -> u64 {
    let mut delegated = 0;
    for (slot, (bits, piece)) in (FIRST_GRANTED + 1..).zip(authority.memory.take_pieces()) {
        give(memory, slot, piece);
        delegated += 1u64 << bits;
    }
    delegated
}

/// Badges of the process server at others.
const PROCESS_BADGE: u64 = 2;

/// The process server; not started, and without authority over instances yet.
pub fn process(
    authority: &mut Authority,
    graph: &mut Graph,
    console: &Service,
    persistence: &Service,
    memory: &Service,
) -> Service {
    let service = Service::current(authority, graph, "process", interfaces::process::Process::LABELS);
    service.lend_console(console);
    let session =
        objects::copy(&persistence.endpoint, &service.instance.cnode, PERSISTENCE, CallOnly::BITS, PROCESS_BADGE);
    if let Err(error) = session {
        panic!("the process server cannot be given the persistence server: {error:?}");
    }
    grant_call(&service, MEMORY, memory);
    give(&service, FIRST_GRANTED + 2, scratch(authority));
    for (slot, server) in (FIRST_GRANTED + 3..).zip([console, persistence, memory, &service]) {
        grant_call(&service, slot, server);
    }
    let configured = service.instance.configure(&authority.scheduler, share::PROCESS, 0);
    if let Err(error) = configured {
        panic!("the process server does not start: {error:?}");
    }
    service
}

/// Gives the process server its authority, and the services that run, and starts it; what is left is the right to stop the
/// machine.
pub fn endow_process(
    service: &Service,
    others: &[&Service],
    loader: Cap<Loader, All>,
    scheduler: Cap<Scheduler, All>,
    machine: Cap<Machine, All>,
) -> Cap<Machine, All> {
    give(service, FIRST_GRANTED, loader);
    give(service, FIRST_GRANTED + 1, scheduler);
    if let Err(error) = objects::copy(&machine, &service.instance.cnode, FIRST_GRANTED + 7, 0, 0) {
        panic!("the process server cannot be given the machine: {error:?}");
    }
    for (index, entrusted) in (0..).zip(others.iter().copied().chain([service])) {
        entrust(service, index, entrusted);
    }
    if let Err(error) = service.instance.start() {
        panic!("the process server does not start: {error:?}");
    }
    machine
}
