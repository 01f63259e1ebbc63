//! Records and summaries as they travel.

use object_store::{ChangeInfo, Metadata, Oid, Record, RevisionKind, Tid, TransactionInfo};
use proptest::prelude::*;
use runtime::abi::interfaces::persistence::TransactionSummary;
use runtime::abi::kernel::BODY_MAX;

use crate::wire::{BadRecord, Page, REFERENCE_LIMIT, decode, encode_into, summary};

fn info(description: String) -> TransactionInfo {
    TransactionInfo {
        tid: Tid::new(u64::MAX),
        metadata: Metadata::new("somebody", &description),
        changes: vec![ChangeInfo { oid: Oid::ROOT, kind: RevisionKind::Data { bytes: 1 } }],
    }
}

#[test]
fn a_table_of_references_has_a_limit_before_it_is_decoded() {
    let head = postcard::to_allocvec(&(1u16, 1u16, REFERENCE_LIMIT + 1)).expect("encodes");
    assert_eq!(decode(&head), Err(BadRecord::TooLarge { limit: REFERENCE_LIMIT }));
    assert_eq!(decode(&[]), Err(BadRecord::Malformed));
}

#[test]
fn what_does_not_fit_says_what_it_needs() {
    let record = Record { payload: vec![5; 100], ..Record::default() };
    assert_eq!(encode_into(&record, &mut [0; 100]), Err(105));
    assert_eq!(encode_into(&record, &mut [0; 105]), Ok(105));
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes: Vec<u8>) {
        if let Ok(record) = decode(&bytes) {
            let mut room = vec![0; bytes.len()];
            // Postcard reads numbers that are longer than they need to be, so the encoding is at most as long.
            let length = encode_into(&record, &mut room).expect("no longer than it came");
            prop_assert_eq!(decode(&room[..length]), Ok(record));
        }
    }

    #[test]
    fn a_page_of_summaries_fits_a_body(texts in prop::collection::vec("\\PC{0,700}", 1..60)) {
        let mut page = Page::default();
        let infos: Vec<TransactionInfo> = texts.into_iter().map(info).take_while(|info| page.fits(&summary(info))).collect();
        prop_assert!(!infos.is_empty());
        let summaries: Vec<TransactionSummary<'_>> = infos.iter().map(summary).collect();
        prop_assert!(postcard::to_slice(&summaries, &mut [0; BODY_MAX]).is_ok());
    }
}
