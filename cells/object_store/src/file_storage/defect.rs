//! Faults that tests plant, to show that the enumerations of what a disk can do would find them.
//!
//! Outside tests none is ever planted, and the compiler drops the branches.

/// A fault of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A commit is acknowledged without its flush.
    FlushSkipped,
    /// A root is published before the run that it speaks of.
    RootBeforeData,
    /// A root is published without a flush between its run and itself.
    RootBesideData,
    /// The root with the smaller epoch counts.
    RootEpochIgnored,
    /// A batch is believed without looking at its body.
    BodyUnchecked,
    /// A batch is believed whatever its number and the generation of its run.
    StaleBatchBelieved,
    /// A checkpoint's root is published without a flush between its tree and itself.
    IndexUnflushed,
    /// A checkpoint says that it covers the last transaction, and does not.
    IndexAhead,
    /// A segment is used again while the older root still names it.
    SegmentReusedEarly,
    /// Opening does not heed what was reserved of object numbers.
    OidsReused,
    /// Opening heeds only the transactions that it scans.
    TidsReused,
    /// A pack frees a run before the copies of what it kept are durable.
    FreedBeforeCopy,
    /// A pack frees runs that the next opening will scan.
    PackWithoutCheckpoint,
    /// Opening does not heed what a pack moved.
    CopiesIgnored,
    /// Opening does not heed where history begins.
    HorizonForgotten,
    /// Opening does not heed what a pack collected.
    CollectedReturns,
    /// A pack does not follow what was written after the horizon.
    LaterUnmarked,
    /// Opening takes only the first transaction of a batch.
    GroupCutShort,
}

#[cfg(not(test))]
impl Defect {
    /// Never.
    pub(crate) const fn is_planted(self) -> bool {
        false
    }
}

#[cfg(test)]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Defect>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
impl Defect {
    /// Runs something with a defect in this thread, or with none.
    pub(crate) fn plant<T>(defect: Option<Self>, run: impl FnOnce() -> T) -> T {
        PLANTED.set(defect);
        let outcome = run();
        PLANTED.set(None);
        outcome
    }

    /// Whether this defect is planted now.
    pub(crate) fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }
}
