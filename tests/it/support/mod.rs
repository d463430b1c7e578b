//! What the tests share: a running server, a raw HTTP client, bodies to publish, and how to skip loudly.

pub(crate) mod bodies;
pub(crate) mod http;
pub(crate) mod publishing;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod tools;

pub(crate) use bodies::{random_bytes, sha256_hex};
pub(crate) use http::{Answer, request};
pub(crate) use publishing::Admin;
pub(crate) use run::Run;
pub(crate) use server::{Setup, TestServer};
pub(crate) use tools::{have, is_full_tier, seed, skip};
