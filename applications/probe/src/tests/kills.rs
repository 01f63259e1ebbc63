//! Cells killed in number, in every way, in the middle of what they do: everything is as it was.

use abi::KernelError;
use abi::kernel::{Scratch, ThreadState};
use abi::token::{All, CallOnly, Cap, Endpoint, Notification};
use alloc::vec::Vec;
use runtime::objects;

use crate::cells::{End, OWN, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal};
use crate::peer::LAST_WORDS;
use crate::protocol::{ending, methods};
use crate::rig::{Rig, ask};
use crate::task::{Reported, Role, Task};

tests! {
    kills_in_number_leave_everything_as_it_was,
}

/// Rounds after which what is in use is compared.
const CHECK: u64 = 60;

/// How a server dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// By its own doing, asked for by a request that it then holds.
    Itself(u64),
    /// Stopped while it waits for requests.
    Stopped,
    /// Stopped in an endless loop.
    Looping,
}

const DEATHS: [Death; 15] = [
    Death::Itself(ending::PANIC),
    Death::Itself(ending::OVERFLOW),
    Death::Itself(ending::OVERFLOW_IN_KERNEL),
    Death::Itself(ending::EXIT),
    Death::Itself(ending::READ_NULL),
    Death::Itself(ending::WRITE_WILD),
    Death::Itself(ending::WRITE_CODE),
    Death::Itself(ending::UNDEFINED),
    Death::Itself(ending::PROTECTION),
    Death::Itself(ending::CALL_NULL),
    Death::Itself(ending::CALL_DATA),
    Death::Itself(ending::PANIC_IN_DROP),
    Death::Itself(ending::OUT_OF_MEMORY),
    Death::Stopped,
    Death::Looping,
];

/// A sequence that visits every way to die with every state of the clients.
struct Dice(u64);

impl Dice {
    /// The constants are Knuth's (MMIX).
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// The cells: a server, clients whose requests it holds (one of words, one with memory lent), one that sends it into an endless
/// loop, and a server that has nothing to do with it.
struct Cast {
    server: Peer,
    holder: Peer,
    lender: Peer,
    looper: Peer,
    bystander: Peer,
}

impl Cast {
    fn all(&self) -> [Peer; 5] {
        [self.server, self.holder, self.lender, self.looper, self.bystander]
    }

    /// How many capabilities each has.
    fn filled(&self, rig: &Rig) -> Result<Vec<usize>, Failure> {
        self.all().into_iter().map(|peer| rig.filled(peer).map(|slots| slots.len())).collect()
    }
}

fn begin_again(rig: &Rig, peer: Peer) -> Outcome {
    make_ready(rig, peer)?;
    Ok(rig.instance(peer)?.start()?)
}

/// A cell that has ended gives up what it made for itself, and can be started.
fn make_ready(rig: &Rig, peer: Peer) -> Outcome {
    let tcb = &rig.instance(peer)?.tcb;
    match objects::thread_info(tcb)?.state {
        ThreadState::Ended => Ok(objects::restart(tcb, &rig.loader, &rig.image, Scratch::Clear)?),
        _ => Ok(()),
    }
}

fn kills_in_number_leave_everything_as_it_was(rig: &mut Rig) -> Outcome {
    let (endpoint, other) = (rig.endpoint()?, rig.endpoint()?);
    let witness: Cap<Notification, All> = rig.make(0)?;
    let call = |task| Plan::new(task).calling(&endpoint);
    let cast = Cast {
        // Below the tests, which would not run again when it loops.
        server: Plan::serve(3).serving(&endpoint).witness(&witness).priority(OWN - 3).start(rig)?,
        holder: call(Task::call::<methods::Hold>(1)).start(rig)?,
        lender: call(Task::new(Role::Lend, 2)).start(rig)?,
        looper: call(Task::call::<methods::End>(ending::LOOP)).priority(OWN - 2).start(rig)?,
        bystander: Plan::serve(0).serving(&other).start(rig)?,
    };
    let (client, bystander) = (rig.client(&endpoint, 0)?, rig.client(&other, 0)?);
    for peer in [cast.holder, cast.lender, cast.looper, cast.server] {
        rig.stop(peer)?;
        make_ready(rig, peer)?;
    }
    let (memory, before, slots) = (objects::untyped_info(&rig.stock.untyped)?, rig.account()?, cast.filled(rig)?);
    let (mut dice, mut kills, mut rounds, mut next_check) = (Dice(1), 0, 0, CHECK);
    while kills < rig.kills {
        begin_again(rig, cast.server)?;
        // When it answers it has room for what it is to hold.
        ask(&client, methods::Count {})?;
        begin_again(rig, cast.holder)?;
        begin_again(rig, cast.lender)?;
        if dice.roll(4) == 0 {
            // One whose request is held dies first, and comes back.
            let victim = if dice.roll(2) == 0 { cast.holder } else { cast.lender };
            rig.stop(victim)?;
            kills += 1;
        }
        let holders = [cast.holder, cast.lender].map(|peer| (peer, rig.end(peer)));
        rounds += 1;
        // The server died once before the first round.
        let died = Reported::Kernel(KernelError::ServerDied, rounds + 1);
        kill(rig, &cast, &client, &witness, DEATHS[dice.roll(DEATHS.len())], died)?;
        kills += 1;
        for (peer, before) in holders {
            let expected = if before? == End::Runs { End::Reported(died) } else { End::Failed };
            equal("who was held", rig.wait_end(peer)?, expected)?;
        }
        equal("requests that the bystander has seen", ask(&bystander, methods::Count {})?, rounds)?;
        if kills >= next_check {
            next_check += CHECK;
            equal("its memory", objects::untyped_info(&rig.stock.untyped)?, memory)?;
        }
    }
    for peer in [cast.server, cast.holder, cast.lender, cast.looper] {
        make_ready(rig, peer)?;
    }
    equal("its memory", objects::untyped_info(&rig.stock.untyped)?, memory)?;
    equal("capabilities of the cells", cast.filled(rig)?, slots)?;
    equal("what is in use", rig.account()?, before)
}

/// Ends the server, and checks what who asked for it is told.
fn kill(
    rig: &Rig,
    cast: &Cast,
    client: &Cap<Endpoint, CallOnly>,
    witness: &Cap<Notification, All>,
    death: Death,
    died: Reported,
) -> Outcome {
    match death {
        Death::Itself(how) => {
            let answer = ask(client, methods::End { how });
            equal("who asked for it", Reported::of(answer), died)?;
            let end = if how == ending::EXIT { End::Reported(LAST_WORDS) } else { End::Failed };
            equal("the server's end", rig.end(cast.server)?, end)
        }
        Death::Stopped => rig.stop(cast.server),
        Death::Looping => {
            begin_again(rig, cast.looper)?;
            rig.wait(witness)?;
            rig.stop(cast.server)?;
            equal("who asked for it", rig.wait_end(cast.looper)?, End::Reported(died))
        }
    }
}
