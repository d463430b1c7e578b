//! Which rollout is meant: its number, or the product and version.

use std::str::FromStr;

use super::answer::{Rollout, Rollouts};
use crate::cli::CliError;
use crate::cli::connect::Session;
use crate::model::{ProductName, RolloutId, Version};

/// A rollout as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    /// By its number.
    Number(RolloutId),
    /// The newest of this release, one that is live before others.
    Release(ProductName, Version),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('@') {
            None => text.parse().map(Self::Number).map_err(|_| {
                format!("{text:?} is no rollout: give its number, or PRODUCT@VERSION, such as my-intelligence@1.2")
            }),
            Some((product, version)) => {
                let product = product.parse().map_err(|error| format!("{error}"))?;
                Ok(Self::Release(product, version.parse().map_err(|error| format!("{error}"))?))
            }
        }
    }
}

impl Which {
    /// Its number.
    pub(super) fn id(&self, session: &Session) -> Result<RolloutId, CliError> {
        let (product, version) = match self {
            Self::Number(id) => return Ok(*id),
            Self::Release(product, version) => (product, version),
        };
        let answer = session.get(&format!("/v1/rollouts?state=all&product={product}"))?;
        let Rollouts { rollouts } = session.read(answer)?;
        let text = version.to_string();
        best(&rollouts, &text).ok_or_else(|| {
            let list = format!("`ringfence rollout list --product {product} --all` shows those there are");
            CliError::NotFound(format!("{product} {version} has no rollout; {list}"))
        })
    }

    /// It as it stands now.
    pub(super) fn get(&self, session: &Session) -> Result<Rollout, CliError> {
        session.read(session.get(&format!("/v1/rollouts/{}", self.id(session)?))?)
    }
}

/// A live rollout of the release before one that is over, one that leads to everyone before a way back, the newest.
fn best(rollouts: &[Rollout], version: &str) -> Option<RolloutId> {
    let own = rollouts.iter().filter(|rollout| rollout.version == version);
    own.max_by_key(|rollout| (rollout.kind != "rollback", rollout.is_live(), rollout.id)).map(|rollout| rollout.id)
}
