//! Ringfence from outside: the built binary, driven over its command line, its listeners and its files.

// A test that cannot go on has failed: its panic says where. What it measured or skipped is printed.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

mod abuse;
mod bad_input;
mod bundles;
mod enrol;
mod faults;
mod gates;
mod lifecycle;
mod packaging;
mod people;
mod publish;
mod real;
mod rollouts;
mod service;
mod shares_admin;
mod shares_http;
mod shares_stage;
mod signed;
mod staging;
mod tls;
mod uniform;
mod uniform_time;
mod wire;
