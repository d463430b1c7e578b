//! Release gates from outside: kernel-mode code, signatures by the real minisign, and the organisation's own command.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::tools::need;
use crate::support::{Setup, TestServer};

fn file(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn script(dir: &Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = file(dir, name, format!("#!/bin/sh\n{text}\n").as_bytes());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn products(server: &TestServer) {
    server.cli(&["product", "add", "intel", "--class", "intelligence"]).ok();
    server.cli(&["product", "add", "driver", "--class", "platform"]).ok();
}

/// A Windows driver, as far as anybody has to look: a PE32+ image for the native subsystem.
fn driver() -> Vec<u8> {
    let mut image = vec![0; 0x400];
    image[..2].copy_from_slice(b"MZ");
    image[0x3C] = 0x80;
    image[0x80..0x84].copy_from_slice(b"PE\0\0");
    image[0x94] = 240;
    image[0x98..0x9A].copy_from_slice(&[0x0B, 0x02]);
    image[0x98 + 68] = 1;
    image
}

/// A tar with this one member, by the system's own tar.
fn tar_of(dir: &Path, name: &str, bytes: &[u8]) -> Vec<u8> {
    file(dir, name, bytes);
    let archive = dir.join("archive.tgz");
    let status = Command::new("tar").current_dir(dir).args(["czf", "archive.tgz", name]).status().unwrap();
    assert!(status.success());
    std::fs::read(archive).unwrap()
}

#[test]
fn kernel_mode_code_is_refused_for_intelligence_and_said_of_platform() {
    let server = TestServer::start();
    products(&server);
    let root = server.root();
    let archive = tar_of(root, "flt.bin", &driver());
    let archive = file(root, "update.tgz", &archive);
    server.cli(&["publish", "intel", "1.0", "--artifact", &archive]).complains(1, &["flt.bin", "driver"]);
    let refused = server.json(&["release", "show", "intel", "1.0"]);
    assert_eq!(refused["state"], "refused");
    assert_eq!(
        (&refused["findings"][0]["gate"], &refused["findings"][0]["target"]),
        (&"kernel_mode".into(), &"update.tgz".into())
    );
    assert!(server.cli(&["release", "show", "intel", "1.0"]).ok().stdout.contains("flt.bin"));
    assert!(server.cli(&["release", "list", "intel"]).ok().stdout.contains("refused"));
    assert_eq!(server.offered_version("device-1", "intel"), None);
    // Every reason at once, in the problem document and on the terminal.
    let named = file(root, "x.sys", &driver());
    let seq = server.journal_seq();
    server.cli(&["publish", "intel", "1.0", "--artifact", &named]).complains(1, &["2 reasons", "kernel_mode: x.sys"]);
    assert_eq!(server.journal_seq(), seq + 1);
    let published = server.json(&["publish", "driver", "1.0", "--artifact", &archive]);
    assert_eq!(published["kernel_mode"], true);
    assert_eq!(published["inspection"]["kernel_mode"][0]["inside"], "flt.bin");
    let other = server.cli(&["token", "create", "--actor", "bo", "--role", "approver"]).ok().stdout;
    let approve =
        server.command(&["release", "approve", "driver", "1.0"]).env("RINGFENCE_TOKEN", other.trim()).output();
    assert!(approve.unwrap().status.success());
    let offer = server.offer("device-1", "driver").unwrap();
    assert_eq!((&offer["version"], &offer["kernel_mode"]), (&"1.0".into(), &true.into()));
    assert!(server.cli(&["release", "list", "driver"]).ok().stdout.contains("(kernel mode)"));
    let plain = file(root, "plain.bin", b"signatures");
    server.cli(&["publish", "intel", "1.0", "--artifact", &plain]).ok();
    assert_eq!(server.offer("device-1", "intel").unwrap()["kernel_mode"], false);
    assert_eq!(server.json(&["release", "list", "intel"])["releases"].as_array().unwrap().len(), 1);
}

#[test]
fn a_real_kernel_object_is_recognised() {
    need!("gates::a_real_kernel_object_is_recognised", "gcc");
    let server = TestServer::start();
    products(&server);
    let root = server.root();
    let source = "static const char info[] __attribute__((section(\".modinfo\"), used)) = \"license=GPL\";\n";
    let plain = "int f(void) { return 0; }\n";
    for (name, source) in [("module", source), ("plain", plain)] {
        file(root, &format!("{name}.c"), source.as_bytes());
        let status = Command::new("gcc").current_dir(root).args(["-c", &format!("{name}.c")]).status().unwrap();
        assert!(status.success());
    }
    let path = |name: &str| root.join(name).display().to_string();
    server.cli(&["publish", "intel", "1.0", "--artifact", &path("module.o")]).complains(1, &["Linux kernel module"]);
    server.cli(&["publish", "intel", "1.0", "--artifact", &path("plain.o")]).ok();
}

fn minisign(dir: &Path, words: &[&str]) {
    let output = Command::new("minisign").current_dir(dir).args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_the_real_minisign_signs_is_taken() {
    need!("gates::what_the_real_minisign_signs_is_taken", "minisign");
    let policy = format!("{}\n[signature]\nplatform = \"required\"\n", crate::support::POLICY);
    let server = Setup::new().policy(&policy).start();
    products(&server);
    let root = server.root();
    let body = file(root, "body.bin", b"a driver's body");
    server.cli(&["publish", "driver", "1.0", "--artifact", &body]).complains(1, &["release manifest"]);
    minisign(root, &["-G", "-W", "-p", "old.pub", "-s", "old.key"]);
    minisign(root, &["-G", "-W", "-p", "new.pub", "-s", "new.key"]);
    let path = |name: &str| root.join(name).display().to_string();
    let sign = |version: &str, key: &str| {
        let text = server.cli(&["release", "manifest", "driver", version, "--artifact", &body]).ok().stdout;
        let name = format!("{version}-{key}");
        file(root, &name, text.as_bytes());
        minisign(root, &["-S", "-s", &format!("{key}.key"), "-m", &name]);
        path(&format!("{name}.minisig"))
    };
    let publish = |version: &str, signature: &str| {
        server.cli(&["publish", "driver", version, "--artifact", &body, "--signature", signature])
    };
    let first = sign("1.0", "old");
    publish("1.0", &first).complains(1, &["not trusted"]);
    let trusted = server.json(&["key", "trust", &path("old.pub"), "--name", "old key", "--product", "dri*"]);
    publish("1.0", &first).ok();
    let shown = server.json(&["release", "show", "driver", "1.0"]);
    assert_eq!(shown["inspection"]["signatures"][0]["key"], trusted["id"]);
    publish("1.1", &first).complains(1, &["does not fit"]);
    // Over the artifact's bytes, by name.
    minisign(root, &["-S", "-s", "old.key", "-m", "body.bin"]);
    publish("1.1", &format!("body.bin={}", path("body.bin.minisig"))).ok();
    // Rotation: trust the new one, then revoke the old one.
    server.cli(&["key", "trust", &path("new.pub"), "--name", "new key"]).ok();
    server.cli(&["key", "revoke", trusted["id"].as_str().unwrap(), "--reason", "rotated"]).ok();
    publish("2.0", &sign("2.0", "old")).complains(1, &["revoked: rotated"]);
    publish("2.0", &sign("2.0", "new")).ok();
    let list = server.cli(&["key", "list"]).ok().stdout;
    assert!(list.contains("old key") && list.contains("revoked") && list.contains("dri*"), "{list}");
    let release = server.json(&["release", "manifest", "driver", "2.0", "--artifact", &body]);
    assert_eq!(release["release"], server.json(&["release", "show", "driver", "2.0"])["release"]);
}

fn with_command(setup: Setup, command: &str, more: &str) -> TestServer {
    let server = setup.config(&format!("[gate]\ncommand = [\"{command}\"]\n{more}\n")).start();
    products(&server);
    server
}

#[test]
fn the_command_sees_the_staged_bytes_as_files() {
    let setup = Setup::new();
    let root = setup.root().to_owned();
    let log = root.join("told.json").display().to_string();
    let command = script(
        &root,
        "scan",
        &format!(
            "cat > {log}; f=any/deep/body.bin; test ! -w $f -o \"$(id -u)\" = 0 || exit 8; ls -l $f | grep -q '^-r--r--r--' || exit 9; if grep -q EICAR $f; then echo \"found EICAR in $f\"; exit 1; fi"
        ),
    );
    let server = with_command(setup, &command, "");
    let bad = format!("deep/body.bin={}", file(&root, "bad", b"xx EICAR xx"));
    let good = format!("deep/body.bin={}", file(&root, "good", b"harmless"));
    server.cli(&["publish", "intel", "1.0", "--artifact", &bad]).complains(1, &["found EICAR in any/deep/body.bin"]);
    assert_eq!(server.json(&["release", "show", "intel", "1.0"])["findings"][0]["gate"], "command");
    let published = server.json(&["publish", "intel", "1.0", "--artifact", &good]);
    assert!(published["inspection"]["command_ms"].is_u64(), "{published}");
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(&log).unwrap()).unwrap();
    assert_eq!(
        (&told["product"], &told["class"], &told["version"]),
        (&"intel".into(), &"intelligence".into(), &"1.0".into())
    );
    assert_eq!(told["artifacts"][0]["sha256"], published["artifacts"][0]["sha256"]);
    assert!(told["artifacts"][0]["path"].as_str().unwrap().ends_with("/any/deep/body.bin"));
    let left: Vec<_> = std::fs::read_dir(server.data().join("gate")).unwrap().collect();
    assert!(left.is_empty(), "copies are gone: {left:?}");
}

#[test]
fn a_command_that_hangs_or_takes_all_memory_publishes_nothing() {
    for (text, more, why) in [
        ("sleep 600", "timeout = \"1s\"", "was killed"),
        (
            "exec awk 'BEGIN { s = \"0123456789abcdef\"; while (1) s = s s }'",
            "memory_max = \"64 MiB\"",
            "the gate command",
        ),
        ("exec /nowhere/scanner", "", "cannot be run"),
    ] {
        let setup = Setup::new();
        let root = setup.root().to_owned();
        let command = script(&root, "scan", text);
        let server = with_command(setup, &command, more);
        let body = file(&root, "body", b"harmless");
        let started = Instant::now();
        server.cli(&["publish", "intel", "1.0", "--artifact", &body]).complains(1, &[why]);
        assert!(started.elapsed() < Duration::from_secs(60), "{text}: {:?}", started.elapsed());
        assert_eq!(server.offered_version("device-1", "intel"), None);
        assert_eq!(server.json(&["release", "show", "intel", "1.0"])["state"], "refused");
    }
}
