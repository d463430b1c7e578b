use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::CliError;
use super::super::connect::{ServerArgs, Session};
use super::super::output::{BOLD, GREEN, RED, YELLOW, counted, say, say_json, short, size, styled};
use super::of_medium;
use super::send::{Outcome, Sender};
use crate::bundle::{BundleManifest, Medium, NeededSpan, VolumeState};
use crate::client::ClientError;
use crate::model::{BundleId, GivenReceipt, PublicKey, SiteName};
use crate::signing::SIGNATURE_MAX_BYTES;

/// How often it is asked again what is still needed: each time a connection had broken.
const ROUNDS_MAX: u32 = 64;
/// How many missing objects are listed on the terminal; `--json` has up to a thousand.
const LISTED_MAX: usize = 20;

/// Import a bundle from a medium into this offline site
///
/// The medium is only read. What the site has already is not sent again, so that an import that was cut off goes on where
/// it was, and volumes may come one after the other, in any order. Nothing of the bundle is visible before all of it is
/// here; then everything is, at once. The server goes on serving meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 11 says that objects are missing: import again with the volumes that have them. It names them.

Examples:
  ringfence bundle import /media/stick/plant-7-0012
  ringfence bundle import /media/stick/plant-7-0001 --site plant-7 --origin-key origin.pub
  ringfence bundle import --abandon 1f0e…")]
pub(in crate::cli) struct Args {
    /// The directory with BUNDLE.json, BUNDLE.sig and the volumes
    #[arg(value_name = "DIR", required_unless_present = "abandon", conflicts_with = "abandon")]
    dir: Option<PathBuf>,
    /// The origin's public key or its file, for a server that knows none yet (an admin's to give)
    #[arg(long, value_name = "KEY|FILE")]
    origin_key: Option<String>,
    /// The site that this server is: a bundle for another one is refused
    #[arg(long, value_name = "SITE")]
    site: Option<SiteName>,
    /// The origin was restored from a backup: take its bundle although its journal ends before what this site knows of it,
    /// or goes on otherwise (an admin's to say)
    #[arg(long)]
    origin_restored: bool,
    /// Give up an import that is under way
    #[arg(long, value_name = "BUNDLE")]
    abandon: Option<BundleId>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Answer {
    bundle: String,
    sequence: u64,
    state: String,
    #[serde(default)]
    already: bool,
    #[serde(default)]
    root: Option<String>,
    #[serde(default)]
    first: Vec<NeededSpan>,
    #[serde(default)]
    needed: Vec<NeededSpan>,
    missing_objects: u64,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    receipt: Option<Receipt>,
}

#[derive(Debug, Deserialize)]
struct Receipt {
    number: u64,
    receipt: String,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        if let Some(bundle) = &self.abandon {
            session.delete(&format!("/v1/site/imports/{bundle}"))?;
            return say(format_args!("The import of bundle {}… is given up.", short(&bundle.to_string())));
        }
        let dir = self.dir.as_deref().unwrap_or(Path::new("."));
        let key = self.origin_key.as_deref().map(read_key).transpose()?;
        let medium = Medium::open(dir).map_err(of_medium)?;
        let manifest = String::from_utf8_lossy(&medium.manifest().map_err(of_medium)?).into_owned();
        let signature = medium.signature().map_err(of_medium)?.unwrap_or_default();
        // What does not parse has no volumes; what is wrong with it, the server says.
        let survey = BundleManifest::parse(&manifest).map(|(manifest, _)| medium.survey(&manifest).volumes);
        let mut begin = json!({ "manifest": manifest, "signature": signature, "key": key, "site": self.site });
        if self.origin_restored {
            begin["origin_restored"] = json!(true);
        }
        drop((manifest, signature));
        let (answer, outcome) = import(&session, &medium, survey.unwrap_or_default(), &begin)?;
        show(&session, answer, &outcome)
    }
}

fn import(
    session: &Session,
    medium: &Medium,
    volumes: Vec<VolumeState>,
    begin: &Value,
) -> Result<(Value, Outcome), CliError> {
    let ask = || session.post_patiently("/v1/site/imports", begin).map_err(|error| refused(session, error));
    let mut value = ask()?;
    let mut answer: Answer = session.read(value.clone())?;
    let bundle = answer.bundle.clone();
    let mut sender = Sender::new(session, medium, volumes, &bundle);
    sender.expect(answer.needed.iter().map(|piece| piece.size).sum());
    for _ in 0..ROUNDS_MAX {
        if answer.state == "applied" {
            break;
        }
        if !answer.first.is_empty() {
            sender.send(&answer.first)?;
            value = ask()?;
            let next: Answer = session.read(value.clone())?;
            // Where it did not come, the rest is sent all the same: it may come with another medium.
            answer = Answer { first: Vec::new(), ..next };
            if answer.state == "applied" {
                break;
            }
        }
        sender.send(&answer.needed)?;
        if !sender.outcome.did_break {
            break;
        }
        value = ask()?;
        answer = session.read(value.clone())?;
    }
    sender.done();
    let outcome = std::mem::take(&mut sender.outcome);
    if answer.state != "applied" {
        let ended = session.post_patiently(&format!("/v1/site/imports/{bundle}/finish"), &json!({}));
        value = ended.map_err(|error| refused(session, error))?;
    }
    Ok((value, outcome))
}

fn show(session: &Session, mut value: Value, outcome: &Outcome) -> Result<(), CliError> {
    let answer: Answer = session.read(value.clone())?;
    if session.json() {
        if let Some(object) = value.as_object_mut() {
            object.insert("taken".into(), json!(outcome.taken));
            object.insert("sent_bytes".into(), json!(outcome.sent_bytes));
            object.insert("damaged".into(), json!(outcome.damaged.values().collect::<Vec<_>>()));
            object.insert("volumes".into(), json!(outcome.volumes.values().collect::<Vec<_>>()));
        }
        say_json(&value)?;
    }
    if answer.state == "applied" {
        return if session.json() { Ok(()) } else { say_applied(&answer, outcome) };
    }
    if !session.json() {
        say_partial(&answer, outcome)?;
    }
    let objects = counted(answer.missing_objects, "object");
    Err(CliError::Partial(format!(
        "bundle {} is not applied: {objects} missing; what came is kept, so import the volumes that have them, or the \
         whole bundle again from a good copy",
        answer.sequence
    )))
}

fn say_applied(answer: &Answer, outcome: &Outcome) -> Result<(), CliError> {
    let name = styled(BOLD, format_args!("Bundle {}", answer.sequence));
    if answer.already {
        say(format_args!("{name} was applied already: nothing changed."))?;
    } else {
        let (taken, sent) = (counted(outcome.taken, "object"), size(outcome.sent_bytes));
        let applied = styled(GREEN, "applied");
        say(format_args!(
            "{name} is {applied} ({taken} taken, {sent} read from the medium): the site serves from it."
        ))?;
    }
    say(format_args!("  bundle   {}", answer.bundle))?;
    if let Some(root) = &answer.root {
        say(format_args!("  root     {root}"))?;
    }
    if let Some(Receipt { number, receipt }) = &answer.receipt {
        say(format_args!("  receipt  {number} ({}…)", short(receipt)))?;
        say("Next, for the origin: ringfence bundle receipt --last --to DIR")?;
    }
    Ok(())
}

fn say_partial(answer: &Answer, outcome: &Outcome) -> Result<(), CliError> {
    let partial = styled(YELLOW, "partly here");
    let (taken, missing) = (counted(outcome.taken, "object"), counted(answer.missing_objects, "object"));
    say(format_args!(
        "Bundle {} is {partial}: {taken} taken, {missing} missing; nothing of it is visible.",
        answer.sequence
    ))?;
    for why in outcome.volumes.values() {
        say(format_args!("  {why}"))?;
    }
    for damaged in outcome.damaged.values().take(LISTED_MAX) {
        say(format_args!("  damaged  {}: {}", damaged.blake3, damaged.why))?;
    }
    for missing in answer.missing.iter().take(LISTED_MAX) {
        say(format_args!("  missing  {missing}"))?;
    }
    match answer.missing_objects.saturating_sub(answer.missing.len().min(LISTED_MAX) as u64) {
        0 => Ok(()),
        more => say(format_args!("  and {} more", counted(more, "object"))),
    }
}

/// That there is a receipt about the refusal, and how to carry it.
fn say_refused(session: &Session, receipt: &GivenReceipt) -> Result<(), CliError> {
    if session.json() {
        return say_json(&json!({ "bundle": receipt.bundle, "state": "refused", "receipt": receipt }));
    }
    let refused = styled(RED, "refused");
    say(format_args!("The bundle is {refused}: nothing was changed, and the site serves what it served."))?;
    if let Some(bundle) = &receipt.bundle {
        say(format_args!("  bundle   {bundle}"))?;
    }
    say(format_args!("  receipt  {} ({}…)", receipt.number, short(&receipt.receipt.to_string())))?;
    // The same refusal has the same receipt again; where others came since, a new one says it again.
    let latest = session.get("/v1/site/receipts/latest")?;
    let last = if latest["receipt"] == json!(receipt.receipt) { " --last" } else { "" };
    say(format_args!("Next, for the origin: ringfence bundle receipt{last} --to DIR"))
}

/// With the objects that are missing, each on a line; and what does not verify as that. The receipt about it is shown.
fn refused(session: &Session, error: CliError) -> CliError {
    let CliError::Client(ClientError::Refused(problem)) = &error else { return error };
    if let Some(receipt) = &problem.receipt
        && let Err(error) = say_refused(session, receipt)
    {
        return error;
    }
    let text = problem.to_string();
    if problem.kind == "urn:ringfence:untrusted" {
        return CliError::NotBelieved(text);
    }
    if problem.missing.is_empty() {
        return error;
    }
    let listed: Vec<String> = problem.missing.iter().map(|id| format!("\n  missing  {id}")).collect();
    CliError::Conflict(text + &listed.concat())
}

/// A key, or the file that has it.
fn read_key(text: &str) -> Result<PublicKey, CliError> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let failed = |error: &dyn std::fmt::Display| CliError::Input(format!("{text}: {error}"));
    let mut key = String::new();
    let file = std::fs::File::open(text).map_err(|error| failed(&error))?;
    file.take(SIGNATURE_MAX_BYTES as u64).read_to_string(&mut key).map_err(|error| failed(&error))?;
    PublicKey::parse(&key).map_err(|error| failed(&error))
}
