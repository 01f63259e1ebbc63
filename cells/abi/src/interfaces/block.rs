//! A block device driver. Sectors have 512 bytes; data travels in the lent Buf, from its first byte.

/// Bytes in a sector.
pub const SECTOR: usize = 512;
/// The device reported an error, or refused the request.
pub const DEVICE_ERROR: u32 = 1;
/// The sectors lie beyond the end, or the Buf is too small for them.
pub const OUT_OF_RANGE: u32 = 2;
/// The device cannot be written.
pub const READ_ONLY: u32 = 3;

crate::interface! {
    /// What a client of a block device asks.
    Block {
        /// Reads sectors into the lent Buf.
        1 Read(sector: u64, count: u64);
        /// Writes sectors from the lent Buf; durable after the next flush.
        2 Write(sector: u64, count: u64);
        /// Returns when everything written before is durable.
        3 Flush();
        /// The number of sectors.
        4 Capacity() -> u64;
        /// 1 where the device cannot be written, else 0.
        10 IsReadOnly() -> u64;
    }
}
