//! What whole instances cost, without a process server: to make one, to stop it, to have it begin again, to take it away; and what
//! the crash of one costs those who call it.

use alloc::vec::Vec;

use abi::kernel::Scratch;
use abi::token::{All, CNode, CallOnly, Cap, Endpoint, Image, Loader, Object, Scheduler, Tcb, Untyped};
use abi::{CallError, KernelError};
use runtime::objects::{self, ImageNeeds, Share};
use runtime::{Call, Environment};
use spawner::{Instance, Memory};

use crate::driver::failed;
use crate::samples::{Row, Summary, count, take};
use crate::server::{Add, Crash};
use crate::{Role, slot};

/// Samples of each; an instance takes long.
const SAMPLES: usize = 128;
/// Above the driver, so that an instance runs at once, to where it stands still.
const ABOVE: Share = Share::unlimited(31);

/// What they are made of.
pub struct Instances {
    loader: Cap<Loader, All>,
    image: Cap<Image, All>,
    /// Memory for one, which is whole again when that is revoked.
    workshop: Cap<Untyped, All>,
    /// The thread of the server that is called.
    server: Cap<Tcb, All>,
}

struct Workshop<'a> {
    untyped: &'a Cap<Untyped, All>,
    cnode: &'a Cap<CNode, All>,
}

impl Memory for Workshop<'_> {
    type Error = KernelError;

    fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, KernelError> {
        objects::retype(self.untyped, size_bits, self.cnode)
    }
}

impl Instances {
    /// As the root task granted it.
    pub fn new(environment: &mut Environment) -> Instances {
        Instances {
            loader: environment.need(slot::LOADER, "authority to make instances"),
            image: environment.need(slot::IMAGE, "the image of these"),
            workshop: environment.need(slot::WORKSHOP, "memory for one"),
            server: environment.need(slot::SERVER_THREAD, "the thread of the server"),
        }
    }

    /// Every operation in the order of the report.
    pub fn rows(
        &self,
        cnode: &Cap<CNode, All>,
        scheduler: &Cap<Scheduler, All>,
        server: &Cap<Endpoint, CallOnly>,
    ) -> Result<Vec<Row>, CallError> {
        let needs = objects::image_needs(&self.loader, &self.image).map_err(failed)?;
        let make = || self.make(cnode, scheduler, &needs);
        make().map_err(failed)?;
        self.revoke().map_err(failed)?;
        let created = self.each(|| {
            let (spent, made) = count(make);
            self.revoke().and(made).map(|_| spent)
        });
        let torn_down = self.each(|| {
            make()?;
            let (spent, revoked) = count(|| self.revoke());
            revoked.map(|()| spent)
        });
        let instance = make().map_err(failed)?;
        let stopped = self.each(|| {
            let (spent, stopped) = count(|| objects::stop_thread(&instance.tcb));
            stopped.and_then(|()| self.restart(&instance)).map(|()| spent)
        });
        let restarted = self.each(|| {
            objects::stop_thread(&instance.tcb)?;
            let (spent, restarted) = count(|| self.restart(&instance));
            restarted.map(|()| spent)
        });
        self.revoke().map_err(failed)?;
        Ok(alloc::vec![
            ("instance_create", created),
            ("instance_stop", stopped),
            ("instance_restart", restarted),
            ("instance_teardown", torn_down),
            ("server_crash", self.each(|| self.crash(server))),
        ])
    }

    fn each(&self, mut round: impl FnMut() -> Result<u64, KernelError>) -> Summary {
        take(|| round().ok(), SAMPLES)
    }

    /// An instance from untyped memory, without verifying its image again to know what it asks for, to where it has run and waits.
    fn make(
        &self,
        cnode: &Cap<CNode, All>,
        scheduler: &Cap<Scheduler, All>,
        needs: &ImageNeeds,
    ) -> Result<Instance, KernelError> {
        let mut workshop = Workshop { untyped: &self.workshop, cnode };
        let instance = Instance::with_needs(&mut workshop, &self.loader, &self.image, needs)?;
        instance.configure(scheduler, ABOVE, Role::STANDS_STILL)?;
        instance.start()?;
        Ok(instance)
    }

    /// The instance begins again, to where it has run and waits.
    fn restart(&self, instance: &Instance) -> Result<(), KernelError> {
        self.begin_again(&instance.tcb)
    }

    fn begin_again(&self, thread: &Cap<Tcb, All>) -> Result<(), KernelError> {
        objects::restart(thread, &self.loader, &self.image, Scratch::Clear)?;
        objects::start_thread(thread)
    }

    /// From the call at which a server fails, to the answer of the next instance: what a crash takes from its clients.
    fn crash(&self, server: &Cap<Endpoint, CallOnly>) -> Result<u64, KernelError> {
        let (spent, served) = count(|| {
            let died = Call::new(server, Crash {}).words();
            self.begin_again(&self.server)?;
            let answered = Call::new(server, Add { a: 1, b: 2, c: 3 }).words();
            Ok((died, answered))
        });
        match served? {
            (Err(CallError::Kernel(KernelError::ServerDied, _)), Ok(6)) => Ok(spent),
            _ => Err(KernelError::IllegalOperation),
        }
    }

    fn revoke(&self) -> Result<(), KernelError> {
        objects::revoke(&self.workshop)
    }
}
