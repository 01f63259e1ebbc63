//! The log of a disk's writes and flushes, in the format of Linux's `dm-log-writes`, which QEMU's `blklogwrites` writes too.
//!
//! All numbers are little-endian. In the first sector of the log stand a magic number, a version, the number of entries and the
//! size of a sector. The entries follow, each in a sector of its own with what was written behind it
//! (Linux, `Documentation/admin-guide/device-mapper/log-writes.rst` and `drivers/md/dm-log-writes.c`).
//!
//! Entries stand in the order in which the transfers ended. A flush is entered when it has ended, so a write that ended while a
//! flush was under way passes for flushed: that makes for fewer states, never for a false alarm.

use core::fmt;

/// The first eight bytes.
const MAGIC: u64 = 0x006a_7366_7773_6872;
/// The only version.
const VERSION: u64 = 1;
/// Bytes of the numbers in front of an entry.
const ENTRY: usize = 32;
/// The largest sector that a log may have.
const LARGEST_SECTOR: u32 = 1 << 16;

/// The disk made everything durable that was written before the entry.
const FLUSH: u64 = 1;
/// What the entry writes was durable when it ended.
const FUA: u64 = 1 << 1;
/// What the sectors held is not wanted any more.
const DISCARD: u64 = 1 << 2;
/// The entry is a remark and does nothing.
const MARK: u64 = 1 << 3;
/// The entry writes a file system's own data.
const METADATA: u64 = 1 << 4;

/// Why bytes are no log, or are one only up to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLog {
    /// They do not begin as a log does.
    NoLog,
    /// The log is of another version.
    Version(u64),
    /// The size of a sector is none that a disk has.
    SectorSize(u32),
    /// The entry of this number, or what it writes, is cut off.
    CutOff(u64),
    /// The entry of this number writes beyond any disk.
    TooFar(u64),
    /// The entry of this number has flags that are not known.
    Flags(u64, u64),
}

impl fmt::Display for BadLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadLog::NoLog => f.write_str("these bytes are no log of writes"),
            BadLog::Version(found) => write!(f, "the log has version {found}, and version {VERSION} is read here"),
            BadLog::SectorSize(bytes) => write!(f, "the log has sectors of {bytes} bytes"),
            BadLog::CutOff(entry) => write!(f, "entry {entry} of the log is cut off"),
            BadLog::TooFar(entry) => write!(f, "entry {entry} of the log lies beyond any disk"),
            BadLog::Flags(entry, flags) => write!(f, "entry {entry} of the log has unknown flags {flags:#x}"),
        }
    }
}

/// What an entry does with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Nothing.
    Nothing,
    /// These bytes were written from that byte of the disk on.
    Write(u64, &'a [u8]),
    /// So many bytes were given up from that byte of the disk on.
    Discard(u64, u64),
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Whether everything before it was made durable first.
    pub flushes: bool,
    /// What it does then.
    pub action: Action<'a>,
    /// Whether that was durable when it ended.
    pub through: bool,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log<'a> {
    entries: Vec<Entry<'a>>,
}

impl<'a> Log<'a> {
    /// Reads a log.
    ///
    /// # Errors
    /// Its bytes do not say what a log says; nothing is guessed.
    pub fn read(bytes: &'a [u8]) -> Result<Log<'a>, BadLog> {
        let head = bytes.get(..28).ok_or(BadLog::NoLog)?;
        if number(head, 0) != Some(MAGIC) {
            return Err(BadLog::NoLog);
        }
        match number(head, 8) {
            Some(VERSION) => {}
            other => return Err(BadLog::Version(other.unwrap_or(0))),
        }
        let count = number(head, 16).ok_or(BadLog::NoLog)?;
        let sector_size = small_number(head, 24).ok_or(BadLog::NoLog)?;
        if !sector_size.is_power_of_two() || !(512..=LARGEST_SECTOR).contains(&sector_size) {
            return Err(BadLog::SectorSize(sector_size));
        }
        let sector = sector_size as usize;
        let mut entries = Vec::new();
        let mut rest = bytes.get(sector..).unwrap_or(&[]);
        for at in 0..count {
            let (entry, length) = read_entry(rest, sector, at)?;
            entries.push(entry);
            rest = rest.get(length..).ok_or(BadLog::CutOff(at))?;
        }
        Ok(Log { entries })
    }

    /// Its entries, in their order.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }
}

/// The entry at the beginning of some bytes, and how many of them it takes.
fn read_entry(bytes: &[u8], sector: usize, at: u64) -> Result<(Entry<'_>, usize), BadLog> {
    let cut_off = BadLog::CutOff(at);
    let head = bytes.get(..ENTRY).ok_or(cut_off)?;
    let field = |place| number(head, place).ok_or(cut_off);
    let (place, count, flags) = (field(0)?, field(8)?, field(16)?);
    if flags & !(FLUSH | FUA | DISCARD | MARK | METADATA) != 0 {
        return Err(BadLog::Flags(at, flags));
    }
    let size = sector as u64;
    let begin = place.checked_mul(size).ok_or(BadLog::TooFar(at))?;
    let length = count.checked_mul(size).filter(|length| begin.checked_add(*length).is_some());
    let length = length.ok_or(BadLog::TooFar(at))?;
    let (flushes, through) = (flags & FLUSH != 0, flags & FUA != 0);
    let done = |action, length| (Entry { flushes, action, through }, length);
    if flags & MARK != 0 || count == 0 {
        return Ok(done(Action::Nothing, sector));
    }
    if flags & DISCARD != 0 {
        return Ok(done(Action::Discard(begin, length), sector));
    }
    let end = usize::try_from(length).ok().and_then(|length| sector.checked_add(length)).ok_or(cut_off)?;
    let data = bytes.get(sector..end).ok_or(cut_off)?;
    Ok(done(Action::Write(begin, data), end))
}

fn number(bytes: &[u8], place: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(place..place + 8)?.try_into().ok()?))
}

fn small_number(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(place..place + 4)?.try_into().ok()?))
}
