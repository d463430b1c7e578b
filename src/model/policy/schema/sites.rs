//! The part of the schema for `[[site]]`.

use schemars::JsonSchema;

/// What bundles for one offline site carry.
#[derive(JsonSchema)]
#[schemars(rename = "SiteRule", deny_unknown_fields)]
pub(super) struct SiteText {
    /// Its name.
    name: String,
    /// The groups whose decisions it is given.
    #[schemars(length(min = 1, max = 2000))]
    groups: Vec<String>,
    /// How long after it was made a bundle may be imported: 1h to 365d; "30d" where absent.
    valid_for: Option<String>,
    /// How far ahead a bundle carries what the groups are going to see, at most `valid_for`; "0s" where absent.
    preload: Option<String>,
    /// The public key of the site's receipts, as minisign writes it; that of its first receipt where absent.
    #[schemars(regex(pattern = r"^RW[A-Za-z0-9+/]{54}$"))]
    key: Option<String>,
}
