//! Rollouts over HTTP: looking at them, and what people do with them.
//!
//! What this module deliberately does not do: decide whether something may be done. That is the use case's in
//! `control::rollouts`; here requests are read and what is now true is described.

mod change;
mod look;
mod timeline;
mod urgent;
mod view;

pub(super) use change::{halt, pause, promote, reset, resume, signal, start};
pub(super) use look::{list, show, timeline};
pub(super) use urgent::{approve, expedite, rollback};

// What the macros of the routes look for beside the handlers.
pub(super) use change::{
    __path_halt, __path_pause, __path_promote, __path_reset, __path_resume, __path_signal, __path_start,
};
pub(super) use look::{__path_list, __path_show, __path_timeline};
pub(super) use urgent::{__path_approve, __path_expedite, __path_rollback};
