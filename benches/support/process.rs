//! What a process used, as the kernel counts it.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

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
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Watches the anonymous memory of a process until it is asked for the most it saw.
pub struct MemoryWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
}

impl MemoryWatch {
    pub fn start(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut most: f64 = 0.0;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(anonymous_mib(pid));
                std::thread::sleep(Duration::from_millis(5));
            }
            most
        });
        Self { stop, thread }
    }

    pub fn most_mib(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
