//! Shares, read aloud.

use super::join;
use crate::model::policy::{OpenTo, SharePolicy};

pub(super) fn sentences(share: &SharePolicy) -> Vec<String> {
    let SharePolicy { name, group, layout, products, platforms, .. } = share;
    let products = list(products.iter().map(|product| product.to_string()));
    let mut first = format!("Share {name} shows {group} what they get of {products}, arranged as {layout}");
    if !platforms.is_empty() {
        first += &format!(", for {}", list(platforms.iter().map(|platform| platform.to_string())));
    }
    let readers: Vec<_> = share.open_to.iter().map(|reader| described(reader, group.as_str())).collect();
    let read = match readers.is_empty() {
        true => "Nobody reads it over HTTP".to_owned(),
        false => format!("Over HTTP it is read by {}", list(readers.into_iter())),
    };
    let listed = if share.listing { ", who can list its folders" } else { "" };
    let mut sentences = vec![format!("{first}. {read}{listed}.")];
    if let Some(stale) = share.stale {
        let (warn, critical) = (stale.warn.in_words(), stale.critical.in_words());
        sentences.push(format!(
            "An alert is raised when nothing new reached share {name} for {warn}, and a critical one after {critical}."
        ));
    }
    sentences
}

fn described(reader: &OpenTo, group: &str) -> String {
    match reader {
        OpenTo::Anyone => "anyone".into(),
        OpenTo::Devices => "every device with a proven identity".into(),
        OpenTo::Group => format!("the devices of {group}"),
        OpenTo::Network(network) => format!("requests from {network}"),
    }
}

fn list(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<_> = parts.collect();
    join(&parts.iter().map(String::as_str).collect::<Vec<_>>(), "and")
}
