//! Hints: the selectors nearest to one that was not understood.

use alloc::string::String;
use alloc::vec::Vec;

use object_model::base_name;

use super::shape::{Content, Slot};
use super::value::{ObjectId, Val};
use crate::session::Session;

/// The most selectors that are looked at for a hint, and the most that are told.
const HINTS_SEEN: usize = 2000;
const HINTS_TOLD: usize = 3;

impl Session {
    /// The selectors nearest to one, of those that a value understands.
    pub(crate) fn near(&self, receiver: Val, wanted: &str) -> Vec<String> {
        let start = match receiver {
            Val::Object(id) => id,
            other => self.world.kinds.get(self.world.shape_of(other).0 as usize).copied().unwrap_or(self.world.any),
        };
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut seen: Vec<ObjectId> = Vec::new();
        let mut waiting = alloc::vec![self.world.any, start];
        let mut left = HINTS_SEEN;
        while let Some(id) = waiting.pop() {
            if seen.contains(&id) || left == 0 {
                continue;
            }
            seen.push(id);
            let Ok(shape) = self.world.shape(id) else { continue };
            for Slot { name, content, private, .. } in &shape.slots {
                left = left.saturating_sub(1);
                let name = self.world.names.name(*name);
                let same = base_name(name) == base_name(wanted);
                let distance = if same { 0 } else { distance(base_name(name), base_name(wanted)) };
                if !private
                    && distance <= (base_name(wanted).len() + 1) / 3
                    && !found.iter().any(|(_, known)| known == name)
                {
                    found.push((distance, name.into()));
                }
                if let Content::Parent(Some(parent)) = content {
                    waiting.push(*parent);
                }
            }
        }
        found.sort();
        found.into_iter().take(HINTS_TOLD).map(|(_, name)| name).collect()
    }
}

/// How many letters have to be put, taken or changed; names that differ much in length are far.
fn distance(one: &str, other: &str) -> usize {
    const LONGEST: usize = 32;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() > LONGEST || other.len() > LONGEST {
        return LONGEST;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (number, a) in one.iter().enumerate() {
        let mut before = number;
        let mut left = number + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (place, b) in row.iter_mut().skip(1).zip(other) {
            let above = *place;
            let changed = before + usize::from(!a.eq_ignore_ascii_case(b));
            *place = changed.min(above + 1).min(left + 1);
            before = above;
            left = *place;
        }
    }
    row.last().copied().unwrap_or(LONGEST)
}
