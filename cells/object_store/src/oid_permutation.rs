//! Object numbers as clients see them: a permutation of 64-bit numbers that cannot be followed without its key.
//!
//! Inside, numbers are dense, so that indexes are small; a client that saw them could count through all objects. Outside, an
//! object goes by the image of its number, which can be passed on and compared, but not guessed: of all numbers, only as many
//! as there are objects name one. The permutation is the block cipher Speck64/128 (Beaulieu et al., *The SIMON and SPECK
//! families of lightweight block ciphers*, 2013) under the key that is kept in the state file, so that an image stays the
//! same for ever.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::Oid;

/// Rounds of Speck64/128.
const ROUNDS: usize = 27;

/// An object's number as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicOid(u64);

impl PublicOid {
    /// Wraps a number that came from a client. It need not name anything.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PublicOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Oid::new(self.0), f)
    }
}

/// The permutation under one key. It is as secret as the key.
#[derive(Clone)]
pub struct OidPermutation {
    round_keys: [u32; ROUNDS],
}

impl fmt::Debug for OidPermutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OidPermutation")
    }
}

impl OidPermutation {
    /// The permutation under a key: four little-endian words, the one of the first round first.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Self {
        let key = u128::from_le_bytes(*key);
        let mut round_key = key as u32;
        let mut others = [32, 64, 96].map(|shift| (key >> shift) as u32);
        let mut round_keys = [0; ROUNDS];
        for (round, kept) in (0u32..).zip(&mut round_keys) {
            *kept = round_key;
            let [other, ..] = &mut others;
            (*other, round_key) = forward(*other, round_key, round);
            others.rotate_left(1);
        }
        Self { round_keys }
    }

    /// What clients call an object.
    #[must_use]
    pub fn outside(&self, oid: Oid) -> PublicOid {
        let number = oid.number();
        let mut halves = ((number >> 32) as u32, number as u32);
        for &key in &self.round_keys {
            halves = forward(halves.0, halves.1, key);
        }
        PublicOid(join(halves))
    }

    /// The object that clients call so. Every number has one, but hardly any of those was ever issued.
    #[must_use]
    pub fn inside(&self, public: PublicOid) -> Oid {
        let mut halves = ((public.0 >> 32) as u32, public.0 as u32);
        for &key in self.round_keys.iter().rev() {
            halves = backward(halves.0, halves.1, key);
        }
        Oid::new(join(halves))
    }
}

/// A round.
fn forward(high: u32, low: u32, key: u32) -> (u32, u32) {
    let high = high.rotate_right(8).wrapping_add(low) ^ key;
    (high, low.rotate_left(3) ^ high)
}

/// A round backwards.
fn backward(high: u32, low: u32, key: u32) -> (u32, u32) {
    let low = (low ^ high).rotate_right(3);
    ((high ^ key).wrapping_sub(low).rotate_left(8), low)
}

fn join((high, low): (u32, u32)) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    /// The key of the paper's test vector: 1b1a1918 13121110 0b0a0908 03020100.
    const KEY: [u8; 16] = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];

    #[test]
    fn the_published_vector_holds() {
        let permutation = OidPermutation::new(&KEY);
        let (plain, image) = (Oid::new(0x3b72_6574_7475_432d), PublicOid::new(0x8c6f_a548_454e_028b));
        assert_eq!(permutation.outside(plain), image);
        assert_eq!(permutation.inside(image), plain);
    }

    /// Fixed images: a state file keeps its key, and whoever kept an image must find the same object in a later version.
    #[test]
    fn images_stay_the_same() {
        let permutation = OidPermutation::new(b"a key for tests.");
        let images = [0, 1, 2, u64::MAX].map(|number| permutation.outside(Oid::new(number)).number());
        assert_eq!(images, IMAGES);
    }

    #[test]
    fn an_object_is_shown_by_sixteen_digits() {
        assert_eq!(PublicOid::new(0x1a).to_string(), "#000000000000001a");
        assert_eq!(Oid::new(u64::MAX).to_string(), "#ffffffffffffffff");
    }

    const IMAGES: [u64; 4] =
        [3_499_419_785_728_952_834, 16_738_256_470_055_318_616, 5_150_650_102_735_495_107, 14_626_775_153_149_991_943];

    #[test]
    fn neighbours_are_scattered() {
        let permutation = OidPermutation::new(&KEY);
        let images: BTreeSet<u64> = (0..10_000).map(|number| permutation.outside(Oid::new(number)).number()).collect();
        assert_eq!(images.len(), 10_000);
        // Of 10 000 scattered numbers two lie within 2^20 of each other in one case of 200 000; dense ones always do.
        assert!(images.iter().zip(images.iter().skip(1)).all(|(one, other)| other - one > 1 << 20));
        let flipped: u32 = (0..1_000u64)
            .map(|number| {
                let images = [number, number ^ 1].map(|number| permutation.outside(Oid::new(number)).number());
                (images[0] ^ images[1]).count_ones()
            })
            .sum();
        assert!((31_000..33_000).contains(&flipped), "a bit of the number flips half of the image: {flipped} of 64000");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_bijection(key: [u8; 16], number: u64) {
            let permutation = OidPermutation::new(&key);
            let oid = Oid::new(number);
            prop_assert_eq!(permutation.inside(permutation.outside(oid)), oid);
            let public = PublicOid::new(number);
            prop_assert_eq!(permutation.outside(permutation.inside(public)), public);
        }

        #[test]
        fn every_bit_of_the_key_matters(key: [u8; 16], bit in 0..128usize, number: u64) {
            let mut other = key;
            other[bit / 8] ^= 1 << (bit % 8);
            let images = [key, other].map(|key| OidPermutation::new(&key).outside(Oid::new(number)));
            prop_assert_ne!(images[0], images[1]);
        }
    }
}
