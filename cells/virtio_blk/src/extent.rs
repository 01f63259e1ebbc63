//! A run of sectors, checked against the device and the lease, and cut into parts.

use abi::interfaces::block::SECTOR;

/// Sectors one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first.
    pub sector: u64,
    /// How many.
    pub count: u64,
}

/// The sectors lie beyond the end of the device, or the lease is too short for them: the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl Extent {
    /// An extent that lies on a device of `capacity` sectors, with room for its data in a lease of `lease` bytes.
    ///
    /// # Errors
    /// [`OutOfRange`].
    pub fn checked(sector: u64, count: u64, capacity: u64, lease: usize) -> Result<Self, OutOfRange> {
        let end = sector.checked_add(count).ok_or(OutOfRange)?;
        let bytes = count.checked_mul(SECTOR as u64).ok_or(OutOfRange)?;
        (end <= capacity && bytes <= lease as u64).then_some(Extent { sector, count }).ok_or(OutOfRange)
    }

    /// Bytes of its data.
    pub fn bytes(&self) -> usize {
        self.count as usize * SECTOR
    }

    /// Cuts off its front, `most` sectors at most, and keeps the rest. `None` where nothing is left.
    pub(crate) fn cut(&mut self, most: u64) -> Option<Extent> {
        let count = self.count.min(most);
        if count == 0 {
            return None;
        }
        let front = Extent { sector: self.sector, count };
        self.sector += count;
        self.count -= count;
        Some(front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_lies_beyond_the_end_or_the_lease_is_refused() {
        let fits = |sector, count, lease| Extent::checked(sector, count, 100, lease).is_ok();
        assert!(fits(99, 1, 512));
        assert!(fits(0, 100, 51_200));
        assert!(fits(100, 0, 0));
        assert!(!fits(99, 2, 1024));
        assert!(!fits(101, 0, 0));
        assert!(!fits(0, 1, 511));
        assert!(!fits(u64::MAX, 2, usize::MAX));
        let whole = Extent::checked(0, u64::MAX, u64::MAX, usize::MAX);
        assert_eq!(whole, Err(OutOfRange), "its bytes do not fit a word");
    }

    proptest! {
        #[test]
        fn parts_cover_an_extent_in_order_and_once(sector in 0u64..1 << 40, count in 0u64..500, most in 1u64..70) {
            let mut rest = Extent { sector, count };
            let mut at = sector;
            while let Some(part) = rest.cut(most) {
                prop_assert_eq!(part.sector, at);
                prop_assert!((1..=most).contains(&part.count));
                at += part.count;
            }
            prop_assert_eq!(at, sector + count);
        }
    }
}
