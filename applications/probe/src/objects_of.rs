//! Objects live in the memory that they are made of.

use abi::kernel::Kind;
use abi::token::{All, CNode, Cap, Untyped};
use runtime::objects;

use crate::lab::{Lab, Test, Tested, same};

pub const TESTS: &[(&str, Test)] = &[
    ("a_thousand_objects_of_each_kind_leave_the_kernels_heap_as_it_was", thousand_of_each),
    ("memory_is_not_given_twice_before_it_is_taken_back", no_reuse),
];

const COUNT: usize = 1000;

fn thousand_of_each(lab: &mut Lab) -> Tested {
    // 2^11 slots.
    let table: Cap<CNode, All> = lab.object(11)?;
    let memory: Cap<Untyped, All> = lab.object(23)?;
    let before = lab.kernel_heap()?;
    for (kind, bits) in [
        (Kind::Endpoint, 0),
        (Kind::Notification, 0),
        (Kind::Reply, 0),
        (Kind::Scope, 0),
        (Kind::Tcb, 0),
        (Kind::CNode, 4),
        (Kind::VSpace, 10),
        (Kind::Frame, 12),
        (Kind::Buf, 12),
        (Kind::Untyped, 10),
    ] {
        for _ in 0..COUNT {
            // It stays in the table until its memory is taken back.
            let _unclaimed = objects::retype_any(&memory, kind, bits, &table)?;
        }
        same("the kernel's heap with a thousand objects", (kind, lab.kernel_heap()?), (kind, before))?;
        objects::revoke(&memory)?;
        let info = objects::untyped_info(&memory)?;
        same("bytes free after the revocation", (kind, info.free), (kind, info.size))?;
        same("the kernel's heap afterwards", (kind, lab.kernel_heap()?), (kind, before))?;
    }
    Ok(())
}

fn no_reuse(lab: &mut Lab) -> Tested {
    let memory: Cap<Untyped, All> = lab.object(13)?;
    let first: Cap<abi::token::Frame, All> = objects::retype(&memory, 12, &lab.cnode)?;
    let _second: Cap<abi::token::Frame, All> = objects::retype(&memory, 12, &lab.cnode)?;
    let third = objects::retype::<abi::token::Frame>(&memory, 12, &lab.cnode);
    same("a third of two", third.err(), Some(abi::KernelError::NotEnoughMemory))?;
    objects::delete(first);
    let fourth = objects::retype::<abi::token::Frame>(&memory, 12, &lab.cnode);
    same("one that was deleted is not free before all are", fourth.err(), Some(abi::KernelError::NotEnoughMemory))
}
