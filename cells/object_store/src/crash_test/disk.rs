//! The disk while the power may fail: what is durable, and what is not yet.

use alloc::vec::Vec;

use super::random::Random;
use crate::{MemoryDevice, SECTOR};

/// All subsets are tried of at most this many sectors.
const EXHAUSTIVE: usize = 5;

/// What became of one sector that was written and not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing of it reached the medium.
    Lost,
    /// It reached the medium.
    Kept,
    /// Only this many of its bytes are new. No disk should do this; the store survives it all the same.
    Torn(usize),
}

impl Fate {
    /// Makes of the old content of a sector what is there after the power cut.
    pub fn lay(self, old: &mut [u8], new: &[u8]) {
        let bytes = match self {
            Fate::Lost => 0,
            Fate::Kept => SECTOR,
            Fate::Torn(bytes) => bytes.min(SECTOR),
        };
        for (old, new) in old.iter_mut().zip(new).take(bytes) {
            *old = *new;
        }
    }
}

/// The fates that are tried of so many sectors, in the order of their writing: all subsets of few, else prefixes, suffixes, all
/// but one, one alone, and some at random; and some with a torn sector.
#[must_use]
pub fn fates(count: usize, random: &mut Random) -> Vec<Vec<Fate>> {
    let subset = |keeps: &dyn Fn(usize) -> bool| -> Vec<Fate> {
        (0..count).map(|at| if keeps(at) { Fate::Kept } else { Fate::Lost }).collect()
    };
    let mut subsets = Vec::new();
    if count <= EXHAUSTIVE {
        subsets.extend((0..1usize << count).map(|bits| subset(&|bit| bits >> bit & 1 == 1)));
    } else {
        for edge in (0..=count).step_by(count.div_ceil(24)) {
            subsets.push(subset(&|at| at < edge));
            subsets.push(subset(&|at| at >= edge));
            subsets.push(subset(&|at| at != edge));
            subsets.push(subset(&|at| at == edge));
        }
        for _ in 0..12 {
            let bits: Vec<bool> = (0..count).map(|_| random.below(2) == 0).collect();
            subsets.push(subset(&|at| bits.get(at) == Some(&true)));
        }
    }
    for _ in 0..if count > 0 { 3 } else { 0 } {
        let (torn, bytes) = (random.below(count as u64) as usize, 1 + random.below(SECTOR as u64 - 1) as usize);
        let edge = random.below(count as u64 + 1) as usize;
        let mut fates = subset(&|at| at < edge);
        if let Some(fate) = fates.get_mut(torn) {
            *fate = Fate::Torn(bytes);
        }
        subsets.push(fates);
    }
    subsets
}

/// A disk with a volatile cache.
pub(crate) struct Disk {
    durable: MemoryDevice,
    digest: u64,
    window: Vec<(u64, Vec<u8>)>,
}

fn sector_digest(sector: u64, data: &[u8]) -> u64 {
    let checksum = u64::from(crc32fast::hash(data));
    Random(sector << 32 | checksum).next()
}

impl Disk {
    pub(crate) fn new(durable: MemoryDevice, digest: u64) -> Self {
        Self { durable, digest, window: Vec::new() }
    }

    /// Whether all is durable.
    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        self.window.is_empty()
    }

    /// The content and its digest, if this became of the sectors that are not durable.
    pub(crate) fn apply(&self, fates: &[Fate]) -> (MemoryDevice, u64) {
        let (mut image, mut digest) = (self.durable.clone(), self.digest);
        for ((sector, data), fate) in self.window.iter().zip(fates) {
            let place = *sector as usize * SECTOR;
            let Some(old) = image.bytes_mut().get_mut(place..place + SECTOR) else {
                continue;
            };
            digest ^= sector_digest(*sector, old);
            fate.lay(old, data);
            digest ^= sector_digest(*sector, old);
        }
        (image, digest)
    }

    pub(crate) fn write(&mut self, sector: u64, data: &[u8]) {
        self.window.extend((sector..).zip(data.chunks(SECTOR).map(<[u8]>::to_vec)));
    }

    pub(crate) fn flush(&mut self) {
        let all: Vec<Fate> = self.window.iter().map(|_| Fate::Kept).collect();
        (self.durable, self.digest) = self.apply(&all);
        self.window.clear();
    }

    /// The fates that are tried.
    pub(crate) fn subsets(&self, random: &mut Random) -> Vec<Vec<Fate>> {
        fates(self.window.len(), random)
    }
}
