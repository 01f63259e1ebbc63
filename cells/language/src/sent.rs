//! What a method sends.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::code::{Literal, Operation, Unit};
use crate::compiler::compile_method;

/// The selectors that a method's source sends, to whomever, those of its blocks among them; none where it does not compile.
/// Methods of objects that it makes are methods of their own.
#[must_use]
pub fn selectors_sent(source: &str) -> Vec<String> {
    let unit = compile_method(source).ok().and_then(|compiled| Unit::decode(&compiled.method.bytecode));
    let Some(unit) = unit else { return Vec::new() };
    let mut sent = BTreeSet::new();
    for operation in unit.functions.iter().flat_map(|function| &function.operations) {
        let (Operation::Send { selector, .. }
        | Operation::SendSelf { selector, .. }
        | Operation::Resend { selector, .. }
        | Operation::ResendVia { selector, .. }
        | Operation::Assign { selector, .. }
        | Operation::Binary { selector, .. }) = operation
        else {
            continue;
        };
        if let Some(Literal::Name(name)) = unit.literals.get(usize::from(*selector)) {
            sent.insert(name.clone());
        }
    }
    sent.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::selectors_sent;

    #[test]
    fn sends_are_listed_once_whoever_gets_them() {
        let source =
            "(a) { x = a.one(1, 2) + self.two; { |b| b.three }; resend.four(); self.five = 1; six; a.one(3, 4) }";
        assert_eq!(selectors_sent(source), ["+/1", "five=/1", "four", "one/2", "six", "three", "two"]);
        assert!(selectors_sent("(a) { a. }").is_empty());
    }
}
