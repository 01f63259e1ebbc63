//! What must hold of a disk after a power cut.

use accounts::{Register, SLOT, audit};
use object_model::Object;
use object_store::crash_test::Random;
use object_store::{
    BlockDevice, Clock, DeviceState, FileStorage, FormatOptions, Load, Metadata, Oid, Storage, StorageError, Tid,
};

use crate::disk::{Disk, Remains};
use crate::history::History;

/// The records of so many of the newest transactions are compared in every state; of older ones one here and there, for
/// whatever damages them damages them in many states.
const NEWEST: usize = 16;
/// One record of an older transaction in so many is compared.
const OLDER: u64 = 64;
/// One state in so many is read to the last byte.
const WHOLE: u64 = 32;
/// One state in so many has to take another commit.
const GO_ON: u64 = 4;

/// A storage over what remains. Its clock stands still, so that numbers follow from what is on the disk alone.
type Storages<'a> = FileStorage<Remains<'a>, fn() -> u64>;

/// Opens what remains of a disk and compares it with what is known; says what is wrong. `required` transactions, from the first
/// on, must be there. `choice` decides on the parts that not every state needs.
///
/// # Errors
/// What is wrong.
pub fn check(remains: Remains<'_>, history: &History, required: usize, choice: u64) -> Result<(), String> {
    let mut random = Random(choice);
    let Some(remains) = formatted(remains, required)? else {
        return Ok(());
    };
    let mut storage = open(remains)?;
    let count = compare(&mut storage, history, required, &mut random)?;
    balanced(&mut storage)?;
    if random.below(WHOLE) == 0 {
        undamaged(&mut storage)?;
    }
    if random.below(GO_ON) == 0 {
        go_on(storage, history, count)?;
    }
    Ok(())
}

/// The disk, if there is a store on it. Before the first one is whole, what is there must be fit to be formatted, and opens then.
fn formatted(mut remains: Remains<'_>, required: usize) -> Result<Option<Remains<'_>>, String> {
    match FileStorage::probe(&mut remains) {
        Ok(DeviceState::Blank | DeviceState::HalfFormatted) if required == 0 => {
            let done = FileStorage::format(&mut remains, [7; 16], FormatOptions::default());
            done.map_err(|error| format!("cannot be formatted: {error:?}"))?;
            open(remains).map(|_| None)
        }
        _ => Ok(Some(remains)),
    }
}

fn standing_clock() -> u64 {
    0
}

fn open(remains: Remains<'_>) -> Result<Storages<'_>, String> {
    match FileStorage::open(remains, standing_clock as fn() -> u64) {
        Ok((storage, _)) => Ok(storage),
        Err(refused) => Err(format!("refused: {:?}", refused.error)),
    }
}

/// The transactions must be the first ones of all, in their order, and enough of them; and every object as the last of them left
/// it. Answers how many there are.
fn compare(
    storage: &mut Storages<'_>,
    history: &History,
    required: usize,
    random: &mut Random,
) -> Result<usize, String> {
    let last = storage.last_transaction();
    let count = match last {
        Tid::ZERO => 0,
        last => history.place(last).ok_or_else(|| format!("transaction {last:?} is there, and never was"))?,
    };
    if count < required {
        let missing = history.last_of(required);
        return Err(format!("{count} transactions are there, and {required} were acknowledged, up to {missing:?}"));
    }
    let horizon = history.horizon().max(storage.horizon());
    let mut before = Tid::MAX;
    for &expected in history.order().iter().take(count).rev().take_while(|tid| **tid > horizon) {
        match storage.transaction_before(before).map_err(failed)? {
            Some(info) if info.tid == expected => before = expected,
            found => return Err(format!("where {expected:?} was, there is {:?}", found.map(|info| info.tid))),
        }
    }
    let newest = history.last_of(count.saturating_sub(NEWEST));
    for oid in history.objects() {
        object(storage, history, oid, last, |tid| tid > newest || random.below(OLDER) == 0)?;
    }
    let mut at = None;
    while let Some(oid) = storage.next_object(at).map_err(failed)? {
        if history.at(oid, last).is_none_or(|(tid, _)| *tid > last) && last > horizon {
            return Err(format!("{oid:?} is there, and never was by then"));
        }
        at = Some(oid);
    }
    Ok(count)
}

/// One object, as it was after a transaction; its record where that is asked for.
fn object(
    storage: &mut Storages<'_>,
    history: &History,
    oid: Oid,
    last: Tid,
    mut reads: impl FnMut(Tid) -> bool,
) -> Result<(), String> {
    let found = storage.revision_before(oid, Tid::MAX).map_err(failed)?;
    let wrong = || Err(format!("{oid:?} after {last:?} is {found:?}"));
    let Some((tid, expected)) = history.at(oid, last) else {
        // It came later, or only a revision is left that came later.
        return match found {
            Load::NotYet(_) | Load::NeverExisted => Ok(()),
            _ if last <= history.horizon() => Ok(()),
            _ => wrong(),
        };
    };
    match (&found, expected) {
        (Load::Data { tid: found, .. }, Some(_)) if found == tid => {}
        (Load::DeletedAt(found), None) if found == tid => return Ok(()),
        // A pack may have taken it, or will.
        (Load::NeverExisted, _) if *tid <= history.horizon() || *tid <= storage.horizon() => return Ok(()),
        _ => return wrong(),
    }
    if reads(*tid) {
        match storage.load_before(oid, Tid::MAX).map_err(failed)? {
            Load::Data { record, .. } if Some(&record) == expected.as_ref() => {}
            _ => return Err(format!("the record of {oid:?} by {tid:?} is another")),
        }
    }
    Ok(())
}

/// What the load's clients wrote must hold in every state.
fn balanced(storage: &mut Storages<'_>) -> Result<(), String> {
    let mut read = |oid| match storage.load_before(oid, Tid::MAX) {
        Ok(Load::Data { record, .. }) => Object::from_record(&record).ok(),
        _ => None,
    };
    let Some(register) = read(Oid::ROOT).and_then(|root| root.reference(SLOT)) else {
        return Ok(());
    };
    let register = read(register).map(Register::of).ok_or("the register of accounts is gone")?;
    audit(&register, read).map(drop).map_err(|broken| broken.to_string())
}

/// Everything can be read.
fn undamaged<D: BlockDevice, C: Clock>(storage: &mut FileStorage<D, C>) -> Result<(), String> {
    let mut damage = None;
    storage.verify(|found| damage = Some(found)).map_err(failed)?;
    damage.map_or(Ok(()), |damage| Err(format!("damage: {damage:?}")))
}

/// It takes a commit, with numbers that were never used, and opens with it.
fn go_on(mut storage: Storages<'_>, history: &History, count: usize) -> Result<(), String> {
    let last = history.last_of(count);
    let used = history.objects().filter(|oid| history.at(*oid, last).is_some()).max();
    let oid = storage.new_oid().map_err(failed)?;
    if Some(oid) <= used {
        return Err(format!("{oid:?} is issued again"));
    }
    let Load::Data { record, tid, .. } = storage.load_before(Oid::ROOT, Tid::MAX).map_err(failed)? else {
        return Ok(());
    };
    let mut transaction = storage.begin(Metadata::default()).map_err(failed)?;
    storage.store(&mut transaction, Oid::ROOT, tid, record);
    let next = match storage.vote(transaction) {
        Err(StorageError::OutOfSpace { .. }) => return Ok(()),
        voted => voted.and_then(|voted| storage.finish(voted)).map_err(failed)?,
    };
    if next <= last {
        return Err(format!("{next:?} is issued again, after {last:?}"));
    }
    let storage = open(storage.into_device())?;
    match storage.last_transaction() {
        found if found == next => Ok(()),
        found => Err(format!("{next:?} was committed after the cut, and the last is {found:?}")),
    }
}

fn failed(error: StorageError) -> String {
    format!("cannot be read: {error:?}")
}

/// The history of a disk as it is.
///
/// # Errors
/// It is no store that can be read.
pub fn history_of<D: BlockDevice>(device: D) -> Result<History, String> {
    match FileStorage::open_read_only(device) {
        Ok((mut storage, _)) => History::of(&mut storage).map_err(failed),
        Err(refused) => Err(format!("refused: {:?}", refused.error)),
    }
}

/// Looks at a disk as it is, to the last byte: everything in it can be read, the accounts balance, and it takes another commit.
///
/// # Errors
/// What is wrong.
pub fn whole(disk: &Disk) -> Result<History, String> {
    // Before anything is repaired by opening it for writing.
    let (mut storage, _) =
        FileStorage::open_read_only(disk.kept()).map_err(|refused| format!("refused: {:?}", refused.error))?;
    undamaged(&mut storage)?;
    let history = History::of(&mut storage).map_err(failed)?;
    let count = history.order().len();
    let mut storage = open(disk.kept())?;
    compare(&mut storage, &history, count, &mut Random(0))?;
    balanced(&mut storage)?;
    go_on(storage, &history, count)?;
    Ok(history)
}
