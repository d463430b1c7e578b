//! The caps on requests: how many of one address and of one device in a time, how many of a device at once, and how many
//! reports of a device in a time.
//!
//! It knows no identity and no route: it is told who asks, and answers whether that is too much. What it keeps is
//! bounded, lives in memory only, and is deliberately forgotten by a restart.

mod table;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::admission::network;
use crate::model::DeviceId;
use table::{Rate, Table};

/// The caps. None is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaOptions {
    /// Requests of one address (of one /64 network for IPv6) in a second; twice as many at once.
    pub requests_per_second_per_address: u32,
    /// Requests of one device in a second.
    pub requests_per_second_per_device: u32,
    /// Requests of one device at once, after it was quiet for a while.
    pub requests_burst_per_device: u32,
    /// Requests of one device that run at the same time, from the request's header to the last byte of the answer.
    pub requests_per_device_max: u32,
    /// Reports of one device in a minute, and at once.
    pub reports_per_minute_per_device: u32,
    /// How many addresses, and how many devices, are remembered at a time.
    pub entries_max: usize,
}

impl Default for QuotaOptions {
    fn default() -> Self {
        Self {
            requests_per_second_per_address: 1000,
            requests_per_second_per_device: 50,
            requests_burst_per_device: 500,
            requests_per_device_max: 64,
            reports_per_minute_per_device: 600,
            entries_max: 100_000,
        }
    }
}

/// Which cap is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverQuota {
    Address,
    Device,
    Running,
    Reports,
}

impl OverQuota {
    pub(crate) const ALL: [Self; 4] = [Self::Address, Self::Device, Self::Running, Self::Reports];

    /// The key of the cap in `ringfence.toml`, which is also its label in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "requests_per_second_per_address",
            Self::Device => "requests_per_second_per_device",
            Self::Running => "requests_per_device_max",
            Self::Reports => "reports_per_minute_per_device",
        }
    }
}

/// A request is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) cap: OverQuota,
    /// In how many seconds it may be worth another try; at least 1.
    pub(crate) retry_after_s: u32,
}

impl TooMany {
    fn new(cap: OverQuota, wait: Duration) -> Self {
        let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { cap, retry_after_s: u32::try_from(whole.max(1)).unwrap_or(u32::MAX) }
    }
}

/// Counts the requests of one listener.
#[derive(Debug)]
pub(crate) struct Quota {
    begun: Instant,
    address_rate: Rate,
    device_rate: Rate,
    report_rate: Rate,
    running_max: u32,
    addresses: Table,
    devices: Arc<Table>,
}

/// One counted request of a device; gives its place back when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    devices: Arc<Table>,
    key: u64,
}

impl Quota {
    pub(crate) fn new(options: &QuotaOptions) -> Self {
        let second = Duration::from_secs(1);
        let per_address = options.requests_per_second_per_address;
        let reports = options.reports_per_minute_per_device;
        Self {
            begun: Instant::now(),
            address_rate: Rate::new(per_address, second, u64::from(per_address) * 2),
            device_rate: Rate::new(
                options.requests_per_second_per_device,
                second,
                u64::from(options.requests_burst_per_device),
            ),
            report_rate: Rate::new(reports, Duration::from_secs(60), u64::from(reports)),
            running_max: options.requests_per_device_max,
            addresses: Table::new(options.entries_max),
            devices: Arc::new(Table::new(options.entries_max)),
        }
    }

    /// One more request of this address.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), TooMany> {
        let (key, now) = (self.addresses.key(&network(address)), self.now());
        let taken = self.addresses.with(key, now, |usage| usage.requests.take(self.address_rate, 1, now));
        taken.unwrap_or(Ok(())).map_err(|wait| TooMany::new(OverQuota::Address, wait))
    }

    /// One more request of this device. `None` where so many devices have requests running that this one's cannot be
    /// counted.
    pub(crate) fn device(&self, device: &DeviceId) -> Result<Option<Running>, TooMany> {
        let (key, now) = (self.devices.key(device), self.now());
        let counted = self.devices.with(key, now, |usage| {
            if usage.running >= self.running_max {
                return Err(TooMany::new(OverQuota::Running, Duration::ZERO));
            }
            let taken = usage.requests.take(self.device_rate, 1, now);
            taken.map_err(|wait| TooMany::new(OverQuota::Device, wait))?;
            usage.running += 1;
            Ok(())
        });
        let counted = counted.transpose()?;
        Ok(counted.map(|()| Running { devices: self.devices.clone(), key }))
    }

    /// So many more reports of this device.
    pub(crate) fn reports(&self, device: &DeviceId, count: usize) -> Result<(), TooMany> {
        let (key, now) = (self.devices.key(device), self.now());
        let taken = self.devices.with(key, now, |usage| usage.reports.take(self.report_rate, count as u64, now));
        taken.unwrap_or(Ok(())).map_err(|wait| TooMany::new(OverQuota::Reports, wait))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.devices.with_known(self.key, |usage| usage.running = usage.running.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(text: &str) -> DeviceId {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_has_its_own_rate_and_an_ipv6_network_is_one_address() {
        let quota = Quota::new(&QuotaOptions { requests_per_second_per_address: 3, ..QuotaOptions::default() });
        let ask = |text: &str| quota.address(text.parse().unwrap());
        for n in 0..6 {
            assert_eq!(ask(&format!("2001:db8::{n}")), Ok(()));
        }
        let refused = ask("2001:db8::ffff").unwrap_err();
        assert_eq!(refused, TooMany { cap: OverQuota::Address, retry_after_s: 1 });
        assert_eq!(ask("2001:db8:0:1::1"), Ok(()));
        assert_eq!(ask("10.0.0.1"), Ok(()));
    }

    #[test]
    fn running_requests_are_given_back() {
        let quota = Quota::new(&QuotaOptions { requests_per_device_max: 2, ..QuotaOptions::default() });
        let first = quota.device(&device("a")).unwrap();
        let _second = quota.device(&device("a")).unwrap();
        assert_eq!(quota.device(&device("a")).unwrap_err().cap, OverQuota::Running);
        assert!(quota.device(&device("b")).is_ok());
        drop(first);
        assert!(quota.device(&device("a")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_has_a_rate_and_its_reports_another() {
        let quota = Quota::new(&QuotaOptions { requests_burst_per_device: 5, ..QuotaOptions::default() });
        let taken = (0..100).filter(|_| quota.device(&device("a")).is_ok()).count();
        assert_eq!(taken, 5);
        assert_eq!(quota.device(&device("a")).unwrap_err().cap, OverQuota::Device);
        assert_eq!(quota.reports(&device("a"), 1000), Ok(()));
        let refused = quota.reports(&device("a"), 1).unwrap_err();
        assert_eq!(refused.cap, OverQuota::Reports);
        assert_eq!(refused.retry_after_s, 41);
    }

    /// No test: `cargo test --release -- --ignored measure_quota --nocapture` prints the figures.
    #[test]
    #[ignore = "prints figures, proves nothing"]
    fn measure_quota() {
        let many = u32::MAX;
        let quota = Quota::new(&QuotaOptions {
            requests_per_second_per_device: many,
            requests_burst_per_device: many,
            requests_per_second_per_address: many,
            ..QuotaOptions::default()
        });
        let devices: Vec<DeviceId> = (0..200_000).map(|n| device(&format!("site-{n}"))).collect();
        let round = |what: &str, devices: &[DeviceId]| {
            let begun = Instant::now();
            for (n, device) in devices.iter().enumerate() {
                let address = std::net::Ipv4Addr::from_bits(u32::try_from(n).unwrap());
                quota.address(address.into()).unwrap();
                drop(quota.device(device).unwrap());
            }
            println!("{what:30} {:7.3} µs a request", begun.elapsed().as_secs_f64() * 1e6 / devices.len() as f64);
        };
        round("new, with room", &devices[..90_000]);
        round("known", &devices[..90_000]);
        round("new, the table being full", &devices);
    }
}
