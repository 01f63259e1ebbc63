//! Threads that commit at the same time share the flushes of the disk.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::token::{All, Cap, Tcb};
use clients::{Graph, GraphError};
use object_model::{Object, Oid, Value};
use runtime::objects::{self, ThreadParts};
use spawner::Memory;

use crate::deaths::{HEAP_BITS, STACK_BITS, value};
use crate::driver::{Failure, Test, check};
use crate::drone::Errand;

/// Threads that commit at the same time.
const COMMITTERS: usize = 8;
/// How often they do.
const ROUNDS: u64 = 8;

/// An object for each.
static OBJECTS: [AtomicU64; COMMITTERS] = [const { AtomicU64::new(0) }; COMMITTERS];
/// What they write.
static ROUND: AtomicU64 = AtomicU64::new(0);
/// How many have begun.
static BEGUN: AtomicU32 = AtomicU32::new(0);
/// How many have committed.
static COMMITTED: AtomicU32 = AtomicU32::new(0);

/// A drone's part: it writes an object of its own.
///
/// # Errors
/// The graph's.
pub fn commit_own(graph: &mut Graph) -> Result<(), GraphError> {
    let place = BEGUN.fetch_add(1, Ordering::Relaxed) as usize;
    let oid = OBJECTS.get(place).map_or(0, |oid| oid.load(Ordering::Relaxed));
    graph.begin()?;
    graph.put_object(Oid::new(oid), &number(ROUND.load(Ordering::Relaxed)))?;
    graph.commit()?;
    COMMITTED.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn number(number: u64) -> Object {
    Object::new().data("value", Value::Int(number.cast_signed()))
}

impl Test {
    /// Several threads commit at the same time: all of them are there, and there were fewer flushes than commits.
    pub fn commits_share_flushes(&mut self) -> Result<(), Failure> {
        let objects = self.make_objects()?;
        let before = self.graph.store_statistics()?;
        for round in 1..=ROUNDS {
            ROUND.store(round, Ordering::Relaxed);
            self.commit_together()?;
            for &oid in &objects {
                check(value(&mut self.graph, oid)? == round.cast_signed(), "a commit that was answered is not there")?;
            }
        }
        let after = self.graph.store_statistics()?;
        let commits = after.commits - before.commits;
        let ((_, _, first), (_, _, last)) = (before.device, after.device);
        let (shared, most) = (after.groups.0 - before.groups.0, after.groups.1);
        self.say(format_args!(
            "{commits} commits, {} flushes, {shared} of them for several, {most} at most",
            last - first
        ));
        check(commits == ROUNDS * COMMITTERS as u64, "another number of commits")?;
        check(last - first < commits && shared > 0, "no flush was shared")
    }

    fn make_objects(&mut self) -> Result<[Oid; COMMITTERS], GraphError> {
        self.graph.begin()?;
        let mut objects = [Oid::ROOT; COMMITTERS];
        for (oid, place) in objects.iter_mut().zip(&OBJECTS) {
            *oid = self.graph.new_object()?;
            self.graph.put_object(*oid, &number(0))?;
            place.store(oid.number(), Ordering::Relaxed);
        }
        self.graph.commit()?;
        Ok(objects)
    }

    /// Starts the threads, and waits until all have committed.
    fn commit_together(&mut self) -> Result<(), Failure> {
        BEGUN.store(0, Ordering::Relaxed);
        COMMITTED.store(0, Ordering::Relaxed);
        let _ = self.memory.take_allocations();
        let mut threads = alloc::vec::Vec::new();
        for _ in 0..COMMITTERS {
            let (stack, heap) = (self.memory.make(STACK_BITS)?, self.memory.make(HEAP_BITS)?);
            let thread: Cap<Tcb, All> = self.memory.make(0)?;
            let (cnode, vspace) = self.hangar.home();
            let parts = ThreadParts { cnode, vspace, stack: &stack, heap: &heap, argument: Errand::Share.argument() };
            objects::configure(&thread, &parts)?;
            threads.push(thread);
        }
        for thread in &threads {
            objects::start_thread(thread)?;
        }
        let allocations = self.memory.take_allocations();
        while COMMITTED.load(Ordering::Relaxed) < COMMITTERS as u32 {
            self.hangar.wait()?;
        }
        self.hangar.forget_signals();
        for allocation in allocations.into_iter().rev() {
            self.memory.free(allocation)?;
        }
        Ok(())
    }
}
