//! What the clients of a layout make of an older version that they are shown.

use crate::model::policy::Policy;
use crate::model::{ProductName, Release};
use crate::share::layout::layout;

/// One sentence for each share that shows the product in a layout whose clients may not go back.
pub(super) fn ignored_by_shares(policy: Option<&Policy>, product: &ProductName) -> Vec<String> {
    let shares = policy.map(Policy::shares).unwrap_or_default();
    let showing = shares.iter().filter(|share| share.products().contains(product));
    let limited = showing.filter_map(|share| Some((share.name(), layout(share.layout())?.rollback_limit()?)));
    limited.map(|(share, limit)| format!("share {share} goes back, but {limit}")).collect()
}

/// One sentence for each kind of client that will not go back though it is shown the older files.
pub(super) fn ignored_by_clients(from: &Release, to: &Release) -> Vec<String> {
    let targets = || [from, to].into_iter().flat_map(|release| &release.manifest.artifacts);
    let names = || targets().map(|artifact| artifact.target.as_str());
    let mut sentences = Vec::new();
    if names().any(|name| name.ends_with(".cvd") || name.ends_with(".cld")) {
        sentences.push(
            "freshclam compares the version inside a .cvd or .cld file and keeps the newer one: ClamAV devices that have \
             it stay on it until their database files are removed"
                .to_owned(),
        );
    }
    if names().any(|name| name.split('/').any(|part| part == "dists")) {
        sentences.push(
            "apt ignores a Release file whose Date is older than the one it has, and never downgrades a package by \
             itself: apt devices that have it stay on it"
                .to_owned(),
        );
    }
    sentences
}
