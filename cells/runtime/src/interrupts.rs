//! What a cell has to do even while its own call is parked.
//!
//! A cell whose servers are its own charges, the process server above all, would wait for ever if it called one of them that
//! has ended: nobody else starts it again. Signals for which it asked (`objects::bind_and_interrupt`) end such a call; then
//! what it installed here is done, and the call is sent again. Nothing is lost or doubled: a request that a server
//! has received is not interrupted.

use abi::{CallError, KernelError};
use spin::Once;

static HANDLER: Once<fn()> = Once::new();

/// Says what is to be done when a call of this cell is interrupted. It must take the signals, or the call is interrupted
/// again, and it must not call anybody.
pub fn on_interrupt(handler: fn()) {
    HANDLER.call_once(|| handler);
}

/// Does it, if this is the error of an interrupted call. Answers whether to call again.
#[cold]
pub(crate) fn handle(error: CallError) -> bool {
    match (error, HANDLER.get()) {
        (CallError::Kernel(KernelError::Interrupted, _), Some(handler)) => {
            handler();
            true
        }
        _ => false,
    }
}
