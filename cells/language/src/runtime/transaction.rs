//! The session's transaction in memory: what was changed, how to undo it, what has to be stored.
//!
//! The first change of an object in a transaction keeps what it was. A commit stores the changed objects that are
//! persistent and everything new that they lead to; an abort, or a commit that fails, puts everything back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::Oid;

use super::convert::Numbers;
use super::value::{ObjectId, ShapeId, Val, kind};
use super::world::World;
use crate::error::{ErrorKind, Raise, error};
use crate::host::{Outside, Refused};

/// What an object was before the transaction changed it.
#[derive(Debug)]
pub(crate) struct Undo {
    pub object: ObjectId,
    pub shape: ShapeId,
    pub data: Vec<Val>,
}

impl World {
    /// Remembers what an object is, before it is changed.
    pub(crate) fn touch(&mut self, id: ObjectId) -> Result<(), Raise> {
        let cell = self.cell_mut(id)?;
        if !cell.is_dirty {
            cell.is_dirty = true;
            let undo = Undo { object: id, shape: cell.shape, data: cell.data.clone() };
            self.heap.pressure += undo.data.len() + 8;
            self.undo.push(undo);
            self.changed.push(id);
        }
        Ok(())
    }

    /// A transaction begins: what others changed is read anew when it is next used.
    pub(crate) fn begin(&mut self, outside: &mut Outside<'_>) -> Result<(), Raise> {
        outside.store.begin().map_err(|refused| self.refused(refused))?;
        for oid in outside.store.changed() {
            if let Some(id) = self.by_oid.get(&oid).copied() {
                self.drop_state(id);
            }
        }
        Ok(())
    }

    /// Makes a ghost of an object.
    pub(crate) fn drop_state(&mut self, id: ObjectId) {
        let Some(cell) = self.objects.get_mut(id.0 as usize) else { return };
        cell.shape = kind::GHOST;
        cell.data = Vec::new();
        if cell.is_ancestor {
            self.forget();
        }
    }

    /// The number of an object, which it gets if it has none.
    pub(crate) fn number(&mut self, id: ObjectId, outside: &mut Outside<'_>) -> Result<Oid, Raise> {
        if let Some(oid) = self.cell(id)?.oid {
            return Ok(oid);
        }
        self.touch(id)?;
        let oid = outside.store.new_oid().map_err(|refused| self.refused(refused))?;
        let named = self.names.symbol("oid");
        let place = self.shape(id)?.slot(named).and_then(|slot| match slot.content {
            super::shape::Content::Data(place) => Some(place),
            _ => None,
        });
        let cell = self.cell_mut(id)?;
        cell.oid = Some(oid);
        if let Some(place) = place.and_then(|place| cell.data.get_mut(place as usize)) {
            *place = Val::Int(oid.number().cast_signed());
        }
        self.by_oid.insert(oid, id);
        self.numbered.push(id);
        Ok(oid)
    }

    /// Stores what was changed of persistent objects, and what is new and reached from them.
    pub(crate) fn flush(&mut self, outside: &mut Outside<'_>) -> Result<(), Raise> {
        let mut waiting: Vec<ObjectId> = self.changed.clone();
        waiting.sort_unstable();
        waiting.dedup();
        waiting.retain(|id| self.objects.get(id.0 as usize).is_some_and(|cell| cell.is_dirty && cell.oid.is_some()));
        while let Some(id) = waiting.pop() {
            let cell = self.cell(id)?;
            let Some(oid) = cell.oid else { continue };
            if cell.shape == kind::GHOST {
                continue;
            }
            // First the numbers that are missing, so that the object can be written at all.
            let mut missing = Vec::new();
            let gather = &mut |id: ObjectId| {
                let known = self.objects.get(id.0 as usize).and_then(|cell| cell.oid);
                if known.is_none() {
                    missing.push(id);
                }
                Ok(known.unwrap_or(Oid::ROOT))
            };
            self.export(id, Numbers::Store, false, gather)?;
            for id in missing {
                if self.cell(id)?.oid.is_none() {
                    self.number(id, outside)?;
                    waiting.push(id);
                }
            }
            let known = &mut |id: ObjectId| {
                let oid = self.objects.get(id.0 as usize).and_then(|cell| cell.oid);
                oid.ok_or_else(|| error(ErrorKind::Store, "an object without a number"))
            };
            let object = self.export(id, Numbers::Store, false, known)?;
            outside.store.store(oid, &object).map_err(|refused| self.refused(refused))?;
        }
        Ok(())
    }

    /// Commits. Whatever happens, no transaction is open then; after an error memory is as it was when it began.
    pub(crate) fn commit(&mut self, outside: &mut Outside<'_>) -> Result<u64, Raise> {
        if let Err(raised) = self.flush(outside) {
            self.abort(outside);
            return Err(raised);
        }
        match outside.store.commit() {
            Ok(tid) => {
                self.settled();
                Ok(tid)
            }
            Err(Refused::Conflict(oid)) => {
                match self.commit_merged(outside) {
                    Ok(Some(tid)) => {
                        self.settled();
                        return Ok(tid);
                    }
                    Ok(None) => {}
                    Err(raised) => {
                        self.roll_back();
                        return Err(raised);
                    }
                }
                let report = self.conflict(oid, outside);
                self.roll_back();
                // What is in memory of it is known to be old.
                if let Some(id) = self.by_oid.get(&oid).copied() {
                    self.drop_state(id);
                }
                Err(error(ErrorKind::Conflict, report))
            }
            Err(other) => {
                self.roll_back();
                Err(self.refused(other))
            }
        }
    }

    /// Gives the transaction up.
    pub(crate) fn abort(&mut self, outside: &mut Outside<'_>) {
        outside.store.abort();
        self.roll_back();
    }

    /// What there is so far was there from the beginning.
    pub(crate) fn roll_back_nothing(&mut self) {
        self.settled();
    }

    /// Gives a number to every object that a value leads to without passing through another.
    pub(crate) fn number_all(
        &mut self,
        value: Val,
        found: &mut Vec<ObjectId>,
        outside: &mut Outside<'_>,
    ) -> Result<(), Raise> {
        self.objects_in(value, found, object_model::DEPTH_LIMIT);
        for id in core::mem::take(found) {
            self.number(id, outside)?;
        }
        Ok(())
    }

    fn settled(&mut self) {
        for id in core::mem::take(&mut self.changed) {
            if let Some(cell) = self.objects.get_mut(id.0 as usize) {
                cell.is_dirty = false;
            }
        }
        self.undo.clear();
        self.numbered.clear();
    }

    fn roll_back(&mut self) {
        for undo in core::mem::take(&mut self.undo).into_iter().rev() {
            if let Some(cell) = self.objects.get_mut(undo.object.0 as usize) {
                cell.shape = undo.shape;
                cell.data = undo.data;
            }
        }
        for id in core::mem::take(&mut self.numbered) {
            if let Some(cell) = self.objects.get_mut(id.0 as usize)
                && let Some(oid) = cell.oid.take()
            {
                self.by_oid.remove(&oid);
            }
        }
        self.settled();
        self.forget();
    }

    /// What two transactions made of one object, slot by slot.
    fn conflict(&mut self, oid: Oid, outside: &mut Outside<'_>) -> String {
        let mut report = format!("object {oid} was changed by another transaction");
        let Some(id) = self.by_oid.get(&oid).copied() else { return report };
        let known =
            &mut |id: ObjectId| Ok(self.objects.get(id.0 as usize).and_then(|cell| cell.oid).unwrap_or(Oid::ROOT));
        let Ok(mine) = self.export(id, Numbers::Store, false, known) else { return report };
        let theirs = match outside.store.begin() {
            Ok(()) => {
                let loaded = outside.store.load(oid);
                outside.store.abort();
                loaded
            }
            Err(_) => return report,
        };
        let Ok(theirs) = theirs else { return report };
        let row = |object: &object_model::Object, name: &str| {
            let text = object.render();
            let found = text.lines().find(|line| line.split([' ', '(', '*']).next() == Some(name)).map(String::from);
            found
                .and_then(|line| line.split_once(" = ").map(|(_, value)| String::from(value)))
                .unwrap_or_else(|| "(none)".into())
        };
        let mut names: Vec<&str> = mine.slots().iter().chain(theirs.slots()).map(|slot| slot.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (ours, others) = (row(&mine, name), row(&theirs, name));
            if ours != others {
                report.push_str(&format!("\n  slot `{name}`: yours {ours}, theirs {others}"));
            }
        }
        report
    }
}
