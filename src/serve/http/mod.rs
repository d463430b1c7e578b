//! What HTTP says about serving bytes, as pure functions: which status, which headers and which bytes answer a request
//! for a representation that may be seen. No sockets, no clock, no randomness: all of it comes in as arguments.
//!
//! Who may see what is decided before this room is asked: a request that must not learn that something exists never
//! reaches [`plan::plan`].

pub mod body;
pub mod conditional;
pub mod digest_fields;
pub mod etag;
mod http_date;
pub mod multipart;
pub mod plan;
pub mod range;
mod respond;

pub use body::{Arriving, BytesBody, Piece, TruncatedBody};
pub use plan::{Content, Plan, Representation, plan};

#[cfg(test)]
mod oracle_tests;
