use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::CliError;
use super::super::connect::{ServerArgs, Session};
use super::super::output::{BOLD, counted, note, say, say_json, size, styled};
use super::receipt::take_before_export;
use crate::bundle::{BundleManifest, BundleWriter, Layout, Volume, VolumeWriter, WriteError};
use crate::client::ClientError;
use crate::config::ByteSize;
use crate::model::{BundleBase, GroupName, SiteName};

/// Broken connections in a row after which it is given up.
const BREAKS_MAX: u32 = 6;
/// The pause after the first of them; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How often the server is told that the bundle is still being written, however long the medium takes.
const TELL_EVERY: Duration = Duration::from_secs(20);
/// How many pieces may wait for the medium.
const PIECES_AHEAD: usize = 16;

/// Write a bundle for an offline site to a directory
///
/// What the site's groups are shown now, what they will be shown within its `preload`, and what the origin decided about
/// it: everything that the site has not proven to hold already. The directory must be empty or absent. Each file gets its
/// name once it is whole and on the medium; BUNDLE.sig comes last, so a bundle without it was not finished.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence bundle export --site plant-7 --to /media/stick/plant-7-0012
  ringfence bundle export --site plant-7 --to /media/stick/full --since full
  ringfence bundle export --site plant-7 --to /media/stick/next --since /media/back/RECEIPT-0011.json")]
pub(in crate::cli) struct Args {
    /// The site, as its server and the policy name it
    #[arg(long, value_name = "SITE")]
    site: SiteName,
    /// The directory; only its last part is created
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The longest that a volume may be [default: 4GiB, and a byte less on FAT]
    #[arg(long, value_name = "SIZE")]
    volume_size: Option<ByteSize>,
    /// What the site has already: `auto` (what its last receipt proves), `full` (nothing), `last` (the newest bundle,
    /// carried or not), or a receipt to be taken first
    #[arg(long, value_name = "auto|full|last|RECEIPT", default_value = "auto")]
    since: String,
    /// A group whose decisions it carries [default: those of the policy's site, else all]
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<GroupName>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Answer {
    bundle: String,
    site: String,
    sequence: u64,
    base: BundleBase,
    objects: u64,
    held_objects: u64,
    volumes: Vec<Volume>,
    bytes: u64,
    expires_at: String,
    manifest_bytes: u64,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        // Everything that can be refused without the server is refused before it works.
        let writer = BundleWriter::open(&self.to).map_err(refused)?;
        let volume_bytes = writer.volume_bytes(self.volume_size.map(|size| size.0)).map_err(refused)?;
        let since = match self.since.as_str() {
            known @ ("auto" | "full" | "last") => known,
            receipt => {
                take_before_export(&session, receipt)?;
                "auto"
            }
        };
        let request = json!({
            "site": self.site, "groups": self.groups, "since": since, "volume_size_bytes": volume_bytes,
        });
        let value = session.post_patiently("/v1/bundles", &request)?;
        let answer: Answer = session.read(value.clone())?;
        let written = while_told(&session, &answer, || write(&session, writer, &answer));
        // The server forgets it by itself, too.
        let closed = session.delete(&format!("/v1/bundles/{}", answer.bundle));
        written?;
        drop(closed);
        if session.json() { say_json(&with_dir(value, &self.to)) } else { self.say(&answer) }
    }

    fn say(&self, answer: &Answer) -> Result<(), CliError> {
        let Answer { site, sequence, base, objects, held_objects, volumes, bytes, expires_at, .. } = answer;
        let name = styled(BOLD, format_args!("Bundle {sequence} for site {site}"));
        let volumes = counted(volumes.len() as u64, "volume");
        say(format_args!("{name} is written to {} ({volumes}, {}).", self.to.display(), size(*bytes)))?;
        say(format_args!("  bundle   {}", answer.bundle))?;
        let base = match base {
            BundleBase::Full => "nothing: it is a full bundle".to_owned(),
            BundleBase::Proven { bundle, .. } => format!("what the site has proven to hold, bundle {bundle}"),
            BundleBase::Assumed { bundle, .. } => format!("bundle {bundle}, which the site has not proven to hold"),
        };
        say(format_args!("  base     {base}"))?;
        say(format_args!("  objects  {objects}, of {held_objects} that the site holds then"))?;
        say(format_args!("  expires  {expires_at}"))?;
        say("Next, at the site: ringfence bundle import DIR")
    }
}

fn with_dir(mut value: Value, dir: &std::path::Path) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert("dir".into(), json!(dir.display().to_string()));
    }
    value
}

fn refused(error: WriteError) -> CliError {
    let text = error.to_string();
    match error {
        WriteError::NotEmpty { .. } | WriteError::Unfinished { .. } => CliError::Conflict(text),
        WriteError::Damaged { .. } => CliError::Damage(text),
        _ => CliError::Failed(text),
    }
}

/// Does something while the server is told now and then that somebody is here: an export that nobody reads makes room for
/// others.
fn while_told<T>(session: &Session, answer: &Answer, act: impl FnOnce() -> T) -> T {
    let path = format!("/v1/bundles/{}/BUNDLE.sig", answer.bundle);
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while is_done.recv_timeout(TELL_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                // What is wrong is told by whoever reads.
                let _ = session.get_text(&path);
            }
        });
        let made = act();
        drop(done);
        made
    })
}

fn write(session: &Session, writer: BundleWriter, answer: &Answer) -> Result<(), CliError> {
    writer.check_room(answer.bytes.saturating_add(answer.manifest_bytes)).map_err(refused)?;
    let path = format!("/v1/bundles/{}", answer.bundle);
    let manifest = session.get_text(&format!("{path}/BUNDLE.json"))?;
    let signature = session.get_text(&format!("{path}/BUNDLE.sig"))?;
    let (parsed, _) = BundleManifest::parse(&manifest).map_err(|error| CliError::Failed(error.to_string()))?;
    let layout = Layout::of(&parsed);
    drop(parsed);
    let shown = Shown::new(answer.bytes);
    for (number, volume) in (1..).zip(&answer.volumes) {
        let file = writer.volume(&layout, number).map_err(refused)?;
        fetch(session, &format!("{path}/volumes/{number}"), volume.size, file, &shown)?;
        shown.volume(volume);
    }
    shown.end();
    writer.finish(manifest.as_bytes(), signature.as_bytes()).map_err(refused)
}

/// Fetches one volume while it is written beside.
fn fetch(
    session: &Session,
    path: &str,
    volume_bytes: u64,
    mut file: VolumeWriter<'_>,
    shown: &Shown,
) -> Result<(), CliError> {
    std::thread::scope(|scope| {
        let (sender, pieces) = mpsc::sync_channel::<Bytes>(PIECES_AHEAD);
        let writing = scope.spawn(move || -> Result<(), WriteError> {
            while let Ok(piece) = pieces.recv() {
                file.write(&piece)?;
            }
            // Where the fetch has failed, there are too few: then that is told.
            file.finish()
        });
        let fetched = receive(session, path, volume_bytes, &sender, shown);
        drop(sender);
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (fetched, written) {
            (Err(error), Ok(()) | Err(WriteError::Length { .. })) => Err(error),
            (_, written) => written.map_err(refused),
        }
    })
}

/// Receives a volume, over as many connections as it takes. It ends early where nobody takes the pieces any more.
fn receive(
    session: &Session,
    path: &str,
    volume_bytes: u64,
    sender: &mpsc::SyncSender<Bytes>,
    shown: &Shown,
) -> Result<(), CliError> {
    let (mut at, mut breaks, mut pause) = (0, 0, FIRST_PAUSE);
    while at < volume_bytes {
        let begun = at;
        let broke = match session.download_from(path, at) {
            Ok(mut body) => loop {
                match session.runtime().block_on(body.next()) {
                    Ok(Some(piece)) => {
                        at += piece.len() as u64;
                        shown.inc(piece.len() as u64);
                        if sender.send(piece).is_err() {
                            return Ok(());
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(CliError::from(error)),
                }
            },
            Err(error) => Some(error),
        };
        let Some(error) = broke else { continue };
        let is_passing =
            matches!(error, CliError::Client(ClientError::Broken { .. } | ClientError::Unreachable { .. }));
        (breaks, pause) = if at > begun { (1, FIRST_PAUSE) } else { (breaks + 1, pause * 2) };
        if !is_passing || breaks >= BREAKS_MAX {
            return Err(error);
        }
        std::thread::sleep(pause);
    }
    Ok(())
}

/// How far it is: a bar on a terminal, a line a volume elsewhere.
struct Shown {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Shown {
    fn new(bytes: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        if !is_terminal {
            return Self { bar: ProgressBar::hidden(), is_terminal };
        }
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let template = "{msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, is_terminal }
    }

    fn inc(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn volume(&self, volume: &Volume) {
        if !self.is_terminal {
            note(format_args!("{} is written ({})", volume.name, size(volume.size)));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
