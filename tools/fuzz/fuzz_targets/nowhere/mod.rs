//! A store that holds nothing and a host that reaches nobody.

use language::{Argument, Call, Host, Refused, Reply, Store};
use object_model::{Object, Oid};

/// Keeps nothing, but numbers what it is given.
#[derive(Default)]
pub struct Nothing(u64);

impl Store for Nothing {
    fn begin(&mut self) -> Result<(), Refused> {
        Ok(())
    }

    fn commit(&mut self) -> Result<u64, Refused> {
        Ok(1)
    }

    fn abort(&mut self) {}

    fn note(&mut self, _: &str) -> Result<(), Refused> {
        Ok(())
    }

    fn new_oid(&mut self) -> Result<Oid, Refused> {
        self.0 += 1;
        Ok(Oid::new(self.0))
    }

    fn load(&mut self, oid: Oid) -> Result<Object, Refused> {
        Err(Refused::NoObject(oid))
    }

    fn store(&mut self, _: Oid, _: &Object) -> Result<(), Refused> {
        Ok(())
    }
}

/// Answers nil.
pub struct Nobody;

impl Host for Nobody {
    fn call(&mut self, _: &Call<'_>) -> Result<Reply, Refused> {
        Ok(Reply::value(Argument::Nil))
    }
}
