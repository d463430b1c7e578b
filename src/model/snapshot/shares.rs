//! Applying the switches of shares.

use std::sync::Arc;

use super::Snapshot;
use crate::model::{Event, EventRecord, Share, SharePath, ShareSwitch, TargetName};

impl Snapshot {
    /// Applies a switch; other events are no business of this.
    pub(super) fn apply_share_event(&mut self, record: &EventRecord) -> Result<(), String> {
        let Event::ShareSwitched { share: name, at, layout, shows, put, removed, forgotten } = &record.event else {
            return Err(format!("{} is no event of a share", record.event.name()));
        };
        if at.subsec_nanosecond() != 0 {
            return Err("a share switches on a whole second".into());
        }
        let known = self.shares.get(name);
        if known.is_some_and(|share| share.switch.at >= *at) {
            return Err(format!("share {name} has a switch at that time or later"));
        }
        let is_there = |path: &TargetName| known.and_then(|share| share.paths().get(path));
        if let Some(path) = removed.iter().find(|path| is_there(path).is_none_or(|known| known.active.is_none())) {
            return Err(format!("share {name} has no file {path}"));
        }
        if let Some(path) = forgotten.iter().find(|path| is_there(path).is_none_or(|known| known.active.is_some())) {
            return Err(format!("share {name} cannot forget {path}"));
        }
        let switch = ShareSwitch { seq: record.seq, at: *at, layout: layout.clone(), shows: shows.clone() };
        let mut share = match known {
            Some(share) => Share::clone(share),
            None => Share::begin(name.clone(), switch.clone()),
        };
        if known.is_some() {
            share.advance(switch);
        }
        share.change(*at, put, removed, forgotten);
        self.set_share(share);
        Ok(())
    }

    pub(super) fn set_share(&mut self, share: Share) {
        Arc::make_mut(&mut self.shares).insert(share.name.clone(), Arc::new(share));
    }

    /// Puts the share together again from its record and its paths.
    pub(super) fn restore_share(&mut self, mut share: Share, paths: Vec<(TargetName, SharePath)>) {
        share.paths = paths.into_iter().collect();
        self.set_share(share);
    }
}
