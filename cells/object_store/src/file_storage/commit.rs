//! The commit: one write, one flush, for one transaction or for several together.
//!
//! A vote encodes a transaction into the batch that is being filled and takes all memory and space that the commit needs.
//! Its entries stand in the index from then on, but nobody looks there before the commit moves the last transaction on.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::batch::{BatchKind, HEADER};
use super::entry::Entry;
use super::frame::{Appended, Content, Frame};
use super::geometry::{BATCH_LIMIT, sectors_for};
use super::root::{Publication, Root};
use super::transaction_body::{self, Located, Sizes};
use super::volume::Reserve;
use super::{FileStorage, Mode, OID_RESERVE};
use crate::device::{BlockDevice, SECTOR};
use crate::{Change, Clock, Flush, Load, Oid, Staged, StorageError, StorageTransaction, Tid, Voted};

/// The most transactions in a batch.
pub(crate) const GROUP_LIMIT: usize = 64;

/// Segments that a step of a pack or a checkpoint of what is new may take.
const WORK_SEGMENTS: u64 = 8;

/// Voted transactions, which will be one batch.
pub(crate) struct Group {
    frame: Frame,
    /// The root that adds the run, if it is a new one.
    publication: Option<Publication>,
    members: Vec<Member>,
    oid_reserved: u64,
}

/// A batch that is written and not flushed.
pub(crate) struct Unflushed {
    appended: Appended,
    last: Tid,
    members: Vec<Member>,
    /// What was voted for and goes behind it.
    rest: Option<Group>,
}

/// A voted transaction.
struct Member {
    tid: Tid,
    /// Where it is in the batch, in bytes.
    start: u64,
    length: u64,
    located: Located,
    /// What it changes, for the votes behind it.
    changes: BTreeMap<Oid, Staged>,
    /// Object numbers below this count as issued once it is committed.
    oid_limit: u64,
}

impl Group {
    fn last(&self) -> Tid {
        self.members.last().map_or(Tid::ZERO, |member| member.tid)
    }

    /// The objects that members change or refer to.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Oid> + '_ {
        let changes = self.members.iter().flat_map(|member| &member.changes);
        changes.flat_map(|(&oid, staged)| {
            let references = match &staged.change {
                Change::Record(record) => record.references.as_slice(),
                Change::Deletion => &[],
            };
            core::iter::once(oid).chain(references.iter().copied())
        })
    }

    /// Sectors that the members take if each is committed by itself, with one more of this length.
    fn sectors_apart(&self, length: u64) -> u64 {
        let lengths = self.members.iter().map(|member| member.length);
        lengths.chain([length]).map(|length| sectors_for(HEADER as u64 + length)).sum()
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

    pub(crate) fn prepare(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        self.check_running()?;
        self.check_settled()?;
        for member in self.group.iter().flat_map(|group| &group.members) {
            transaction.check_behind(member.tid, &member.changes)?;
        }
        let oid_limit = transaction.oid_limit(Oid::new(self.next_oid))?;
        transaction.check(self, oid_limit)?;
        let last = self.group.as_ref().map_or(self.last, |group| group.last().max(self.last));
        if self.group.as_ref().is_some_and(|group| group.members.len() == GROUP_LIMIT) {
            return Err(StorageError::Busy);
        }
        let tid = transaction.tid(&mut self.clock, last)?;
        let restored = transaction.is_restored();
        let (metadata, changes) = transaction.into_parts();
        let sizes = Sizes::of(&metadata, &changes)?;
        self.check_size(HEADER as u64 + sizes.total())?;
        let mut created = Vec::new();
        created.try_reserve_exact(changes.len())?;
        for (&oid, staged) in &changes {
            // A copied transaction does not say what it is based on.
            let new =
                staged.based_on == Tid::ZERO && (!restored || matches!(self.find(oid, Tid::MAX)?, Load::NeverExisted));
            created.push(new);
        }
        let mut group = match self.group.take() {
            Some(group) => group,
            None => {
                let frame = self.frame(HEADER as u64 + sizes.total(), Reserve::Kept)?;
                Group { frame, publication: None, members: Vec::new(), oid_reserved: self.oid_reserved }
            }
        };
        let apart = group.sectors_apart(sizes.total());
        if !group.members.is_empty()
            && !group.frame.fits(group.frame.length() + sizes.total(), apart)
            && let Err(error) = self.place_again(&mut group, sizes.total())
        {
            self.group = Some(group);
            // There may be room for it alone, once those before it are committed.
            let full = matches!(error, StorageError::OutOfSpace { .. });
            return Err(if full { StorageError::Busy } else { error });
        }
        let start = group.frame.length();
        let (length, oid_limit) = (sizes.total(), oid_limit.number());
        let joined = self.join(&mut group, tid, (length, oid_limit), |seal, output, address| {
            let listed = created.iter().copied();
            transaction_body::encode(seal, tid, &metadata, &changes, listed, &sizes, output, address)
        });
        let outcome = match joined {
            Ok(located) => {
                group.members.push(Member { tid, start, length, located, changes, oid_limit });
                Ok(Voted::new(tid))
            }
            Err(error) => {
                group.frame.truncate(start);
                Err(error)
            }
        };
        if !group.members.is_empty() {
            self.group = Some(group);
        }
        outcome
    }

    /// Takes a transaction into the batch.
    fn join(
        &mut self,
        group: &mut Group,
        tid: Tid,
        (length, oid_limit): (u64, u64),
        encode: impl FnOnce(super::checksum::Seal, &mut Vec<u8>, u64) -> Result<Located, StorageError>,
    ) -> Result<Located, StorageError> {
        let start = group.frame.length();
        // Members may be committed in parts, each of which is a batch in the same run.
        if !group.frame.fits(start + length, group.sectors_apart(length)) {
            return Err(StorageError::Busy);
        }
        group.members.try_reserve(1)?;
        group.frame.reserve(start + length)?;
        let origin = group.frame.origin();
        let located = encode(self.volume.seal, group.frame.body(), origin)?;
        let oid_reserved = self.wanted_reservation(oid_limit);
        if group.frame.opens_run {
            group.publication = Some(self.root_of(&group.frame, tid, oid_reserved)?.prepare()?);
        }
        group.oid_reserved = oid_reserved;
        self.index.insert(located.entries.iter().copied());
        Ok(located)
    }

    /// Commits the oldest votes, in their order. Others are given up.
    pub(crate) fn commit(&mut self, voted: &[Voted]) -> Result<(), StorageError> {
        match self.commit_start(voted)? {
            Flush::Needed => {
                let flushed = self.volume.flush();
                self.commit_end(flushed)
            }
            Flush::Done => Ok(()),
        }
    }

    /// Writes the batch of the oldest votes. Where a flush is needed, [`commit_end`](Self::commit_end) follows it, and until then
    /// nothing is voted for, appended or published.
    pub(crate) fn commit_start(&mut self, voted: &[Voted]) -> Result<Flush, StorageError> {
        self.check_settled()?;
        let oldest = self.group.iter().flat_map(|group| &group.members).map(|member| member.tid).take(voted.len());
        let right = !voted.is_empty() && oldest.eq(voted.iter().map(Voted::tid));
        let Some(mut group) = self.group.take_if(|_| right) else {
            for one in voted {
                let _ = self.discard(one);
            }
            return if voted.is_empty() { Ok(Flush::Done) } else { Err(StorageError::ForeignTransaction) };
        };
        // What is left goes behind, in the same run, where there is room for all of it. No memory is taken after the write.
        let rest = if voted.len() < group.members.len() { Some(self.split(&mut group, voted.len())?) } else { None };
        let last = group.last();
        let content = Content {
            kind: BatchKind::Commit,
            transactions: group.members.len() as u16,
            last,
            oid_reserved: group.oid_reserved,
        };
        let appended = match self.append_start(group.frame, content, group.publication) {
            Ok(appended) => appended,
            Err(error) => {
                self.forget(group.members.iter().chain(rest.iter().flat_map(|rest| &rest.members)));
                return Err(error);
            }
        };
        let needs_flush = appended.needs_flush;
        self.unflushed = Some(Unflushed { appended, last, members: group.members, rest });
        if needs_flush {
            return Ok(Flush::Needed);
        }
        self.commit_end(Ok(()))?;
        Ok(Flush::Done)
    }

    /// Ends a commit whose flush has succeeded, or has not.
    pub(crate) fn commit_end(&mut self, flushed: Result<(), StorageError>) -> Result<(), StorageError> {
        let Some(Unflushed { appended, last, members, rest }) = self.unflushed.take() else { return flushed };
        if let Err(error) = flushed {
            self.forget(members.iter().chain(rest.iter().flat_map(|rest| &rest.members)));
            return Err(error);
        }
        self.append_end(&appended);
        self.last = last;
        self.transactions += members.len() as u64;
        self.objects += members.iter().map(|member| member.located.created).sum::<u64>();
        self.next_oid = members.iter().fold(self.next_oid, |limit, member| limit.max(member.oid_limit));
        self.group = rest;
        Ok(())
    }

    /// Takes the entries of members that are lost out of the index.
    fn forget<'a>(&mut self, lost: impl Iterator<Item = &'a Member>) {
        for member in lost {
            self.index.remove(member.located.entries.iter().map(|entry| entry.key));
        }
    }

    /// Refuses what must wait while a batch is written and not flushed.
    pub(crate) fn check_settled(&self) -> Result<(), StorageError> {
        if self.unflushed.is_some() { Err(StorageError::Busy) } else { Ok(()) }
    }

    /// Leaves the first members in the batch, and makes of the others the batch behind it.
    fn split(&mut self, group: &mut Group, count: usize) -> Result<Group, StorageError> {
        let mut members = Vec::new();
        members.try_reserve_exact(GROUP_LIMIT)?;
        members.extend(group.members.drain(count..));
        let start = members.first().map_or(HEADER as u64, |member| member.start);
        let mut frame = group.frame.behind(start)?;
        let rest = group.frame.tail(start);
        frame.reserve(HEADER as u64 + rest.len() as u64)?;
        frame.body().extend_from_slice(rest);
        group.frame.truncate(start);
        for member in &mut members {
            let moved = |old: u64| old - start + HEADER as u64;
            let (from, to) = (group.frame.origin_of(member.start), frame.origin_of(moved(member.start)));
            for entry in &mut member.located.entries {
                entry.place.address = entry.place.address - from + to;
            }
            member.start = moved(member.start);
            self.index.insert(member.located.entries.iter().copied());
        }
        Ok(Group { frame, publication: None, members, oid_reserved: group.oid_reserved })
    }

    /// Does something that appends to the log or publishes a root, while transactions may be voted: their batch then goes
    /// behind it.
    pub(crate) fn with_group_aside<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.check_settled()?;
        let Some(group) = self.group.take() else {
            return work(self);
        };
        // What was voted for must still find room, whatever the work takes.
        let span = self.volume.span_for(group.sectors_apart(0));
        if self.volume.segments_left() < span + WORK_SEGMENTS {
            self.group = Some(group);
            return Err(StorageError::Busy);
        }
        let outcome = work(self);
        let mut group = group;
        self.place_again(&mut group, 0)?;
        self.group = Some(group);
        outcome
    }

    /// Gives a group another place, with room for one more member of this length. On an error it stays where it was.
    fn place_again(&mut self, group: &mut Group, length: u64) -> Result<(), StorageError> {
        let sectors = group.sectors_apart(length);
        let mut frame = self.frame(sectors * SECTOR as u64, Reserve::Open)?;
        let body = group.frame.tail(HEADER as u64);
        frame.body().try_reserve(body.len())?;
        frame.body().extend_from_slice(body);
        frame.reserve(frame.length())?;
        let (last, reserved) = (group.last(), group.oid_reserved);
        let publication = if frame.opens_run { Some(self.root_of(&frame, last, reserved)?.prepare()?) } else { None };
        for member in &mut group.members {
            let (from, to) = (group.frame.origin_of(member.start), frame.origin_of(member.start));
            for entry in &mut member.located.entries {
                entry.place.address = entry.place.address - from + to;
            }
            self.index.insert(member.located.entries.iter().copied());
        }
        group.frame = frame;
        group.publication = publication;
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
    pub(crate) fn wanted_reservation(&self, next_oid: u64) -> u64 {
        let reserved = self.oid_reserved.max(next_oid);
        if reserved - next_oid < OID_RESERVE / 2 { reserved.saturating_add(OID_RESERVE) } else { reserved }
    }

    /// Publishes the root once more: what only the older one keeps becomes free.
    pub(crate) fn republish(&mut self) -> Result<(), StorageError> {
        let publication = self.current_root()?.prepare()?;
        self.volume.publish(publication)
    }
}
