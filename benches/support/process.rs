//! What a process used, as the kernel counts it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, fs};

/// The unit of times in `/proc`: the same on every Linux machine that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process and of its present children, in seconds. The kernel counts in steps of 10 ms.
pub fn cpu_seconds(pid: u32) -> f64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok()).chain([pid]);
    pids.map(own_cpu_seconds).sum()
}

/// Ties processes and their children to the first CPU, and this one to the others: the figures of servers that a scheduler
/// moves about differ more from run to run than from each other. Says whether it could.
pub fn part_from(pids: &[u32]) -> bool {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let tie = |pid: u32, to: &str| {
        let command = Command::new("taskset").args(["-a", "-c", "-p", to, &pid.to_string()]).output();
        command.is_ok_and(|output| output.status.success())
    };
    let children = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = pids
        .iter()
        .flat_map(|pid| children(pid).split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    cpus > 1
        && pids.iter().chain(&children).all(|pid| tie(*pid, "0"))
        && tie(std::process::id(), &format!("1-{}", cpus - 1))
}

fn own_cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The second field is the name in brackets, which may hold anything; utime and stime are the 14th and 15th.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / TICKS_PER_SECOND
}

/// Memory that no file backs (`RssAnon`), in MiB: RSS without mapped file pages. 0 once the process has ended.
pub fn anonymous_mib(pid: u32) -> f64 {
    Memory::of(pid).anonymous_mib
}

/// What a process has in memory, or the most of each that it had.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// What no file backs.
    pub anonymous_mib: f64,
    /// Pages of mapped files, its own program's among them: the kernel takes these back when it needs them.
    pub file_mib: f64,
    /// Both at one moment.
    pub all_mib: f64,
}

impl Memory {
    /// Now; nothing once the process has ended.
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
            line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
        };
        Self { anonymous_mib: mib("RssAnon:"), file_mib: mib("RssFile:"), all_mib: mib("VmRSS:") }
    }

    /// The most of each of both.
    pub fn max(self, other: Self) -> Self {
        Self {
            anonymous_mib: self.anonymous_mib.max(other.anonymous_mib),
            file_mib: self.file_mib.max(other.file_mib),
            all_mib: self.all_mib.max(other.all_mib),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { anonymous_mib, file_mib, all_mib } = self;
        write!(f, "{all_mib:>6.1} MiB ({anonymous_mib:.1} anonymous, {file_mib:.1} of files)")
    }
}

/// Watches the memory of a process until it is asked for the most it saw.
pub struct MemoryWatch {
    pid: u32,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Memory>,
}

impl MemoryWatch {
    pub fn start(pid: u32) -> Self {
        // The kernel's own peak begins anew: it misses nothing between two looks.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut most = Memory::default();
            while !stopped.load(Ordering::Relaxed) {
                let now = Memory::of(pid);
                most = Memory { all_mib: peak_mib(pid), ..now }.max(now).max(most);
                std::thread::sleep(Duration::from_millis(5));
            }
            most
        });
        Self { pid, stop, thread }
    }

    pub fn most(self) -> Memory {
        self.stop.store(true, Ordering::Relaxed);
        let most = self.thread.join().unwrap();
        Memory { all_mib: most.all_mib.max(peak_mib(self.pid)), ..most }
    }

    /// The most that no file backed.
    pub fn most_mib(self) -> f64 {
        self.most().anonymous_mib
    }
}

/// The most that a process ever had in memory, or had since it was last watched.
fn peak_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
