//! Ringfence from outside: the built binary, driven over its command line, its listeners and its files.

mod support;

mod bad_input;
mod faults;
mod lifecycle;
mod publish;
mod real;
mod staging;
mod uniform;
mod wire;
