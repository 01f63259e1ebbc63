//! What objects cost: their untyped memory, and nothing of the kernel's own.

use abi::KernelError;
use abi::kernel::Kind;
use abi::token::{All, Buf as BufObject, CNode, Cap, Frame, Untyped};
use runtime::{Buf, objects};

use crate::outcome::{Outcome, equal};
use crate::rig::Rig;

tests! {
    a_thousand_untypeds_leave_the_kernel_s_heap_as_it_was,
    a_thousand_frames_leave_the_kernel_s_heap_as_it_was,
    a_thousand_threads_leave_the_kernel_s_heap_as_it_was,
    a_thousand_cnodes_leave_the_kernel_s_heap_as_it_was,
    a_thousand_vspaces_leave_the_kernel_s_heap_as_it_was,
    a_thousand_endpoints_leave_the_kernel_s_heap_as_it_was,
    a_thousand_notifications_leave_the_kernel_s_heap_as_it_was,
    a_thousand_replies_leave_the_kernel_s_heap_as_it_was,
    a_thousand_bufs_leave_the_kernel_s_heap_as_it_was,
    a_thousand_images_leave_the_kernel_s_heap_as_it_was,
    a_thousand_scopes_leave_the_kernel_s_heap_as_it_was,
    a_thousand_dma_frames_leave_the_kernel_s_heap_as_it_was,
    mapped_bufs_give_their_page_tables_back,
    what_is_made_needs_a_free_slot,
    memory_is_not_given_again_before_all_of_it_is_free,
}

const MANY: usize = 1000;
/// Slots of the CNode that holds them, as a power of two.
const HOLDER_BITS: u8 = 10;

/// Makes many objects, which are all there at the same time, and deletes each.
fn many(rig: &mut Rig, kind: Kind, size_bits: u8) -> Outcome {
    let before = rig.account()?;
    let holder: Cap<CNode, All> = rig.make(HOLDER_BITS)?;
    for _ in 0..MANY {
        let made = objects::retype_any(&rig.stock.untyped, kind, size_bits, &rig.cnode)?;
        objects::give_granted(made, &holder, 0)?;
    }
    equal("heap with all of them", rig.account()?.heap, before.heap)?;
    // The last capability to the CNode, and with it those to the objects.
    objects::delete(holder);
    equal("what is left of them", rig.account()?, before)?;
    let memory = objects::untyped_info(&rig.stock.untyped)?;
    equal("bytes that came back", (memory.free, memory.is_used), (memory.size, false))?;
    for _ in 0..MANY {
        objects::retype_any(&rig.stock.untyped, kind, size_bits, &rig.cnode)?.refuse();
    }
    equal("what is left when each was deleted for itself", rig.account()?, before)
}

fn a_thousand_untypeds_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Untyped, 4)
}

fn a_thousand_frames_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Frame, 12)
}

fn a_thousand_threads_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Tcb, 0)
}

fn a_thousand_cnodes_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::CNode, 3)
}

fn a_thousand_vspaces_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::VSpace, 9)
}

fn a_thousand_endpoints_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Endpoint, 0)
}

fn a_thousand_notifications_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Notification, 0)
}

fn a_thousand_replies_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Reply, 0)
}

fn a_thousand_bufs_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Buf, 12)
}

fn a_thousand_images_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Image, 12)
}

fn a_thousand_scopes_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::Scope, 0)
}

fn a_thousand_dma_frames_leave_the_kernel_s_heap_as_it_was(rig: &mut Rig) -> Outcome {
    many(rig, Kind::DmaFrame, 12)
}

/// Addresses are never used again, so that tables are needed anew: they come back with the mappings.
fn mapped_bufs_give_their_page_tables_back(rig: &mut Rig) -> Outcome {
    const MAPPED: usize = 64;
    let before = rig.account()?;
    for _ in 0..4 {
        for _ in 0..MAPPED {
            let cap: Cap<BufObject, All> = rig.make(12)?;
            let mut buf = Buf::map(cap, &rig.vspace)?;
            buf.bytes_mut().fill(1);
        }
        objects::revoke(&rig.stock.untyped)?;
    }
    equal("what is left", rig.account()?, before)
}

fn what_is_made_needs_a_free_slot(rig: &mut Rig) -> Outcome {
    let small: Cap<CNode, All> = rig.make(2)?;
    let memory: Cap<Untyped, All> = rig.make(12)?;
    for _ in 0..3 {
        let made = objects::retype_any(&memory, Kind::Notification, 0, &rig.cnode)?;
        objects::give_granted(made, &small, 0)?;
    }
    let before = objects::untyped_info(&memory)?;
    let refused = objects::retype_any(&memory, Kind::Notification, 0, &small).err();
    equal("the answer when the CNode is full", refused, Some(KernelError::TableFull))?;
    equal("the untyped", objects::untyped_info(&memory)?, before)
}

fn memory_is_not_given_again_before_all_of_it_is_free(rig: &mut Rig) -> Outcome {
    let memory: Cap<Untyped, All> = rig.make(13)?;
    let make = |rig: &Rig| objects::retype::<Frame>(&memory, 12, &rig.cnode);
    let (first, second) = (make(rig)?, make(rig)?);
    equal("a third of two", make(rig).err(), Some(KernelError::NotEnoughMemory))?;
    objects::delete(first);
    equal("one that was deleted", make(rig).err(), Some(KernelError::NotEnoughMemory))?;
    objects::delete(second);
    make(rig).map(drop).map_err(Into::into)
}
