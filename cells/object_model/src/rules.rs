//! What the object store is told of objects: which slots differ, and how their authority is voided.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use object_store::{Record, Rules, ThreeStates};

use crate::{Object, Oid, Recipe, Slot, Value};

/// The rules of object records. Conflicts are not merged.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectRules;

impl Rules for ObjectRules {
    /// The slots that both changes touched; if there are none, those that differ between them.
    fn differing(&mut self, states: &ThreeStates<'_>) -> Vec<String> {
        let objects = [states.base, states.committed, states.proposed].map(Object::from_record);
        let [Ok(base), Ok(committed), Ok(proposed)] = objects else {
            return Vec::new();
        };
        let mut tables = Tables::default();
        let [base, committed, proposed] = [base, committed, proposed].map(|object| tables.unify(object));
        let mut names: Vec<&String> = base.keys().chain(committed.keys()).chain(proposed.keys()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| committed.get(*name) != proposed.get(*name));
        let touched = |name: &&String| {
            let before = base.get(*name);
            committed.get(*name) != before && proposed.get(*name) != before
        };
        let both: Vec<&String> = names.iter().copied().filter(touched).collect();
        let told = if both.is_empty() { names } else { both };
        told.into_iter().cloned().collect()
    }

    /// Each recipe becomes void and keeps its place and its kind. A section that is none becomes empty.
    fn void_authority(&mut self, record: &mut Record) {
        let void = |recipes: Vec<Recipe>| recipes.iter().map(|recipe| Recipe::Void(recipe.kind())).collect();
        let recipes = postcard::from_bytes::<Vec<Recipe>>(&record.capabilities).ok();
        let voided: Option<Vec<Recipe>> = recipes.map(void);
        let section = voided.and_then(|recipes| postcard::to_allocvec(&recipes).ok());
        record.capabilities = section.unwrap_or_default();
    }
}

/// The names of the slots that differ between two states of an object, in order; none where one of them is no object.
#[must_use]
pub fn differing_slots(one: &Record, other: &Record) -> Vec<String> {
    let states = ThreeStates { oid: Oid::ROOT, base: one, committed: one, proposed: other };
    ObjectRules.differing(&states)
}

/// Tables that several objects point into, so that their slots can be compared.
#[derive(Default)]
struct Tables {
    references: BTreeMap<Oid, u32>,
    recipes: Vec<Recipe>,
}

impl Tables {
    /// The slots of an object by name, pointing here.
    fn unify(&mut self, object: Object) -> BTreeMap<String, Slot> {
        let Object { slots, references, recipes, .. } = object;
        let unify = |mut slot: Slot| {
            slot.value.renumber(&mut |value| match value {
                Value::Reference(index) => *index = self.reference(&references, *index),
                Value::Capability(index) => *index = self.recipe(&recipes, *index),
                _ => {}
            });
            if let Some(origin) = &mut slot.origin {
                origin.of = self.reference(&references, origin.of);
            }
            (slot.name.clone(), slot)
        };
        slots.into_iter().map(unify).collect()
    }

    fn reference(&mut self, table: &[Oid], index: u32) -> u32 {
        let new = self.references.len() as u32;
        table.get(index as usize).map_or(u32::MAX, |&oid| *self.references.entry(oid).or_insert(new))
    }

    fn recipe(&mut self, table: &[Recipe], index: u32) -> u32 {
        let Some(recipe) = table.get(index as usize) else {
            return u32::MAX;
        };
        let known = self.recipes.iter().position(|known| known == recipe);
        let place = known.unwrap_or_else(|| {
            self.recipes.push(recipe.clone());
            self.recipes.len() - 1
        });
        place as u32
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::CapabilityKind;

    fn differing(objects: [&Object; 3]) -> Vec<String> {
        let [base, committed, proposed] = objects.map(|object| object.to_record().expect("small"));
        let (base, committed, proposed) = (&base, &committed, &proposed);
        ObjectRules.differing(&ThreeStates { oid: Oid::ROOT, base, committed, proposed })
    }

    #[test]
    fn slots_that_both_changes_touched_are_named() {
        let object = |a: u64, b: u64, c: u64| {
            Object::new().referring("a", Oid::new(a)).referring("b", Oid::new(b)).referring("c", Oid::new(c))
        };
        let base = object(1, 2, 3);
        assert_eq!(differing([&base, &object(9, 2, 3), &object(8, 2, 7)]), ["a"]);
        assert_eq!(differing([&base, &object(9, 2, 3), &object(1, 2, 7)]), ["a", "c"], "neither touched the other's");
        let more = object(1, 2, 3).primitive("d", "new");
        assert_eq!(differing([&base, &more, &Object::new()]), ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_differs_between_two_states_is_named() {
        let record = |object: &Object| object.to_record().expect("small");
        let one = Object::new().data("a", Value::Int(1)).data("b", Value::Int(2)).referring("c", Oid::new(3));
        let other = Object::new().referring("c", Oid::new(3)).data("a", Value::Int(7)).data("d", Value::Nil);
        assert_eq!(differing_slots(&record(&one), &record(&other)), ["a", "b", "d"]);
        assert_eq!(differing_slots(&record(&one), &record(&one)), Vec::<String>::new());
    }

    #[test]
    fn the_same_target_in_another_place_is_the_same() {
        let one = Object::new().referring("a", Oid::new(1)).referring("b", Oid::new(2));
        let other = Object::new().referring("b", Oid::new(2)).referring("a", Oid::new(1));
        assert_eq!(differing([&one, &one, &other]), Vec::<String>::new());
    }

    #[test]
    fn records_that_are_no_objects_tell_nothing() {
        let broken = Record { payload: vec![255; 9], ..Record::default() };
        let states = ThreeStates { oid: Oid::ROOT, base: &broken, committed: &broken, proposed: &broken };
        assert_eq!(ObjectRules.differing(&states), Vec::<String>::new());
    }

    #[test]
    fn a_voided_object_reads_and_holds_nothing() {
        let recipe = Recipe::Service { kind: CapabilityKind::Endpoint, service: "memory".into(), rights: 5 };
        let object = Object::new().holding("endpointCap", recipe);
        let mut record = object.to_record().expect("small");
        ObjectRules.void_authority(&mut record);
        let back = Object::from_record(&record).expect("voided");
        let found = back.get("endpointCap").and_then(|value| back.recipe(value));
        assert_eq!(found, Some(&Recipe::Void(CapabilityKind::Endpoint)));
        record.capabilities = vec![255; 3];
        ObjectRules.void_authority(&mut record);
        assert!(record.capabilities.is_empty());
    }
}
