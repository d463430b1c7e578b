//! Thirty days, six hours at a time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::carrier::{Letter, Mail, Medium, carry, carry_back};
use super::judge::{self, Expected};
use super::letters::Letters;
use super::oracle;
use super::origin::Origin;
use super::random::Dice;
use super::site::{Outcome, Site};
use crate::bundle::receipt::About;
use crate::bundle::{ImportError, Since};
use crate::catalog::testing::{START, tally};
use crate::model::BundleBase;
use crate::sys::clock::ManualClock;

const DAYS: u64 = 30;
const STEPS_A_DAY: u64 = 4;
const VOLUMES: [u64; 4] = [8 << 10, 12 << 10, 32 << 10, 1 << 20];

tally!(
    exports,
    full,
    patches,
    splits,
    applied,
    again,
    older,
    expired,
    unsigned,
    base_missing,
    partial,
    completed,
    put_back,
    went_back,
    moved,
    astray,
    old_receipts,
    known_receipts
);

struct Run {
    seed: u64,
    day: u64,
    clock: Arc<ManualClock>,
    dice: Dice,
    origin: Origin,
    sites: Vec<Site>,
    media: Mail<Medium>,
    mail: Mail<Letter>,
    letters: Letters,
    tally: Tally,
}

pub(super) async fn run(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()));
    let origin = Origin::new(&clock, &mut dice).await;
    let mut sites = Vec::new();
    for name in ["alpha", "beta", "gamma"] {
        sites.push(Site::new(name, &clock, origin.key.public(), &mut dice).await);
    }
    let (media, mail, letters, tally) = (Mail::new(), Mail::new(), Letters::default(), Tally::default());
    let mut run = Run { seed, day: 0, clock, dice, origin, sites, media, mail, letters, tally };
    let rotation = (5 + run.dice.below(20)) * STEPS_A_DAY;
    for step in 0..DAYS * STEPS_A_DAY {
        run.day = step / STEPS_A_DAY;
        if step == rotation {
            run.origin.rotate(&mut run.dice).await;
        }
        run.step(step % STEPS_A_DAY).await;
    }
    run.end().await;
    run.tally
}

impl Run {
    fn when(&self, site: usize, what: &str) -> String {
        format!("seed {}, day {}, site {}: {what}", self.seed, self.day, self.sites[site].name)
    }

    async fn step(&mut self, part: u64) {
        self.clock.advance(SignedDuration::from_hours(24 / STEPS_A_DAY as i64));
        self.origin.live(&mut self.dice, self.day % 7 == 2 && part == 0).await;
        if part == 1 {
            for site in 0..self.sites.len() {
                if self.dice.chance(90) {
                    let since = if self.dice.chance(8) { Since::Last } else { Since::Auto };
                    let medium = self.export(site, since).await;
                    carry(&mut self.media, &mut self.dice, self.origin.now(), site, medium);
                }
            }
        }
        for letter in self.mail.arrived(self.origin.now()) {
            let when = self.when(letter.site, "a receipt comes");
            let name = self.sites[letter.site].name.clone();
            self.letters.take(&self.origin, &name, &letter.what, &when).await;
        }
        for medium in self.media.arrived(self.origin.now()) {
            self.bring(medium.site, &medium.what).await;
        }
        for site in 0..self.sites.len() {
            self.live(site).await;
            self.look(site, "time passes");
        }
    }

    /// What happens at a site by itself.
    async fn live(&mut self, site: usize) {
        self.sites[site].devices(&mut self.dice).await;
        match self.dice.below(1_000) {
            0..60 => self.sites[site].sweep(),
            60..80 => self.sites[site].back_up().await,
            80..90 => {
                let is_put_back = self.sites[site].put_back().await;
                self.tally.put_back += u64::from(is_put_back);
            }
            90..200 => {
                let about = About::present(&self.sites[site].snapshot());
                self.write_back(site, about).await;
            }
            _ => {}
        }
    }

    async fn export(&mut self, site: usize, since: Since) -> Medium {
        let volume_bytes = *self.dice.pick(&VOLUMES);
        let name = self.sites[site].name.clone();
        let when = self.when(site, "an export");
        let medium = self.origin.export(&name, since, volume_bytes, &when).await;
        let manifest = &self.origin.exports[&medium.bundle].manifest;
        self.tally.exports += 1;
        self.tally.full += u64::from(manifest.base == BundleBase::Full);
        self.tally.patches += manifest.objects.iter().filter(|object| object.base.is_some()).count() as u64;
        self.tally.splits += manifest.objects.iter().filter(|object| object.parts.len() > 1).count() as u64;
        medium
    }

    async fn write_back(&mut self, site: usize, about: About) {
        let letter = self.sites[site].receipt(about).await;
        let when = self.when(site, "a receipt is given");
        self.letters.given(&self.sites[site], &letter, &when);
        carry_back(&mut self.mail, &mut self.dice, self.origin.now(), site, letter);
    }

    /// A medium arrives.
    async fn bring(&mut self, index: usize, medium: &Medium) -> Outcome {
        let exported = &self.origin.exports[&medium.bundle];
        let sequence = exported.manifest.sequence;
        let when = self.when(index, &format!("bundle {sequence} comes, {:?}", medium.harm));
        let site = &mut self.sites[index];
        let now = site.catalog().now();
        let expected = judge::expect(exported, medium, site, now);
        let head = site.catalog().head();
        let mut outcome = site.take(medium, &mut self.dice).await;
        if let Outcome::Refused(ImportError::TooMany { open }) = &outcome {
            for bundle in open {
                let open = &self.origin.exports[bundle].manifest;
                let applied = site.snapshot().applied_bundle().map_or(0, |applied| applied.sequence);
                assert!(open.sequence > applied && open.expires >= now, "{when}: bundle {} is open", open.sequence);
                site.abandon(bundle);
            }
            outcome = site.take(medium, &mut self.dice).await;
        }
        judge::check(&expected, &outcome, &when);
        let is_completed = matches!(expected, Expected::Applied) && site.known.parts.contains_key(&medium.bundle);
        judge::note_parts(exported, medium, site, &expected);
        if matches!(expected, Expected::Applied) {
            assert_eq!(site.catalog().head().0, head.0 + 1, "{when}: a bundle is one event");
            judge::check_root(exported, site, &when);
        } else {
            assert_eq!(site.catalog().head(), head, "{when}: something became visible");
        }
        if let (Expected::BaseMissing(_), BundleBase::Proven { receipt, .. }) = (&expected, exported.manifest.base) {
            judge::check_base(exported, site, self.letters.lives.get(&receipt).copied(), &when);
        } else if let Expected::BaseMissing(_) = expected {
            judge::check_base(exported, site, None, &when);
        }
        let about = site.about(medium, sequence, &outcome);
        self.tally.completed += u64::from(is_completed);
        self.count(&expected);
        self.look(index, "after a medium came");
        if self.dice.chance(80) {
            self.write_back(index, about).await;
        }
        outcome
    }

    fn count(&mut self, expected: &Expected) {
        let count = match expected {
            Expected::Unsigned => &mut self.tally.unsigned,
            Expected::Expired => &mut self.tally.expired,
            Expected::Again => &mut self.tally.again,
            Expected::Older => &mut self.tally.older,
            Expected::BaseMissing(_) => &mut self.tally.base_missing,
            Expected::Partial(_) => &mut self.tally.partial,
            Expected::Applied => &mut self.tally.applied,
        };
        *count += 1;
    }

    fn look(&mut self, index: usize, what: &str) {
        let when = self.when(index, what);
        let site = &mut self.sites[index];
        let now = site.catalog().now();
        let Some(bundle) = site.snapshot().applied_bundle().map(|applied| applied.bundle) else { return };
        let exports = &self.origin.exports;
        self.tally.went_back += oracle::look(site, &exports[&bundle], |bundle| &exports[bundle], now, &when);
    }

    /// One medium that nothing happens to, for each site.
    async fn end(&mut self) {
        for index in 0..self.sites.len() {
            let name = self.sites[index].name.clone();
            let when = self.when(index, "at the end");
            let record = self.origin.catalog.snapshot().site(&name).cloned();
            let is_astray = record.as_ref().is_some_and(|record| record.astray.is_some());
            let last = self.letters.last_life(&name);
            if is_astray || last.is_some_and(|life| life != self.sites[index].life) {
                self.hear(index).await;
            }
            let medium = self.export(index, Since::Auto).await;
            let outcome = self.bring(index, &medium).await;
            assert!(matches!(&outcome, Outcome::Ended(finished) if !finished.was_applied), "{when}: {outcome:?}");
            self.hear(index).await;
            let snapshot = self.origin.catalog.snapshot();
            let (proven, _) = snapshot.site(&name).unwrap().proven.unwrap();
            assert_eq!(proven, medium.bundle, "{when}: the base");
            self.letters.check_tallies(&self.origin, &when);
        }
        let Letters { astray, moved, old, known, .. } = self.letters;
        (self.tally.astray, self.tally.moved) = (astray, moved);
        (self.tally.old_receipts, self.tally.known_receipts) = (old, known);
    }

    /// A receipt that nothing happens to.
    async fn hear(&mut self, index: usize) {
        self.clock.advance(SignedDuration::from_mins(1));
        let about = About::present(&self.sites[index].snapshot());
        let letter = self.sites[index].receipt(about).await;
        let (name, when) = (self.sites[index].name.clone(), self.when(index, "the last receipt"));
        self.letters.given(&self.sites[index], &letter, &when);
        self.letters.take(&self.origin, &name, &letter, &when).await;
    }
}
