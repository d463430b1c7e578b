//! What is carried between an origin and its sites, and what happens to it on the way.

use std::ops::Range;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::random::Dice;
use crate::model::{BundleId, GivenReceipt};

/// A bundle on a medium.
#[derive(Debug, Clone)]
pub(super) struct Medium {
    /// The bundle that it was written as.
    pub(super) bundle: BundleId,
    pub(super) text: String,
    pub(super) signature: String,
    /// Those volumes that are there.
    pub(super) volumes: Vec<Option<Bytes>>,
    pub(super) harm: Vec<Harm>,
}

/// What a carrier did to a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Harm {
    /// A bit of the manifest is another one.
    Manifest,
    /// A bit of the signature is another one.
    Signature,
    /// These bytes of a volume (its place from 0) are not what they were, or gone.
    Volume(usize, Range<u64>),
}

/// Something that arrives.
#[derive(Debug)]
pub(super) struct Arrival<T> {
    pub(super) at: Timestamp,
    pub(super) site: usize,
    pub(super) what: T,
}

/// What is on its way, in no order.
#[derive(Debug)]
pub(super) struct Mail<T>(Vec<Arrival<T>>);

impl<T> Mail<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn send(&mut self, at: Timestamp, site: usize, what: T) {
        self.0.push(Arrival { at, site, what });
    }

    /// What has arrived by now, what came first first.
    pub(super) fn arrived(&mut self, now: Timestamp) -> Vec<Arrival<T>> {
        let mut arrived: Vec<_> = self.0.extract_if(.., |mail| mail.at <= now).collect();
        arrived.sort_by_key(|mail| mail.at);
        arrived
    }
}

/// Hands a medium over to a seeded carrier.
pub(super) fn carry(mail: &mut Mail<Medium>, dice: &mut Dice, now: Timestamp, site: usize, medium: Medium) {
    let hours = |hours: u64| now + SignedDuration::from_hours(hours as i64);
    let soon = hours(dice.below(20));
    match dice.below(100) {
        0..40 => mail.send(soon, site, medium),
        40..52 => {}
        52..59 => {
            mail.send(soon, site, medium.clone());
            mail.send(hours(24 + dice.below(48)), site, medium);
        }
        // After a newer one.
        59..66 => mail.send(hours(30 + dice.below(72)), site, medium),
        66..70 => mail.send(hours(24 * (8 + dice.below(12))), site, medium),
        70..77 => {
            let volume = dice.below(medium.volumes.len() as u64) as usize;
            mail.send(soon, site, medium.cut(volume, dice));
        }
        77..90 => mail.send(soon, site, medium.flip(dice)),
        _ => {
            let volume = dice.below(medium.volumes.len() as u64) as usize;
            let (rest, only) = medium.split(volume);
            mail.send(soon, site, rest);
            mail.send(soon + SignedDuration::from_hours(24), site, only);
        }
    }
}

impl Medium {
    fn size(&self, volume: usize) -> u64 {
        self.volumes[volume].as_ref().map_or(0, |bytes| bytes.len() as u64)
    }

    /// A volume ends early.
    fn cut(mut self, volume: usize, dice: &mut Dice) -> Self {
        let size = self.size(volume);
        let left = dice.below(size);
        self.volumes[volume] = self.volumes[volume].take().map(|bytes| bytes.slice(..left as usize));
        self.harm.push(Harm::Volume(volume, left..size));
        self
    }

    /// One bit is another one.
    fn flip(mut self, dice: &mut Dice) -> Self {
        match dice.below(6) {
            0 => {
                let place = dice.below(self.text.len() as u64) as usize;
                self.text = flipped_text(&self.text, place, dice);
                self.harm.push(Harm::Manifest);
            }
            1 => {
                // The first line is a comment that nobody signed.
                let start = self.signature.find('\n').unwrap() + 1;
                let place = start + dice.below((self.signature.len() - start) as u64) as usize;
                self.signature = flipped_text(&self.signature, place, dice);
                self.harm.push(Harm::Signature);
            }
            _ => {
                let volume = dice.below(self.volumes.len() as u64) as usize;
                let place = dice.below(self.size(volume));
                let mut bytes = self.volumes[volume].take().unwrap().to_vec();
                bytes[place as usize] ^= 1 << dice.below(8);
                self.volumes[volume] = Some(bytes.into());
                self.harm.push(Harm::Volume(volume, place..place + 1));
            }
        }
        self
    }

    /// All but one volume, and that one alone.
    fn split(self, volume: usize) -> (Self, Self) {
        let (mut rest, mut only) = (self.clone(), self.clone());
        for place in 0..self.volumes.len() {
            let without = if place == volume { &mut rest } else { &mut only };
            without.volumes[place] = None;
            without.harm.push(Harm::Volume(place, 0..self.size(place)));
        }
        (rest, only)
    }

    /// Whether these bytes of a volume are as they were written.
    pub(super) fn is_sound(&self, volume: usize, range: &Range<u64>) -> bool {
        !self.harm.iter().any(|harm| match harm {
            Harm::Volume(harmed, bytes) => *harmed == volume && bytes.start < range.end && range.start < bytes.end,
            Harm::Manifest | Harm::Signature => false,
        })
    }
}

/// The text with one of the lower bits of a character changed: it stays ASCII.
pub(super) fn flipped_text(text: &str, place: usize, dice: &mut Dice) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] ^= 1 << dice.below(7);
    String::from_utf8(bytes).unwrap()
}

/// A receipt on its way back.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) given: GivenReceipt,
    pub(super) is_harmed: bool,
    /// What is true of it, whatever it says.
    pub(super) truth: Truth,
}

/// What was so at the site when it gave a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truth {
    /// How often the site had been put back from a copy.
    pub(super) life: u64,
    /// Where the chain of receipts was cut when it was last put back: the last number that was given before.
    pub(super) cut: u64,
    /// When.
    pub(super) at: Timestamp,
}

/// Hands a receipt over to a seeded carrier.
pub(super) fn carry_back(mail: &mut Mail<Letter>, dice: &mut Dice, now: Timestamp, site: usize, mut letter: Letter) {
    let hours = |hours: u64| now + SignedDuration::from_hours(hours as i64);
    let soon = hours(dice.below(12));
    match dice.below(100) {
        0..55 => mail.send(soon, site, letter),
        55..75 => {}
        75..83 => {
            mail.send(soon, site, letter.clone());
            mail.send(hours(dice.below(48)), site, letter);
        }
        83..92 => mail.send(hours(24 + dice.below(96)), site, letter),
        _ => {
            let place = dice.below(letter.given.text.len() as u64) as usize;
            letter.given.text = flipped_text(&letter.given.text, place, dice);
            letter.is_harmed = true;
            mail.send(soon, site, letter);
        }
    }
}
