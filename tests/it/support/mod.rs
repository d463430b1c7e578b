//! What the tests have in common: a running server, its shares, a raw HTTP client, a relay that writes down what real
//! clients say, bodies to publish, and how to skip loudly.

mod alone;
pub(crate) mod bodies;
pub(crate) mod http;
pub(crate) mod kept;
pub(crate) mod publishing;
pub(crate) mod relay;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod shares;
pub(crate) mod tools;
pub(crate) mod wait;

pub(crate) use bodies::{random_bytes, sha256_hex};
pub(crate) use http::{Answer, request};
pub(crate) use kept::Kept;
pub(crate) use publishing::Admin;
pub(crate) use relay::Relay;
pub(crate) use run::Run;
pub(crate) use server::{POLICY, Setup, TestServer};
pub(crate) use shares::ShareServer;
pub(crate) use tools::{have, is_full_tier, seed, skip};
pub(crate) use wait::wait_until;
