//! Receipts as they were carried here: files, a directory of them, or the short form.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::receipt::{RECEIPT_MAX_BYTES, Receipt};
use crate::cli::CliError;
use crate::model::PublicKey;
use crate::signing::SIGNATURE_MAX_BYTES;

/// The most receipts that are taken from one directory.
const RECEIPTS_MAX: usize = 1_000;
const PREFIX: &str = "RECEIPT-";
/// What a short receipt begins with.
const SHORT: &str = "RF1";
const KEY_FILE_MAX_BYTES: usize = 4096;

/// A receipt to be sent, and what to call it in messages.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) name: String,
    pub(super) body: Value,
    /// Receipts of a site are sent in order of their numbers.
    order: (String, u64),
}

/// Reads what the argument names: `-` is standard input, `RF1:…` is a short receipt itself.
pub(super) fn read(argument: &str, signature: Option<&Path>) -> Result<Vec<Carried>, CliError> {
    if argument == "-" {
        return short("standard input", &text(std::io::stdin(), "standard input", RECEIPT_MAX_BYTES)?)
            .map(|one| vec![one]);
    }
    if argument.len() > SHORT.len()
        && argument[..SHORT.len()].eq_ignore_ascii_case(SHORT)
        && !Path::new(argument).exists()
    {
        return short("the argument", argument).map(|one| vec![one]);
    }
    let path = Path::new(argument);
    if path.is_dir() {
        return directory(path);
    }
    let content = file(path, RECEIPT_MAX_BYTES)?;
    if content.trim_start().get(..SHORT.len()).is_some_and(|start| start.eq_ignore_ascii_case(SHORT)) {
        return short(argument, &content).map(|one| vec![one]);
    }
    whole(path, content, signature).map(|one| vec![one])
}

fn directory(directory: &Path) -> Result<Vec<Carried>, CliError> {
    let unreadable = |cause: std::io::Error| CliError::Input(format!("{}: {cause}", directory.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
        if name.starts_with(PREFIX) && name.ends_with(".JSON") {
            found.push(path);
        }
        if found.len() > RECEIPTS_MAX {
            return Err(CliError::Input(format!(
                "{}: there are more than {RECEIPTS_MAX} receipts; name those that are to be taken",
                directory.display()
            )));
        }
    }
    if found.is_empty() {
        return Err(CliError::Input(format!("{}: there is no {PREFIX}….json in it", directory.display())));
    }
    let read = |path: &PathBuf| whole(path, file(path, RECEIPT_MAX_BYTES)?, None);
    let mut receipts = found.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    receipts.sort_by(|one, other| one.order.cmp(&other.order));
    Ok(receipts)
}

fn whole(path: &Path, content: String, signature: Option<&Path>) -> Result<Carried, CliError> {
    let name = path.display().to_string();
    let (receipt, _) = Receipt::parse(&content).map_err(|error| CliError::Input(format!("{name}: {error}")))?;
    let signature = file(&signature.map_or_else(|| path.with_extension("sig"), Path::to_owned), SIGNATURE_MAX_BYTES)?;
    let order = (receipt.site.to_string(), receipt.number);
    Ok(Carried { name, body: json!({ "text": content, "signature": signature }), order })
}

fn short(name: &str, text: &str) -> Result<Carried, CliError> {
    let parsed = crate::bundle::receipt::SignedShort::parse(text);
    let parsed = parsed.map_err(|error| CliError::Input(format!("{name}: {error}")))?;
    let order = (parsed.short.site.to_string(), parsed.short.number);
    Ok(Carried { name: name.to_owned(), body: json!({ "short": text }), order })
}

/// A public key as it stands, or the one in a file.
pub(super) fn key(argument: &str) -> Result<PublicKey, CliError> {
    if let Ok(key) = argument.parse() {
        return Ok(key);
    }
    let content = file(Path::new(argument), KEY_FILE_MAX_BYTES)?;
    PublicKey::parse(&content).map_err(|error| CliError::Input(format!("{argument}: {error}")))
}

fn file(path: &Path, max_bytes: usize) -> Result<String, CliError> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|cause| CliError::Input(format!("{name}: {cause}")))?;
    text(file, &name, max_bytes)
}

fn text(source: impl std::io::Read, name: &str, max_bytes: usize) -> Result<String, CliError> {
    let mut content = String::new();
    let read = source.take(max_bytes as u64 + 1).read_to_string(&mut content);
    read.map_err(|cause| CliError::Input(format!("{name}: {cause}")))?;
    if content.len() > max_bytes {
        return Err(CliError::Input(format!("{name}: it is longer than {max_bytes} bytes and no receipt")));
    }
    Ok(content)
}
