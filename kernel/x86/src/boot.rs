//! From the boot loader to Rust.
//!
//! The Multiboot2 header, and the trampoline that GRUB enters in 32-bit protected mode with paging off (Multiboot2
//! specification 1.6, sections 3.1 and 3.3). It builds throw-away page tables that map the first 4 GiB three times: at 0,
//! where it runs; at the physmap's base; and the first GiB at -2 GiB, where the kernel is linked. Then it enters long mode
//! and calls `kernel_start(boot_information)` on the boot stack with the physical address that GRUB passed in EBX.
//!
//! `kernel_start` is the kernel's: it must build its own tables, which map neither the trampoline nor low memory.

core::arch::global_asm!(include_str!("boot.s"), options(att_syntax));
