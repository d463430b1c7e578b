use std::path::{Path, PathBuf};

use clap::builder::styling::{AnsiColor, Style};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{carried, written};
use crate::bundle::receipt::qr;
use crate::cli::CliError;
use crate::cli::connect::{ServerArgs, Session};
use crate::cli::output::{YELLOW, note, say, say_json, styled};
use crate::client::{ClientError, Refusal};
use crate::model::{PublicKey, SiteName};

/// The code's own colours: dark on light, whatever the terminal's are.
fn code_colours() -> Style {
    AnsiColor::BrightWhite.on(AnsiColor::Black)
}

/// Give a receipt at an offline site, or take one at its origin
///
/// Without a file: the server, an offline site, says which bundle it serves, what it holds and what its devices said. The
/// receipt is printed; --to writes it to a medium, --qr shows the part of it that an origin cannot do without.
///
/// With files: the server, an origin, takes the receipts of its sites. The next bundle for a site starts from what its
/// receipt proves. A directory stands for all receipts in it; a short receipt can be given as it is (RF1:…), or typed into
/// standard input (-).
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Receipts to take: RECEIPT-….json with its .sig beside it, a directory, RF1:…, or - for standard input
    #[arg(value_name = "FILE|DIR|RF1:…|-")]
    receipts: Vec<String>,
    /// Write the receipt to this directory, as RECEIPT-SITE-NUMBER.json and .sig
    #[arg(long, value_name = "DIR", conflicts_with = "receipts")]
    to: Option<PathBuf>,
    /// Show the short receipt as a QR code, and as lines to be typed
    #[arg(long, conflicts_with = "receipts")]
    qr: bool,
    /// The last receipt that was given, instead of a new one
    #[arg(long, conflicts_with = "receipts")]
    last: bool,
    /// The site's public key or its file, where the origin does not know it or it was replaced
    #[arg(long, value_name = "KEY|FILE", requires = "receipts")]
    site_key: Option<String>,
    /// The signature's file, where it is not beside the receipt
    #[arg(long, value_name = "FILE", requires = "receipts")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What a site answers.
#[derive(Debug, Deserialize)]
struct Given {
    file_name: String,
    text: String,
    signature: String,
    words: Vec<String>,
    short: String,
    typed: String,
}

/// What an origin answers.
#[derive(Debug, Deserialize)]
struct Taken {
    site: SiteName,
    number: u64,
    is_new: bool,
    outcome: String,
    #[serde(default)]
    reasons: Vec<String>,
    acknowledged: Option<Placed>,
    astray: Option<String>,
    notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Placed {
    sequence: u64,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        if !self.receipts.is_empty() {
            return self.take();
        }
        let session = self.server.session()?;
        let answer = match self.last {
            true => session.get("/v1/site/receipts/latest")?,
            false => session.post("/v1/site/receipts", &json!({}))?,
        };
        let given: Given = session.read(answer.clone())?;
        if let Some(directory) = &self.to {
            let paths = written::write(directory, &given.file_name, &given.text, &given.signature)?;
            paths.iter().for_each(|path| note(format_args!("Written: {}", path.display())));
        }
        if session.json() {
            return say_json(&answer);
        }
        given.words.iter().try_for_each(say)?;
        if self.qr { show_code(&given) } else { Ok(()) }
    }

    fn take(self) -> Result<(), CliError> {
        let key = self.site_key.as_deref().map(carried::key).transpose()?;
        if self.signature.is_some() && self.receipts.len() > 1 {
            return Err(CliError::Usage("--signature is the signature of one receipt: name one file".to_owned()));
        }
        let session = self.server.session()?;
        let mut answers = take(&session, &self.receipts, self.signature.as_deref(), key.as_ref())?;
        if session.json() {
            let one = if answers.len() == 1 { answers.pop() } else { None };
            return say_json(&one.unwrap_or(Value::Array(answers)));
        }
        answers.into_iter().try_for_each(|answer| told(&session.read(answer)?))
    }
}

/// Has the origin take all receipts that these arguments stand for: also before a bundle is written that starts from what
/// they prove. The answers are those to the receipts that were taken, or known.
pub(in crate::cli) fn take(
    session: &Session,
    arguments: &[String],
    signature: Option<&Path>,
    key: Option<&PublicKey>,
) -> Result<Vec<Value>, CliError> {
    let mut all = Vec::new();
    for argument in arguments {
        all.extend(carried::read(argument, signature)?);
    }
    let mut answers = Vec::new();
    let (count, mut refusal) = (all.len(), None);
    for receipt in all {
        match send(session, receipt.body, key) {
            Ok(answer) => answers.push(answer),
            // Of many, those that were taken long ago keep nobody from taking the others.
            Err(error) if count > 1 && is_conflict(&error) => {
                note(format_args!("{}: {error}", receipt.name));
                refusal = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    refusal.filter(|_| answers.is_empty()).map_or(Ok(answers), Err)
}

/// As [`take`], said beside the output: before a bundle is written that starts from what the receipts prove.
pub(in crate::cli) fn take_before_export(session: &Session, argument: &str) -> Result<(), CliError> {
    for answer in take(session, &[argument.to_owned()], None, None)? {
        lines(&session.read(answer)?).into_iter().for_each(note);
    }
    Ok(())
}

fn send(session: &Session, mut body: Value, key: Option<&PublicKey>) -> Result<Value, CliError> {
    if let (Some(key), Some(fields)) = (key, body.as_object_mut()) {
        fields.insert("key".to_owned(), json!(key));
    }
    session.post("/v1/receipts", &body)
}

fn is_conflict(error: &CliError) -> bool {
    matches!(error, CliError::Client(ClientError::Refused(problem)) if problem.refusal() == Refusal::Conflict)
}

fn told(taken: &Taken) -> Result<(), CliError> {
    lines(taken).iter().try_for_each(say)
}

fn lines(taken: &Taken) -> Vec<String> {
    let Taken { site, number, is_new, outcome, reasons, acknowledged, astray, notes } = taken;
    let mut lines = Vec::new();
    if *is_new {
        lines.push(format!("Receipt {number} of site {site} is taken: {outcome}."));
        lines.extend(reasons.iter().map(|reason| format!("  because: {reason}")));
    }
    lines.extend(notes.iter().map(|note| styled(YELLOW, format_args!("  note: {note}"))));
    lines.push(match (astray, acknowledged) {
        (Some(astray), _) => styled(YELLOW, format_args!("  The next bundle is a full one: {astray}.")),
        (None, Some(Placed { sequence })) => format!("  The next bundle starts from bundle {sequence}."),
        (None, None) => "  No bundle is acknowledged: the next one is a full one.".to_owned(),
    });
    lines
}

fn show_code(given: &Given) -> Result<(), CliError> {
    say("")?;
    match qr(&given.short) {
        Some(code) => code.lines().try_for_each(|line| say(styled(code_colours(), line)))?,
        None => note("The receipt is too long for a QR code."),
    }
    say("\nOr type this at the origin, into `ringfence bundle receipt -`:")?;
    say(given.typed.trim_end())
}
