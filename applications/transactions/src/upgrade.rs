//! The undo of an upgrade brings the old code back, live.
//!
//! With `upgrade` on the kernel's command line: a server is started, and replaced by the image that whoever runs the machine has
//! pushed when it is asked to. Then the transaction that made that the current image of its name is undone. Nobody asks the
//! process server for anything: it follows the graph. What the server counts goes on all the while.

use abi::interfaces::process::{Connect, Progress as Journey};
use abi::token::{CallOnly, Cap, Endpoint};
use clients::processes;
use object_model::Oid;
use runtime::{Call, call_label};

use crate::deaths::PATIENCE;
use crate::driver::{Case, Failure, Test, check};

/// The word of the command line that chooses this test.
pub const WANTED: &str = "upgrade";
/// The server.
const NAME: &str = "counter";
/// Its labels.
const NEXT: u32 = 1;
const VERSION: u32 = 5;

/// The test.
pub const CASES: [Case; 1] = [("an_upgrade_is_undone_live", Test::an_upgrade_is_undone_live)];

impl Test {
    fn ask(counter: &Cap<Endpoint, CallOnly>, label: u32) -> Result<u64, Failure> {
        Ok(call_label(counter, label, [0; 3], PATIENCE)?)
    }

    /// The object of images.
    fn images(&mut self) -> Result<Oid, Failure> {
        let root = self.graph.root()?;
        self.graph.object(root)?.reference("images").ok_or(Failure::Wrong("there are no images"))
    }

    fn an_upgrade_is_undone_live(&mut self) -> Result<(), Failure> {
        let images = self.images()?;
        processes::spawn(&self.servers.process, NAME)?;
        let mut counter = None;
        self.until(|test| {
            let connected = Call::new(&test.servers.process, Connect {}).bytes(NAME.as_bytes()).send();
            counter = connected.ok().and_then(|answered| answered.granted);
            Ok(counter.is_some())
        })?;
        let Some(counter) = counter else { return Err(Failure::Wrong("the server cannot be called")) };
        let counter: Cap<Endpoint, CallOnly> = counter.claim(self.memory.cnode())?;
        check(Self::ask(&counter, VERSION)? == 1, "the server is not of the first version")?;
        check(Self::ask(&counter, NEXT)? == 1, "the first count is not 1")?;
        self.say(format_args!("push the next version of {NAME}"));
        self.until(|test| Ok(genesis::newest_image(&test.graph.object(images)?, NAME).is_some()))?;
        self.replace_service(NAME)?;
        let ended = self.end_of_replacement_of(NAME)?;
        check(ended == Journey::Confirmed, "it was not replaced")?;
        check(Self::ask(&counter, VERSION)? == 2, "the server is not of the next version")?;
        check(Self::ask(&counter, NEXT)? == 2, "the second count is not 2")?;
        let confirmed = self.graph.revision(images)?;
        self.graph.begin()?;
        self.graph.undo(confirmed)?;
        self.graph.note("upgrade undone")?;
        self.graph.commit()?;
        self.until(|_| Ok(Self::ask(&counter, VERSION)? == 1))?;
        check(Self::ask(&counter, NEXT)? == 3, "the third count is not 3")?;
        let ended = self.end_of_replacement_of(NAME)?;
        check(ended == Journey::Confirmed, "the old version was not confirmed")?;
        check(Self::ask(&counter, VERSION)? == 1, "the old version does not stay")
    }
}
