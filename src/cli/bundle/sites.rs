use jiff::Timestamp;
use serde::Deserialize;

use crate::cli::connect::ServerArgs;
use crate::cli::output::{YELLOW, counted, say, say_table, styled};
use crate::cli::{CliError, local, time};
use crate::model::{RingTally, SiteName, SiteVersion};

/// Show the offline sites: what was written for each, what it has acknowledged, and when it was last heard of
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// One site, with its versions and what its devices said
    site: Option<SiteName>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Sites {
    sites: Vec<Site>,
}

#[derive(Debug, Deserialize)]
struct Site {
    name: SiteName,
    newest: Option<Export>,
    acknowledged: Option<Placed>,
    unacknowledged: u64,
    receipt: Option<Receipt>,
    versions_behind: u64,
    silent_since: Option<Timestamp>,
    astray: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Details {
    #[serde(flatten)]
    site: Site,
    versions: Vec<SiteVersion>,
    tallies: Vec<RingTally>,
}

#[derive(Debug, Deserialize)]
struct Export {
    sequence: u64,
    created_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Placed {
    sequence: u64,
}

#[derive(Debug, Deserialize)]
struct Receipt {
    number: u64,
    outcome: String,
    #[serde(default)]
    about: Option<Placed>,
    #[serde(default)]
    reasons: Vec<String>,
    taken_at: Timestamp,
}

const HEADINGS: [&str; 6] = ["site", "last bundle", "acknowledged", "last receipt", "behind", "state"];

impl Args {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let Some(site) = self.site else {
            return session.show(session.get("/v1/sites")?, |Sites { sites }| {
                let none =
                    "No sites. Name one in the policy as [[site]], then: ringfence bundle export --site NAME --to DIR";
                say_table(&HEADINGS, sites.iter().map(row).collect(), none)
            });
        };
        session.show(session.get(&format!("/v1/sites/{site}"))?, |Details { site, versions, tallies }| {
            say_table(&HEADINGS, vec![row(&site)], "")?;
            if let Some(astray) = &site.astray {
                say(styled(YELLOW, format_args!("\nThe next bundle is a full one: {astray}.")))?;
            }
            if let Some(newest) = &site.newest {
                let until = time::shown(newest.expires_at);
                say(format_args!("\nBundle {} can be imported until {until}.", newest.sequence))?;
            }
            if let Some(receipt) = site.receipt.as_ref().filter(|receipt| !receipt.reasons.is_empty()) {
                let about =
                    receipt.about.as_ref().map_or_else(String::new, |about| format!(", of bundle {}", about.sequence));
                say(format_args!("\nIts last receipt{about}, says {}:", receipt.outcome))?;
                receipt.reasons.iter().try_for_each(|reason| say(format_args!("  {reason}")))?;
            }
            say("\nIts groups saw, by its last receipt:")?;
            let rows = versions.into_iter().map(seen).collect();
            say_table(&["product", "group", "version"], rows, "Nothing is known.")?;
            say("\nIts devices had said:")?;
            let rows = tallies.into_iter().map(said).collect();
            say_table(&["product", "rollout", "ring", "offered", "healthy", "failed", "pending"], rows, "Nothing yet.")
        })
    }
}

fn row(site: &Site) -> Vec<String> {
    let none = || "-".to_owned();
    let bundle = |export: &Export| format!("{} ({})", export.sequence, age(export.created_at));
    let receipt = |receipt: &Receipt| format!("{} {} ({})", receipt.number, receipt.outcome, age(receipt.taken_at));
    let acknowledged = match (&site.acknowledged, site.unacknowledged) {
        (None, _) => "none".to_owned(),
        (Some(Placed { sequence }), 0) => sequence.to_string(),
        (Some(Placed { sequence }), since) => format!("{sequence}, {} since", counted(since, "bundle")),
    };
    let state = match (&site.astray, site.silent_since, &site.newest) {
        (Some(_), ..) => "astray".to_owned(),
        (None, Some(since), _) => format!("silent since {}", time::shown(since)),
        (None, None, None) => "no bundle yet".to_owned(),
        (None, None, Some(_)) => "ok".to_owned(),
    };
    vec![
        site.name.to_string(),
        site.newest.as_ref().map_or_else(none, bundle),
        acknowledged,
        site.receipt.as_ref().map_or_else(none, receipt),
        site.versions_behind.to_string(),
        state,
    ]
}

/// How long ago that was, in the largest unit that says something.
fn age(at: Timestamp) -> String {
    let seconds = local::now().duration_since(at).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn seen(version: SiteVersion) -> Vec<String> {
    let SiteVersion { product, group, version } = version;
    vec![product.to_string(), group.to_string(), version.map_or_else(|| "nothing".to_owned(), |seen| seen.to_string())]
}

fn said(tally: RingTally) -> Vec<String> {
    let RingTally { product, rollout, ring, offered, healthy, failed, rolled_back, pending, .. } = tally;
    let numbers = [offered, healthy, failed + rolled_back, pending].map(|number| number.to_string());
    [product.to_string(), rollout.to_string(), ring.to_string()].into_iter().chain(numbers).collect()
}
