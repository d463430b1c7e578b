//! Time zones of the bundled database, and the way from local times to instants.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

/// A time zone with the name it goes by in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// The zone that is meant where none is written.
    pub(super) fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// Looks the name up, in either case, in the database of the binary.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self::utc());
        }
        let found = TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
        let zone = found.ok_or_else(|| format!("there is no time zone {name:?} in the IANA database"))?;
        Ok(Self { name: zone.iana_name().unwrap_or(name).to_owned(), zone })
    }

    /// The zone after the last word of the grammar: the one word that is left, or UTC.
    pub(super) fn trailing(rest: &[&str]) -> Result<Self, String> {
        match rest {
            [] => Ok(Self::utc()),
            [name] => Self::parse(name),
            [_, extra, ..] => Err(format!("{extra:?} is one word too many after the time zone")),
        }
    }

    /// The zone as people say it: `Berlin time`.
    pub(super) fn in_words(&self) -> String {
        match self.name.rsplit_once('/') {
            Some((area, city)) if area != "Etc" => format!("{} time", city.replace('_', " ")),
            _ => self.name.clone(),
        }
    }

    /// What a clock on the wall shows.
    pub(super) fn wall(&self, at: Timestamp) -> DateTime {
        self.zone.to_datetime(at)
    }

    /// The latest local time whose first occurrence may lie at or before `at`. In the second pass of a repeated hour
    /// that is later than what the wall shows.
    pub(super) fn latest_wall(&self, at: Timestamp) -> DateTime {
        let wall = self.wall(at);
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Fold { before, after } => {
                let repeated_secs = i64::from(before.seconds()) - i64::from(after.seconds());
                wall.checked_add(jiff::SignedDuration::from_secs(repeated_secs)).unwrap_or(DateTime::MAX)
            }
            _ => wall,
        }
    }

    /// When a local time first comes: the first instant after the gap it falls in, the first of two passes. `None`
    /// outside the years that a timestamp can hold.
    pub(super) fn first(&self, local: DateTime) -> Option<Timestamp> {
        self.passes(local)[0]
    }

    /// Every instant at which a local time comes: one, or two where it is repeated.
    pub(super) fn passes(&self, local: DateTime) -> [Option<Timestamp>; 2] {
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(local).ok(), None],
            AmbiguousOffset::Fold { before, after } => {
                [before.to_timestamp(local).ok(), after.to_timestamp(local).ok()]
            }
            AmbiguousOffset::Gap { before, .. } => {
                // Read with the old offset, a time in the gap lies after the change, and nothing lies between.
                let inside = before.to_timestamp(local).ok();
                let after_it = inside.and_then(|at| at.checked_add(jiff::SignedDuration::from_secs(1)).ok());
                let change = after_it.and_then(|at| self.zone.preceding(at).next());
                [change.map(|change| change.timestamp()), None]
            }
        }
    }

    /// The first instants after `after`, and before `end`, at which the zone's offset changes.
    pub(super) fn changes(&self, after: Timestamp, end: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.zone.following(after).map(|change| change.timestamp()).take_while(move |at| *at < end)
    }
}
