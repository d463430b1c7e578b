use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::connect::ServerArgs;
use super::output::{note, say, say_json, say_table, state_cell};
use super::{CliError, answer, local, time};
use crate::model::policy::Glob;
use crate::model::{Actor, DeviceId, NameGlob, Reach, Role, TokenId, TokenScope};

/// Create, list and revoke tokens of people, programs and devices
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Create a token; its secret is printed once and kept nowhere
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// The name under which the holder's changes are journaled, for example alice@corp
    #[arg(long, value_name = "NAME", requires = "role", required_unless_present = "device", conflicts_with = "device")]
    actor: Option<Actor>,
    /// What the holder may do: auditor, publisher, approver, operator, admin or mirror
    #[arg(long, value_name = "ROLE", requires = "actor")]
    role: Option<Role>,
    /// A product over which the role holds, as a glob such as 'defender-*'; may be repeated [default: all]
    #[arg(long = "product", value_name = "GLOB", requires = "actor")]
    products: Vec<Glob>,
    /// A group over which it holds, as a glob; may be repeated [default: all]
    #[arg(long = "group", value_name = "GLOB", requires = "actor")]
    groups: Vec<Glob>,
    /// A token for this device instead, for the device listener
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// How long it is taken, for example 90d [default: until revoked]
    #[arg(long, value_name = "TIME", value_parser = time::length)]
    expires_in: Option<Duration>,
    /// Write the secret to this new file, readable by you alone, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// List the tokens, without their secrets
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Revoke a token at once
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// The token's number
    token: TokenId,
    #[command(flatten)]
    server: ServerArgs,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create(args) => args.run(),
            Self::List(args) => args.run(),
            Self::Revoke(args) => args.run(),
        }
    }
}

/// Writes a secret to a file that did not exist, readable by its owner alone. Returns after fsync.
///
/// # Errors
/// The file exists, or cannot be written.
pub(super) fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(format!("{secret}\n").as_bytes())?;
    file.sync_all()
}

impl CreateArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        if let Some(out) = self.out.as_ref().filter(|out| out.exists()) {
            return Err(CliError::Input(format!("{}: it exists already, and is not overwritten", out.display())));
        }
        let mut body = match (&self.device, &self.actor, &self.role) {
            (Some(device), _, _) => json!({ "device": device }),
            (None, actor, role) => json!({ "actor": actor, "role": role }),
        };
        for (key, globs) in [("products", &self.products), ("groups", &self.groups)] {
            if !globs.is_empty() {
                body[key] = json!(globs.iter().map(Glob::as_str).collect::<Vec<_>>());
            }
        }
        if let Some(lasting) = self.expires_in {
            body["expires_at"] = json!(time::after(local::now(), lasting)?);
        }
        let mut answer = session.post("/v1/tokens", &body)?;
        let created: answer::CreatedToken = session.read(answer.clone())?;
        if let Some(out) = &self.out {
            write_secret(out, &created.token).map_err(|cause| {
                let id = created.id;
                CliError::Failed(format!("{}: {cause}; revoke the token: ringfence token revoke {id}", out.display()))
            })?;
            if let Some(object) = answer.as_object_mut() {
                object.remove("token");
            }
        }
        if session.json() {
            return say_json(&answer);
        }
        match &self.out {
            Some(out) => say(format_args!("Token {} is in {}.", created.id, out.display())),
            None => {
                note(format_args!("Token {}; this is the only time its secret is shown:", created.id));
                say(created.token)
            }
        }
    }
}

impl ListArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/tokens")?, |answer::Tokens { tokens }| {
            let now = local::now();
            let rows = tokens.into_iter().map(|answer::ListedToken { token, last_used_at, last_used_on }| {
                let word = match (&token.revoked, token.is_valid_at(now)) {
                    (Some(_), _) => "revoked",
                    (None, true) => "active",
                    (None, false) => "expired",
                };
                let (holder, role, reach) = match &token.scope {
                    TokenScope::Person { actor, role, reach } => (actor.to_string(), role.to_string(), words(reach)),
                    TokenScope::Device(device) => (device.to_string(), "device".to_owned(), String::new()),
                };
                let used = match (last_used_at, last_used_on) {
                    (Some(at), Some(listener)) => format!("{} on {}", time::shown(at), listener.as_str()),
                    (at, _) => time::shown_or(at, "-"),
                };
                let created = format!("{} by {}", time::shown(token.created.at), token.created.by);
                let expires = time::shown_or(token.expires_at, "-");
                vec![
                    token.id.to_string().into(),
                    state_cell(word.to_owned()),
                    holder.into(),
                    role.into(),
                    reach.into(),
                    created.into(),
                    expires.into(),
                    used.into(),
                ]
            });
            let columns = ["token", "state", "holder", "role", "reach", "created", "expires", "last used"];
            say_table(&columns, rows.collect(), "No tokens.")
        })
    }
}

/// How far a role reaches, in words.
fn words(reach: &Reach) -> String {
    let listed = |what: &str, globs: &[NameGlob]| {
        let globs: Vec<&str> = globs.iter().map(|glob| glob.0.as_str()).collect();
        (!globs.is_empty()).then(|| format!("{what} {}", globs.join(", ")))
    };
    let parts = [listed("products", &reach.products), listed("groups", &reach.groups)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "everywhere".to_owned() } else { parts.join("; ") }
}

impl RevokeArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.post(&format!("/v1/tokens/{}/revoke", self.token), &json!({}))?;
        session.show(answer, |_: serde_json::Value| say(format_args!("Token {} is revoked.", self.token)))
    }
}
