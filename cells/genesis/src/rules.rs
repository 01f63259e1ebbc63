//! The invariants as rules of the store.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use object_model::{Object, ObjectRules, Oid, Record};
use object_store::{Prospect, Rules, ThreeStates, Unresolved};

use crate::invariants::{Change, Landmarks, Rule, check};

/// The rules of object records: those of the object model, and the [invariants](crate::invariants) before each commit.
#[derive(Clone, Debug, Default)]
pub struct GraphRules {
    model: ObjectRules,
    /// The last root that was read, with what it names.
    root: Option<(Arc<Record>, Landmarks)>,
}

impl GraphRules {
    /// What the root names that a commit would leave.
    fn landmarks(&mut self, graph: &mut dyn Prospect) -> &Landmarks {
        let root = graph.after(Oid::ROOT).unwrap_or_default();
        match &self.root {
            Some((known, _)) if Arc::ptr_eq(known, &root) => {}
            _ => {
                let landmarks = Object::from_record(&root).map(|root| Landmarks::of(&root)).unwrap_or_default();
                self.root = Some((root, landmarks));
            }
        }
        &self.root.get_or_insert_default().1
    }
}

impl Rules for GraphRules {
    fn resolve(&mut self, states: &ThreeStates<'_>) -> Result<Record, Unresolved> {
        self.model.resolve(states)
    }

    fn differing(&mut self, states: &ThreeStates<'_>) -> Vec<String> {
        self.model.differing(states)
    }

    fn void_authority(&mut self, record: &mut Record) {
        self.model.void_authority(record);
    }

    fn admit(&mut self, oid: Oid, record: &Record, graph: &mut dyn Prospect) -> Result<(), u16> {
        let Ok(after) = Object::from_record(record) else { return Err(Rule::Decodes as u16) };
        let before = graph.before(oid).and_then(|before| Object::from_record(&before).ok());
        let change = Change { oid, before: before.as_ref(), after: &after };
        let landmarks = self.landmarks(graph);
        let mut object = |other| Object::from_record(&*graph.after(other)?).ok();
        check(change, landmarks, &mut object).map_err(|rule| rule as u16)
    }
}
