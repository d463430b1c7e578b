//! The library's own maker of test bundles, over what the library shows of itself.

pub(crate) use ringfence::bundle::*;

#[path = "../../src/bundle/testing.rs"]
#[allow(dead_code, reason = "the library's tests use all of it")]
pub(crate) mod testing;
