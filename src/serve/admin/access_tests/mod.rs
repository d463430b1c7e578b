//! Who may do what, asked of the whole admin API: every route of the document × every role × how far it reaches ×
//! every kind of bad credential. What is expected stands in `table` alone, written without looking at the router.

mod bad_input;
mod matrix;
mod other_credentials;
mod table;
mod world;
