//! The registers of the 16550 (PC16550D data sheet, section 8).

use alloc::collections::VecDeque;
use alloc::string::String;

use abi::KernelError;
use abi::token::{All, Cap, Irq, PciFunction};
use runtime::objects;

/// The BAR of the registers.
const BAR: u64 = 0;
/// Receiver buffer and transmitter holding register.
const DATA: u64 = 0;
const INTERRUPT_ENABLE: u64 = 1;
/// Interrupt identification; written, FIFO control.
const IDENTIFICATION: u64 = 2;
const LINE_CONTROL: u64 = 3;
const MODEM_CONTROL: u64 = 4;
const LINE_STATUS: u64 = 5;
const MODEM_STATUS: u64 = 6;

/// On received data.
const ON_DATA: u8 = 1;
/// On an empty transmitter.
const ON_EMPTY: u8 = 2;
/// FIFOs on and empty, an interrupt at 14 bytes.
const FIFO: u8 = 0xc7;
/// 8 bits, no parity, one stop bit.
const EIGHT_BITS: u8 = 3;
/// Lets the interrupt through to the line.
const OUT2: u8 = 8;
/// Bytes that are there when the FIFO says so.
const TRIGGER: usize = 14;
/// Bytes that an empty transmitter takes.
const ROOM: usize = 16;
/// Line status: a byte is there.
const READY: u8 = 1;

/// The line.
#[derive(Debug)]
pub struct Line {
    function: Cap<PciFunction, All>,
    irq: Cap<Irq, All>,
    /// What is to be sent.
    outgoing: VecDeque<u8>,
}

impl Line {
    /// Sets the device up.
    ///
    /// # Errors
    /// The kernel's: it is no such device.
    pub fn new(function: Cap<PciFunction, All>, irq: Cap<Irq, All>) -> Result<Line, KernelError> {
        let line = Line { function, irq, outgoing: VecDeque::new() };
        line.write(LINE_CONTROL, &[EIGHT_BITS])?;
        line.write(IDENTIFICATION, &[FIFO])?;
        line.write(MODEM_CONTROL, &[OUT2])?;
        line.write(INTERRUPT_ENABLE, &[ON_DATA])?;
        objects::irq_acknowledge(&line.irq)?;
        Ok(line)
    }

    /// Does what an interrupt asks for: bytes that came go to `take`, and what that answers is sent.
    ///
    /// # Errors
    /// The kernel's.
    pub fn attend(&mut self, mut take: impl FnMut(&[u8]) -> Option<String>) -> Result<(), KernelError> {
        loop {
            let mut bytes = [0; TRIGGER];
            // Bit 0: nothing is asked for; then what, in three bits.
            let identification = self.read(IDENTIFICATION)?;
            let came = match (identification & 1, identification >> 1 & 7) {
                (1, _) => break,
                (_, 2) => {
                    objects::pci_port_read(&self.function, BAR, DATA, &mut bytes)?;
                    bytes.as_slice()
                }
                // Fewer have come, and no more for a while.
                (_, 6) => {
                    let mut count = 0;
                    for place in &mut bytes {
                        if self.read(LINE_STATUS)? & READY == 0 {
                            break;
                        }
                        *place = self.read(DATA)?;
                        count += 1;
                    }
                    bytes.get(..count).unwrap_or(&[])
                }
                (_, 1) => {
                    self.send()?;
                    &[]
                }
                (_, 3) => {
                    self.read(LINE_STATUS)?;
                    &[]
                }
                _ => {
                    self.read(MODEM_STATUS)?;
                    &[]
                }
            };
            if let Some(answer) = take(came) {
                self.outgoing.extend(answer.bytes());
                self.write(INTERRUPT_ENABLE, &[ON_DATA | ON_EMPTY])?;
            }
        }
        objects::irq_acknowledge(&self.irq)
    }

    /// The transmitter is empty.
    fn send(&mut self) -> Result<(), KernelError> {
        let count = self.outgoing.len().min(ROOM);
        let bytes: alloc::vec::Vec<u8> = self.outgoing.drain(..count).collect();
        if bytes.is_empty() {
            return self.write(INTERRUPT_ENABLE, &[ON_DATA]);
        }
        self.write(DATA, &bytes)
    }

    fn read(&self, register: u64) -> Result<u8, KernelError> {
        let mut byte = [0];
        objects::pci_port_read(&self.function, BAR, register, &mut byte)?;
        let [byte] = byte;
        Ok(byte)
    }

    fn write(&self, register: u64, bytes: &[u8]) -> Result<(), KernelError> {
        objects::pci_port_write(&self.function, BAR, register, bytes)
    }
}
