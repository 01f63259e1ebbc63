//! What bringing a device up, or working with it, can fail with.

use core::fmt;

use abi::KernelError;
use virtio_drivers::transport::pci::VirtioPciError;

/// Why the queue refused, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The kernel refused to map, read or write something: the cell was endowed wrongly.
    Kernel(KernelError),
    /// The function is no virtio device that this transport can drive.
    Transport(VirtioPciError),
    /// The virtqueue refused: a bug of this crate, or a device that breaks the specification.
    Queue(virtio_drivers::Error),
    /// A queue was made before in this cell, which has one pool of DMA memory.
    AlreadyStarted,
    /// The DMA frame is too small for the queue and one slot.
    NoMemory,
    /// The DMA frame is not made of whole pages.
    Misaligned,
    /// A BAR's length is no power of two, or less than a page.
    OddBar(u8),
    /// The device is a virtio device of another kind.
    NotBlock,
    /// The device did not come out of reset.
    NoReset,
    /// The device is older than virtio 1.0.
    NoVersion1,
    /// The device cannot flush.
    NoFlush,
    /// The device does not accept the features that it was asked for.
    FeaturesRefused,
    /// The device takes less than a sector at a time.
    SegmentTooSmall,
    /// The device has failed and asks to be reset.
    NeedsReset,
    /// The device returned a descriptor chain that it was not given.
    UnknownCompletion(u16),
    /// The caller used a slot that the device holds.
    SlotBusy,
    /// The caller went beyond the last slot, or beyond the bytes of one.
    OutOfSlot,
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Self {
        Self::Kernel(error)
    }
}

impl From<VirtioPciError> for Error {
    fn from(error: VirtioPciError) -> Self {
        Self::Transport(error)
    }
}

impl From<virtio_drivers::Error> for Error {
    fn from(error: virtio_drivers::Error) -> Self {
        Self::Queue(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => write!(f, "the kernel refused: {error:?}"),
            Self::Transport(error) => write!(f, "no usable virtio transport: {error}"),
            Self::Queue(error) => write!(f, "the virtqueue refused: {error}"),
            Self::AlreadyStarted => write!(f, "the DMA memory of this cell is in use already"),
            Self::NoMemory => write!(f, "the DMA frame is too small"),
            Self::Misaligned => write!(f, "the DMA frame is not made of whole pages"),
            Self::OddBar(bar) => write!(f, "the length of BAR {bar} is no power of two, or less than a page"),
            Self::NotBlock => write!(f, "the device is no block device"),
            Self::NoReset => write!(f, "the device did not come out of reset"),
            Self::NoVersion1 => write!(f, "the device is older than virtio 1.0"),
            Self::NoFlush => write!(f, "the device offers no flush, so nothing written would be sure to last"),
            Self::FeaturesRefused => write!(f, "the device refused its own features"),
            Self::SegmentTooSmall => write!(f, "the device takes less than a sector at a time"),
            Self::NeedsReset => write!(f, "the device has failed and needs a reset"),
            Self::UnknownCompletion(chain) => {
                write!(f, "the device returned chain {chain}, which it did not have")
            }
            Self::SlotBusy => write!(f, "the slot is in the device's hands"),
            Self::OutOfSlot => write!(f, "there is no such slot, or not so many bytes in it"),
        }
    }
}
