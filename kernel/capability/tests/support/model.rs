//! The authority layer as it would be written without regard to time: a map from slots to capabilities,
//! and recursion.

use std::collections::{BTreeMap, BTreeSet};

use capability::*;

/// Address of a slot.
pub type Place = usize;

/// A capability, as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    pub kind: ObjectKind,
    /// Number of the object: never reused, unlike its address.
    pub identity: u64,
    pub address: u64,
    pub bytes: u64,
    pub rights: Rights,
    /// Not compared for an untyped without children.
    pub badge: u64,
    pub original: bool,
    pub pinned: bool,
    pub hangs: bool,
    pub parent: Option<Place>,
}

/// All capabilities, and which slots lie in which CNode.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub caps: BTreeMap<Place, Cap>,
    /// Slots in each CNode object, by its identity.
    pub nodes: BTreeMap<u64, Vec<Place>>,
    pub identities: u64,
}

impl Model {
    pub fn children(&self, parent: Place) -> BTreeSet<Place> {
        let is_child = |(place, cap): (&Place, &Cap)| (cap.parent == Some(parent)).then_some(*place);
        self.caps.iter().filter_map(is_child).collect()
    }

    /// All that is derived from a place, pins excepted, and not through pins (which are leaves).
    pub fn descendants(&self, parent: Place) -> BTreeSet<Place> {
        let mut all = BTreeSet::new();
        for child in self.children(parent) {
            if !self.caps[&child].pinned {
                all.insert(child);
                all.extend(self.descendants(child));
            }
        }
        all
    }

    /// How many capabilities there are to an object.
    pub fn count(&self, identity: u64) -> usize {
        self.caps.values().filter(|cap| cap.identity == identity).count()
    }

    /// Deletes a capability, and what dies with it.
    pub fn delete(&mut self, place: Place) {
        let Some(cap) = self.caps.remove(&place) else {
            return;
        };
        for other in self.caps.values_mut().filter(|other| other.parent == Some(place)) {
            other.parent = cap.parent;
        }
        if cap.kind == ObjectKind::CNode && self.count(cap.identity) == 0 {
            for inside in self.nodes.remove(&cap.identity).unwrap_or_default() {
                self.delete(inside);
            }
        }
    }

    pub fn revoke(&mut self, place: Place) {
        for descendant in self.descendants(place) {
            self.delete(descendant);
        }
    }

    pub fn revoke_all(&mut self) {
        let hanging: Vec<_> = self.hanging();
        for place in hanging {
            if self.caps.get(&place).is_some_and(|cap| cap.hangs) {
                self.revoke(place);
                self.delete(place);
            }
        }
    }

    pub fn hanging(&self) -> Vec<Place> {
        self.caps.iter().filter(|(_, cap)| cap.hangs).map(|(place, _)| *place).collect()
    }

    pub fn has_children(&self, place: Place) -> bool {
        self.caps.values().any(|cap| cap.parent == Some(place))
    }

    fn checked(&self, source: Place, destination: Place) -> Result<Cap, Error> {
        if self.caps.contains_key(&destination) {
            return Err(Error::DeleteFirst);
        }
        self.caps.get(&source).cloned().ok_or(Error::FailedLookup)
    }

    pub fn copy(&mut self, source: Place, destination: Place, rights: Rights) -> Result<(), Error> {
        let cap = self.checked(source, destination)?;
        if cap.kind == ObjectKind::Reply || cap.pinned {
            return Err(Error::IllegalOperation);
        }
        let untyped = cap.kind == ObjectKind::Untyped;
        if untyped && self.has_children(source) {
            return Err(Error::RevokeFirst);
        }
        if untyped {
            self.caps.get_mut(&source).unwrap().badge = cap.bytes;
        }
        let parent = if cap.original { Some(source) } else { cap.parent };
        let badge = if untyped { 0 } else { cap.badge };
        let rights = cap.rights & rights;
        let new = Cap { parent, badge, rights, original: untyped, hangs: false, ..cap };
        self.caps.insert(destination, new);
        Ok(())
    }

    pub fn mint(&mut self, source: Place, destination: Place, badge: u64) -> Result<(), Error> {
        let cap = self.checked(source, destination)?;
        if cap.kind != ObjectKind::Endpoint || cap.badge != 0 {
            return Err(Error::IllegalOperation);
        }
        let parent = if cap.original { Some(source) } else { cap.parent };
        let new = Cap { parent, badge, original: badge != 0, hangs: false, ..cap };
        self.caps.insert(destination, new);
        Ok(())
    }

    pub fn move_(&mut self, source: Place, destination: Place) -> Result<(), Error> {
        let cap = self.checked(source, destination)?;
        if cap.pinned {
            return Err(Error::IllegalOperation);
        }
        self.caps.remove(&source);
        self.caps.insert(destination, cap);
        for other in self.caps.values_mut().filter(|other| other.parent == Some(source)) {
            other.parent = Some(destination);
        }
        Ok(())
    }

    pub fn pin(&mut self, source: Place, pin: Place) -> Result<(), Error> {
        let cap = self.checked(source, pin)?;
        if cap.kind != ObjectKind::Buf {
            return Err(Error::InvalidCapability);
        }
        let parent = if cap.pinned { cap.parent } else { Some(source) };
        let new = Cap { parent, badge: 0, original: false, pinned: true, hangs: false, ..cap };
        self.caps.insert(pin, new);
        Ok(())
    }

    /// Objects of `bits` bits into consecutive places; what lies in a new CNode is added by the caller.
    pub fn retype(
        &mut self,
        source: Place,
        kind: ObjectKind,
        size_bits: u32,
        window: &[Place],
        hangs: bool,
    ) -> Result<Vec<u64>, Error> {
        let untyped = self.caps.get(&source).filter(|cap| cap.kind == ObjectKind::Untyped);
        let untyped = untyped.cloned().ok_or(Error::InvalidCapability)?;
        let size = 1u64 << kind.object_bits(size_bits)?;
        if window.iter().any(|place| self.caps.contains_key(place)) {
            return Err(Error::DeleteFirst);
        }
        let mark = if self.has_children(source) { untyped.badge } else { 0 };
        let free = untyped.bytes - mark;
        if free / size < window.len() as u64 {
            return Err(Error::NotEnoughMemory { bytes_left: free });
        }
        let first = mark.div_ceil(size) * size;
        let mut made = vec![];
        for (number, place) in (0..).zip(window) {
            self.identities += 1;
            made.push(self.identities);
            let cap = Cap {
                kind,
                identity: self.identities,
                address: untyped.address + first + number * size,
                bytes: size,
                rights: Rights::of(kind),
                badge: 0,
                original: true,
                pinned: false,
                hangs,
                parent: Some(source),
            };
            self.caps.insert(*place, cap);
        }
        self.caps.get_mut(&source).unwrap().badge = first + window.len() as u64 * size;
        Ok(made)
    }
}
