//! The disk while the power may fail, and what it may be afterwards.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::hash::{DefaultHasher, Hash, Hasher};

use object_store::crash_test::Fate;
use object_store::{BlockDevice, DeviceError, SECTOR};

use crate::log::{Action, Log};

/// One sector's content.
type Sector = [u8; SECTOR];

/// What happens to a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Whole sectors are written, from this one on; durable with the next flush.
    Write(u64, &'a [u8]),
    /// The same, durable at once.
    WriteThrough(u64, &'a [u8]),
    /// So many sectors are given up, from this one on: they read as zeros once that is durable.
    Discard(u64, u64),
    /// What was written is made durable.
    Flush,
}

/// What a log says, event by event. Writes that are no whole sectors of the disk are none of a driver's, and are left out.
#[must_use]
pub fn events<'a>(log: &Log<'a>) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    let size = SECTOR as u64;
    for entry in log.entries() {
        if entry.flushes {
            events.push(Event::Flush);
        }
        match entry.action {
            Action::Nothing => {}
            Action::Write(begin, data) if entry.through => events.push(Event::WriteThrough(begin / size, data)),
            Action::Write(begin, data) => events.push(Event::Write(begin / size, data)),
            Action::Discard(begin, length) => events.push(Event::Discard(begin / size, length / size)),
        }
    }
    events
}

/// A disk with a volatile cache.
#[derive(Clone, Debug)]
pub struct Disk {
    durable: Vec<u8>,
    /// Counts what has become durable: tells states over one durable content from those over another.
    version: u64,
    window: Vec<(u64, Sector)>,
}

impl Disk {
    /// A disk whose whole content is durable.
    #[must_use]
    pub fn new(durable: Vec<u8>) -> Disk {
        Disk { durable, version: 0, window: Vec::new() }
    }

    /// Sectors that were written and are not durable.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.window.len()
    }

    /// Something happens to it.
    pub fn feel(&mut self, event: &Event<'_>) {
        match event {
            Event::Write(sector, data) => self.window.extend(sectors(*sector, data)),
            Event::WriteThrough(sector, data) => {
                let end = sector.saturating_add((data.len() / SECTOR) as u64);
                self.window.retain(|(at, _)| !(*sector..end).contains(at));
                for (at, content) in sectors(*sector, data) {
                    self.settle(at, &content);
                }
                self.version += 1;
            }
            Event::Discard(sector, count) => {
                // What lies beyond the end is nobody's, however much a log claims.
                let end = sector.saturating_add(*count).min((self.durable.len() / SECTOR) as u64);
                self.window.extend((*sector..end).map(|at| (at, [0; SECTOR])));
            }
            Event::Flush if self.window.is_empty() => {}
            Event::Flush => {
                for (at, content) in std::mem::take(&mut self.window) {
                    self.settle(at, &content);
                }
                self.version += 1;
            }
        }
    }

    fn settle(&mut self, sector: u64, content: &Sector) {
        if let Some(place) = place(sector).and_then(|place| self.durable.get_mut(place)) {
            place.copy_from_slice(content);
        }
    }

    /// The disk after a power cut, with a fate for each sector that was not durable. Sectors without one are lost.
    #[must_use]
    pub fn cut(&self, fates: &[Fate]) -> Remains<'_> {
        let mut remains = Remains { durable: &self.durable, over: BTreeMap::new() };
        for ((sector, content), fate) in self.window.iter().zip(fates) {
            if *fate == Fate::Lost {
                continue;
            }
            if let Some(old) = remains.sector_mut(*sector) {
                fate.lay(old, content);
            }
        }
        remains
    }

    /// The same with everything kept.
    #[must_use]
    pub fn kept(&self) -> Remains<'_> {
        self.cut(&vec![Fate::Kept; self.window.len()])
    }

    /// A number that tells what remains from anything else that remained in the same replay.
    #[must_use]
    pub fn digest(&self, remains: &Remains<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.version.hash(&mut hasher);
        for (sector, content) in &remains.over {
            // What was overwritten with itself is no other state.
            if place(*sector).and_then(|place| self.durable.get(place)) != Some(content.as_slice()) {
                (sector, content).hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

fn sectors(first: u64, data: &[u8]) -> impl Iterator<Item = (u64, Sector)> {
    let (whole, _) = data.as_chunks::<SECTOR>();
    (first..).zip(whole.iter().copied())
}

fn place(sector: u64) -> Option<core::ops::Range<usize>> {
    let begin = usize::try_from(sector).ok()?.checked_mul(SECTOR)?;
    Some(begin..begin.checked_add(SECTOR)?)
}

/// What remains of a disk: its durable content, which all that remain of it share, and what differs. It can be written; the
/// disk that it remains of does not change by that.
#[derive(Clone, Debug)]
pub struct Remains<'a> {
    durable: &'a [u8],
    over: BTreeMap<u64, Sector>,
}

impl Remains<'_> {
    /// A sector to change; `None` beyond the end.
    fn sector_mut(&mut self, sector: u64) -> Option<&mut Sector> {
        match self.over.entry(sector) {
            Place::Occupied(place) => Some(place.into_mut()),
            Place::Vacant(free) => {
                let old = self.durable.get(place(sector)?)?;
                Some(free.insert(old.try_into().ok()?))
            }
        }
    }

    /// The range of a transfer, if it is one of whole sectors that lies on the disk.
    fn range(&self, sector: u64, length: usize) -> Result<core::ops::Range<u64>, DeviceError> {
        let end = sector.checked_add((length / SECTOR) as u64).filter(|end| *end <= self.sectors());
        end.filter(|_| length.is_multiple_of(SECTOR)).map(|end| sector..end).ok_or(DeviceError::OutOfRange)
    }
}

impl BlockDevice for Remains<'_> {
    fn sectors(&self) -> u64 {
        (self.durable.len() / SECTOR) as u64
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        let range = self.range(sector, buffer.len())?;
        let begin = usize::try_from(sector).map_err(|_| DeviceError::OutOfRange)? * SECTOR;
        let durable = self.durable.get(begin..begin + buffer.len()).ok_or(DeviceError::OutOfRange)?;
        buffer.copy_from_slice(durable);
        for (at, content) in self.over.range(range) {
            let offset = (at - sector) as usize * SECTOR;
            if let Some(place) = buffer.get_mut(offset..offset + SECTOR) {
                place.copy_from_slice(content);
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.range(sector, data.len())?;
        for (at, content) in sectors(sector, data) {
            *self.sector_mut(at).ok_or(DeviceError::OutOfRange)? = content;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}
