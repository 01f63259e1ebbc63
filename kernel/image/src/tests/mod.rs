//! Tests: hand-made objects, one broken rule at a time.

mod archive;
mod damage;
mod load;
mod maker;
mod refusals;
