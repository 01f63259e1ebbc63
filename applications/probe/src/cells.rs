//! The other cells of a test: made of the same image, told what to do by their argument.

use alloc::vec::Vec;

use abi::kernel::Kind;
use abi::slots as fixed;
use abi::token::{All, CallOnly, Cap, Endpoint, Frame, Image, Notification, Reply, Rights, Untyped};
use runtime::objects::{self, Share};
use spawner::Instance;

use crate::outcome::{Failure, equal};
use crate::protocol::slots;
use crate::rig::{PATIENCE, Rig};
use crate::task::{Reported, Role, Task};

/// Priority of the tests.
pub const OWN: u8 = 30;
/// Places of a cell's frames.
pub const STACK: usize = 1;
/// See [`STACK`].
pub const HEAP: usize = 2;
/// Priority of a peer unless the test says otherwise: it runs at once.
pub const ABOVE: u8 = OWN + 1;
/// Bytes of a page, as a power of two.
const PAGE_BITS: u8 = 12;
/// Bytes of memory of a peer for its objects, as a power of two.
const SCRATCH_BITS: u8 = 14;

/// One of the test's cells, by its place in the rig.
#[derive(Clone, Copy, Debug)]
pub struct Peer(usize);

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Runs,
    /// By itself.
    Reported(Reported),
    /// It failed and was stopped.
    Failed,
}

/// A cell to be made.
pub struct Plan<'a> {
    task: Task,
    share: Share,
    endpoint: Option<&'a Cap<Endpoint, All>>,
    target: Option<(&'a Cap<Endpoint, All>, u64)>,
    second: Option<&'a Cap<Endpoint, All>>,
    image: Option<&'a Cap<Image, All>>,
    drives: bool,
    witness: Option<&'a Cap<Notification, All>>,
    notification: Option<&'a Cap<Notification, All>>,
    scratch: Option<&'a Cap<Untyped, All>>,
}

impl<'a> Plan<'a> {
    /// A cell with a task.
    pub fn new(task: Task) -> Self {
        Plan {
            task,
            share: Share::unlimited(ABOVE),
            endpoint: None,
            target: None,
            second: None,
            image: None,
            drives: false,
            witness: None,
            notification: None,
            scratch: None,
        }
    }

    /// A server that can hold so many requests besides the one at hand.
    pub fn serve(holds: u64) -> Self {
        Self::new(Task::new(Role::Serve, holds))
    }

    /// At another priority than [`ABOVE`].
    pub fn priority(self, priority: u8) -> Self {
        self.share(Share::unlimited(priority))
    }

    /// With another share of the processor.
    pub fn share(self, share: Share) -> Self {
        Plan { share, ..self }
    }

    /// With an endpoint to serve.
    pub fn serving(self, endpoint: &'a Cap<Endpoint, All>) -> Self {
        Plan { endpoint: Some(endpoint), ..self }
    }

    /// With an endpoint to call.
    pub fn calling(self, endpoint: &'a Cap<Endpoint, All>) -> Self {
        Plan { target: Some((endpoint, 0)), ..self }
    }

    /// With an endpoint to call, by a badge.
    pub fn calling_as(self, endpoint: &'a Cap<Endpoint, All>, badge: u64) -> Self {
        Plan { target: Some((endpoint, badge)), ..self }
    }

    /// With a second endpoint to call.
    pub fn calling_also(self, endpoint: &'a Cap<Endpoint, All>) -> Self {
        Plan { second: Some(endpoint), ..self }
    }

    /// With an image object to fill, in the place of a second endpoint.
    pub fn filling(self, image: &'a Cap<Image, All>) -> Self {
        Plan { image: Some(image), ..self }
    }

    /// With the tests' interrupt line, in the place of a second endpoint.
    pub fn driving(self) -> Self {
        Plan { drives: true, ..self }
    }

    /// With a notification of the test's to signal.
    pub fn witness(self, notification: &'a Cap<Notification, All>) -> Self {
        Plan { witness: Some(notification), ..self }
    }

    /// With a notification of its own.
    pub fn hearing(self, notification: &'a Cap<Notification, All>) -> Self {
        Plan { notification: Some(notification), ..self }
    }

    /// With a copy of this memory instead of some that it alone has.
    pub fn scratch(self, memory: &'a Cap<Untyped, All>) -> Self {
        Plan { scratch: Some(memory), ..self }
    }

    /// Makes it and starts it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn start(self, rig: &mut Rig) -> Result<Peer, Failure> {
        let instance = Instance::with_needs(&mut rig.stock, &rig.loader, &rig.image, &rig.needs)?;
        self.start_as(rig, instance)
    }

    /// The same with an instance that the test made.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn start_as(self, rig: &mut Rig, instance: Instance) -> Result<Peer, Failure> {
        if let Some(endpoint) = self.endpoint {
            instance.grant(fixed::ENDPOINT, endpoint, 0)?;
            let reply: Cap<Reply, All> = rig.make(0)?;
            instance.give(fixed::REPLY, reply)?;
        }
        if let Some((endpoint, badge)) = self.target {
            objects::copy(endpoint, &instance.cnode, slots::TARGET, CallOnly::BITS, badge)?;
        }
        if let Some(endpoint) = self.second {
            objects::copy(endpoint, &instance.cnode, slots::SECOND, CallOnly::BITS, 0)?;
        }
        if let Some(image) = self.image {
            instance.grant(slots::SECOND, image, 0)?;
        }
        if self.drives {
            instance.grant(slots::SECOND, &rig.line, 0)?;
        }
        if let Some(witness) = self.witness {
            instance.grant(slots::WITNESS, witness, 0)?;
        }
        if let Some(notification) = self.notification {
            instance.grant(fixed::NOTIFICATION, notification, 0)?;
        }
        match self.scratch {
            Some(memory) => instance.grant(slots::SCRATCH, memory, 0)?,
            None => {
                let own: Cap<Untyped, All> = rig.make(SCRATCH_BITS)?;
                instance.give(slots::SCRATCH, own)?;
            }
        }
        instance.configure(&rig.scheduler, self.share, self.task.to_argument())?;
        let peer = rig.adopt(instance);
        rig.instance(peer)?.start()?;
        Ok(peer)
    }
}

impl Rig {
    /// A cell that the test made is one of its own from now on.
    pub fn adopt(&mut self, instance: Instance) -> Peer {
        self.peers.push(instance);
        Peer(self.peers.len() - 1)
    }

    /// A cell of the test.
    ///
    /// # Errors
    /// There is none, which is a mistake of the test.
    pub fn instance(&self, peer: Peer) -> Result<&Instance, Failure> {
        self.peers.get(peer.0).ok_or_else(|| Failure::Wrong("a cell of another test".into()))
    }

    /// How a cell ended, if it has.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn end(&self, peer: Peer) -> Result<End, Failure> {
        Ok(match objects::instance_info(&self.instance(peer)?.vspace)?.0 {
            objects::Instance::Running => End::Runs,
            objects::Instance::Failed => End::Failed,
            objects::Instance::Exited(status) => match Reported::from_status(status) {
                Some(reported) => End::Reported(reported),
                None => return Err(Failure::Wrong(alloc::format!("a cell ended with the status {status:#x}"))),
            },
        })
    }

    /// Waits until a cell has ended.
    ///
    /// # Errors
    /// It does not.
    pub fn wait_end(&self, peer: Peer) -> Result<End, Failure> {
        loop {
            match self.end(peer)? {
                End::Runs => objects::wait(&self.ends, PATIENCE)?,
                end => return Ok(end),
            };
        }
    }

    /// Fails unless a cell ends, or has ended, with an outcome.
    ///
    /// # Errors
    /// It ends otherwise, or does not.
    pub fn expect_report(&self, what: &str, peer: Peer, reported: Reported) -> Result<(), Failure> {
        equal(what, self.wait_end(peer)?, End::Reported(reported))
    }

    /// The slots of a cell's CNode that are filled.
    ///
    /// # Errors
    /// There is no such cell.
    pub fn filled(&self, peer: Peer) -> Result<Vec<u32>, Failure> {
        let cnode = &self.instance(peer)?.cnode;
        Ok((1..self.own_slots()).filter(|slot| objects::inspect(cnode, *slot).is_some()).collect())
    }

    /// How many capabilities to objects of a kind a cell has.
    ///
    /// # Errors
    /// There is no such cell.
    pub fn count_kind(&self, peer: Peer, kind: Kind) -> Result<usize, Failure> {
        let cnode = &self.instance(peer)?.cnode;
        let is_of_kind = |slot: &u32| objects::inspect(cnode, *slot).is_some_and(|info| info.kind == kind as u8);
        Ok(self.filled(peer)?.iter().filter(|slot| is_of_kind(slot)).count())
    }

    /// Takes the capability to a frame of a cell's: to its code, its stack or its heap. It is the only one.
    ///
    /// # Errors
    /// There is no such cell.
    pub fn take_frame(&mut self, peer: Peer, which: usize) -> Result<Cap<Frame, All>, Failure> {
        let instance = self.peers.get_mut(peer.0).ok_or_else(|| Failure::Wrong("a cell of another test".into()))?;
        let frame = instance.frames.get_mut(which).ok_or_else(|| Failure::Wrong("a frame that no cell has".into()))?;
        let other = objects::retype(&self.stock.untyped, PAGE_BITS, &self.cnode)?;
        Ok(core::mem::replace(frame, other))
    }

    /// Stops a cell.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn stop(&self, peer: Peer) -> Result<(), Failure> {
        Ok(objects::stop_thread(&self.instance(peer)?.tcb)?)
    }
}
