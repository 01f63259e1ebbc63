//! In which schema a state goes from one instance to the next (pure).

use alloc::vec::Vec;

use abi::KernelError;
use abi::token::{All, Cap, Image, Loader};
use runtime::objects;

/// The schemas of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schemas {
    /// The one in which it exports; 0 for a cell without a state of its own.
    pub written: u32,
    /// Those that it imports, and exports where it is asked to.
    pub readable: Vec<u32>,
}

/// The new image cannot go on with the state of the old one, or not give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCommonSchema;

impl Schemas {
    /// Those of an image.
    ///
    /// # Errors
    /// It is not filled.
    pub fn of(loader: &Cap<Loader, All>, image: &Cap<Image, All>) -> Result<Schemas, KernelError> {
        let written = objects::image_needs(loader, image)?.schema;
        Ok(Schemas { written, readable: objects::image_interface(loader, image)?.readable })
    }

    fn know(&self, schema: u32) -> bool {
        self.written == schema || self.readable.contains(&schema)
    }

    /// The schema in which a state goes from an old instance to a new one, and back where that fails: the old one's, or else the
    /// greatest that both know. `None` where the old one has no state: the new one begins without.
    ///
    /// # Errors
    /// There is none.
    pub fn between(old: &Schemas, new: &Schemas) -> Result<Option<u32>, NoCommonSchema> {
        if old.written == 0 {
            return Ok(None);
        }
        let common = old.readable.iter().copied().filter(|schema| *schema != 0 && new.know(*schema)).max();
        let own = Some(old.written).filter(|schema| new.know(*schema));
        own.or(common).map(Some).ok_or(NoCommonSchema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schemas(written: u32, readable: &[u32]) -> Schemas {
        Schemas { written, readable: readable.to_vec() }
    }

    #[test]
    fn a_state_goes_in_the_old_schema_where_both_know_it() {
        let (first, second) = (schemas(1, &[1]), schemas(2, &[1, 2]));
        assert_eq!(Schemas::between(&first, &second), Ok(Some(1)));
        assert_eq!(Schemas::between(&second, &first), Ok(Some(1)));
        assert_eq!(Schemas::between(&second, &second), Ok(Some(2)));
        assert_eq!(Schemas::between(&first, &schemas(2, &[2])), Err(NoCommonSchema));
        assert_eq!(Schemas::between(&first, &schemas(0, &[])), Err(NoCommonSchema));
        assert_eq!(Schemas::between(&schemas(0, &[]), &second), Ok(None));
    }

    proptest! {
        #[test]
        fn both_know_what_is_chosen(a in 0u32..4, b in 0u32..4, left in prop::collection::vec(0u32..4, 0..4), right in prop::collection::vec(0u32..4, 0..4)) {
            let (old, new) = (schemas(a, &left), schemas(b, &right));
            match Schemas::between(&old, &new) {
                Ok(Some(schema)) => prop_assert!(schema != 0 && old.know(schema) && new.know(schema)),
                Ok(None) => prop_assert_eq!(a, 0),
                Err(NoCommonSchema) => prop_assert!((1..4).all(|schema| !(old.know(schema) && new.know(schema)))),
            }
        }
    }
}
