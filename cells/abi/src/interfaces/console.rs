//! The console server: lines out, lines in.
//!
//! Codes: [`LINE_TOO_LONG`]. Bodies are raw bytes (no postcard): text in UTF-8.

/// A line was longer than a body.
pub const LINE_TOO_LONG: u32 = 1;

crate::interface! {
    /// What a console client asks.
    Console {
        /// Writes the body's bytes; answers when they are queued for the device.
        1 Write();
        /// Waits for a key press; answers with the bytes typed since.
        2 Read();
    }
}
