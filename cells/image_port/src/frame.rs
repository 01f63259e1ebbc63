//! Frames: `TELOSIMG`, the length in four bytes, little-endian, and so many bytes.
//!
//! What does not begin so is skipped, so that a line with noise on it comes to its senses at the next frame.

/// How a frame begins.
pub const MAGIC: [u8; 8] = *b"TELOSIMG";
/// Bytes before the image's.
const HEADER: usize = 12;

/// What a byte has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collected {
    /// There is more to come.
    Part,
    /// So many bytes stand in the room: the frame is whole.
    Whole(usize),
    /// The frame announces more bytes than there is room for. In what comes the beginning of the next one is looked for.
    TooLong(u64),
}

/// A frame on its way.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    header: [u8; HEADER],
    /// Bytes of the header that have come.
    begun: usize,
    /// Bytes of the image that have come.
    length: usize,
}

impl Collector {
    /// Whether nothing of a frame has come.
    pub fn is_empty(&self) -> bool {
        self.begun == 0
    }

    /// Takes the next byte, into `room` if it is the image's.
    pub fn take(&mut self, byte: u8, room: &mut [u8]) -> Collected {
        if let Some(place) = self.header.get_mut(self.begun) {
            *place = byte;
            self.begun += 1;
            return self.check_header(room.len());
        }
        if let Some(place) = room.get_mut(self.length) {
            *place = byte;
        }
        self.length += 1;
        if self.length < self.announced() {
            return Collected::Part;
        }
        let length = self.length;
        *self = Collector::default();
        Collected::Whole(length)
    }

    fn announced(&self) -> usize {
        let [.., l0, l1, l2, l3] = self.header;
        u32::from_le_bytes([l0, l1, l2, l3]) as usize
    }

    fn check_header(&mut self, room: usize) -> Collected {
        // What cannot be the beginning of a frame is dropped, byte by byte.
        while !self.header.iter().take(self.begun).zip(MAGIC).all(|(byte, magic)| *byte == magic) {
            self.header.rotate_left(1);
            self.begun -= 1;
        }
        if self.begun < HEADER {
            return Collected::Part;
        }
        match self.announced() {
            0 => {
                *self = Collector::default();
                Collected::Whole(0)
            }
            length if length > room => {
                *self = Collector::default();
                Collected::TooLong(length as u64)
            }
            _ => Collected::Part,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(image: &[u8]) -> Vec<u8> {
        [MAGIC.as_slice(), &(image.len() as u32).to_le_bytes(), image].concat()
    }

    fn collect(bytes: &[u8], room: &mut [u8]) -> Vec<(Collected, Vec<u8>)> {
        let mut collector = Collector::default();
        let mut found = Vec::new();
        for byte in bytes {
            match collector.take(*byte, room) {
                Collected::Part => {}
                Collected::Whole(length) => found.push((Collected::Whole(length), room[..length].to_vec())),
                other => found.push((other, Vec::new())),
            }
        }
        found
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_whatever_stands_between_them(
            images in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..5),
            noise in prop::collection::vec(prop::sample::select(b"TELOSIMxG".to_vec()), 0..20),
        ) {
            // Noise that ends like the beginning of a frame swallows that frame's beginning, as it must.
            let mut noise = noise;
            noise.push(0);
            let mut bytes = Vec::new();
            for image in &images {
                bytes.extend(&noise);
                bytes.extend(frame(image));
            }
            prop_assume!(!noise.windows(8).any(|part| part == MAGIC));
            let found: Vec<Vec<u8>> = collect(&bytes, &mut [0; 64]).into_iter().map(|(_, image)| image).collect();
            prop_assert_eq!(found, images);
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            collect(&bytes, &mut [0; 16]);
        }
    }

    #[test]
    fn what_is_too_long_is_said_and_skipped() {
        let bytes = [frame(&[1; 40]), frame(&[2; 3])].concat();
        let found = collect(&bytes, &mut [0; 16]);
        assert_eq!(found, [(Collected::TooLong(40), Vec::new()), (Collected::Whole(3), vec![2; 3])]);
    }
}
