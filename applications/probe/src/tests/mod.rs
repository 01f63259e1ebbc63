//! The tests, a module a theme.

use crate::rig::Test;

/// Names the tests of a theme by their functions.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// The tests of this theme.
        pub const TESTS: &[$crate::rig::Test] = &[$((stringify!($name), $name)),*];
    };
}

mod accounts;
mod bodies;
mod checks;
mod deaths;
mod grants;
mod images;
mod interrupts;
mod kills;
mod labels;
mod leases;
mod parts;
mod priorities;
mod replacements;
mod reports;
mod restarts;
mod scopes;
mod teardown;
mod time;

/// Every test.
pub const ALL: &[&[Test]] = &[
    accounts::TESTS,
    labels::TESTS,
    checks::TESTS,
    bodies::TESTS,
    leases::TESTS,
    grants::TESTS,
    time::TESTS,
    priorities::TESTS,
    deaths::TESTS,
    teardown::TESTS,
    parts::TESTS,
    restarts::TESTS,
    replacements::TESTS,
    interrupts::TESTS,
    reports::TESTS,
    kills::TESTS,
    scopes::TESTS,
    images::TESTS,
];
