//! Ringfence from outside: the built binary, driven over its command line, its listeners and its files.

// A test that cannot go on has failed: its panic says where. What it measured or skipped is printed.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

mod bad_input;
mod faults;
mod gates;
mod lifecycle;
mod publish;
mod real;
mod rollouts;
mod shares_admin;
mod shares_http;
mod shares_stage;
mod staging;
mod uniform;
mod wire;
