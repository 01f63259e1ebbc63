//! A machine in miniature: memory, a CNode, and hooks that record what they are told.
#![allow(dead_code, reason = "each test crate uses its own part")]

use std::alloc::{Layout, alloc};

use capability::*;

/// What a hook was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Created(ObjectKind, usize),
    CapRemoved(ObjectKind, u64),
    Destroyed(ObjectKind, usize),
    Moved(ObjectKind),
}

/// Records events, and checks that new objects are zero.
#[derive(Debug, Default)]
pub struct Recorder {
    pub events: Vec<Event>,
    pub largest_chunk: u64,
    pub zeroed: u64,
}

/// Where the tests' objects embed an anchor, and slots.
pub const ANCHOR_AT: usize = 16;
pub const SLOTS_AT: usize = 32;

/// The slot with this number that is embedded in a Reply or Tcb.
pub fn embedded(object: u64, number: usize) -> &'static Slot {
    // SAFETY: `contents` reports these slots, tests use them for nothing else, and arenas are never freed.
    unsafe { Slot::at(object as usize + SLOTS_AT + number * SLOT_BYTES) }
}

/// The anchor that is embedded in a Reply or Scope.
pub fn anchor_of(object: u64) -> &'static Anchor {
    // SAFETY: as for `embedded`.
    unsafe { Anchor::at(object as usize + ANCHOR_AT) }
}

// SAFETY: `zero` zeroes; `contents` reports the places that `embedded` and `anchor_of` use.
unsafe impl Hooks for Recorder {
    fn created(&mut self, kind: ObjectKind, address: usize, size_bits: u8) {
        let bytes = 1usize << kind.object_bits(u32::from(size_bits)).unwrap();
        let header = match kind {
            ObjectKind::Untyped => bytes,
            ObjectKind::CNode => SLOT_BYTES,
            _ if kind.has_header() => 16,
            _ => 0,
        };
        if address >= 1 << 20 {
            let memory = std::ptr::with_exposed_provenance::<u8>(address);
            for offset in header..bytes {
                // SAFETY: within the arena out of which the object was made.
                let byte = unsafe { memory.wrapping_add(offset).read() };
                assert_eq!(byte, 0, "{kind:?} is not zero at {offset}");
            }
        }
        self.events.push(Event::Created(kind, address));
    }

    fn cap_removed(&mut self, slot: &Slot) {
        self.events.push(Event::CapRemoved(slot.kind().unwrap(), slot.badge()));
    }

    fn destroyed(&mut self, kind: ObjectKind, address: usize, _size_bits: u8) {
        self.events.push(Event::Destroyed(kind, address));
    }

    fn zero(&mut self, address: usize, bytes: u64) {
        self.largest_chunk = self.largest_chunk.max(bytes);
        self.zeroed += bytes;
        fill(address as u64, bytes, 0);
    }

    fn moved(&mut self, _from: &Slot, to: &Slot) {
        self.events.push(Event::Moved(to.kind().unwrap()));
    }

    fn contents<'a>(&mut self, kind: ObjectKind, address: usize) -> Contents<'a> {
        let count = match kind {
            ObjectKind::Reply => 2,
            ObjectKind::Tcb => 4,
            ObjectKind::Scope => 0,
            _ => return Contents::default(),
        };
        let first = std::ptr::from_ref(embedded(address as u64, 0));
        // SAFETY: the slots lie one behind the other in the object's zeroed memory.
        let slots = unsafe { std::slice::from_raw_parts(first, count) };
        let anchor = (kind != ObjectKind::Tcb).then(|| anchor_of(address as u64));
        Contents { slots, anchor }
    }
}

/// Writes a byte all over some memory of an arena.
pub fn fill(address: u64, bytes: u64, value: u8) {
    let memory = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: the callers name memory of an arena, which is never freed.
    unsafe { memory.write_bytes(value, bytes as usize) };
}

/// Whether all bytes are zero.
pub fn is_zero(address: u64, bytes: u64) -> bool {
    let memory = std::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: the callers name memory of an arena, which is never freed.
    (0..bytes as usize).all(|offset| unsafe { memory.wrapping_add(offset).read() } == 0)
}

/// 2^bits bytes of dirty memory, aligned to its size, never freed.
pub fn arena(bits: u8) -> u64 {
    let layout = Layout::from_size_align(1 << bits, 1 << bits).unwrap();
    // SAFETY: the layout is not empty.
    let memory = unsafe { alloc(layout) };
    assert!(!memory.is_null());
    // SAFETY: just allocated with that size.
    unsafe { memory.write_bytes(0xAA, 1 << bits) };
    memory.expose_provenance() as u64
}

/// An embedded slot of nobody's.
pub fn lone_slot() -> &'static Slot {
    let address = arena(7);
    fill(address, 128, 0);
    // SAFETY: aligned, exposed, zeroed, never freed, and used for nothing else.
    unsafe { Slot::at(address as usize) }
}

/// An anchor of nobody's.
pub fn lone_anchor() -> &'static Anchor {
    let address = arena(4);
    fill(address, 16, 0);
    // SAFETY: aligned, exposed, zeroed, never freed, and used for nothing else.
    unsafe { Anchor::at(address as usize) }
}

pub type TestContext = Context<'static, Recorder>;

/// The machine: a context, a CNode out of memory of its own, and the untyped under test in a lone slot.
pub struct World {
    pub context: TestContext,
    pub node: CNode<'static>,
    pub node_slot: &'static Slot,
    pub untyped: &'static Slot,
}

/// Enough budget for everything in these tests.
pub const PLENTY: u32 = 1_000_000;

impl World {
    /// A machine with a CNode of 2^`node_bits` slots and an untyped of 2^`bits` bytes.
    pub fn new(node_bits: u8, bits: u8) -> World {
        let mut context = Context::new(Recorder::default(), lone_anchor());
        let (home, node_slot, untyped) = (lone_slot(), lone_slot(), lone_slot());
        let home_bits = ObjectKind::CNode.object_bits(u32::from(node_bits)).unwrap();
        endow(&mut context, home, home_bits, Memory::Ordinary);
        retype_into(&mut context, home, ObjectKind::CNode, u32::from(node_bits), node_slot, None).unwrap();
        endow(&mut context, untyped, bits, Memory::Ordinary);
        context.hooks = Recorder::default();
        World { context, node: node(node_slot), node_slot, untyped }
    }

    pub fn slot(&self, index: u32) -> &'static Slot {
        self.node.slot(index).unwrap()
    }

    /// Retypes out of the untyped under test into slots of the CNode.
    pub fn make(&mut self, kind: ObjectKind, bits: u32, first: u32, count: u32) -> Result<(), Error> {
        retype(&mut self.context, self.untyped, kind, bits, self.node, first, count, None)
    }

    /// Retypes out of the untyped in a slot of the CNode.
    pub fn make_from(&mut self, source: u32, kind: ObjectKind, bits: u32, first: u32) -> Result<(), Error> {
        let source = self.slot(source);
        retype(&mut self.context, source, kind, bits, self.node, first, 1, None)
    }

    /// One endpoint in a slot.
    pub fn endpoint(&mut self, index: u32) -> &'static Slot {
        self.make(ObjectKind::Endpoint, 0, index, 1).unwrap();
        self.slot(index)
    }

    pub fn copy(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let (from, to) = (self.slot(from), self.slot(to));
        copy(&mut self.context, from, to, Rights::all())
    }

    pub fn mint(&mut self, from: u32, to: u32, badge: u64) -> Result<(), Error> {
        let (from, to) = (self.slot(from), self.slot(to));
        mint(&mut self.context, from, to, Rights::all(), badge)
    }

    pub fn move_(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let (from, to) = (self.slot(from), self.slot(to));
        move_(&mut self.context, from, to)
    }

    pub fn exchange(&mut self, one: u32, other: u32) -> Result<(), Error> {
        let (one, other) = (self.slot(one), self.slot(other));
        exchange(&mut self.context, one, other)
    }

    pub fn delete(&mut self, index: u32) {
        let slot = self.slot(index);
        assert_eq!(delete(&mut self.context, slot, PLENTY), Ok(Progress::Done));
    }

    pub fn revoke(&mut self, index: u32) -> Progress {
        let slot = self.slot(index);
        revoke_step(&mut self.context, slot, PLENTY)
    }

    pub fn status(&self) -> UntypedStatus {
        untyped_status(&self.context, self.untyped).unwrap()
    }

    /// Which of these slots are filled.
    pub fn filled(&self, indices: &[u32]) -> Vec<u32> {
        indices.iter().copied().filter(|index| !self.slot(*index).is_empty()).collect()
    }

    pub fn was_destroyed(&self, object: u64) -> bool {
        let is_it = |event: &Event| matches!(event, Event::Destroyed(_, address) if *address as u64 == object);
        self.context.hooks.events.iter().any(is_it)
    }
}

/// The CNode that a slot names.
pub fn node(slot: &Slot) -> CNode<'static> {
    // SAFETY: tests do not use it once it was destroyed; where they do on purpose, its memory is still
    // there, and not made anything else.
    unsafe { CNode::of(slot) }.unwrap()
}

/// Fills a slot with fresh memory.
pub fn endow(context: &mut TestContext, slot: &Slot, bits: u8, memory: Memory) {
    let address = match memory {
        Memory::Ordinary => arena(bits),
        Memory::Device => 1 << bits,
    };
    // SAFETY: a fresh arena; the addresses of devices are never read or written.
    unsafe { grant_untyped(context, slot, address, bits, memory) }.unwrap();
}
