//! What must survive: kill -9 anywhere, a full disk, flipped bits, a lost index, a damaged journal.

mod damage;
mod disk;
pub(crate) mod inject;
mod journal;
pub(crate) mod kill;
mod restore;
mod stage;
