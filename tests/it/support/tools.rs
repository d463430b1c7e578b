//! Commands that may be missing, the tier, and the seed.

use std::io::Write as _;
use std::path::Path;

/// Whether a command is installed.
pub(crate) fn have(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(command).is_file())
}

/// The Python of `scripts/venv`, if that was made and has this module.
pub(crate) fn python(module: &str) -> Option<std::path::PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let found = std::process::Command::new(&python).args(["-c", &format!("import {module}")]).output();
    found.is_ok_and(|output| output.status.success()).then_some(python)
}

/// Says loudly that a test is skipped; `./tests/run` prints the names again at its end.
pub(crate) fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    if let Some(file) = std::env::var_os("RINGFENCE_SKIPPED") {
        let file = std::fs::File::options().append(true).create(true).open(Path::new(&file));
        // In one write: tests of other processes write there, too.
        let _ = file.and_then(|mut file| file.write_all(format!("  {test}: {why}\n").as_bytes()));
    }
}

/// Leaves the test, loudly, unless every one of the commands is installed.
macro_rules! need {
    ($test:literal, $($command:literal),+) => {
        for command in [$($command),+] {
            if !crate::support::have(command) {
                crate::support::skip($test, &format!("{command} is not installed"));
                return;
            }
        }
    };
}
pub(crate) use need;

/// Whether the tests run at their full counts.
pub(crate) fn is_full_tier() -> bool {
    std::env::var("RINGFENCE_TIER").is_ok_and(|tier| tier == "full")
}

/// The seed of a random test: `RINGFENCE_SEED`, or one of the moment. It is printed, so that a failure can be repeated.
pub(crate) fn seed(test: &str) -> u64 {
    let given = std::env::var("RINGFENCE_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let since = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
        since.as_nanos() as u64
    });
    eprintln!("{test}: repeat with RINGFENCE_SEED={seed}");
    seed
}
