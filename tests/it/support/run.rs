//! Commands run to their end, and what is expected of them.

use std::io::Read as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A finished command.
pub(crate) struct Run {
    /// The exit code; -1 after a signal.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    what: String,
}

impl Run {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            what,
        }
    }

    /// Expects it to have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// Expects an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let Self { code: real, stdout, stderr, what } = &self;
        assert_eq!(*real, code, "{what}\nstdout: {stdout}\nstderr: {stderr}");
        self
    }

    /// Expects an exit code, and a complaint of one sentence that contains every word.
    #[track_caller]
    pub(crate) fn complains(self, code: i32, words: &[&str]) -> Self {
        let run = self.exits(code);
        for word in words {
            let (what, stderr) = (&run.what, &run.stderr);
            assert!(stderr.contains(word), "{what}\nits complaint lacks {word:?}: {stderr}");
        }
        assert!(!run.stderr.contains("panicked"), "{}: {}", run.what, run.stderr);
        run
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: not JSON ({error}): {}", self.what, self.stdout))
    }

    /// Waits for a child that should end by itself.
    pub(crate) fn finish(mut child: Child, patience: Duration) -> Self {
        let until = Instant::now() + patience;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the server did not end by itself within {patience:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut run = Self { code: 0, stdout: String::new(), stderr: String::new(), what: "ringfence serve".into() };
        let _ = child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut run.stdout));
        let _ = child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut run.stderr));
        run.code = child.wait().unwrap().code().unwrap_or(-1);
        run
    }
}
