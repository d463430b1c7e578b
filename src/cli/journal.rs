use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Value, json};

use super::connect::ServerArgs;
use super::local;
use super::output::{counted, say, say_json, say_table};
use super::store::ask_or_open;
use super::{CliError, time};
use crate::app::JournalTask;
use crate::config::Settings;
use crate::model::{Blake3Digest, EventRecord};

/// Check and read the journal of all changes
///
/// Each command asks the server; where none runs, or with --data, it reads the data directory itself.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Verify(VerifyArgs),
    Show(ShowArgs),
}

/// Check the hash chain of the whole journal, and that it still holds heads noted elsewhere
///
/// A journal whose end was cut, or that was written anew, is a correct chain by itself: only a head that was noted
/// somewhere else can tell. Exit code 8 if anything was changed.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// A head noted before, as `ringfence journal verify` prints it; may be given several times
    #[arg(long = "head", value_name = "SEQ:HASH")]
    heads: Vec<Head>,
    /// Read this data directory
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Print changes: what, when, by whom
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Those after this number, oldest first [default: the newest]
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Read this data directory
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// A place in the journal and the hash of its line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    seq: u64,
    hash: Blake3Digest,
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (seq, hash) = text.split_once(':').ok_or("a head looks like 4812:af1349b9…, number and hash")?;
        let seq = seq.parse().map_err(|_| format!("{seq:?} is not a number"))?;
        Ok(Self { seq, hash: hash.parse().map_err(|error| format!("{error}"))? })
    }
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Verify(args) => args.run(),
            Self::Show(args) => args.run(),
        }
    }
}

impl VerifyArgs {
    fn run(self) -> Result<(), CliError> {
        let heads: Vec<(u64, Blake3Digest)> = self.heads.iter().map(|head| (head.seq, head.hash)).collect();
        let remote = |server: &ServerArgs| {
            let heads: Vec<Value> = heads.iter().map(|(seq, hash)| json!({ "seq": seq, "hash": hash })).collect();
            server.session()?.post_patiently("/v1/journal/verify", &json!({ "heads": heads }))
        };
        let offline = |data: PathBuf, _: &Settings| local::journal_offline(&JournalTask::Verify(heads.clone()), &data);
        let answer = ask_or_open(&self.server, self.data, remote, offline)?;
        if self.server.json {
            return say_json(&answer);
        }
        let seq = answer.get("seq").and_then(Value::as_u64).unwrap_or(0);
        let hash = answer.get("hash").and_then(Value::as_str).unwrap_or_default();
        let heads = match self.heads.len() {
            0 => String::new(),
            1 => ", and it holds the given head".to_owned(),
            many => format!(", and it holds the {many} given heads"),
        };
        say(format_args!("The journal is whole: {} in one chain{heads}.", counted(seq, "event")))?;
        say(format_args!("Note its head somewhere else, to verify against later: --head {seq}:{hash}"))
    }
}

impl ShowArgs {
    fn run(self) -> Result<(), CliError> {
        let (after, limit) = (self.after, self.limit);
        let remote = |server: &ServerArgs| {
            let session = server.session()?;
            let after = match after {
                Some(after) => after,
                None => {
                    let head = session.get("/v1/journal/head")?;
                    let newest = head.get("seq").and_then(Value::as_u64).unwrap_or(0);
                    newest.saturating_sub(limit.into())
                }
            };
            session.get(&format!("/v1/journal?after={after}&limit={limit}"))
        };
        let offline = |data: PathBuf, _: &Settings| {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            local::journal_offline(&JournalTask::Show { after, limit }, &data)
        };
        let mut answer = ask_or_open(&self.server, self.data, remote, offline)?;
        if self.server.json {
            return say_json(&answer);
        }
        let events = answer.get_mut("events").map(Value::take).unwrap_or_default();
        let events: Vec<EventRecord> = serde_json::from_value(events)
            .map_err(|cause| CliError::Failed(format!("an event is not understood: {cause}")))?;
        let rows = events.iter().map(|record| {
            let name = record.event.name().to_owned();
            vec![record.seq.to_string(), time::shown(record.time), record.actor.to_string(), name, detail(record)]
        });
        say_table(&["seq", "time", "actor", "event", "about"], rows.collect(), "No events.")
    }
}

/// The short fields of an event; long ones are in the JSON.
fn detail(record: &EventRecord) -> String {
    let value = serde_json::to_value(&record.event).unwrap_or_default();
    let manifest = value.get("manifest").and_then(Value::as_object).cloned().unwrap_or_default();
    let fields = value.as_object().into_iter().flatten().chain(&manifest);
    let words =
        fields.filter(|(key, _)| *key != "type" && *key != "text" && *key != "hash").filter_map(|(key, value)| {
            match value {
                Value::String(text) if text.len() == 64 => Some(format!("{key}={}…", super::output::short(text))),
                Value::String(text) if text.contains(' ') => Some(format!("{key}={text:?}")),
                Value::String(text) => Some(format!("{key}={text}")),
                Value::Number(number) => Some(format!("{key}={number}")),
                Value::Array(list) => Some(format!("{key}={}", list.len())),
                Value::Object(_) if key != "manifest" => Some(format!("{key}={value}")),
                _ => None,
            }
        });
    words.collect::<Vec<_>>().join(" ")
}
