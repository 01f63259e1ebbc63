//! The one context of the capability layer, and what that layer asks of the rest of the kernel.

use core::cell::Cell;

use capability::{Anchor, Contents, Context, Hooks, ObjectKind, Slot};

use crate::exclusive::Exclusive;
use crate::notification::Notification;
use crate::replacement::Replacement;
use crate::reply::Reply;
use crate::scope::Scope;
use crate::tcb::Tcb;
use crate::vspace::{Region, VSpace};
use crate::{fault, instance, ipc, lease, memory, taking_part};

/// Capabilities that one step of a long operation looks at before interrupts are served.
pub(crate) const BUDGET: u32 = 64;

static BUSY: Exclusive<Cell<bool>> = Exclusive::new(Cell::new(false));
static CONTEXT: Exclusive<Option<Context<'static, KernelHooks>>> = Exclusive::new(None);

/// Makes the context. Once, at boot.
pub fn install() {
    let anchor = alloc::boxed::Box::leak(alloc::boxed::Box::new([0u64; 2]));
    let address = core::ptr::from_mut(anchor).expose_provenance();
    // SAFETY: 16 zero bytes on the heap, aligned to 8, leaked for good and used for nothing else.
    let condemned = unsafe { Anchor::at(address) };
    CONTEXT.with(|context| *context = Some(Context::new(KernelHooks, condemned)));
}

/// Runs `f` with the context. `f` must not switch threads. Does not return where the calling cell has taken its own stack from
/// itself.
#[inline(always)]
pub(crate) fn with<R>(f: impl FnOnce(&mut Context<'static, KernelHooks>) -> R) -> R {
    if BUSY.get().replace(true) {
        x86::bug!("the object layer was entered from its own hooks");
    }
    let result = CONTEXT.with(|context| match context {
        Some(context) => f(context),
        None => x86::bug!("capabilities are used before they are installed"),
    });
    BUSY.get().set(false);
    if memory::has_lost_stack() {
        fault::stack_lost();
    }
    lease::finish_later();
    result
}

/// Whether an operation of the object layer is under way: its hooks run, and must not come back.
pub(crate) fn is_busy() -> bool {
    BUSY.get().get()
}

/// What objects of each kind need when they come and go.
pub(crate) struct KernelHooks;

// SAFETY: `zero` zeroes. `contents` reports the slots embedded in a TCB, the slots of a replacement, the pin and the anchor of a reply
// object and the anchor of a scope, which are all that objects embed (see their structures).
unsafe impl Hooks for KernelHooks {
    fn created(&mut self, _kind: ObjectKind, _address: usize, _size_bits: u8) {}

    fn cap_removed(&mut self, slot: &Slot) {
        if slot.is_pinned() {
            return lease::end(slot);
        }
        if let Some(thread) = Tcb::of_part(slot) {
            instance::lose_part(thread);
        }
        let is_memory = slot.kind().is_some_and(ObjectKind::is_memory);
        if is_memory && slot.badge() != 0 && !lease::keep(slot.badge()) {
            memory::unmap_object(slot.object(), Region { start: slot.badge(), bytes: slot.object_bytes() });
        }
    }

    fn destroyed(&mut self, kind: ObjectKind, address: usize, _size_bits: u8) {
        match kind {
            ObjectKind::Endpoint => {
                taking_part::endpoint_gone(address);
                ipc::destroy_endpoint(address);
            }
            // SAFETY: as below.
            ObjectKind::Replacement => unsafe { Replacement::at(address) }.close(),
            // SAFETY: the object layer names an object of this kind, whose memory stays until the operation ends.
            ObjectKind::Reply => ipc::release(unsafe { Reply::at(address) }),
            // SAFETY: as above.
            ObjectKind::Notification => unsafe { Notification::at(address) }.destroy(),
            // SAFETY: as above.
            ObjectKind::Tcb => {
                // SAFETY: as above.
                let thread = unsafe { Tcb::at(address) };
                instance::end_thread(thread);
                taking_part::forget(thread);
            }
            // SAFETY: as above.
            ObjectKind::VSpace => unsafe { VSpace::at(address) }.unmap_all(),
            // SAFETY: as above.
            ObjectKind::Scope => unsafe { Scope::at(address) }.end(crate::scheduler::current()),
            _ => {}
        }
    }

    fn zero(&mut self, address: usize, bytes: u64) {
        let start = core::ptr::with_exposed_provenance_mut::<u64>(address);
        // SAFETY: the object layer names memory of an untyped that no object uses, mapped and aligned to its size.
        unsafe { start.write_bytes(0, bytes as usize / 8) };
    }

    fn contents<'a>(&mut self, kind: ObjectKind, address: usize) -> Contents<'a> {
        match kind {
            ObjectKind::Tcb => {
                // SAFETY: the object layer names a TCB, whose memory stays until the operation ends.
                let thread: &'a Tcb = unsafe { Tcb::at(address) };
                Contents { slots: thread.slots(), anchor: None }
            }
            ObjectKind::Reply => {
                // SAFETY: as above.
                let reply: &'a Reply = unsafe { Reply::at(address) };
                Contents { slots: core::slice::from_ref(&reply.pin), anchor: Some(&reply.anchor) }
            }
            ObjectKind::Replacement => {
                // SAFETY: as above.
                let replacement: &'a Replacement = unsafe { Replacement::at(address) };
                Contents { slots: replacement.slots(), anchor: None }
            }
            ObjectKind::Scope => {
                // SAFETY: as above.
                let scope: &'a Scope = unsafe { Scope::at(address) };
                Contents { slots: &[], anchor: Some(&scope.anchor) }
            }
            _ => Contents::default(),
        }
    }
}
