//! The commit: one write, one flush, for one transaction or for several together.
//!
//! A vote encodes a transaction into the batch that is being filled and takes all memory and space that the commit needs.
//! Its entries stand in the index from then on, but nobody looks there before the commit moves the last transaction on.

use alloc::vec::Vec;

use super::batch::{BatchKind, HEADER};
use super::entry::Entry;
use super::frame::{Content, Frame};
use super::geometry::{BATCH_LIMIT, sectors_for};
use super::root::{Publication, Root};
use super::transaction_body::{self, Located, Sizes};
use super::volume::Reserve;
use super::{FileStorage, Mode, OID_RESERVE};
use crate::clock::next_tid;
use crate::device::{BlockDevice, SECTOR};
use crate::{Clock, Oid, StorageError, StorageTransaction, Tid, Voted};

/// The most transactions in a batch.
const GROUP_LIMIT: usize = 1 << 10;

/// Voted transactions, which will be one batch.
pub(crate) struct Group {
    frame: Frame,
    /// The root that adds the run, if it is a new one.
    publication: Option<Publication>,
    members: Vec<Member>,
    oid_reserved: u64,
}

/// A voted transaction.
struct Member {
    tid: Tid,
    /// Where it is in the batch, in bytes.
    start: u64,
    length: u64,
    located: Located,
}

impl Group {
    fn last(&self) -> Tid {
        self.members.last().map_or(Tid::ZERO, |member| member.tid)
    }

    /// Whether its batch opens a run, which the next root publishes.
    pub(crate) fn opens_run(&self) -> bool {
        self.frame.opens_run
    }

    /// The entries of all members.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.members.iter().flat_map(|member| member.located.entries.iter().copied())
    }
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Refuses what a storage that is read-only or stopped cannot do.
    pub(crate) fn check_running(&self) -> Result<(), StorageError> {
        if self.mode == Mode::Read {
            return Err(StorageError::ReadOnly);
        }
        self.volume.check_running()
    }

    /// Refuses also what a storage in a commit cannot do.
    pub(crate) fn check_writable(&self) -> Result<(), StorageError> {
        self.check_running()?;
        if self.group.is_some() { Err(StorageError::Busy) } else { Ok(()) }
    }

    pub(crate) fn prepare(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        self.check_running()?;
        let next_oid = Oid::new(self.next_oid);
        // What was voted counts: of two that conflict, one must go.
        self.sees_voted = true;
        let checked = transaction.check(self, next_oid);
        self.sees_voted = false;
        checked?;
        let (metadata, changes) = transaction.into_parts();
        let sizes = Sizes::of(&metadata, &changes)?;
        self.check_size(HEADER as u64 + sizes.total())?;
        let last = self.group.as_ref().map_or(self.last, |group| group.last().max(self.last));
        let tid = next_tid(&mut self.clock, last)?;
        let mut group = match self.group.take() {
            Some(group) => group,
            None => {
                let frame = self.frame(HEADER as u64 + sizes.total(), Reserve::Kept)?;
                Group { frame, publication: None, members: Vec::new(), oid_reserved: self.oid_reserved }
            }
        };
        let start = group.frame.length();
        let joined = self.join(&mut group, tid, &sizes, |seal, output, address| {
            transaction_body::encode(seal, tid, &metadata, &changes, &sizes, output, address)
        });
        if joined.is_err() {
            group.frame.truncate(start);
        }
        if !group.members.is_empty() {
            self.group = Some(group);
        }
        joined.map(|()| Voted::new(tid))
    }

    fn join(
        &mut self,
        group: &mut Group,
        tid: Tid,
        sizes: &Sizes,
        encode: impl FnOnce(super::checksum::Seal, &mut Vec<u8>, u64) -> Result<Located, StorageError>,
    ) -> Result<(), StorageError> {
        let (start, length) = (group.frame.length(), sizes.total());
        if !group.frame.fits(start + length) || group.members.len() == GROUP_LIMIT {
            return Err(StorageError::Busy);
        }
        group.members.try_reserve(1)?;
        group.frame.reserve(start + length)?;
        let origin = group.frame.origin();
        let located = encode(self.volume.seal, group.frame.body(), origin)?;
        let oid_reserved = self.wanted_reservation();
        if group.frame.opens_run {
            group.publication = Some(self.root_of(&group.frame, tid, oid_reserved)?.prepare()?);
        }
        group.oid_reserved = oid_reserved;
        self.index.insert(located.entries.iter().copied());
        group.members.push(Member { tid, start, length, located });
        Ok(())
    }

    /// Commits all transactions that are voted; `voted` must be just these, in any order.
    pub(crate) fn commit(&mut self, voted: &[Voted]) -> Result<(), StorageError> {
        let Some(group) = self.group.as_ref() else {
            return Err(StorageError::ForeignTransaction);
        };
        let known = |voted: &Voted| group.members.iter().any(|member| member.tid == voted.tid());
        if !voted.iter().all(known) {
            return Err(StorageError::ForeignTransaction);
        }
        if voted.len() != group.members.len() {
            return Err(StorageError::Busy);
        }
        let Some(group) = self.group.take() else {
            return Err(StorageError::ForeignTransaction);
        };
        let last = group.last();
        let content = Content {
            kind: BatchKind::Commit,
            transactions: group.members.len() as u16,
            last,
            oid_reserved: group.oid_reserved,
        };
        if let Err(error) = self.append(group.frame, content, group.publication) {
            for member in &group.members {
                self.index.remove(member.located.entries.iter().map(|entry| entry.key));
            }
            return Err(error);
        }
        self.last = last;
        self.transactions += group.members.len() as u64;
        self.objects += group.members.iter().map(|member| member.located.created).sum::<u64>();
        Ok(())
    }

    pub(crate) fn discard(&mut self, voted: &Voted) -> Result<(), StorageError> {
        let group = self.group.as_mut().ok_or(StorageError::ForeignTransaction)?;
        let place = group.members.iter().position(|member| member.tid == voted.tid());
        let place = place.ok_or(StorageError::ForeignTransaction)?;
        let gone = group.members.remove(place);
        self.index.remove(gone.located.entries.iter().map(|entry| entry.key));
        group.frame.remove(gone.start, gone.length);
        for member in group.members.iter_mut().skip(place) {
            member.start -= gone.length;
            for entry in &mut member.located.entries {
                entry.place.address -= gone.length;
            }
            self.index.insert(member.located.entries.iter().copied());
        }
        if group.members.is_empty() {
            self.group = None;
        }
        Ok(())
    }

    fn check_size(&self, bytes: u64) -> Result<(), StorageError> {
        let geometry = self.volume.root().geometry;
        let device = u64::from(geometry.segments) * u64::from(geometry.segment_sectors) - 1;
        let limit = device.min(sectors_for(BATCH_LIMIT));
        let sectors = sectors_for(bytes);
        if sectors <= limit {
            return Ok(());
        }
        let bytes = |sectors: u64| sectors.saturating_mul(SECTOR as u64);
        Err(StorageError::TransactionTooLarge { bytes: bytes(sectors), limit: bytes(limit) })
    }

    /// The next root, saying what is true now.
    pub(crate) fn current_root(&self) -> Result<Root, StorageError> {
        let mut root = self.volume.next_root()?;
        root.flushed = self.tail.sequence;
        root.last_tid = self.last;
        root.oid_reserved = self.oid_reserved;
        root.horizon = self.horizon;
        Ok(root)
    }

    /// The reservation that the next batch carries: enough that `new_oid` seldom has to publish a root for one.
    pub(crate) fn wanted_reservation(&self) -> u64 {
        let left = self.oid_reserved.saturating_sub(self.next_oid);
        if left < OID_RESERVE / 2 { self.oid_reserved.saturating_add(OID_RESERVE) } else { self.oid_reserved }
    }

    /// Publishes the root once more: what only the older one keeps becomes free.
    pub(crate) fn republish(&mut self) -> Result<(), StorageError> {
        let publication = self.current_root()?.prepare()?;
        self.volume.publish(publication)
    }
}
