//! Builds, signs, boots and tests TelOS: what stands behind the Makefile.
//!
//! A build goes [`scan`] (no `unsafe` in cells), [`workspace`] (generated wrappers), [`policy`] (this program as the
//! compiler's wrapper), [`object_file`] (one object a cell), [`cells`] (manifest, signature, archive), [`kernel`]; then
//! [`iso`] makes the boot image, and [`qemu`] runs it for [`run`] and [`test`].

pub mod abi;
pub mod accelerator;
pub mod bench;
mod bench_disk;
pub mod cells;
pub mod cli;
pub mod config;
pub mod crash_test;
pub mod disk_filter;
pub mod failure;
pub mod iso;
pub mod kernel;
pub mod monitor;
pub mod mutants;
pub mod new_cell;
pub mod object_file;
pub mod policy;
pub mod project;
pub mod push;
pub mod qemu;
pub mod reboot;
pub mod run;
pub mod scan;
pub mod scenarios;
pub mod sign;
pub mod state_file;
pub mod stops;
pub mod test;
pub mod toolchain;
pub mod transcript;
pub mod workspace;
