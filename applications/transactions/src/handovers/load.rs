//! Requests all the time, each of which is either answered, or resolved by asking what became of it.

use abi::kernel::Clock;
use abi::{CallError, KernelError};
use clients::{GraphError, Outcome};
use object_model::{Object, Oid, Value};
use object_store::Tid;

use super::{Fate, Journey, check, number, value};
use crate::driver::{Failure, Test};

/// How often the server is replaced under the load.
const REPLACEMENTS: u32 = 3;
/// Bytes of what is stored beside the count.
const BALLAST: usize = 700;

/// What the load has come to.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// Commits, each of which has counted one up.
    commits: u64,
    /// Requests that the server died with.
    deaths: u32,
    /// Nanoseconds that the longest transaction took.
    longest: u64,
}

impl Test {
    /// Counts one up in a transaction of four requests. A request that the server has died with is sent again, or resolved.
    fn count_up(&mut self, pair: [Oid; 2], load: &mut Load) -> Result<(), GraphError> {
        let begun = runtime::clock(Clock::Monotonic);
        self.try_count_up(pair, load)?;
        load.longest = load.longest.max(runtime::clock(Clock::Monotonic) - begun);
        Ok(())
    }

    fn try_count_up(&mut self, [count, ballast]: [Oid; 2], load: &mut Load) -> Result<(), GraphError> {
        let transaction = self.again(load, |test| test.graph.begin())?;
        let found = self.again(load, |test| value(&mut test.graph, count))?;
        if found != load.commits.cast_signed() {
            return Err(GraphError::Record);
        }
        load.commits += 1;
        let raised = number(load.commits);
        self.again(load, |test| test.graph.put_object(count, &raised))?;
        let weight = Object::new().data("value", Value::Bytes(alloc::vec![load.commits as u8; BALLAST]));
        self.again(load, |test| test.graph.put_object(ballast, &weight))?;
        loop {
            match self.graph.commit() {
                Ok(_) => return Ok(()),
                Err(GraphError::Call(CallError::Kernel(KernelError::ServerDied, _))) => load.deaths += 1,
                Err(error) => return Err(error),
            }
            match self.again(load, |test| test.graph.outcome(transaction))? {
                Outcome::Committed(_) => return Ok(()),
                Outcome::Open => {}
                Outcome::Aborted | Outcome::Unknown => return Err(GraphError::Record),
            }
        }
    }

    fn again<T>(
        &mut self,
        load: &mut Load,
        mut request: impl FnMut(&mut Test) -> Result<T, GraphError>,
    ) -> Result<T, GraphError> {
        loop {
            match request(self) {
                Err(GraphError::Call(CallError::Kernel(KernelError::ServerDied, _))) => load.deaths += 1,
                done => return done,
            }
        }
    }

    /// Every transaction that was committed is there, in the order of the commits, none twice, and none besides.
    fn check_load(&mut self, [count, _]: [Oid; 2], since: Tid, load: Load) -> Result<(), Failure> {
        let found = value(&mut self.graph, count)?;
        let Load { commits, deaths, longest } = load;
        self.say(format_args!("{commits} commits, the longest took {} us, {deaths} requests died", longest / 1000));
        check(found == load.commits.cast_signed(), "a commit is missing, or there twice")?;
        check(self.graph.revision(count)? > since, "the last commit is not the newest")
    }

    /// Under requests from all sides, and a transaction that is open all the while, the server is replaced; nobody is told of it.
    pub fn requests_go_on_during_replacements(&mut self) -> Result<(), Failure> {
        let pair = self.make_pair()?;
        let since = self.graph.revision(pair[0])?;
        let held = self.held()?;
        let mut load = Load::default();
        for _ in 0..REPLACEMENTS {
            let before = load.commits;
            self.replace()?;
            let ended = loop {
                self.count_up(pair, &mut load)?;
                if let Some(ended) = self.journey()?.filter(|journey| is_over(*journey)) {
                    break ended;
                }
            };
            check(ended == Journey::Confirmed, "it was not replaced")?;
            check(load.commits > before + 3, "hardly anything was committed meanwhile")?;
        }
        self.check_load(pair, since, load)?;
        check(load.deaths == 0, "a request was not answered")?;
        self.released(held, Fate::Kept)
    }

    /// The instance on trial is stopped in the middle of that: what it has answered is there, and so is what is open.
    pub fn a_server_that_dies_on_trial_loses_nothing(&mut self) -> Result<(), Failure> {
        for _ in 0..REPLACEMENTS {
            let pair = self.make_pair()?;
            let since = self.graph.revision(pair[0])?;
            let held = self.held()?;
            let mut load = Load::default();
            self.replace()?;
            let mut commits_on_trial = 0;
            loop {
                self.count_up(pair, &mut load)?;
                commits_on_trial += u32::from(self.journey()? == Some(Journey::Trial));
                if commits_on_trial == 3 {
                    self.kill()?;
                }
                if let Some(ended) = self.journey()?.filter(|journey| is_over(*journey)) {
                    check(matches!(ended, Journey::Returned(_)), "the instance on trial was not given up")?;
                    break;
                }
            }
            self.count_up(pair, &mut load)?;
            self.check_load(pair, since, load)?;
            self.end_of_replacement()?;
            self.released(held, Fate::Kept)?;
        }
        Ok(())
    }
}

const fn is_over(journey: Journey) -> bool {
    matches!(journey, Journey::Confirmed | Journey::Returned(_) | Journey::Lost)
}
