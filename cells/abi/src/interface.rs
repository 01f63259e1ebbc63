//! Methods: labels, signatures, and how their arguments become words.
//!
//! [`interface!`](crate::interface!) declares a server's methods once. From the declaration come the request types,
//! the label table with a signature hash for each (which the kernel keeps at the endpoint and a client's stub can
//! check), and the enum that a server matches on. A signature hash covers the method's name, its arguments with their
//! types, and the types of its body and answer, so that a change of any of them is another method. A method with the word
//! `replayable` before its label outlives the instance that has not answered it, where that is replaced.

/// A value that travels in one register.
pub trait Word: Sized {
    /// Into the register.
    fn to_word(&self) -> u64;
    /// Out of it; `None` where the number is none of this type.
    fn from_word(word: u64) -> Option<Self>;
}

impl Word for u64 {
    fn to_word(&self) -> u64 {
        *self
    }
    fn from_word(word: u64) -> Option<Self> {
        Some(word)
    }
}

impl Word for u32 {
    fn to_word(&self) -> u64 {
        u64::from(*self)
    }
    fn from_word(word: u64) -> Option<Self> {
        u32::try_from(word).ok()
    }
}

impl Word for () {
    fn to_word(&self) -> u64 {
        0
    }
    fn from_word(word: u64) -> Option<Self> {
        (word == 0).then_some(())
    }
}

/// One label of a server, as the kernel keeps it at the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its number.
    pub number: u32,
    /// Hash of the method's signature.
    pub signature: u64,
    /// Whether a request has no effect before it is answered, and carries no capability. Then it is given to the next instance
    /// where a server is replaced that has not answered it.
    pub is_replayable: bool,
}

impl Label {
    /// The bit of the number in an image's manifest that says that a label is replayable.
    pub const REPLAYABLE: u32 = 1 << 31;

    /// Labels as an image's manifest takes them: the number, with [`Self::REPLAYABLE`] where it is, in 4 bytes and the signature in
    /// 8, little-endian.
    ///
    /// # Panics
    /// For another number of labels, when the cell is compiled.
    pub const fn encode<const COUNT: usize>(labels: &[Label]) -> [[u8; 12]; COUNT] {
        assert!(labels.len() == COUNT, "as many as there are");
        let mut encoded = [[0; 12]; COUNT];
        let mut index = 0;
        while index < COUNT {
            let replayable = if labels[index].is_replayable { Self::REPLAYABLE } else { 0 };
            let [n0, n1, n2, n3] = (labels[index].number | replayable).to_le_bytes();
            let [s0, s1, s2, s3, s4, s5, s6, s7] = labels[index].signature.to_le_bytes();
            encoded[index] = [n0, n1, n2, n3, s0, s1, s2, s3, s4, s5, s6, s7];
            index += 1;
        }
        encoded
    }
}

/// One method of a server.
pub trait Method: Sized {
    /// Its label.
    const LABEL: u32;
    /// Its name, for logs.
    const NAME: &'static str;
    /// Hash of its signature.
    const SIGNATURE: u64;
    /// The request's body; `()` for none.
    type Body: serde::Serialize + for<'a> serde::Deserialize<'a>;
    /// The result word.
    type Value: Word;
    /// The reply's body; `()` for none.
    type Answer: serde::Serialize + for<'a> serde::Deserialize<'a>;
    /// The register arguments.
    fn words(&self) -> [u64; 3];
    /// The register arguments, checked; `None` where one is out of its type's range or an unused one is not zero.
    fn from_words(words: [u64; 3]) -> Option<Self>;
}

/// FNV-1a, 64 bits: enough to tell signatures apart by accident, not by malice (images are signed).
pub const fn hash(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut state = 0xcbf2_9ce4_8422_2325u64;
    let mut index = 0;
    while index < bytes.len() {
        state = (state ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    state
}

/// Declares the methods of a server; see [`crate::interfaces`] for its use.
#[macro_export]
macro_rules! interface {
    (
        $(#[$doc:meta])* $interface:ident {
            $( $(#[$mdoc:meta])* $($replayable:ident)? $label:literal $name:ident ( $($arg:ident : $ty:ty),* )
               $([ $body:ty ])? $(-> $value:ty)? $(, $answer:ty)? ; )*
        }
    ) => {
        $(
            $(#[$mdoc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $name { $(#[expect(missing_docs, reason = "named by the method")] pub $arg: $ty),* }

            impl $crate::interface::Method for $name {
                const LABEL: u32 = $label;
                const NAME: &'static str = stringify!($name);
                const SIGNATURE: u64 = $crate::interface::hash(concat!(
                    stringify!($name), "(", $(stringify!($arg), ":", stringify!($ty), ",",)* ")",
                    $("[", stringify!($body), "]",)? $("->", stringify!($value),)? $(",", stringify!($answer))?
                ));
                type Body = $crate::interface!(@or $($body)?);
                type Value = $crate::interface!(@or $($value)?);
                type Answer = $crate::interface!(@or $($answer)?);
                fn words(&self) -> [u64; 3] {
                    let given: &[u64] = &[ $( $crate::interface::Word::to_word(&self.$arg) ),* ];
                    let mut words = [0; 3];
                    for (word, given) in words.iter_mut().zip(given) {
                        *word = *given;
                    }
                    words
                }
                fn from_words(words: [u64; 3]) -> Option<Self> {
                    let mut rest = words.into_iter();
                    $( let $arg = $crate::interface::Word::from_word(rest.next()?)?; )*
                    rest.all(|word| word == 0).then_some(Self { $($arg),* })
                }
            }
        )*

        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $interface { $( #[expect(missing_docs, reason = "the method's own type says it")] $name($name) ),* }

        impl $interface {
            /// Labels with their signature hashes, in the order of the declaration.
            pub const LABELS: &'static [$crate::interface::Label] = &[
                $( $crate::interface::Label {
                    number: $label,
                    signature: <$name as $crate::interface::Method>::SIGNATURE,
                    is_replayable: $crate::interface!(@is $($replayable)?),
                } ),*
            ];

            /// The request of a message; `None` for an unknown label or words that do not fit.
            pub fn decode(label: u32, words: [u64; 3]) -> Option<Self> {
                match label {
                    $( $label => <$name as $crate::interface::Method>::from_words(words).map(Self::$name), )*
                    _ => None,
                }
            }
        }
    };
    (@is replayable) => { true };
    (@is) => { false };
    (@or $ty:ty) => { $ty };
    (@or) => { () };
}

#[cfg(test)]
mod tests {
    use super::Method;
    use crate::interfaces::{memory, persistence, process};

    #[test]
    fn the_plan_s_labels_stand() {
        assert_eq!(persistence::BeginTransaction::LABEL, 1);
        assert_eq!(persistence::Commit::LABEL, 2);
        assert_eq!(persistence::Abort::LABEL, 3);
        assert_eq!(persistence::GetObject::LABEL, 4);
        assert_eq!(memory::AllocateUntyped::LABEL, 1);
        assert_eq!(memory::Free::LABEL, 2);
        assert_eq!(process::CreateProcess::LABEL, 1);
    }

    #[test]
    fn arguments_stand_in_the_plan_s_registers() {
        assert_eq!(persistence::GetObject { oid: 9 }.words(), [9, 0, 0]);
        assert_eq!(memory::AllocateUntyped { size: 4096, alignment: 64 }.words(), [4096, 64, 0]);
        assert_eq!(process::CreateProcess { image: 5, capabilities: 6 }.words(), [5, 6, 0]);
    }

    #[test]
    fn words_that_do_not_fit_are_refused() {
        assert!(persistence::GetObject::from_words([9, 1, 0]).is_none());
        assert!(persistence::Persistence::decode(99, [0; 3]).is_none());
    }

    #[test]
    fn signatures_differ() {
        let mut hashes: Vec<u64> = persistence::Persistence::LABELS.iter().map(|label| label.signature).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), persistence::Persistence::LABELS.len());
    }
}
