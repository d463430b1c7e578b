//! Commands that behave, and commands that do not.

use std::path::Path;
use std::time::{Duration, Instant};

use super::gate_process::{CommandLimits, run};

const LIMITS: CommandLimits = CommandLimits {
    timeout: Duration::from_secs(60),
    memory_max_bytes: 256 << 20,
    open_files_max: 32,
    output_max_bytes: 1000,
};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn shell(script: &str, limits: CommandLimits) -> Result<(), String> {
    run(&words(&["sh", "-c", script]), Path::new("/"), b"{\"told\":1}".to_vec(), limits).await
}

#[tokio::test]
async fn a_command_passes_by_its_exit_code_and_gets_what_it_is_told() {
    assert_eq!(shell("true", LIMITS).await, Ok(()));
    assert_eq!(shell("test \"$(cat)\" = '{\"told\":1}'", LIMITS).await, Ok(()));
    let refused = shell("echo first; echo 'found: Eicar' >&2; exit 3", LIMITS).await.unwrap_err();
    let (what, output) = refused.split_once('\n').unwrap();
    assert_eq!(what, "turned it down (exit code 3):");
    assert!(output.contains("first") && output.contains("found: Eicar"), "{output}");
    assert_eq!(shell("kill -9 $$", LIMITS).await.unwrap_err(), "did not end by itself (signal: 9 (SIGKILL))");
}

#[tokio::test]
async fn its_words_are_never_a_shells_words() {
    let command = words(&["printf", "%s|", "a b", "$(id)", "`id`", "; id"]);
    let test = words(&["sh", "-c", "test \"$2\" = '$(id)' && exit 9", "x", "a b", "$(id)"]);
    assert_eq!(run(&command, Path::new("/"), Vec::new(), LIMITS).await, Ok(()));
    let refused = run(&test, Path::new("/"), Vec::new(), LIMITS).await.unwrap_err();
    assert_eq!(refused, "turned it down (exit code 9)");
}

#[tokio::test]
async fn its_environment_is_the_path_alone() {
    let refused = shell("env | grep -v -e ^PATH= -e ^PWD= -e ^OLDPWD= -e ^SHLVL= -e ^_=; exit 1", LIMITS).await;
    assert_eq!(refused.unwrap_err(), "turned it down (exit code 1)");
}

#[tokio::test]
async fn what_hangs_is_killed_with_everything_it_started() {
    let limits = CommandLimits { timeout: Duration::from_secs(2), ..LIMITS };
    let started = Instant::now();
    let refused = shell("sleep 600 & echo $!; sleep 600", limits).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    let (what, child) = refused.split_once('\n').unwrap();
    assert_eq!(what, "did not end within 2 s and was killed:");
    while is_running(child) {
        assert!(started.elapsed() < Duration::from_secs(60), "its child lived on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is there and has not ended; who has ended may still have to be collected.
fn is_running(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

#[tokio::test]
async fn what_it_leaves_behind_does_not_hold_the_answer() {
    let started = Instant::now();
    assert_eq!(shell("sleep 60 & echo done", LIMITS).await, Ok(()));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test]
async fn memory_and_open_files_are_limited() {
    let hog = "awk 'BEGIN { s = \"0123456789abcdef\"; while (1) s = s s }'";
    assert!(shell(hog, LIMITS).await.is_err(), "it took all the memory it wanted");
    let limits =
        shell("test \"$(ulimit -v)\" = 262144 && test \"$(ulimit -n)\" = 32 && test \"$(ulimit -H -n)\" = 32", LIMITS);
    assert_eq!(limits.await, Ok(()));
}

#[tokio::test]
async fn of_endless_output_the_end_is_kept() {
    let refused = shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 1", LIMITS).await;
    let refused = refused.unwrap_err();
    assert!(refused.ends_with("line 19999") && refused.len() < 1100, "{refused}");
    assert_eq!(refused.lines().count(), 21, "the last lines");
}

#[tokio::test]
async fn what_is_no_program_refuses_too() {
    let command = words(&["/nowhere/scanner"]);
    let refused = run(&command, Path::new("/"), Vec::new(), LIMITS).await.unwrap_err();
    assert!(refused.starts_with("cannot be run"), "{refused}");
}
