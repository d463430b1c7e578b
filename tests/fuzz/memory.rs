//! How much memory something takes at most, as the kernel counts it for this process.

use std::fs;

/// The resident memory at a moment, and from then on the most of it.
pub(crate) struct Peak {
    before_bytes: u64,
}

impl Peak {
    /// Begins to count. None where the kernel does not let a process ask.
    pub(crate) fn begin() -> Option<Self> {
        // Sets the peak back to what there is: see proc_pid_clear_refs(5).
        fs::write("/proc/self/clear_refs", "5").ok()?;
        Some(Self { before_bytes: field_bytes("VmRSS:")? })
    }

    /// The most that there was since, beyond what there was then.
    pub(crate) fn bytes(&self) -> u64 {
        field_bytes("VmHWM:").unwrap_or(0).saturating_sub(self.before_bytes)
    }
}

fn field_bytes(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
