//! What comes back, as values.

use alloc::vec;
use alloc::vec::Vec;

use language::{Argument, Refused, Reply};
use object_model::{Oid, Recipe};
use runtime::abi::interfaces::{memory, persistence};

use crate::request::{Answer, object};

/// A number that may be beyond what an integer of the language holds, which it then is at most.
fn int(number: u64) -> Argument {
    Argument::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The value of a reply: its word, its body, and the recipe of what it granted.
///
/// # Errors
/// `Other` for a reply that is not what the interface says.
pub fn reply(answer: Answer, receiver: Oid, word: u64, body: &[u8], granted: Option<Recipe>) -> Result<Reply, Refused> {
    let unknown = || Refused::Other("the answer is in another form than this cell knows".into());
    Ok(match answer {
        Answer::Nothing => Reply::value(Argument::Nil),
        Answer::Number => Reply::value(int(word)),
        Answer::Object => Reply { value: object(word), changed: vec![receiver, Oid::new(word)] },
        Answer::Changed => Reply { value: Argument::Nil, changed: vec![receiver] },
        Answer::Capability(_) => Reply::value(Argument::Capability(granted.ok_or_else(unknown)?)),
        Answer::Memory => {
            let figures: memory::Statistics = postcard::from_bytes(body).map_err(|_| unknown())?;
            let memory::Statistics { total, free, largest, allocations } = figures;
            map(&[("total", total), ("free", free), ("largest", largest), ("allocations", allocations)])
        }
        Answer::Store => {
            let figures: persistence::Statistics = postcard::from_bytes(body).map_err(|_| unknown())?;
            let persistence::Statistics { objects, last, used, capacity, .. } = figures;
            map(&[("objects", objects), ("last", last), ("used", used), ("capacity", capacity)])
        }
    })
}

fn map(entries: &[(&str, u64)]) -> Reply {
    let entries: Vec<_> = entries.iter().map(|(name, number)| ((*name).into(), int(*number))).collect();
    Reply::value(Argument::Map(entries))
}

#[cfg(test)]
mod tests {
    use object_model::CapabilityKind;

    use super::*;

    #[test]
    fn a_process_that_was_made_is_changed_with_its_receiver() {
        let reply = reply(Answer::Object, Oid::new(4), 9, &[], None).expect("well-formed");
        assert_eq!(reply, Reply { value: object(9), changed: vec![Oid::new(4), Oid::new(9)] });
    }

    #[test]
    fn numbers_beyond_an_integer_are_the_greatest() {
        let number = |word| reply(Answer::Number, Oid::ROOT, word, &[], None).map(|reply| reply.value);
        assert_eq!(number(7), Ok(Argument::Int(7)));
        assert_eq!(number(u64::MAX), Ok(Argument::Int(i64::MAX)));
    }

    #[test]
    fn figures_are_named() {
        let figures = memory::Statistics { total: 4, free: 3, largest: 2, allocations: 1 };
        let body = postcard::to_allocvec(&figures).expect("small");
        let Ok(Reply { value: Argument::Map(map), .. }) = reply(Answer::Memory, Oid::ROOT, 0, &body, None) else {
            panic!("a map")
        };
        assert!(map.contains(&("largest".into(), Argument::Int(2))));
        assert!(reply(Answer::Memory, Oid::ROOT, 0, &body[..1], None).is_err());
    }

    #[test]
    fn a_capability_has_to_come() {
        let answer = Answer::Capability(CapabilityKind::Frame);
        assert!(matches!(reply(answer, Oid::ROOT, 1, &[], None), Err(Refused::Other(_))));
    }
}
