//! What a store has to be told about the payloads that it cannot read: how to merge them, how to tell them apart, and how to
//! take authority out of them.
//!
//! # Authority never returns
//!
//! The capability section of a record is written by servers that hold the live tokens. A record that comes back from the past,
//! by undo, by a historical view or by a merge, must not bring an authority with it that the object has lost since. So every
//! record from the past passes through [`revive`]: its section stays only where it is, byte for byte, the one that the object
//! has now; otherwise [`Rules::void_authority`] voids it. A merge keeps a section by the same comparison ([`merged_section`]).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{Oid, Record};

/// The three records of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreeStates<'a> {
    /// The object.
    pub oid: Oid,
    /// What both changes started from. In an undo: the state that is undone.
    pub base: &'a Record,
    /// What is current: the winner's.
    pub committed: &'a Record,
    /// What would replace it. In an undo: the state before the one that is undone.
    pub proposed: &'a Record,
}

/// A merge is not possible: the conflict stays a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unresolved;

/// A rule that a commit would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The object that breaks it.
    pub oid: Oid,
    /// Its number among those of who makes the rules.
    pub rule: u16,
}

/// The graph around a commit.
pub trait Prospect {
    /// An object's record as it is committed; `None` where there is none.
    fn before(&mut self, oid: Oid) -> Option<Arc<Record>>;
    /// The same as the commit would leave it.
    fn after(&mut self, oid: Oid) -> Option<Arc<Record>>;
}

/// Knowledge of payloads. Records are never trusted to be well-formed.
pub trait Rules {
    /// One record that holds both changes. References of all three records may be used; its capability section is ignored.
    ///
    /// # Errors
    /// [`Unresolved`].
    fn resolve(&mut self, _states: &ThreeStates<'_>) -> Result<Record, Unresolved> {
        Err(Unresolved)
    }

    /// The names of the slots that both changes touched, or all that differ between the committed and the proposed record if
    /// that cannot be told. An empty answer says that nothing is known.
    fn differing(&mut self, _states: &ThreeStates<'_>) -> Vec<String> {
        Vec::new()
    }

    /// Whether an object may become what a commit would make it: asked for every record that a transaction would write, merged and
    /// undone ones included, before it is voted for.
    ///
    /// # Errors
    /// The number of the rule that it breaks.
    fn admit(&mut self, _oid: Oid, _record: &Record, _graph: &mut dyn Prospect) -> Result<(), u16> {
        Ok(())
    }

    /// Takes every authority out of a record, so that it still can be read: each recipe becomes void.
    fn void_authority(&mut self, record: &mut Record) {
        record.capabilities = Vec::new();
    }
}

/// Knows nothing: no merges, no names of slots, and a void section is an empty one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRules;

impl Rules for NoRules {}

/// Rules for each schema. Records of a schema without rules, and conflicts between schemas, have [`NoRules`].
#[derive(Default)]
pub struct RulesBySchema {
    rules: BTreeMap<u16, Box<dyn Rules>>,
}

impl RulesBySchema {
    /// These, and rules for one more schema.
    #[must_use]
    pub fn with(mut self, schema: u16, rules: Box<dyn Rules>) -> Self {
        self.rules.insert(schema, rules);
        self
    }

    fn of(&mut self, states: &ThreeStates<'_>) -> Option<&mut Box<dyn Rules>> {
        let ThreeStates { base, committed, proposed, .. } = states;
        let one = base.schema == committed.schema && base.schema == proposed.schema;
        self.rules.get_mut(&base.schema).filter(|_| one)
    }
}

impl Rules for RulesBySchema {
    fn resolve(&mut self, states: &ThreeStates<'_>) -> Result<Record, Unresolved> {
        self.of(states).ok_or(Unresolved)?.resolve(states)
    }

    fn differing(&mut self, states: &ThreeStates<'_>) -> Vec<String> {
        self.of(states).map(|rules| rules.differing(states)).unwrap_or_default()
    }

    /// By the schema that the object gets, and by the one that it has.
    fn admit(&mut self, oid: Oid, record: &Record, graph: &mut dyn Prospect) -> Result<(), u16> {
        if self.rules.is_empty() {
            return Ok(());
        }
        let before = graph.before(oid).map(|before| before.schema).filter(|schema| *schema != record.schema);
        for schema in [Some(record.schema), before].into_iter().flatten() {
            if let Some(rules) = self.rules.get_mut(&schema) {
                rules.admit(oid, record, graph)?;
            }
        }
        Ok(())
    }

    fn void_authority(&mut self, record: &mut Record) {
        match self.rules.get_mut(&record.schema) {
            Some(rules) => rules.void_authority(record),
            None => NoRules.void_authority(record),
        }
    }
}

/// Makes a record of the past fit to be shown or stored where the object's current state is `current`, if it has one.
pub fn revive(rules: &mut dyn Rules, mut record: Record, current: Option<&Record>) -> Record {
    let held = current.is_some_and(|current| current.capabilities == record.capabilities);
    if !held && !record.capabilities.is_empty() {
        rules.void_authority(&mut record);
    }
    record
}

/// The capability section of a merge: the winner's, unless only the other change touched it; `None` where both did.
#[must_use]
pub fn merged_section(states: &ThreeStates<'_>) -> Option<Vec<u8>> {
    let ThreeStates { base, committed, proposed, .. } = states;
    if proposed.capabilities == base.capabilities || proposed.capabilities == committed.capabilities {
        Some(committed.capabilities.clone())
    } else if committed.capabilities == base.capabilities {
        Some(proposed.capabilities.clone())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    struct Never;

    impl Rules for Never {
        fn admit(&mut self, _: Oid, _: &Record, _: &mut dyn Prospect) -> Result<(), u16> {
            Err(3)
        }
    }

    struct Before(Option<Record>);

    impl Prospect for Before {
        fn before(&mut self, _: Oid) -> Option<Arc<Record>> {
            self.0.clone().map(Arc::new)
        }

        fn after(&mut self, _: Oid) -> Option<Arc<Record>> {
            None
        }
    }

    #[test]
    fn a_change_of_the_schema_is_asked_of_both() {
        let mut rules = RulesBySchema::default().with(7, Box::new(Never));
        let record = |schema| Record { schema, ..Record::default() };
        let mut admit =
            |before: Option<u16>, after| rules.admit(Oid::ROOT, &record(after), &mut Before(before.map(record)));
        assert_eq!(admit(None, 7), Err(3));
        assert_eq!(admit(Some(7), 8), Err(3));
        assert_eq!(admit(Some(8), 8), Ok(()));
    }

    impl Rules for Fixed {
        fn resolve(&mut self, _states: &ThreeStates<'_>) -> Result<Record, Unresolved> {
            Ok(Record::default())
        }

        fn differing(&mut self, _states: &ThreeStates<'_>) -> Vec<String> {
            alloc::vec!["slot".into()]
        }

        fn void_authority(&mut self, record: &mut Record) {
            record.capabilities.fill(0);
        }
    }

    #[test]
    fn rules_go_by_schema() {
        let mut rules = RulesBySchema::default().with(7, Box::new(Fixed));
        let record = |schema| Record { schema, capabilities: alloc::vec![9], ..Record::default() };
        let (seven, eight) = (record(7), record(8));
        let states = |base, committed, proposed| ThreeStates { oid: Oid::ROOT, base, committed, proposed };
        assert!(rules.resolve(&states(&seven, &seven, &seven)).is_ok());
        for mixed in [[&eight, &seven, &seven], [&seven, &eight, &seven], [&seven, &seven, &eight], [&eight; 3]] {
            let [base, committed, proposed] = mixed;
            assert_eq!(rules.resolve(&states(base, committed, proposed)), Err(Unresolved));
            assert!(rules.differing(&states(base, committed, proposed)).is_empty());
        }
        assert_eq!(revive(&mut rules, seven, None).capabilities, [0]);
        assert_eq!(revive(&mut rules, eight.clone(), None).capabilities, []);
        assert_eq!(revive(&mut rules, eight.clone(), Some(&eight)).capabilities, [9]);
    }
}
