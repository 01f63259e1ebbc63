//! What an object serves, as it declares it: the slot `interface`, a map from labels to signatures.
//!
//! ```text
//! interface = ['1': 'Add(amount: u64) -> u64', '2': 'Greet() [text] -> text']
//! ```
//! A signature is that of the servers' own interfaces: a name, the words with their types (`u64` or `u32`), the body of the
//! request in brackets, the word of the answer and its body (`-> u64, text`). Its hash is the one that a typed stub of the same
//! declaration has, so that callers cannot tell what serves them. The method is found by the name with a small first
//! letter: the label 1 above is the selector `add/1`, and a body is the last argument.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use object_model::{Object, Value, selector};

/// The most labels: an endpoint has no more.
pub const LABELS: u32 = 64;
/// The most arguments that stand in words.
const WORDS: usize = 3;

/// The type of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// 64 bits.
    U64,
    /// 32 bits.
    U32,
}

/// The type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Bytes,
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its number.
    pub label: u32,
    /// The method that answers it.
    pub selector: String,
    /// The words of the request.
    pub words: Vec<Word>,
    /// Its body.
    pub body: Option<Body>,
    /// The word of the answer.
    pub value: Option<Word>,
    /// The body of the answer.
    pub answer: Option<Body>,
    /// The signature as it is hashed.
    pub signature: String,
}

/// What an object serves, by the label; `None` for what is no declaration. One without the slot serves nothing.
#[must_use]
pub fn interface(object: &Object) -> Option<Vec<Served>> {
    let Some(declared) = object.get("interface") else { return Some(Vec::new()) };
    let Value::Map(entries) = declared else { return None };
    let mut all = Vec::new();
    for (label, signature) in entries {
        let number = label.parse().ok().filter(|number: &u32| *number < LABELS && number.to_string() == *label)?;
        let Value::Text(signature) = signature else { return None };
        all.push(parse(number, signature)?);
    }
    all.sort_by_key(|served| served.label);
    Some(all)
}

/// A signature; `None` for what is none.
#[must_use]
pub fn parse(label: u32, source: &str) -> Option<Served> {
    let (name, rest) = source.split_once('(')?;
    let name = name.trim();
    let (arguments, rest) = rest.split_once(')')?;
    let mut words = Vec::new();
    let mut named = Vec::new();
    for argument in arguments.split(',').map(str::trim).filter(|argument| !argument.is_empty()) {
        let (argument, of) = argument.split_once(':')?;
        named.push((word_name(argument.trim())?, of.trim()));
        words.push(word(of.trim())?);
    }
    let (request, reply) = match rest.split_once("->") {
        Some((request, reply)) => (request.trim(), reply.trim()),
        None => (rest.trim(), ""),
    };
    let body = match request {
        "" => None,
        bracketed => Some(body(bracketed.strip_prefix('[')?.strip_suffix(']')?.trim())?),
    };
    let (value, answer) = match reply.split_once(',') {
        Some((value, answer)) => (Some(word(value.trim())?), Some(self::body(answer.trim())?)),
        None if reply.is_empty() => (None, None),
        None => (word(reply), self::body(reply)),
    };
    if words.len() > WORDS || (!reply.is_empty() && value.is_none() && answer.is_none()) {
        return None;
    }
    let arity = words.len() + usize::from(body.is_some());
    let mut signature = String::from(word_name(name)?) + "(";
    for (argument, of) in named {
        signature.extend([argument, ":", of, ","]);
    }
    signature.push(')');
    if let Some(body) = body {
        signature.extend(["[", body_name(body), "]"]);
    }
    if let Some(value) = value {
        signature.extend(["->", type_name(value)]);
    }
    if let Some(answer) = answer {
        signature.extend([",", body_name(answer)]);
    }
    let mut letters = name.chars();
    let first = letters.next()?.to_lowercase();
    let method: String = first.chain(letters).collect();
    Some(Served { label, selector: selector(&method, arity), words, body, value, answer, signature })
}

/// A word of letters, digits and underlines that begins with none of the digits.
fn word_name(name: &str) -> Option<&str> {
    let is_name = name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (is_name && name.chars().next().is_some_and(|letter| !letter.is_numeric())).then_some(name)
}

fn word(of: &str) -> Option<Word> {
    [Word::U64, Word::U32].into_iter().find(|word| type_name(*word) == of)
}

fn body(of: &str) -> Option<Body> {
    [Body::Text, Body::Bytes].into_iter().find(|body| body_name(*body) == of)
}

fn type_name(word: Word) -> &'static str {
    match word {
        Word::U64 => "u64",
        Word::U32 => "u32",
    }
}

fn body_name(body: Body) -> &'static str {
    match body {
        Body::Text => "text",
        Body::Bytes => "bytes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_declaration_is_read() {
        let served = parse(3, "Add( amount : u64, to:u32 ) [ text ] -> u64, bytes").expect("well-formed");
        assert_eq!(served.selector, "add/3");
        assert_eq!(served.signature, "Add(amount:u64,to:u32,)[text]->u64,bytes");
        assert_eq!((served.words, served.body), (vec![Word::U64, Word::U32], Some(Body::Text)));
        assert_eq!((served.value, served.answer), (Some(Word::U64), Some(Body::Bytes)));
        let bare = parse(1, "Next() -> u64").expect("well-formed");
        assert_eq!((bare.selector.as_str(), bare.signature.as_str()), ("next", "Next()->u64"));
        let text = parse(1, "Name() -> text").expect("well-formed");
        assert_eq!((text.value, text.answer, text.signature.as_str()), (None, Some(Body::Text), "Name(),text"));
        let silent = parse(1, "Stop()").expect("well-formed");
        assert_eq!((silent.value, silent.answer), (None, None));
    }

    #[test]
    fn what_is_no_declaration_is_none() {
        for wrong in [
            "",
            "Next",
            "Next(",
            "()",
            "1x()",
            "Next(a)",
            "Next(a: u16)",
            "Next() -> ",
            "Next() -> x",
            "Next() [x]",
            "Next() text",
            "N(a: u64, b: u64, c: u64, d: u64)",
            "Ne xt()",
            "Next() -> text, u64",
        ] {
            // An arrow without a type is as good as none.
            assert_eq!(parse(1, wrong).is_some(), wrong == "Next() -> ", "{wrong}");
        }
    }

    #[test]
    fn labels_are_numbers_that_an_endpoint_has() {
        let of = |label: &str| {
            interface(&Object::new().data("interface", Value::Map(vec![(label.into(), Value::text("A()"))])))
        };
        assert!(of("0").is_some() && of("63").is_some());
        for wrong in ["64", "-1", "01", "one", " 1"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(interface(&Object::new()), Some(vec![]));
        assert_eq!(interface(&Object::new().data("interface", Value::Int(3))), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC*", mix in "[A-Za-z(),:>\\[\\] -]{0,40}") {
            let _ = (parse(1, &text), parse(1, &mix));
        }

        #[test]
        fn what_is_hashed_reads_as_itself(words in prop::collection::vec(any::<bool>(), 0..4), body in any::<bool>(), value in any::<bool>()) {
            let mut source = String::from("Do(");
            for (number, long) in words.iter().enumerate() {
                source += &format!("a{number}:{},", if *long { "u64" } else { "u32" });
            }
            source += ")";
            if body { source += "[bytes]"; }
            if value { source += "->u32"; }
            let served = parse(9, &source).expect("well-formed");
            prop_assert_eq!(&served.signature, &source);
            prop_assert_eq!(parse(9, &served.signature), Some(served.clone()));
            prop_assert_eq!(object_model::arity(&served.selector), words.len() + usize::from(body));
        }
    }
}
