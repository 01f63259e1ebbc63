//! A request as the message that the object gets, and what it answers as a reply.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::kernel::BODY_MAX;
use genesis::interface::{Body, Served, Word};
use language::Argument;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// The words.
    pub words: [u64; 3],
    /// The body.
    pub body: &'a [u8],
    /// The badge of who sent it.
    pub sender: u64,
}

/// A reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The word.
    pub value: u64,
    /// The body; `None` for none.
    pub body: Option<Vec<u8>>,
}

/// The message of a request: a map with `label`, `selector`, `arguments` and `sender`. `None` where words or body are not what the
/// signature says.
#[must_use]
pub fn message(served: &Served, received: Received<'_>) -> Option<Argument> {
    let mut arguments = Vec::new();
    let mut words = received.words.into_iter();
    for of in &served.words {
        arguments.push(int(fitting(*of, words.next()?)?));
    }
    if words.any(|unused| unused != 0) {
        return None;
    }
    match served.body {
        Some(Body::Text) => arguments.push(Argument::Text(core::str::from_utf8(received.body).ok()?.into())),
        Some(Body::Bytes) => arguments.push(Argument::Bytes(received.body.to_vec())),
        None if !received.body.is_empty() => return None,
        None => {}
    }
    let name = object_model::base_name(&served.selector).to_string();
    Some(Argument::Map(
        [
            ("label", int(served.label.into())),
            ("selector", Argument::Symbol(name)),
            ("arguments", Argument::List(arguments)),
            ("sender", int(received.sender)),
        ]
        .map(|(name, value)| (String::from(name), value))
        .into(),
    ))
}

/// The reply that a method's answer is; `None` where it is not what the signature says, or is longer than a message.
#[must_use]
pub fn reply(served: &Served, answer: &Argument) -> Option<Reply> {
    let (word, body) = match (served.value, served.answer, answer) {
        (None, None, _) => return Some(Reply::default()),
        (Some(_), Some(_), Argument::List(both)) => match both.as_slice() {
            [word, body] => (Some(word), Some(body)),
            _ => return None,
        },
        (Some(_), Some(_), _) => return None,
        (Some(_), None, word) => (Some(word), None),
        (None, Some(_), body) => (None, Some(body)),
    };
    let value = match (served.value, word) {
        (Some(of), Some(word)) => fitting(of, number(word)?)?,
        _ => 0,
    };
    let body = match (served.answer, body) {
        (Some(Body::Text), Some(Argument::Text(text))) => Some(text.clone().into_bytes()),
        (Some(Body::Bytes), Some(Argument::Bytes(bytes))) => Some(bytes.clone()),
        (Some(_), _) => return None,
        (None, _) => None,
    };
    let fits = body.as_ref().is_none_or(|body| body.len() <= BODY_MAX);
    fits.then_some(Reply { value, body })
}

/// Numbers above `i64::MAX` come out negative, bit for bit.
fn int(word: u64) -> Argument {
    Argument::Int(word.cast_signed())
}

fn number(answer: &Argument) -> Option<u64> {
    match answer {
        Argument::Nil => Some(0),
        Argument::Bool(value) => Some((*value).into()),
        Argument::Int(number) => Some(number.cast_unsigned()),
        _ => None,
    }
}

fn fitting(of: Word, word: u64) -> Option<u64> {
    match of {
        Word::U64 => Some(word),
        Word::U32 => u32::try_from(word).ok().map(u64::from),
    }
}

#[cfg(test)]
mod tests {
    use genesis::interface::parse;
    use proptest::prelude::*;

    use super::*;

    fn served(signature: &str) -> Served {
        parse(5, signature).expect("well-formed")
    }

    fn received(words: [u64; 3], body: &[u8]) -> Received<'_> {
        Received { words, body, sender: 8 }
    }

    fn arguments(message: Argument) -> Vec<Argument> {
        let Argument::Map(entries) = message else { panic!("a map") };
        match entries.into_iter().find(|(name, _)| name == "arguments") {
            Some((_, Argument::List(arguments))) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_and_body_become_arguments() {
        let greet = served("Greet(times: u64, loud: u32) [text] -> text");
        let made = message(&greet, received([3, 1, 0], b"you")).expect("as declared");
        let expected = [Argument::Int(3), Argument::Int(1), Argument::Text("you".into())];
        assert_eq!(arguments(made.clone()), expected);
        let Argument::Map(entries) = made else { panic!("a map") };
        assert!(entries.contains(&("selector".into(), Argument::Symbol("greet".into()))));
        assert!(entries.contains(&("sender".into(), Argument::Int(8))));
        assert!(entries.contains(&("label".into(), Argument::Int(5))));
    }

    #[test]
    fn what_is_not_declared_is_refused() {
        let bare = served("Next() -> u64");
        assert!(message(&bare, received([0; 3], b"")).is_some());
        assert_eq!(message(&bare, received([1, 0, 0], b"")), None);
        assert_eq!(message(&bare, received([0; 3], b"x")), None);
        assert_eq!(message(&served("A(x: u32)"), received([1 << 32, 0, 0], b"")), None);
        assert_eq!(message(&served("A() [text]"), received([0; 3], &[255])), None);
    }

    #[test]
    fn answers_are_what_the_signature_says() {
        let word = served("A() -> u64");
        let value = |answer: &Argument| reply(&word, answer).map(|reply| reply.value);
        assert_eq!(value(&Argument::Int(-1)), Some(u64::MAX));
        assert_eq!((value(&Argument::Nil), value(&Argument::Bool(true))), (Some(0), Some(1)));
        assert_eq!(value(&Argument::Text("7".into())), None);
        assert_eq!(reply(&served("A() -> u32"), &Argument::Int(-1)), None);
        let both = served("A() -> u64, bytes");
        let answer = Argument::List(vec![Argument::Int(2), Argument::Bytes(vec![9])]);
        assert_eq!(reply(&both, &answer), Some(Reply { value: 2, body: Some(vec![9]) }));
        assert_eq!(reply(&both, &Argument::Int(2)), None);
        let text = served("A() -> text");
        assert_eq!(reply(&text, &Argument::Text("x".repeat(BODY_MAX + 1))), None);
        assert_eq!(reply(&served("A()"), &Argument::Text("whatever".into())), Some(Reply::default()));
    }

    proptest! {
        #[test]
        fn a_word_comes_back_as_it_was(word in any::<u64>()) {
            let echo = served("A(x: u64) -> u64");
            let made = message(&echo, received([word, 0, 0], b"")).expect("as declared");
            let arguments = arguments(made);
            prop_assert_eq!(reply(&echo, &arguments[0]).map(|reply| reply.value), Some(word));
        }
    }
}
