//! Writing pickles of protocol 3, as far as objects need them (Python, `Lib/pickletools.py`).

/// The class of every object.
const MAPPING: &[u8] = b"cpersistent.mapping\nPersistentMapping\n";

/// A pickle in the making.
pub(super) struct Pickle {
    bytes: Vec<u8>,
}

impl Pickle {
    /// An empty one.
    pub(super) fn new() -> Pickle {
        Pickle { bytes: vec![0x80, 3] }
    }

    /// Its bytes, once one value stands in it.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'.');
        self.bytes
    }

    /// `None`.
    pub(super) fn none(&mut self) {
        self.bytes.push(b'N');
    }

    /// A truth value.
    pub(super) fn boolean(&mut self, value: bool) {
        self.bytes.push(if value { 0x88 } else { 0x89 });
    }

    /// A whole number: eight bytes of two's complement, or nine for what an unsigned number needs.
    pub(super) fn integer(&mut self, value: i128) {
        let bytes = value.to_le_bytes();
        let (length, kept) = if i64::try_from(value).is_ok() {
            (8, bytes.first_chunk::<8>().map(<[u8; 8]>::as_slice))
        } else {
            (16, Some(bytes.as_slice()))
        };
        self.bytes.extend([0x8a, length]);
        self.bytes.extend(kept.unwrap_or_default());
    }

    /// A number with a fraction.
    pub(super) fn float(&mut self, value: f64) {
        self.bytes.push(b'G');
        self.bytes.extend(value.to_be_bytes());
    }

    /// Text.
    pub(super) fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.sized(text.as_bytes());
    }

    /// Bytes.
    pub(super) fn binary(&mut self, bytes: &[u8]) {
        self.bytes.push(b'B');
        self.sized(bytes);
    }

    fn sized(&mut self, bytes: &[u8]) {
        // A record is far below 4 GiB: its length has 31 bits in the log.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(bytes.iter().take(length as usize));
    }

    /// A list, whose items `fill` writes.
    pub(super) fn list(&mut self, fill: impl FnOnce(&mut Pickle)) {
        self.bytes.extend(b"](");
        fill(self);
        self.bytes.push(b'e');
    }

    /// A dictionary, whose keys and values in turn `fill` writes.
    pub(super) fn mapping(&mut self, fill: impl FnOnce(&mut Pickle)) {
        self.bytes.extend(b"}(");
        fill(self);
        self.bytes.push(b'u');
    }

    /// The class of every object.
    pub(super) fn class(&mut self) {
        self.bytes.extend(MAPPING);
    }

    /// A reference to another object: ZODB's pair of number and class.
    pub(super) fn reference(&mut self, oid: u64) {
        self.binary(&oid.to_be_bytes());
        self.class();
        self.bytes.extend([0x86, b'Q']);
    }
}

/// A pickled dictionary of numbers.
pub(super) fn dictionary(entries: &[(&str, u64)]) -> Vec<u8> {
    let mut pickle = Pickle::new();
    pickle.mapping(|pickle| {
        for (name, number) in entries {
            pickle.text(name);
            pickle.integer(i128::from(*number));
        }
    });
    pickle.finish()
}
