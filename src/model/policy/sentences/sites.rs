//! Offline sites, read aloud.

use super::join;
use crate::model::policy::SiteRule;

pub(super) fn sentence(site: &SiteRule) -> String {
    let SiteRule { name, groups, valid_for, preload, .. } = site;
    let groups: Vec<_> = groups.iter().map(|group| group.as_str()).collect();
    let ahead = match preload.is_none() {
        true => String::new(),
        false => format!(" and will be shown within {}", preload.in_words()),
    };
    format!(
        "A bundle for site {name} brings what {} are shown{ahead}, and can be imported for {}.",
        join(&groups, "and"),
        valid_for.in_words()
    )
}
