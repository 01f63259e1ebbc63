//! The format of a log: written here, read there.

use proptest::prelude::*;

use crate::disk::{Event, events};
use crate::log::{Action, BadLog, Log};

/// What a test has written into a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Data(u64, Vec<u8>),
    Flush,
}

/// An entry with any flags, of sectors of 512 bytes.
fn entry(sector: u64, count: u64, flags: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [sector, count, flags, 0].iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.resize(512, 0);
    bytes.extend_from_slice(data);
    bytes
}

fn head(entries: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [0x006a_7366_7773_6872, 1, entries].iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.extend_from_slice(&512u32.to_le_bytes());
    bytes.resize(512, 0);
    bytes
}

/// A log in its bytes.
pub(super) fn write(written: &[Written]) -> Vec<u8> {
    let mut bytes = head(written.len() as u64);
    for each in written {
        bytes.extend(match each {
            Written::Data(sector, data) => entry(*sector, (data.len() / 512) as u64, 0, data),
            Written::Flush => entry(0, 0, 1, &[]),
        });
    }
    bytes
}

fn one(entry: &[u8]) -> Result<(), BadLog> {
    Log::read(&[&head(1), entry].concat()).map(drop)
}

#[test]
fn what_is_no_log_is_refused() {
    let good = write(&[Written::Flush, Written::Data(4, vec![1; 512])]);
    assert!(Log::read(&good).is_ok());
    assert_eq!(Log::read(&[]), Err(BadLog::NoLog));
    let with = |place: usize, value: u8| {
        let mut bad = good.clone();
        bad[place] = value;
        Log::read(&bad).map(drop)
    };
    assert_eq!(with(0, 0), Err(BadLog::NoLog));
    assert_eq!(with(8, 2), Err(BadLog::Version(2)));
    assert_eq!(with(25, 3), Err(BadLog::SectorSize(768)));
    assert_eq!(with(25, 0), Err(BadLog::SectorSize(0)));
    assert_eq!(with(16, 3), Err(BadLog::CutOff(2)));
    assert_eq!(Log::read(&good[..good.len() - 1]), Err(BadLog::CutOff(1)));
    assert_eq!(with(512 + 16, 32), Err(BadLog::Flags(0, 32)));
}

#[test]
fn absurd_entries_are_refused() {
    assert_eq!(one(&entry(1 << 60, 1, 0, &[0; 512])), Err(BadLog::TooFar(0)));
    assert_eq!(one(&entry(0, u64::MAX, 0, &[])), Err(BadLog::TooFar(0)));
    assert_eq!(one(&entry(0, 1 << 40, 0, &[])), Err(BadLog::CutOff(0)));
    let absurd_count = [head(u64::MAX), entry(0, 0, 1, &[])].concat();
    assert_eq!(Log::read(&absurd_count), Err(BadLog::CutOff(1)));
}

#[test]
fn flags_mean_what_the_kernel_says() {
    let data = [7; 1024];
    let bytes = [
        head(5),
        entry(3, 2, 1 | 16, &data),
        entry(5, 2, 2, &data),
        entry(9, 100, 4, &[]),
        entry(1, 0, 8, &[]),
        entry(0, 0, 1, &[]),
    ]
    .concat();
    let log = Log::read(&bytes).expect("a log");
    assert_eq!(
        events(&log),
        [Event::Flush, Event::Write(3, &data), Event::WriteThrough(5, &data), Event::Discard(9, 100), Event::Flush]
    );
    assert_eq!(log.entries().last().map(|entry| entry.action), Some(Action::Nothing));
}

fn written() -> impl Strategy<Value = Vec<Written>> {
    let data = (0u64..1 << 30, 1usize..5, any::<u8>())
        .prop_map(|(sector, count, fill)| Written::Data(sector, vec![fill; count * 512]));
    proptest::collection::vec(prop_oneof![3 => data, 1 => Just(Written::Flush)], 0..20)
}

proptest! {
    #[test]
    fn what_is_written_is_read(written in written()) {
        let bytes = write(&written);
        let log = Log::read(&bytes).expect("a log");
        let expected: Vec<Event<'_>> = written.iter().map(|each| match each {
            Written::Data(sector, data) => Event::Write(*sector, data),
            Written::Flush => Event::Flush,
        }).collect();
        prop_assert_eq!(events(&log), expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..4096), written in written()) {
        let _ = Log::read(&bytes);
        let good = write(&written);
        let places = bytes.len().min(16);
        let mut bad = good.clone();
        for pair in bytes.drain(..places).collect::<Vec<_>>().chunks(2) {
            if let [place, value] = pair {
                let place = usize::from(*place) * 7 % bad.len();
                bad[place] = *value;
            }
        }
        let _ = Log::read(&bad).map(|log| events(&log));
    }
}
