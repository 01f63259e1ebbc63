//! A block device driver. Sectors have 512 bytes; data travels in the lent Buf, from its first byte.

/// Bytes in a sector.
pub const SECTOR: usize = 512;
/// The device reported an error, or refused the request.
pub const DEVICE_ERROR: u32 = 1;
/// The sectors lie beyond the end, or the Buf is too small for them.
pub const OUT_OF_RANGE: u32 = 2;
/// The client has named no notification to this instance of the driver.
pub const NO_LISTENER: u32 = 3;
/// Too many clients listen, or too many requests are held.
pub const BUSY: u32 = 4;
/// The device cannot be written.
pub const READ_ONLY: u32 = 5;

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
        /// The notification that travels with the request is signalled from now on for the calling client, whose badge tells
        /// it from others; one that it named before is forgotten, and what was begun for that is not told. Refused with [`BUSY`].
        5 Listen();
        /// Flushes, and returns at once. The client's notification is signalled with the bits `done` when everything is durable
        /// whose write was answered before, with `failed` where the device fails. An instance that ends meanwhile signals
        /// nothing. Refused with [`NO_LISTENER`], or [`BUSY`].
        6 BeginFlush(done: u64, failed: u64);
        /// 1 where the device cannot be written, else 0.
        10 IsReadOnly() -> u64;
    }
}
