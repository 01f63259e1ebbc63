//! Accesses that may fault: for tests of what must, and for backtraces.
//!
//! Each probe is a few instructions whose addresses the exception handler knows: a fault there continues at the probe's own answer
//! instead of ending the kernel. No other fault is forgiven.

use core::arch::global_asm;
use x86::interrupts::TrapFrame;

/// The probe faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faulted;

/// Tries to write to an address. The byte there keeps its value.
pub fn write(address: u64) -> Result<(), Faulted> {
    // SAFETY: the write is atomic and changes nothing, and a fault is caught.
    let answer = unsafe { probe_write(address) };
    if answer == 0 { Ok(()) } else { Err(Faulted) }
}

/// Tries to read a word: for backtraces of a broken kernel, which may not trust a pointer nor take a lock.
pub fn read(address: u64) -> Result<u64, Faulted> {
    let mut word = 0;
    // SAFETY: a read of memory has no effect, a fault is caught, and the word goes to a local.
    let answer = unsafe { probe_read(address, &mut word) };
    if answer == 0 { Ok(word) } else { Err(Faulted) }
}

/// Tries to call an address where a return instruction stands, or something that cannot be executed.
pub fn execute(address: u64) -> Result<(), Faulted> {
    // SAFETY: what runs there is a return at once, by the caller's word in these tests, and a fault is caught.
    let answer = unsafe { probe_execute(address) };
    if answer == 0 { Ok(()) } else { Err(Faulted) }
}

/// Whether a breakpoint leaves each of 14 registers with the value that it had.
pub fn registers_survive_a_breakpoint() -> bool {
    // SAFETY: the routine saves what the calling convention wants kept, and touches only its own stack.
    unsafe { probe_registers() == 0 }
}

/// Called first for each exception: continues a probe that faulted.
pub fn recover(frame: &mut TrapFrame) -> bool {
    let rip = frame.rip;
    if rip == &raw const probe_write_access as u64 || rip == &raw const probe_read_access as u64 {
        frame.rip = &raw const probe_faulted as u64;
    } else if frame.vector == x86::interrupts::PAGE_FAULT && rip == frame.rax && frame.rdx == PROBE_MARK {
        // The call was made and its target could not be fetched: drop the return address.
        frame.rip = &raw const probe_faulted as u64;
        frame.rsp += 8;
        frame.rdx = 0;
    } else {
        return false;
    }
    true
}

/// In RDX while `probe_execute` calls; no address and no count.
const PROBE_MARK: u64 = 0x7072_6f62_6521_2121;

unsafe extern "C" {
    fn probe_write(address: u64) -> u64;
    fn probe_read(address: u64, word: &mut u64) -> u64;
    fn probe_execute(address: u64) -> u64;
    fn probe_registers() -> u64;
    static probe_write_access: u8;
    static probe_read_access: u8;
    static probe_faulted: u8;
}

global_asm!(
    ".section .text.probe, \"ax\"",
    ".global probe_write, probe_write_access, probe_read, probe_read_access, probe_faulted, probe_execute, probe_registers",
    "probe_write:",
    "probe_write_access:",
    "lock or byte ptr [rdi], 0",
    "xor eax, eax",
    "ret",
    "probe_read:",
    "probe_read_access:",
    "mov rax, [rdi]",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    "probe_faulted:",
    "mov eax, 1",
    "ret",
    "probe_execute:",
    "mov rax, rdi",
    "movabs rdx, {mark}",
    "call rax",
    "xor eax, eax",
    "ret",
    "probe_registers:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    ".set probe_value, 0x1001",
    ".irp register, rbx, rcx, rdx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15",
    "mov \\register, offset probe_value",
    ".set probe_value, probe_value + 0x1111",
    ".endr",
    "mov rax, 0x55",
    "int3",
    "sub rax, 0x55",
    ".set probe_value, 0x1001",
    ".irp register, rbx, rcx, rdx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15",
    "sub \\register, offset probe_value",
    "or rax, \\register",
    ".set probe_value, probe_value + 0x1111",
    ".endr",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    ".text",
    mark = const PROBE_MARK,
);
