//! `GET|HEAD /shares/{share}/{path}`: the file that a stable name stands for now, to whoever the share is open to.
//!
//! A share that is unknown or closed to the requester, a path that is not there or withheld, and a name that cannot be
//! one are the same answer. A query is ignored: nothing in a share depends on it, and caches between may add one.

mod listing;
mod path;
mod pick;
mod stragglers;

use std::time::Duration;

use http::Request;
use http::header::HeaderValue;
use jiff::Timestamp;

use super::blob::Sent;
use super::offer::peer_address;
use super::{Backend, Inner, Refusal, RequestBody};
use crate::model::Snapshot;
use crate::model::policy::{OpenTo, SharePolicy};
use crate::policy::Requester;
use crate::serve::http::Representation;
use crate::share::{Found, files_at};
pub(super) use path::{Place, ShareAddress};
pub(super) use pick::{Moment, pick, wait};
pub(super) use stragglers::{Reader, Stragglers};

impl<B: Backend> Inner<B> {
    /// The answer, and how long it has to wait before it is given.
    pub(super) fn share(
        &self,
        asked: Option<&ShareAddress>,
        request: &Request<RequestBody>,
    ) -> Result<(Sent, Option<Duration>), Refusal> {
        let snapshot = self.backend.snapshot();
        let now = self.backend.now(&snapshot);
        let address = peer_address(request);
        let device = self.identify_reader(request, &snapshot, now).map_err(|_| Refusal::NotFound)?;
        self.admit(request, device.as_ref())?;
        let asked = asked.ok_or(Refusal::NotFound)?;
        let applied = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
        let policy = applied.ok_or(Refusal::NotFound)?.as_ref();
        let share = policy.share(&asked.share).ok_or(Refusal::NotFound)?;
        let who = Requester { device: device.as_ref(), address, platform: None, current: None };
        if !self.is_open(share, &snapshot, &who, now) {
            return Err(Refusal::NotFound);
        }
        match &asked.place {
            Place::File(path) => {
                let reader = who.device.map(Reader::Device).or(address.map(Reader::Address));
                let moment = Moment { snapshot: &snapshot, policy, share, now, grace: self.options.download_grace };
                let found = pick(&self.stragglers, &moment, path, reader).ok_or(Refusal::NotFound)?;
                Ok((self.send(&self.shared(&found), request)?, wait(&moment, &found)))
            }
            Place::Folder(_) if !share.is_listed() => Err(Refusal::NotFound),
            Place::Folder(folder) => {
                let files = files_at(&snapshot, policy, share, now);
                let listed = listing::answer(&files, share.name(), folder, request).ok_or(Refusal::NotFound)?;
                Ok((Sent::Now(listed), None))
            }
        }
    }

    /// Whether one of the share's readers is this one.
    fn is_open(&self, share: &SharePolicy, snapshot: &Snapshot, who: &Requester<'_>, now: Timestamp) -> bool {
        let is_of_group = || self.groups.group(snapshot, who, now).is_some_and(|group| group.name() == share.group());
        share.open_to().iter().any(|open_to| match open_to {
            OpenTo::Anyone => true,
            OpenTo::Devices => who.device.is_some(),
            OpenTo::Group => who.device.is_some() && is_of_group(),
            OpenTo::Network(network) => who.address.is_some_and(|address| network.contains(&address)),
        })
    }

    fn shared(&self, found: &Found<'_>) -> Representation {
        Representation {
            size: found.file.size,
            blake3: found.file.blake3,
            sha256: Some(found.file.sha256),
            last_modified: Some(found.since),
            media_type: HeaderValue::try_from(&found.file.media_type)
                .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream")),
            // The name stays and the bytes change, so whoever keeps them has to ask each time.
            cache_control: Some(HeaderValue::from_static("no-cache")),
            longest_transfer: Some(self.options.longest_transfer),
            boundary_salt: self.options.boundary_salt,
        }
    }
}
