//! Kernel objects, as safe code uses them: one function an operation, each in terms of tokens.

mod capabilities;
mod devices;
mod images;
mod machine;
mod messages;
mod replacements;
mod scopes;
mod threads;
mod untyped;

use abi::KernelError;
use abi::kernel::{Operation, WORDS};
use abi::token::RawCap;

use crate::kernel::invoke;

pub use capabilities::{
    Granted, copy, count, delete, duplicate, give, give_granted, inspect, next_filled, note, place, revoke,
};
pub(crate) use capabilities::{copy_own_cnode, has_rights, inspect_raw};
pub use devices::{
    dma_map, irq_acknowledge, irq_bind, pci_map, pci_port_read, pci_port_write, pci_read, pci_write, port_read,
    port_write, serial_log, serial_read, serial_watch, serial_write,
};
pub use images::{
    ArchiveEntry, ImageInterface, ImageNeeds, archive_read, fill_image, image_interface, image_name, image_needs,
    image_read, image_serves, image_symbol, instantiate, map_frame, serve_image,
};
pub use machine::{MachineInfo, command_line, halt, machine_info, reset};
pub use messages::{
    ENDPOINT_RIGHTS, EndpointInfo, bind, bind_and_interrupt, check_labels, endpoint_info, receiving, serve_labels,
    signal, wait,
};
pub use replacements::{
    Replaced, ReplacementTerms, abort_replacement, begin_replacement, confirm_replacement, plant_in_replacement,
    replacement_info, replacement_terms,
};
pub use scopes::{abort_scope, attach_scope, scope_info, scope_state, settle_scope, watch_aborts};
pub use threads::{
    Footprint, Instance, Share, ThreadInfo, ThreadParts, configure, fault, footprint, instance_info, keep, kept_fault,
    restart, set_priority, set_share, start_thread, stop_thread, thread_info, watch_instances,
};
pub use untyped::{UntypedInfo, reply_objects, retype, retype_any, untyped_info};

type Result<T> = core::result::Result<T, KernelError>;

pub(crate) fn words(given: &[u64]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, given) in words.iter_mut().zip(given) {
        *word = *given;
    }
    words
}

fn invoke_with(operation: Operation, cap: RawCap, given: &[u64]) -> Result<u64> {
    invoke(operation, cap, &mut words(given))
}
