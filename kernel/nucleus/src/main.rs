//! The kernel's binary: boot as one ordered function, and what the kernel offers to cells.
//!
//! [`boot`] brings the machine from the trampoline to a running kernel, a line a step, in the only order that works: each step may use
//! what stands above it and nothing else. It ends with [`BootResources`], all that the machine has and the kernel does not keep.
//! With the word `test` on the command line the in-kernel tests run and the machine stops.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod boot_info;
#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
mod log_line;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod probe;
#[cfg(target_os = "none")]
mod surface;
#[cfg(target_os = "none")]
mod tests;
#[cfg(target_os = "none")]
mod traps;

/// The kernel is for a machine without an operating system; on the host there is nothing to run.
#[cfg(not(target_os = "none"))]
fn main() {}
