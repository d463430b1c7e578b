//! `ringfence rollout`: releases on their way through the rings, and what people do with them.

mod answer;
mod back;
mod begin;
mod draw;
mod emergency;
mod list;
mod show;
mod state;
mod steer;
#[cfg(test)]
mod tests;
mod which;

use super::CliError;

/// Start, watch, steer and stop rollouts; go back, go faster
///
/// A rollout is named by its number or as PRODUCT@VERSION.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Start(begin::StartArgs),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Pause(steer::PauseArgs),
    Resume(steer::ResumeArgs),
    Halt(steer::HaltArgs),
    Promote(steer::PromoteArgs),
    Rollback(back::RollbackArgs),
    Expedite(emergency::ExpediteArgs),
    Approve(emergency::ApproveArgs),
    Signal(begin::SignalArgs),
    Reset(begin::ResetArgs),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Start(args) => args.run(),
            Self::List(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::Pause(args) => args.run(),
            Self::Resume(args) => args.run(),
            Self::Halt(args) => args.run(),
            Self::Promote(args) => args.run(),
            Self::Rollback(args) => args.run(),
            Self::Expedite(args) => args.run(),
            Self::Approve(args) => args.run(),
            Self::Signal(args) => args.run(),
            Self::Reset(args) => args.run(),
        }
    }
}
