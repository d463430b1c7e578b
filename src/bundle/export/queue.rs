//! Whose turn it is. Those who come again take the place of their own earlier requests that still wait: a client that was
//! stopped cannot be told from one that is patient, so what it asked for would be made for nobody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::ExportError;
use crate::model::{Actor, SiteName};

/// Requests that wait for the one that is being made.
#[derive(Debug, Default)]
pub(super) struct Queue {
    turn: Arc<tokio::sync::Mutex<()>>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    requests: Vec<(u64, Actor, SiteName)>,
}

/// A request in the queue until dropped.
struct Place<'q>(&'q Queue, u64);

impl Queue {
    /// Waits until nothing is being made; none is until what is returned is dropped.
    ///
    /// # Errors
    /// The same person has asked again for the same site meanwhile.
    pub(super) async fn turn(&self, actor: &Actor, site: &SiteName) -> Result<OwnedMutexGuard<()>, ExportError> {
        let place = self.enter(actor, site);
        let turn = self.turn.clone().lock_owned().await;
        let is_newer = |(number, by, of): &(u64, Actor, SiteName)| *number > place.1 && by == actor && of == site;
        let has_asked_again = self.waiting().requests.iter().any(is_newer);
        if has_asked_again { Err(ExportError::AskedAgain { site: site.clone() }) } else { Ok(turn) }
    }

    fn enter(&self, actor: &Actor, site: &SiteName) -> Place<'_> {
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.requests.push((number, actor.clone(), site.clone()));
        Place(self, number)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting().requests.retain(|(number, ..)| *number != self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_again_takes_the_place_of_what_still_waits() {
        let queue = Queue::default();
        let (system, site, other) = (Actor::system(), "plant-7".parse().unwrap(), "plant-8".parse().unwrap());
        let first = queue.turn(&system, &site).await.unwrap();
        let release = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        let take = async |site: &SiteName| queue.turn(&system, site).await.map(drop);
        let (second, elsewhere, third, ()) = tokio::join!(take(&site), take(&other), take(&site), release);
        assert!(matches!(second, Err(ExportError::AskedAgain { .. })), "{second:?}");
        assert!(elsewhere.is_ok() && third.is_ok(), "{elsewhere:?} {third:?}");
        assert!(queue.waiting().requests.is_empty());
        queue.turn(&system, &site).await.unwrap();
    }
}
