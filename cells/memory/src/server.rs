//! The messages of the memory server.

use abi::interfaces::memory::{
    self, AllocateObject, AllocateUntyped, BAD_SIZE, Free, Memory, NOT_ALLOCATED, OUT_OF_MEMORY, QUOTA_EXCEEDED,
};
use abi::kernel::{Kind, SlotInfo};
use abi::token::{All, Cap, Untyped};
use abi::{KernelError, token::CNode};
use runtime::{Console, Event, Request, Server, abi, objects, say};

use crate::kernel::Untypeds;
use crate::policy::{AllocationId, Policy, Refusal};
use crate::sizes;

/// The labels that this server declares at its endpoint.
pub const LABELS: &[abi::interface::Label] = Memory::LABELS;

/// Code: the kernel does not take the memory back while a part of it is lent to a server. Try again after that reply.
pub const STILL_LENT: u32 = 5;
/// Code: objects of this kind are not made of memory. Detail: the kind.
pub const BAD_KIND: u32 = 6;
/// Code: the words of the request are none of its method's.
pub const MALFORMED: u32 = 7;

/// Serves for ever.
pub fn run(mut server: Server, mut policy: Policy<Untypeds>, console: &Console) -> ! {
    loop {
        match server.next_event() {
            Event::Signal(_) => {
                for (_, held) in policy.sweep() {
                    let (bytes, client) = (held.block.size(), held.client);
                    say!(console, "reclaim {bytes} bytes of client {client}");
                }
            }
            Event::Request(request) => serve(request, &mut policy, console),
        }
    }
}

fn serve(mut request: Request<'_>, policy: &mut Policy<Untypeds>, console: &Console) {
    let granted = request.granted();
    let method = Memory::decode(request.label(), request.words());
    if let Some(capability) = granted {
        // Only Free brings one, and its copy ends here; what no method asked for must not stay either.
        capability.refuse();
    }
    match method {
        Some(Memory::AllocateUntyped(wish)) => allocate_untyped(request, wish, policy, console),
        Some(Memory::AllocateObject(wish)) => allocate_object(request, wish, policy, console),
        Some(Memory::Free(Free { capability })) => match policy.free(request.badge(), capability) {
            Ok(_) => request.ok(0),
            Err(refusal) => refuse(request, refusal),
        },
        Some(Memory::GetStatistics(_)) => {
            let statistics: memory::Statistics = policy.statistics();
            request.ok_body(statistics.total, &statistics);
        }
        None => request.refuse(MALFORMED, 0),
    }
}

fn allocate_untyped(request: Request<'_>, wish: AllocateUntyped, policy: &mut Policy<Untypeds>, console: &Console) {
    let Some(bits) = sizes::untyped_bits(wish.size, wish.alignment) else {
        return request.refuse(BAD_SIZE, 1 << sizes::MAX_BITS);
    };
    let made = hand_out(&request, bits, policy, |untyped, cnode| objects::duplicate::<_, _, All>(untyped, cnode, 0));
    let (id, copy) = match made {
        Ok(made) => made,
        Err(refusal) => return refuse(request, refusal),
    };
    served(&request, bits, console);
    let (slot, generation) = (copy.raw().slot as u32, copy.raw().generation);
    request.ok_grant(id, copy);
    take_back_undelivered(policy, id, slot, generation);
}

fn allocate_object(request: Request<'_>, wish: AllocateObject, policy: &mut Policy<Untypeds>, console: &Console) {
    let Some(kind) = sizes::kind_of(wish.kind).filter(|kind| *kind != Kind::Untyped) else {
        return request.refuse(BAD_KIND, wish.kind);
    };
    let size_bits = u8::try_from(wish.size_bits).unwrap_or(u8::MAX);
    let Some(bits) = sizes::object_bits(kind, size_bits) else {
        return request.refuse(BAD_SIZE, 1 << sizes::MAX_BITS);
    };
    let made = hand_out(&request, bits, policy, |untyped, cnode| objects::retype_any(untyped, kind, size_bits, cnode));
    let (id, object) = match made {
        Ok(made) => made,
        Err(refusal) => return refuse(request, refusal),
    };
    served(&request, bits, console);
    let place = object.inspect(&policy.kernel().cnode);
    request.ok_grant_any(id, object);
    if let Some(SlotInfo { slot, generation, .. }) = place {
        take_back_undelivered(policy, id, slot, generation);
    }
}

/// Allocates a block and makes of its untyped what the client is to get. Nothing is left behind where either fails.
fn hand_out<T>(
    request: &Request<'_>,
    bits: u8,
    policy: &mut Policy<Untypeds>,
    make: impl FnOnce(&Cap<Untyped>, &Cap<CNode, All>) -> Result<T, KernelError>,
) -> Result<(AllocationId, T), Refusal<KernelError>> {
    let id = policy.allocate(request.badge(), bits)?;
    let Some(untyped) = policy.untyped(id) else { runtime::bug!("a new allocation has no untyped") };
    match make(untyped, &policy.kernel().cnode) {
        Ok(made) => Ok((id, made)),
        Err(error) => {
            policy.reclaim(id)?;
            Err(Refusal::Kernel(error))
        }
    }
}

fn served(request: &Request<'_>, bits: u8, console: &Console) {
    let (bytes, client) = (1u64 << bits, request.badge());
    say!(console, "allocate {bytes} bytes for client {client}");
}

/// A client that gave up meanwhile, or has no free slot, never gets the capability: it is still where it was made.
fn take_back_undelivered(policy: &mut Policy<Untypeds>, id: AllocationId, slot: u32, generation: u64) {
    let left = objects::inspect(&policy.kernel().cnode, slot);
    if left.is_some_and(|info| info.generation == generation) {
        // Nothing of it can be lent, so that this does not fail; the next sweep would find it otherwise.
        let _ = policy.reclaim(id);
    }
}

fn refuse(request: Request<'_>, refusal: Refusal<KernelError>) {
    match refusal {
        Refusal::OutOfMemory { largest } => request.refuse(OUT_OF_MEMORY, largest),
        Refusal::QuotaExceeded { left } => request.refuse(QUOTA_EXCEEDED, left),
        Refusal::NotAllocated => request.refuse(NOT_ALLOCATED, 0),
        Refusal::Kernel(KernelError::Pinned) => request.refuse(STILL_LENT, 0),
        // This cell's own CNode is full, or the kernel's tables are: for the client, memory.
        Refusal::Kernel(_) => request.refuse(OUT_OF_MEMORY, 0),
    }
}
