//! The algebra of traits.
//!
//! A [`Trait`] maps selectors to members. It is a value: every operation answers another one. A member is known by its
//! *identity*, the trait and the name under which it was written, never by its text: one member that arrives twice is one,
//! two that read alike are two. A name with more than one member is a *conflict*, which is a value too; only an object
//! cannot have one, so that it is refused there.
//!
//! Laws, which the property tests check: sum is commutative, associative and idempotent, with the empty trait as its
//! identity; override is associative and idempotent, and is sum where the operands share no name; exclusion and alias
//! distribute over sum; exclusions commute. Alias and exclusion do not commute: alias first and exclude then is a
//! renaming. After Schaerli, Ducasse, Nierstrasz and Black, "Traits: Composable Units of Behaviour" (ECOOP 2003).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use object_store::Oid;

use crate::arity;

/// What a member is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The trait that it was written in.
    pub origin: Oid,
    /// Its selector there.
    pub name: String,
}

/// Members by selectors, and selectors that are required beyond what the members send.
#[derive(Clone, Debug)]
pub struct Trait<B> {
    members: BTreeMap<String, BTreeMap<Identity, B>>,
    requires: BTreeSet<String>,
}

impl<B> Default for Trait<B> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), requires: BTreeSet::new() }
    }
}

/// Traits are equal where the same members stand under the same names.
impl<B> PartialEq for Trait<B> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(mine, theirs): (&BTreeMap<Identity, B>, &BTreeMap<Identity, B>)| mine.keys().eq(theirs.keys());
        self.requires == other.requires
            && self.members.keys().eq(other.members.keys())
            && self.members.values().zip(other.members.values()).all(same)
    }
}

/// Selectors that several members claim, with the traits that these come from.
pub type Conflicts = BTreeMap<String, Vec<Identity>>;

/// Why an alias is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadAlias {
    /// The trait has no member of the old name.
    OfMissing(String),
    /// The old name is an alias itself.
    OfAlias(String),
    /// Old and new name are one.
    OfItself(String),
    /// Old and new name take different numbers of arguments.
    OtherArity {
        /// The new name.
        new: String,
        /// The old name.
        old: String,
    },
}

impl<B: Clone> Trait<B> {
    /// The empty trait.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a member.
    #[must_use]
    pub fn with(mut self, name: &str, identity: Identity, body: B) -> Self {
        self.members.entry(name.into()).or_default().insert(identity, body);
        self
    }

    /// With a selector that the object is to have.
    #[must_use]
    pub fn requiring(mut self, name: &str) -> Self {
        self.requires.insert(name.into());
        self
    }

    /// All members of both. A name to which they give different members is a conflict of the sum.
    #[must_use]
    pub fn sum(mut self, other: Self) -> Self {
        for (name, members) in other.members {
            self.members.entry(name).or_default().extend(members);
        }
        self.requires.extend(other.requires);
        self
    }

    /// All members of both, where this one's win.
    #[must_use]
    pub fn overriding(mut self, other: Self) -> Self {
        for (name, members) in other.members {
            self.members.entry(name).or_insert(members);
        }
        self.requires.extend(other.requires);
        self
    }

    /// Without a name. One that is not there is no error.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.members.remove(name);
        self
    }

    /// With what `old` stands for under the name `new` too.
    ///
    /// # Errors
    /// [`BadAlias`].
    pub fn alias(self, new: &str, old: &str) -> Result<Self, BadAlias> {
        if new == old {
            return Err(BadAlias::OfItself(new.into()));
        }
        if arity(new) != arity(old) {
            return Err(BadAlias::OtherArity { new: new.into(), old: old.into() });
        }
        match self.members.get(old) {
            None => Err(BadAlias::OfMissing(old.into())),
            Some(members) if members.keys().any(|identity| identity.name != old) => Err(BadAlias::OfAlias(old.into())),
            Some(_) => Ok(self.alias_any(new, old)),
        }
    }

    /// Alias as a total operation: that of a missing name adds nothing.
    pub(crate) fn alias_any(mut self, new: &str, old: &str) -> Self {
        if let Some(members) = self.members.get(old).cloned() {
            self.members.entry(new.into()).or_default().extend(members);
        }
        self
    }

    /// The names that several members claim.
    #[must_use]
    pub fn conflicts(&self) -> Conflicts {
        let several = self.members.iter().filter(|(_, members)| members.len() > 1);
        several.map(|(name, members)| (name.clone(), members.keys().cloned().collect())).collect()
    }

    /// The names that one member has, in order.
    pub fn bound(&self) -> impl Iterator<Item = (&str, &Identity, &B)> {
        self.members.iter().filter_map(|(name, members)| match members.len() {
            1 => members.first_key_value().map(|(identity, body)| (name.as_str(), identity, body)),
            _ => None,
        })
    }

    /// Whether it has this name, in conflict or not.
    #[must_use]
    pub fn provides(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The selectors that an object needs beside these members, each with the members that send it (none, where a trait
    /// only declares it). `sends` tells what a body sends to itself.
    #[must_use]
    pub fn required<'a>(&'a self, sends: impl Fn(&'a B) -> &'a [String]) -> BTreeMap<String, Vec<String>> {
        let mut required: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in self.requires.iter().filter(|name| !self.provides(name)) {
            required.entry(name.clone()).or_default();
        }
        for (name, _, body) in self.bound() {
            for sent in sends(body).iter().filter(|sent| !self.provides(sent)) {
                required.entry(sent.clone()).or_default().push(name.into());
            }
        }
        required
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BadAlias, Identity, Oid, Trait};

    const NAMES: [&str; 3] = ["a", "b", "c"];

    /// Every name is missing, or has one of two members, or both.
    fn any_trait() -> impl Strategy<Value = Trait<u64>> {
        prop::collection::vec(0u64..4, 3).prop_map(|choices| {
            NAMES.iter().zip(choices).fold(Trait::new(), |made, (name, choice)| {
                (1..=2).filter(|bit| choice & bit != 0).fold(made, |made, origin| {
                    made.with(name, Identity { origin: Oid::new(origin), name: (*name).into() }, origin)
                })
            })
        })
    }

    fn any_name() -> impl Strategy<Value = &'static str> {
        prop::sample::select(&NAMES[..])
    }

    proptest! {
        #[test]
        fn sum_is_commutative_associative_idempotent(d in any_trait(), e in any_trait(), f in any_trait()) {
            prop_assert_eq!(d.clone().sum(e.clone()), e.clone().sum(d.clone()));
            prop_assert_eq!(d.clone().sum(e.clone()).sum(f.clone()), d.clone().sum(e.sum(f)));
            prop_assert_eq!(d.clone().sum(d.clone()), d.clone());
            prop_assert_eq!(d.clone().sum(Trait::new()), d);
        }

        #[test]
        fn conflict_absorbs(d in any_trait(), e in any_trait()) {
            let sum = d.clone().sum(e);
            for name in d.conflicts().keys() {
                prop_assert!(sum.conflicts().contains_key(name));
            }
        }

        #[test]
        fn override_is_associative_idempotent_and_sum_where_disjoint(d in any_trait(), e in any_trait(), f in any_trait()) {
            prop_assert_eq!(
                d.clone().overriding(e.clone()).overriding(f.clone()), d.clone().overriding(e.clone().overriding(f.clone()))
            );
            prop_assert_eq!(d.clone().overriding(d.clone()), d.clone());
            let disjoint = NAMES.iter().filter(|name| d.provides(name)).fold(e.clone(), |e, name| e.without(name));
            prop_assert_eq!(d.clone().overriding(disjoint.clone()), d.clone().sum(disjoint));
            prop_assert_eq!(
                d.clone().overriding(e.clone().sum(f.clone())), d.clone().overriding(e).sum(d.overriding(f))
            );
        }

        #[test]
        fn override_takes_the_first_where_it_is_bound(d in any_trait(), e in any_trait()) {
            let made = d.clone().overriding(e);
            let both = NAMES.iter().filter(|name| !d.provides(name)).fold(made, |made, name| made.without(name));
            prop_assert_eq!(both, d);
        }

        #[test]
        fn exclusion_distributes_and_commutes(d in any_trait(), e in any_trait(), x in any_name(), y in any_name()) {
            prop_assert_eq!(d.clone().sum(e.clone()).without(x), d.clone().without(x).sum(e.clone().without(x)));
            prop_assert_eq!(
                d.clone().overriding(e.clone()).without(x), d.clone().without(x).overriding(e.without(x))
            );
            prop_assert_eq!(d.clone().without(x).without(y), d.without(y).without(x));
        }

        #[test]
        fn alias_distributes_over_sum(d in any_trait(), e in any_trait(), old in any_name()) {
            prop_assert_eq!(
                d.clone().sum(e.clone()).alias_any("n", old), d.alias_any("n", old).sum(e.alias_any("n", old))
            );
        }

        #[test]
        fn alias_then_exclude_is_a_renaming(d in any_trait(), old in any_name()) {
            prop_assume!(d.provides(old));
            let renamed = d.clone().alias("n", old).expect("it is there").without(old);
            prop_assert!(renamed.provides("n") && !renamed.provides(old));
            prop_assert_eq!(d.without(old).alias("n", old), Err(BadAlias::OfMissing(old.into())));
        }
    }
}
