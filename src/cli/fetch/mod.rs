//! `ringfence fetch`: what an endpoint does to get what is decided for it, and to prove that it is that.

mod place;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::connect::{self, Session};
use super::output::{counted, note, say, say_json};
use super::{CliError, local};
use crate::client::{ClientError, Endpoint, Question, TlsTrust, TrustedServers};
use crate::model::{DeviceId, Platform, ProductName, PublicKey, Version};
use crate::signing::{Asked, Freshness, Offer, Untrusted, verify};
use place::{Placed, place};
use state::{Fetched, State};

/// An offer and a statement are two answers; where something changed in between, both are asked for again.
const TRIES: u32 = 3;

/// Fetch what is offered to this device into a directory, and verify it
///
/// With the origin's public key (`ringfence key show` prints it there) everything is verified before anything is
/// written: that the offer is what the origin means for this device now, that nothing older or meant for another device
/// was put in its place, and every byte. What was seen is kept in DIR/.ringfence. Without a key only the bytes are
/// compared with the offer's digests. Exit code 10 means that something does not verify; nothing was written then.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The product
    product: ProductName,
    /// The directory; files of the release that are there already are not fetched again
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The device listener: http://host:port or https://host:port [default: that of ./ringfence.toml]
    #[arg(long, value_name = "ADDRESS", env = "RINGFENCE_FROM", hide_env_values = true)]
    from: Option<String>,
    /// The origin's public key: a file as `ringfence key show` prints it, or the key itself
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// What this device runs on, for example windows-x64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// The version that this device has [default: what was fetched into DIR before]
    #[arg(long, value_name = "VERSION")]
    current: Option<Version>,
    /// What the origin calls this device: a statement for another one is refused
    #[arg(long, value_name = "ID", requires = "key")]
    device: Option<DeviceId>,
    /// The file that holds this device's token [default: $RINGFENCE_DEVICE_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The CAs that an https:// server's certificate may be from, PEM [default: the configuration's own certificate]
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CA", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// This device's certificate for an https:// server, PEM, with its chain
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// What is to be fetched, and how far it is proven.
struct Wanted {
    offer: Option<Offer>,
    proof: Option<Proof>,
}

/// What was verified, and what to remember of it.
struct Proof {
    freshness: Freshness,
    remembered: crate::signing::Remembered,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let pinned = self.key.as_deref().map(read_key).transpose()?;
        let (endpoint, trust) = self.endpoint()?;
        let session = connect::device_session(endpoint, self.token_file.as_deref(), trust, self.json)?;
        let state = State::read(&self.to)?;
        let before = state.fetched(&self.product, self.platform.as_ref());
        let current = self.current.clone().or_else(|| before.map(|before| before.version.clone()));
        let question = Question { product: &self.product, platform: self.platform.as_ref(), current: current.as_ref() };
        let wanted = match &pinned {
            Some(pinned) => self.verified(&session, pinned, &state, &question)?,
            None => {
                if !self.json {
                    note("Nothing but digests is verified: give the origin's public key with --key.");
                }
                Wanted { offer: session.offer(&question)?, proof: None }
            }
        };
        let remembered = wanted.proof.as_ref().map(|proof| &proof.remembered);
        let placed = match &wanted.offer {
            Some(offer) => Some(place(&session, &self.to, offer, remembered, before)?),
            None => {
                if let Some(remembered) = remembered {
                    state::remember(&self.to, remembered)?;
                }
                None
            }
        };
        if let Some(offer) = &wanted.offer {
            state::note_fetched(&self.to, Fetched::of(offer, self.platform.as_ref()))?;
        }
        self.tell(&wanted, placed.as_ref(), current.as_ref())
    }

    /// Where to ask, and whom to trust there.
    fn endpoint(&self) -> Result<(Endpoint, Option<TlsTrust>), CliError> {
        let (endpoint, own) = match &self.from {
            Some(from) => (from.parse().map_err(ClientError::from)?, None),
            None => connect::configured_device_listener()?.ok_or_else(|| {
                CliError::Usage("no server is named: give --from http://host:port or set RINGFENCE_FROM".to_owned())
            })?,
        };
        let servers = self.ca.clone().map(TrustedServers::IssuedBy).or(own.map(TrustedServers::Exactly));
        let identity = self.certificate.clone().zip(self.certificate_key.clone());
        Ok((endpoint, servers.map(|servers| TlsTrust { servers, identity })))
    }

    fn verified(
        &self,
        session: &Session,
        pinned: &PublicKey,
        state: &State,
        question: &Question<'_>,
    ) -> Result<Wanted, CliError> {
        let mut tries = 0;
        loop {
            let answers = session.answers(question)?;
            let asked = Asked {
                product: question.product,
                platform: question.platform,
                current: question.current,
                device: self.device.as_ref(),
                now: local::now(),
            };
            tries += 1;
            match verify(pinned, state.remembered(), &asked, &answers) {
                Ok(verified) => {
                    let proof = Proof { freshness: verified.freshness, remembered: verified.remembered };
                    return Ok(Wanted { offer: answers.offer.map(|(offer, _)| offer), proof: Some(proof) });
                }
                Err(Untrusted::OtherOffer { .. } | Untrusted::Withheld { .. }) if tries < TRIES => {
                    std::thread::sleep(Duration::from_millis(300));
                }
                Err(untrusted) => return Err(untrusted.into()),
            }
        }
    }

    fn tell(&self, wanted: &Wanted, placed: Option<&Placed>, current: Option<&Version>) -> Result<(), CliError> {
        let proof = wanted.proof.as_ref();
        if self.json {
            return say_json(&self.json_answer(wanted, placed, current));
        }
        let (product, to) = (&self.product, self.to.display());
        match (&wanted.offer, placed, current) {
            (Some(offer), Some(placed), _) if placed.fetched == 0 => {
                say(format_args!("{to} has {product} {} already.", offer.version))?;
            }
            (Some(offer), Some(placed), _) => {
                let files = counted(placed.fetched as u64, "file");
                say(format_args!("{product} {} is in {to}: {files} fetched.", offer.version))?;
            }
            (_, _, Some(current)) => {
                say(format_args!("{product} {current} is what this device has: nothing to fetch."))?
            }
            (_, _, None) => say(format_args!("Nothing of {product} is offered to this device now."))?,
        }
        proof.map_or(Ok(()), |Proof { freshness, remembered }| {
            let Freshness { sequence, expires, .. } = freshness;
            let key = remembered.newest.id;
            say(format_args!("Verified with key {key}: journal at {sequence}, good until {expires}."))
        })
    }

    fn json_answer(&self, wanted: &Wanted, placed: Option<&Placed>, current: Option<&Version>) -> Value {
        let offer = wanted.offer.as_ref();
        let mut answer = json!({
            "product": self.product,
            "version": offer.map(|offer| &offer.version).or(current),
            "release": offer.map(|offer| offer.release),
            "changed": placed.is_some_and(|placed| placed.fetched + placed.removed > 0),
            "files": offer.map(|offer| &offer.artifacts[..]).unwrap_or_default(),
            "files_fetched": placed.map_or(0, |placed| placed.fetched),
            "files_removed": placed.map_or(0, |placed| placed.removed),
            "verified": Value::Null,
        });
        if let Some(Proof { freshness, remembered }) = &wanted.proof {
            let Freshness { sequence, at, expires, view, .. } = freshness;
            let (key, pinned) = (remembered.newest.id, remembered.pinned.id);
            answer["verified"] = json!({
                "key": key, "pinned": pinned, "sequence": sequence, "at": at, "expires": expires, "view": view,
            });
        }
        answer
    }
}

/// A key, or the file that holds it.
fn read_key(text: &str) -> Result<PublicKey, CliError> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let failed = |cause: &dyn std::fmt::Display| CliError::Input(format!("{text}: {cause}"));
    let found = std::fs::read_to_string(Path::new(text)).map_err(|cause| failed(&cause))?;
    PublicKey::parse(&found).map_err(|cause| failed(&cause))
}
