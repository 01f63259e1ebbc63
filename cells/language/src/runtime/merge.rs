//! Changes of behaviour that two transactions made of one object, brought together.
//!
//! Two that give an object *different* methods do not contradict each other. When a commit meets a conflict, every object of
//! the transaction is therefore compared three ways: what it was, what this transaction made of it, what is committed now. If
//! all that this one did to an object that others changed is to put or take methods that the others left alone, its changes
//! are laid over theirs and the commit is tried again. Data is never merged.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Object, Oid, Slot, SlotKind};

use super::convert::Numbers;
use super::transaction::Undo;
use super::value::ObjectId;
use super::world::World;
use crate::error::Raise;
use crate::host::{Outside, Refused};

/// How often a commit is tried again.
const TRIES: usize = 3;

impl World {
    /// Tries to commit a transaction that met a conflict; the number of the transaction, or `None` where it stays one.
    pub(crate) fn commit_merged(&mut self, outside: &mut Outside<'_>) -> Result<Option<u64>, Raise> {
        for _ in 0..TRIES {
            outside.store.begin().map_err(|refused| self.refused(refused))?;
            let merged = self.merge_all(outside).and_then(|merged| {
                if merged {
                    self.flush(outside)?;
                }
                Ok(merged)
            });
            if !matches!(merged, Ok(true)) {
                outside.store.abort();
                return merged.map(|_| None);
            }
            match outside.store.commit() {
                Ok(tid) => return Ok(Some(tid)),
                Err(Refused::Conflict(_)) => {}
                Err(other) => return Err(self.refused(other)),
            }
        }
        Ok(None)
    }

    /// Lays the transaction's changes over what others committed; `false` where some object does not allow it.
    fn merge_all(&mut self, outside: &mut Outside<'_>) -> Result<bool, Raise> {
        // Taken out for as long as it is walked; it is needed again if this comes to nothing.
        let undone = core::mem::take(&mut self.undo);
        let outcome = self.merge_each(&undone, outside);
        self.undo = undone;
        outcome
    }

    fn merge_each(&mut self, undone: &[Undo], outside: &mut Outside<'_>) -> Result<bool, Raise> {
        for undo in undone {
            let id = undo.object;
            let Some(oid) = self.cell(id)?.oid.filter(|_| !self.numbered.contains(&id)) else { continue };
            let Ok(theirs) = outside.store.load(oid) else { return Ok(false) };
            let base = self.export_undone(undo)?;
            if normal(&theirs) == normal(&base) {
                continue;
            }
            let mine = self.exported(id)?;
            let Some(merged) = merge(&base, &mine, theirs) else { return Ok(false) };
            let (shape, data) = self.import(&merged, Numbers::Store)?;
            let cell = self.cell_mut(id)?;
            cell.shape = shape;
            cell.data = data;
            if cell.is_ancestor {
                self.forget();
            }
        }
        Ok(true)
    }

    fn exported(&self, id: ObjectId) -> Result<Object, Raise> {
        let known = &mut |id: ObjectId| Ok(self.cell(id)?.oid.unwrap_or(Oid::ROOT));
        self.export(id, Numbers::Store, false, known)
    }

    /// The model's object of what one was.
    fn export_undone(&mut self, undo: &Undo) -> Result<Object, Raise> {
        let cell = self.cell_mut(undo.object)?;
        let now = (cell.shape, core::mem::replace(&mut cell.data, undo.data.clone()));
        cell.shape = undo.shape;
        let exported = self.exported(undo.object);
        let cell = self.cell_mut(undo.object)?;
        (cell.shape, cell.data) = now;
        exported
    }
}

/// An object as it comes out of a record, so that equal ones compare as equal.
fn normal(object: &Object) -> Option<Object> {
    Object::from_record(&object.to_record().ok()?).ok()
}

/// `theirs` with what `mine` changed of `base`, where that is only methods that `theirs` has as `base` had them.
fn merge(base: &Object, mine: &Object, mut theirs: Object) -> Option<Object> {
    if mine.requires() != base.requires() || mine.composition() != base.composition() {
        return None;
    }
    let names: BTreeSet<String> = mine.slots().iter().chain(base.slots()).map(|slot| slot.name.clone()).collect();
    let mut changed: Vec<String> = Vec::new();
    for name in names {
        match (mine.slot(&name), base.slot(&name)) {
            (one, other) if [one, other].iter().flatten().all(|slot| slot.kind == SlotKind::Method) => {
                if !same(mine, one, base, other) {
                    changed.push(name);
                }
            }
            (Some(_), Some(_)) => {}
            _ => return None,
        }
    }
    let rest = |object: &Object| {
        let mut rest = object.clone();
        let methods: Vec<String> =
            rest.slots().iter().filter(|slot| slot.kind == SlotKind::Method).map(|slot| slot.name.clone()).collect();
        methods.iter().for_each(|name| {
            rest.remove(name);
        });
        normal(&rest)
    };
    if rest(mine) != rest(base) {
        return None;
    }
    for name in changed {
        if !same(&theirs, theirs.slot(&name), base, base.slot(&name)) {
            return None;
        }
        match mine.slot(&name) {
            None => {
                theirs.remove(&name);
            }
            Some(slot) => {
                let origin = match (mine.origin(slot), &slot.origin) {
                    (Some(oid), Some(origin)) => match theirs.refer(oid) {
                        object_model::Value::Reference(of) => {
                            Some(object_model::Origin { of, name: origin.name.clone() })
                        }
                        _ => None,
                    },
                    _ => None,
                };
                theirs.put(Slot { origin, ..slot.clone() });
            }
        }
    }
    Some(theirs)
}

/// Whether two method slots of two objects are one.
fn same(one: &Object, slot: Option<&Slot>, other: &Object, slot_of_other: Option<&Slot>) -> bool {
    match (slot, slot_of_other) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let renamed = |slot: &Slot| slot.origin.as_ref().and_then(|origin| origin.name.clone());
            a.value == b.value
                && (a.kind, a.reach, a.change) == (b.kind, b.reach, b.change)
                && one.origin(a) == other.origin(b)
                && renamed(a) == renamed(b)
        }
        _ => false,
    }
}
