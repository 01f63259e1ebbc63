//! How large a block a request needs.
//!
//! The sizes of kernel objects are the kernel's, and fixed with its ABI: a block that is smaller than its object would be
//! refused at the retype, and a larger one is only waste.

use runtime::abi::kernel::Kind;

/// The smallest block: the smallest kernel object. Each block costs this cell a slot of its CNode, which is nearly that.
pub const MIN_BITS: u8 = 7;
/// The largest size that is considered; larger ones are refused as bad, not as too much.
pub const MAX_BITS: u8 = buddy::MAX_BITS;

/// Bytes of a slot of a CNode.
const SLOT: u64 = 96;
/// The most slots of a CNode, as a power of two.
const MAX_CNODE_BITS: u8 = 24;

/// The block of an untyped of `size` bytes at a multiple of `alignment`, as a power of two. Blocks are aligned to their
/// size, so that a large alignment takes a large block. `None` where either is zero or too large, or the alignment is no
/// power of two.
pub fn untyped_bits(size: u64, alignment: u64) -> Option<u8> {
    if size == 0 || !alignment.is_power_of_two() {
        return None;
    }
    let size = size.checked_next_power_of_two()?.max(alignment);
    let bits = u8::try_from(size.ilog2()).ok()?.max(MIN_BITS);
    (bits <= MAX_BITS).then_some(bits)
}

/// The block of an object, as a power of two. `None` for a kind that is not made of memory, or an impossible size.
pub fn object_bits(kind: Kind, size_bits: u8) -> Option<u8> {
    let bits = match kind {
        Kind::Endpoint | Kind::Replacement => 10,
        Kind::Notification | Kind::Scope => 7,
        Kind::Reply => 8,
        Kind::Tcb => 12,
        Kind::CNode if (1..=MAX_CNODE_BITS).contains(&size_bits) => cnode_bits(size_bits),
        Kind::VSpace if size_bits >= 8 => size_bits,
        Kind::Frame | Kind::Buf | Kind::Image | Kind::DmaFrame if size_bits >= 12 => size_bits,
        _ => return None,
    };
    (bits <= MAX_BITS).then_some(bits)
}

/// The slots and one more for the table itself, rounded up.
fn cnode_bits(size_bits: u8) -> u8 {
    let bytes = ((1 << size_bits) + 1) * SLOT;
    bytes.next_power_of_two().ilog2() as u8
}

/// The kind of object with a number; `None` for a number that is not given out.
pub fn kind_of(number: u64) -> Option<Kind> {
    const MADE_OF_MEMORY: [Kind; 13] = [
        Kind::Untyped,
        Kind::Frame,
        Kind::Tcb,
        Kind::CNode,
        Kind::VSpace,
        Kind::Endpoint,
        Kind::Notification,
        Kind::Reply,
        Kind::Buf,
        Kind::Image,
        Kind::Scope,
        Kind::DmaFrame,
        Kind::Replacement,
    ];
    MADE_OF_MEMORY.into_iter().find(|kind| *kind as u64 == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_larger_of_size_and_alignment_counts() {
        assert_eq!(untyped_bits(4096, 64), Some(12));
        assert_eq!(untyped_bits(4097, 1), Some(13));
        assert_eq!(untyped_bits(1, 1 << 20), Some(20));
        assert_eq!(untyped_bits(1, 1), Some(MIN_BITS));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (size, alignment) in [(0, 1), (1, 0), (1, 3), (u64::MAX, 1), (1, 1 << 63)] {
            assert_eq!(untyped_bits(size, alignment), None, "{size} {alignment}");
        }
        for (kind, bits) in [
            (Kind::CNode, 0),
            (Kind::CNode, 25),
            (Kind::Frame, 11),
            (Kind::Frame, 48),
            (Kind::Buf, 255),
            (Kind::VSpace, 7),
            (Kind::Untyped, 12),
            (Kind::Machine, 12),
        ] {
            assert_eq!(object_bits(kind, bits), None, "{kind:?} {bits}");
        }
    }

    #[test]
    fn a_cnode_has_room_for_its_slots_and_itself() {
        assert_eq!(object_bits(Kind::CNode, 1), Some(9));
        assert_eq!(object_bits(Kind::CNode, 8), Some(15));
        assert_eq!(object_bits(Kind::CNode, 24), Some(31));
    }

    #[test]
    fn numbers_of_kinds() {
        assert_eq!(kind_of(6), Some(Kind::Endpoint));
        assert_eq!(kind_of(Kind::DmaFrame as u64), Some(Kind::DmaFrame));
        for number in [0, Kind::PciFunction as u64, 20, 22, u64::MAX] {
            assert_eq!(kind_of(number), None, "{number}");
        }
    }

    proptest! {
        #[test]
        fn a_block_covers_what_was_asked_for(size: u64, shift in 0..64, alignment in 0..64) {
            let (size, alignment) = (size >> shift, 1u64 << alignment);
            if let Some(bits) = untyped_bits(size, alignment) {
                prop_assert!(1 << bits >= size);
                prop_assert_eq!((1 << bits) % alignment, 0);
            }
        }
    }
}
