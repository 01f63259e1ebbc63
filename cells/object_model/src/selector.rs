//! Selectors: what a message is called.
//!
//! The number of arguments is part of the name: `size` without arguments, `at/1` with one, `balance=/1` for an assignment,
//! `+/1` for an operator. A message with the wrong number of arguments is thus not understood, and no method is ever run
//! with fewer than it names.

use alloc::string::String;
use core::fmt::Write;

/// The selector of a message of this name with so many arguments.
#[must_use]
pub fn selector(name: &str, arguments: usize) -> String {
    let mut text = String::from(name);
    if arguments > 0 {
        // Writing to a string does not fail.
        let _ = write!(text, "/{arguments}");
    }
    text
}

/// The name in a selector, without the number of arguments.
#[must_use]
pub fn base_name(selector: &str) -> &str {
    split(selector).map_or(selector, |(name, _)| name)
}

/// The number of arguments that a selector stands for.
#[must_use]
pub fn arity(selector: &str) -> usize {
    split(selector).map_or(0, |(_, arguments)| arguments)
}

/// Name and arguments, for a selector with arguments. The operator `/` alone is a name.
fn split(selector: &str) -> Option<(&str, usize)> {
    let (name, arguments) = selector.rsplit_once('/')?;
    if name.is_empty() {
        return None;
    }
    Some((name, arguments.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{arity, base_name, selector};

    #[test]
    fn a_selector_tells_name_and_arguments() {
        for (name, arguments, text) in [("size", 0, "size"), ("at", 1, "at/1"), ("x=", 1, "x=/1"), ("/", 1, "//1")] {
            assert_eq!(selector(name, arguments), text);
            assert_eq!((base_name(text), arity(text)), (name, arguments));
        }
        assert_eq!(base_name("/"), "/");
    }
}
