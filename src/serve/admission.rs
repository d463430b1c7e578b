//! The caps on connections: in total, and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::metrics::RefuseReason;
use super::peer::Peer;

/// Counts the connections of one listener.
#[derive(Debug)]
pub(crate) struct Admission {
    total_max: usize,
    per_address_max: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One counted connection; gives its place back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    pub(crate) fn new(total_max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self { total_max, per_address_max, counts: Mutex::default() })
    }

    /// Takes a place for `peer`, or says which cap is reached. Unix peers count towards the total only.
    pub(crate) fn admit(self: &Arc<Self>, peer: Peer) -> Result<Place, RefuseReason> {
        let address = peer.address().map(network);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.total_max {
            return Err(RefuseReason::Total);
        }
        if let Some(address) = address {
            let count = counts.by_address.entry(address).or_default();
            if *count >= self.per_address_max {
                return Err(RefuseReason::Address);
            }
            *count += 1;
        }
        counts.total += 1;
        Ok(Place { admission: self.clone(), address })
    }
}

/// What counts as one address: an IPv6 host may use a whole /64.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let mask = u128::MAX << 64;
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let Some(address) = self.address
            && let Some(count) = counts.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> Peer {
        Peer::Tcp(text.parse().unwrap())
    }

    #[test]
    fn caps_hold_and_places_come_back() {
        let admission = Admission::new(3, 2);
        let first = admission.admit(tcp("10.0.0.1")).unwrap();
        let _second = admission.admit(tcp("10.0.0.1")).unwrap();
        assert_eq!(admission.admit(tcp("10.0.0.1")).unwrap_err(), RefuseReason::Address);
        let _third = admission.admit(tcp("10.0.0.2")).unwrap();
        assert_eq!(admission.admit(Peer::Unix { uid: 0 }).unwrap_err(), RefuseReason::Total);
        drop(first);
        assert!(admission.admit(tcp("10.0.0.1")).is_ok());
        assert_eq!(admission.counts.lock().unwrap().by_address.len(), 2, "a freed address is forgotten");
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let admission = Admission::new(9, 1);
        let _held = admission.admit(tcp("2001:db8::1")).unwrap();
        assert_eq!(admission.admit(tcp("2001:db8::2")).unwrap_err(), RefuseReason::Address);
        assert!(admission.admit(tcp("2001:db8:0:1::2")).is_ok());
    }
}
