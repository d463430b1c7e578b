//! Buckets: which devices of a ring come first.

use sha2::{Digest as _, Sha256};

use crate::model::{Class, DeviceId, ProductName, ReleaseId};

/// The bucket of whoever has no identity, and of what stands for a whole group: the last one.
pub(super) const LAST: u16 = 9_999;

/// The bucket of a device, 0 to 9999: the first 8 bytes of `SHA-256("v1" 0 product 0 salt 0 device)` as a big-endian
/// number, modulo 10000. A wave of `n` basis points admits the buckets below `n`: none at 0, all at 10000, and a device
/// that a wave admits is admitted by every later one.
pub fn bucket(product: &ProductName, salt: &str, device: &DeviceId) -> u16 {
    let mut hash = Sha256::new();
    for part in ["v1", product.as_str(), salt] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(device.as_str().as_bytes());
    let digest = hash.finalize();
    let first = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    // Below 10000, so it fits.
    (first % 10_000) as u16
}

/// What the buckets of a release's rollout are drawn with: the release itself for platform; for intelligence the ISO
/// week (in UTC) of its publication, so that the same devices are not always first, and yet not others many times a day.
pub fn salt(class: Class, release: &ReleaseId, published_at: jiff::Timestamp) -> String {
    match class {
        Class::Platform => release.to_string(),
        Class::Intelligence => {
            let week = published_at.to_zoned(jiff::tz::TimeZone::UTC).date().iso_week_date();
            format!("{}-W{:02}", week.year(), week.week())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(product: &str, salt: &str, device: &str) -> u16 {
        bucket(&product.parse().unwrap(), salt, &device.parse().unwrap())
    }

    #[test]
    fn known_buckets() {
        // printf 'v1\0agent\0salt\0pc-1' | sha256sum, its first 16 digits modulo 10000.
        assert_eq!(of("agent", "salt", "pc-1"), KNOWN[0]);
        assert_eq!(of("agent", "2026-W47", "pc-2"), KNOWN[1]);
    }

    const KNOWN: [u16; 2] = [9_478, 2_642];

    #[test]
    fn the_week_of_a_release_in_the_last_days_of_a_year() {
        let release = "0".repeat(64).parse().unwrap();
        let week = |text: &str| salt(Class::Intelligence, &release, text.parse().unwrap());
        assert_eq!(week("2026-11-21T04:00:00Z"), "2026-W47");
        assert_eq!(week("2024-12-30T00:00:00Z"), "2025-W01");
        assert_eq!(week("2027-01-03T23:59:59Z"), "2026-W53");
    }

    #[test]
    fn buckets_spread_evenly() {
        let mut tenths = [0u32; 10];
        for n in 0..20_000 {
            tenths[usize::from(of("agent", "salt", &format!("pc-{n}")) / 1_000)] += 1;
        }
        // 2,000 expected in each; the standard deviation is 42.
        assert!(tenths.iter().all(|count| (1_800..2_200).contains(count)), "{tenths:?}");
    }
}
