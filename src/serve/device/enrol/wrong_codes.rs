//! How many wrong codes an address may try. A code cannot be guessed; this keeps those who try from filling the log
//! and the processor.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong codes that an address may try at once; as many are given back in a minute.
const AT_ONCE: u32 = 10;
const ONE_BACK_AFTER: Duration = Duration::from_secs(6);
/// Addresses that are remembered; some 50 bytes each.
const ADDRESSES_MAX: usize = 16_384;

/// Who sent wrong codes in the last minute: for each address, when all of its tries will have been given back.
#[derive(Debug, Default)]
pub(in crate::serve::device) struct WrongCodes(Mutex<HashMap<IpAddr, Instant>>);

impl WrongCodes {
    /// The seconds after which this address may try again, where it may not now.
    pub(super) fn blocked_s(&self, address: IpAddr, now: Instant) -> Option<u32> {
        let whole = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&network(address))?;
        let left = whole.saturating_duration_since(now);
        let over = left.checked_sub(ONE_BACK_AFTER * (AT_ONCE - 1)).filter(|over| !over.is_zero())?;
        Some(u32::try_from(over.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// Counts a wrong code.
    pub(super) fn count(&self, address: IpAddr, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&address) {
            all.retain(|_, whole| *whole > now);
            if all.len() >= ADDRESSES_MAX {
                // Whoever has that many addresses is not held up by this; everybody else should not be either.
                all.clear();
            }
        }
        let whole = all.entry(address).or_insert(now);
        // Many at once may pass the check before the first is counted: that must not lock the address out for long.
        *whole = ((*whole).max(now) + ONE_BACK_AFTER).min(now + ONE_BACK_AFTER * AT_ONCE);
    }
}

/// Who has one IPv6 address has the 64 bits behind it, too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_at_once_then_one_every_six_seconds() {
        let (codes, start) = (WrongCodes::default(), Instant::now());
        let bad = address("192.0.2.1");
        for n in 0..10 {
            assert_eq!(codes.blocked_s(bad, start), None, "{n}");
            codes.count(bad, start);
        }
        assert_eq!(codes.blocked_s(bad, start), Some(7));
        assert_eq!(codes.blocked_s(address("192.0.2.2"), start), None, "another address");
        assert_eq!(codes.blocked_s(address("::ffff:192.0.2.1"), start), Some(7), "the same one spelt otherwise");
        let later = start + Duration::from_secs(6);
        assert_eq!(codes.blocked_s(bad, later), None);
        codes.count(bad, later);
        assert!(codes.blocked_s(bad, later).is_some());
        assert_eq!(codes.blocked_s(bad, later + Duration::from_secs(60)), None);
        // However many come at once, the wait stays short.
        (0..1000).for_each(|_| codes.count(bad, later));
        assert_eq!(codes.blocked_s(bad, later), Some(7));
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_the_memory_is_bounded() {
        let (codes, start) = (WrongCodes::default(), Instant::now());
        (0..10).for_each(|n| codes.count(address(&format!("2001:db8::{n}")), start));
        assert!(codes.blocked_s(address("2001:db8::ffff"), start).is_some());
        assert_eq!(codes.blocked_s(address("2001:db8:0:1::1"), start), None);
        for n in 0..100_000_u32 {
            codes.count(IpAddr::from(n.to_be_bytes()), start);
            assert!(codes.0.lock().unwrap().len() <= ADDRESSES_MAX);
        }
    }
}
