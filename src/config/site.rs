//! What the grammar cannot say of `[site]`.

use std::path::Path;

use super::error::Finding;
use super::file::SiteTable;
use super::settings::SiteSettings;

/// An origin has one key at a time, and a site is told of a few.
const ORIGIN_KEYS_MAX: usize = 16;

pub(super) fn site_settings(table: SiteTable, base: &Path) -> Result<SiteSettings, Finding> {
    let SiteTable { name, origin_keys, origin_key_file } = table;
    let finding = |message| Err(Finding { key: "site.origin_keys".into(), message });
    if origin_keys.len() > ORIGIN_KEYS_MAX {
        let message = format!("site.origin_keys has {} keys: at most {ORIGIN_KEYS_MAX} are taken", origin_keys.len());
        return finding(message);
    }
    for (place, key) in origin_keys.iter().enumerate() {
        if origin_keys[..place].iter().any(|before| before.id == key.id) {
            return finding(format!("site.origin_keys names the key {} twice", key.id));
        }
    }
    if origin_key_file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
        let message = "site.origin_key_file is empty: name a file".to_owned();
        return Err(Finding { key: "site.origin_key_file".into(), message });
    }
    let origin_key_file = origin_key_file.map(|file| base.join(file));
    Ok(SiteSettings { name, origin_keys, origin_key_file })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn keys_are_named_once_and_the_file_lies_beside_the_configuration() {
        let key: crate::model::PublicKey = KEY.parse().unwrap();
        let table = SiteTable {
            name: Some("plant-7".parse().unwrap()),
            origin_keys: vec![key],
            origin_key_file: Some("o.pub".into()),
        };
        let settings = site_settings(table.clone(), Path::new("/etc")).unwrap();
        assert_eq!(settings.origin_key_file, Some("/etc/o.pub".into()));
        let twice = SiteTable { origin_keys: vec![key, key], ..table.clone() };
        let refused = site_settings(twice, Path::new("/etc")).unwrap_err();
        assert_eq!(refused.message, format!("site.origin_keys names the key {} twice", key.id));
        let empty = SiteTable { origin_key_file: Some("".into()), ..table };
        assert!(site_settings(empty, Path::new("/etc")).is_err());
    }
}
