//! The part of the schema for `[[share]]`.

use schemars::JsonSchema;

/// A tree of stable names for one group.
#[derive(JsonSchema)]
#[schemars(rename = "SharePolicy", deny_unknown_fields)]
pub(super) struct ShareText {
    /// Its name, the first part of its paths below /shares/.
    name: String,
    /// The group whose decisions it takes.
    group: String,
    /// How its files are arranged: "plain", "defender-windows", "defender-vdi", "defender-offline", "clamav",
    /// "suricata", "apt".
    layout: String,
    /// The products in it.
    #[schemars(length(min = 1, max = 64))]
    products: Vec<String>,
    /// The platforms that it must serve, each of them; whatever the releases have where absent.
    #[schemars(length(min = 1, max = 64))]
    platforms: Option<Vec<String>>,
    /// Who may read it over HTTP; the devices of its group where absent.
    open_to: Option<OpenToText>,
    /// Whether its folders can be listed over HTTP; false where absent.
    listing: Option<bool>,
    /// How old its newest release may grow before an alert; 3d and 7d where absent and it carries intelligence.
    stale: Option<StaleText>,
}

/// One reader or several.
#[derive(JsonSchema)]
#[schemars(rename = "OpenTo", untagged)]
enum OpenToText {
    One(ReaderText),
    Several(Vec<ReaderText>),
}

/// "anyone", "devices" (with a proven identity), "group" (devices of the share's group), or an address range.
#[derive(JsonSchema)]
#[schemars(rename = "Reader")]
struct ReaderText(String);

/// Ages of the newest release.
#[derive(JsonSchema)]
#[schemars(rename = "ShareStaleness", deny_unknown_fields)]
struct StaleText {
    /// A warning after this time; "3d" where absent.
    warn: Option<String>,
    /// A critical alert after this time; "7d" where absent.
    critical: Option<String>,
}
