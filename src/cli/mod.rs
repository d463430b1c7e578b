//! The command line: one file a command, each with its arguments and what it does.
//!
//! What this room deliberately does not do: decide anything. A command asks the server over the admin listener, or
//! hands over to the app; here is only what people type and read.

mod answer;
mod bundle;
mod check_config;
mod completions;
mod confirm;
mod connect;
mod demo;
mod device;
mod error;
mod explain;
mod fetch;
mod hold;
mod init;
mod inventory;
mod journal;
mod key;
pub mod local;
mod man;
mod output;
mod pin;
mod policy;
mod product;
mod publish;
mod release;
mod result;
mod rollout;
mod serve;
mod share;
mod simulate;
mod status;
mod store;
mod time;
mod token;
mod upload;

pub use error::CliError;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// What every help text ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the operation failed, or the server refused it
  2  the command line is wrong, or a confirmation is missing
  3  the configuration, policy or another input file is wrong
  4  the server cannot be reached
  5  not allowed: the token is missing, wrong or may not do this
  6  not found
  7  conflict: what exists contradicts it
  8  verification found damage
  9  staged, but a name that somebody has open could not be replaced yet
  10  what an origin signed does not verify: nothing was written
  11  a bundle is here in part: nothing of it is visible, and what is missing is named";

const ABOUT: &str = "Stores every version of every update once, decides for each device which version it may see now, \
                     and hands it out";

/// What `ringfence` alone prints: what to do first.
const FIRST: &str = "\
Ringfence decides which device may see which update, and when.

See it work, on this machine alone, in a temporary directory:
  ringfence demo

Set up a server of your own:
  ringfence init /srv/ringfence
  ringfence serve --config /srv/ringfence/ringfence.toml

Publish a first version, and see who gets it (in that directory):
  ringfence product add my-intelligence --class intelligence
  ringfence publish my-intelligence 1.0 --artifact ./update.bin
  ringfence explain DEVICE my-intelligence

All commands: ringfence --help
";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "ringfence", version, about = ABOUT, after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = false, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Serve(serve::Args),
    CheckConfig(check_config::Args),
    Status(status::Args),
    #[command(subcommand)]
    Product(product::Command),
    Publish(publish::Args),
    #[command(subcommand)]
    Release(release::Command),
    #[command(subcommand)]
    Rollout(rollout::Command),
    #[command(subcommand)]
    Hold(hold::Command),
    Pin(pin::PinArgs),
    Unpin(pin::UnpinArgs),
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(subcommand)]
    Device(device::Command),
    #[command(subcommand)]
    Share(share::Command),
    #[command(subcommand)]
    Bundle(bundle::Command),
    Explain(explain::Args),
    Simulate(Box<simulate::Args>),
    #[command(subcommand)]
    Store(store::Command),
    #[command(subcommand)]
    Journal(journal::Command),
    #[command(subcommand)]
    Token(token::Command),
    #[command(subcommand)]
    Key(key::Command),
    Fetch(Box<fetch::Args>),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    fn run(self) -> Result<(), CliError> {
        match self {
            Self::Demo(args) => args.run(),
            Self::Init(args) => args.run(),
            Self::Serve(args) => args.run(),
            Self::CheckConfig(args) => args.run(),
            Self::Status(args) => args.run(),
            Self::Product(command) => command.run(),
            Self::Publish(args) => args.run(),
            Self::Release(command) => command.run(),
            Self::Rollout(command) => command.run(),
            Self::Hold(command) => command.run(),
            Self::Pin(args) => args.run(),
            Self::Unpin(args) => args.run(),
            Self::Policy(command) => command.run(),
            Self::Device(command) => command.run(),
            Self::Share(command) => command.run(),
            Self::Bundle(command) => command.run(),
            Self::Explain(args) => args.run(),
            Self::Simulate(args) => args.run(),
            Self::Store(command) => command.run(),
            Self::Journal(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::Key(command) => command.run(),
            Self::Fetch(args) => args.run(),
            Self::Completions(args) => args.run(),
            Self::Man(args) => args.run(),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let Some(command) = Cli::parse().command else {
        output::complain(FIRST);
        return ExitCode::from(2);
    };
    match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_silent() {
                output::complain(&format!("{}error:{} {error}\n", output::RED, output::RED.render_reset()));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// The whole tree of commands, for completions, the man pages and the documentation. Each command's help ends with the
/// exit codes only at the top: they are the same everywhere.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;
