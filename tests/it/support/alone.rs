//! Addresses that stay a server's own while it is away.

use std::net::Ipv4Addr;

use super::server::Setup;

impl Setup {
    /// Has the server listen where no test of another process does: while it is away nobody is given its ports and answers
    /// in its place, and it can have them again.
    pub(crate) fn alone(self) -> Self {
        let address = own_address();
        self.config(&format!("[device]\nlisten = \"{address}:0\"\n[admin]\nlisten = \"{address}:0\"\n"))
    }
}

/// This process's address among those of the loopback. A connection to it comes from 127.0.0.1, as to any of them.
fn own_address() -> Ipv4Addr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    // Process ids have 22 bits at most.
    Ipv4Addr::new(127, 64 | (high & 63), middle, low)
}
