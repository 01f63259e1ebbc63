//! Leases: memory that is lent with a request is where its server sees it until the server has answered or died.
//!
//! The pin in a reply object keeps a lent Buf's memory from being used otherwise (`capability::pin`). What it cannot keep is
//! the mapping, which goes with the capability or the VSpace of the client that made it. So the mapping of what is lent
//! stays when these go, and goes with the last lease of it.

use core::cell::{Cell, UnsafeCell};
use core::mem::offset_of;

use capability::Slot;
use lists::{Link, List};

use crate::exclusive::Exclusive;
use crate::reply::Reply;
use crate::vspace::Region;
use crate::{authority, memory};

/// The part of a reply object that says where the server sees what is lent. Zeroed memory is no lease.
#[repr(C)]
pub(crate) struct Lease {
    link: UnsafeCell<Link>,
    /// Where it is mapped; 0 for no lease.
    start: Cell<u64>,
    /// Whether the mapping outlives what it belonged to.
    is_last: Cell<bool>,
    /// Whether its server died in the middle of an operation of the object layer, after which the pin is to go.
    is_over: Cell<bool>,
}

static LEASES: Exclusive<List> = Exclusive::new(List::EMPTY);
/// Whether there is a lease that is over.
static UNFINISHED: Exclusive<Cell<bool>> = Exclusive::new(Cell::new(false));

/// The first lease on the list for which something holds.
fn find<'a>(mut holds: impl FnMut(&Lease) -> bool) -> Option<&'a Lease> {
    LEASES.with(|leases| {
        let mut at = leases.first();
        while !at.is_null() {
            // SAFETY: links on the list are the first parts of leases of live reply objects.
            let lease = unsafe { &*at.cast::<Lease>() };
            if holds(lease) {
                return Some(lease);
            }
            // SAFETY: as above.
            at = unsafe { leases.next(at) };
        }
        None
    })
}

/// Ends the lease of a reply object, if it has one.
pub(crate) fn finish(reply: &Reply) {
    if reply.pin.is_empty() {
        return;
    }
    if authority::is_busy() {
        reply.lease.is_over.set(true);
        UNFINISHED.get().set(true);
        return;
    }
    // The slot is filled, and pins alone are put there: this cannot fail.
    if authority::with(|context| capability::unpin(context, &reply.pin)).is_err() {
        x86::bug!("the pin of a reply object holds something else");
    }
}

/// After an operation of the object layer: ends the leases whose servers died in it.
#[inline(always)]
pub(crate) fn finish_later() {
    if UNFINISHED.get().replace(false) {
        finish_all();
    }
}

#[cold]
fn finish_all() {
    while let Some(lease) = find(|lease| lease.is_over.get()) {
        let address = core::ptr::from_ref(lease).expose_provenance() - offset_of!(Reply, lease);
        // SAFETY: leases on the list are parts of live reply objects.
        finish(unsafe { Reply::at(address) });
    }
}

/// The memory of a Buf, which is mapped, is lent with the request that a reply object holds, whose pin was made just now.
pub(crate) fn begin(reply: &Reply, buf: &Slot) {
    reply.lease.start.set(buf.badge());
    // SAFETY: the reply object is live, its lease begins, so that it is on no list, and leaves this one when its pin goes.
    LEASES.with(|leases| unsafe { leases.push_back(reply.lease.link.get()) });
}

/// A pin is about to go: the lease is over, and with the last of a mapping that belongs to nobody else, the mapping.
pub(crate) fn end(pin: &Slot) {
    // SAFETY: pins lie in live reply objects.
    let reply = unsafe { Reply::at(pin.address() - offset_of!(Reply, pin)) };
    let start = reply.lease.start.replace(0);
    reply.lease.is_over.set(false);
    if start == 0 {
        return;
    }
    // SAFETY: a lease is on the list from its beginning on.
    LEASES.with(|leases| unsafe { leases.remove(reply.lease.link.get()) });
    if reply.lease.is_last.replace(false) && !keep(start) {
        memory::unmap_object(pin.object(), Region { start, bytes: pin.object_bytes() });
    }
}

/// Whether the mapping that begins at an address is lent, and so has to stay: then it goes with the last lease.
pub(crate) fn keep(start: u64) -> bool {
    let mut is_lent = false;
    find(|lease| {
        if lease.start.get() == start {
            lease.is_last.set(true);
            is_lent = true;
        }
        false
    });
    is_lent
}
