//! The legacy interrupt controllers, which are only moved out of the way.

use crate::ports;

const COMMAND: [u16; 2] = [0x20, 0xa0];
const DATA: [u16; 2] = [0x21, 0xa1];
/// Where a stray interrupt of theirs would arrive: vectors that nothing else uses, 0x50 and 0x58. Unmoved it would look like a
/// double fault.
const VECTORS: [u8; 2] = [0x50, 0x58];
const CASCADE: [u8; 2] = [1 << 2, 2];

/// Moves both controllers' vectors and masks all of their lines.
pub fn mask() {
    for (((command, data), vector), cascade) in COMMAND.into_iter().zip(DATA).zip(VECTORS).zip(CASCADE) {
        let sequence = [(command, 0x11), (data, vector), (data, cascade), (data, 0x01), (data, 0xff)];
        for (port, value) in sequence {
            // SAFETY: the initialisation sequence of the 8259 (ICW1 to ICW4, then the mask) on its own ports. The
            // controllers have no access to memory, and nothing else in the kernel touches them.
            unsafe { ports::write::<u8>(port, value) };
        }
    }
}
