//! The Debian package: what is in it, and a life from its installation to its purge in a root of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::tools::need;
use crate::support::{Run, have, is_full_tier, skip};

const NAME: &str = "packaging::the_package_installs_runs_and_leaves_cleanly";

/// The package of this build, made as `scripts/package` makes it, or why not.
fn package(out: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new("scripts/package");
    command.args(["--fast", "--binary", env!("CARGO_BIN_EXE_ringfence"), "--out"]).arg(out);
    // What is missing is installed by tests/run, not in the midst of the tests.
    let made = Run::of(command.env("RINGFENCE_INSTALL", "0"));
    if made.code == 4 {
        return Err("cargo-deb is not installed".to_owned());
    }
    made.ok();
    let debs: Vec<PathBuf> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(debs.len(), 1, "{debs:?}");
    Ok(debs[0].clone())
}

fn contents(deb: &Path) {
    let listing = Run::of(Command::new("dpkg-deb").arg("-c").arg(deb)).ok().stdout;
    for (path, mode) in [
        ("usr/bin/ringfence", "-rwxr-xr-x"),
        ("etc/ringfence/ringfence.toml", "-rw-r--r--"),
        ("etc/ringfence/policy.toml", "-rw-r--r--"),
        ("usr/lib/systemd/system/ringfence.service", "-rw-r--r--"),
        ("usr/lib/systemd/system/ringfence.socket", "-rw-r--r--"),
        ("usr/lib/systemd/system/ringfence-admin.socket", "-rw-r--r--"),
        ("usr/lib/systemd/system/ringfence-stager.service", "-rw-r--r--"),
        ("usr/lib/systemd/system/ringfence-mirror.service", "-rw-r--r--"),
        ("usr/lib/sysusers.d/ringfence.conf", "-rw-r--r--"),
        ("usr/lib/tmpfiles.d/ringfence.conf", "-rw-r--r--"),
        ("usr/share/man/man1/ringfence.1.gz", "-rw-r--r--"),
        ("usr/share/man/man1/ringfence-policy-apply.1.gz", "-rw-r--r--"),
        ("usr/share/bash-completion/completions/ringfence", "-rw-r--r--"),
        ("usr/share/zsh/vendor-completions/_ringfence", "-rw-r--r--"),
        ("usr/share/fish/vendor_completions.d/ringfence.fish", "-rw-r--r--"),
        ("usr/share/doc/ringfence/operations.md", "-rw-r--r--"),
        ("usr/share/doc/ringfence/copyright", "-rw-r--r--"),
    ] {
        let line = listing.lines().find(|line| line.split("./").nth(1) == Some(path));
        assert!(line.is_some_and(|line| line.starts_with(&format!("{mode} 0/0 "))), "{path}: {line:?}\n{listing}");
    }
    let control = Run::of(Command::new("dpkg-deb").arg("-I").arg(deb)).ok().stdout;
    assert!(control.contains("libc6"), "the libraries that it needs are named:\n{control}");
    if !have("lintian") {
        return skip(NAME, "lintian is not installed: only the contents were checked");
    }
    let said = Run::of(Command::new("lintian").arg("--allow-root").arg(deb));
    let complaints: Vec<&str> =
        said.stdout.lines().filter(|line| line.starts_with("E:") || line.starts_with("W:")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// A root for the package: this system seen through an overlay, or a fresh Debian. `$out` gets what each step left.
const LIFE: &str = r#"
set -eu
kind=$1 base=$2 deb=$3 out=$4
mount -t tmpfs tmpfs "$base"
root=$base/root changed=$base/root
mkdir "$root"
if [ "$kind" = overlay ]; then
    changed=$base/upper
    mkdir "$changed" "$base/work"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$changed,workdir=$base/work" "$root"
else
    debootstrap --variant=minbase --include=systemd-standalone-sysusers bookworm "$root" >"$out/debootstrap.log"
fi
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
cp "$deb" "$root/the.deb"
# Without the triggers of others: man-db reads every manual page there is.
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
# What names ringfence, with its kind, mode and owner.
tree() {
    (cd "$changed" && find . -path ./proc -prune -o -path ./dev -prune -o -path '*ringfence*' -printf '%P %y %m %U\n') |
        grep -v -e ^var/lib/dpkg/ -e ^var/log/ | sort >"$out/$1.tree" || true
    [ ! -d "$root/run/ringfence" ] || stat -c 'run/ringfence %a %U' "$root/run/ringfence" >"$out/$1.run"
}

inside dpkg --no-triggers -i /the.deb >"$out/install.log" 2>&1
tree installed
inside ringfence --version >"$out/version"
inside ringfence check-config --config /etc/ringfence/ringfence.toml >"$out/config"
inside getent passwd ringfence >"$out/user"
inside ldd /usr/bin/ringfence >"$out/libraries"

# A server as its own user, and root on its socket.
inside sh -c 'mkdir -p /run/ringfence && chown ringfence /run/ringfence'
(exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" setpriv --reuid=ringfence --regid=ringfence --clear-groups \
    ringfence serve --config /etc/ringfence/ringfence.toml --device-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 \
    >/dev/null 2>"$out/server.log") &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
tries=0
until inside ringfence status --json --server unix:/run/ringfence/admin.sock >"$out/status" 2>"$out/status.error"; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] && kill -0 $server || { cat "$out/status.error" >&2; exit 1; }
    sleep 0.1
done
kill $server
wait $server

echo '# mine' >>"$root/etc/ringfence/policy.toml"
inside dpkg --no-triggers -i /the.deb >"$out/again.log" 2>&1
tail -1 "$root/etc/ringfence/policy.toml" >"$out/mine"
inside dpkg --no-triggers -r ringfence >"$out/remove.log" 2>&1
tree removed
inside dpkg --no-triggers -P ringfence >"$out/purge.log" 2>&1
tree purged
rm -r "$root/var/lib/ringfence"
inside dpkg --no-triggers -i /the.deb >"$out/third.log" 2>&1
inside dpkg --no-triggers -P ringfence >"$out/purge-again.log" 2>&1
tree gone
"#;

#[test]
fn the_package_installs_runs_and_leaves_cleanly() {
    need!("packaging::the_package_installs_runs_and_leaves_cleanly", "dpkg-deb", "dpkg-shlibdeps");
    let out = tempfile::tempdir().unwrap();
    let deb = match package(out.path()) {
        Ok(deb) => deb,
        Err(why) => return skip(NAME, &why),
    };
    contents(&deb);
    need!("packaging::the_package_installs_runs_and_leaves_cleanly", "dpkg", "unshare", "setpriv");
    if !rustix::process::geteuid().is_root() {
        return skip(NAME, "only root makes a root of its own");
    }
    if have("ringfence") {
        return skip(NAME, "ringfence is installed on this system");
    }
    live("overlay", &deb);
    if is_full_tier() {
        if !have("debootstrap") {
            return skip(NAME, "debootstrap is not installed: only the overlay of this system was used");
        }
        live("debootstrap", &deb);
    }
}

fn live(kind: &str, deb: &Path) {
    let (base, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut trial = Command::new("unshare");
    trial.args(["-m", "mount", "-t", "tmpfs", "tmpfs"]).arg(base.path());
    if Run::of(&mut trial).code != 0 {
        return skip(NAME, "no mount namespaces here");
    }
    let mut life = Command::new("unshare");
    life.args(["-m", "sh", "-c", LIFE, "life", kind]).arg(base.path()).arg(deb).arg(out.path());
    let lived = Run::of(&mut life);
    let read = |file: &str| fs::read_to_string(out.path().join(file)).unwrap_or_default();
    let logs = ["install.log", "again.log", "remove.log", "purge.log", "third.log", "purge-again.log", "server.log"];
    assert_eq!(lived.code, 0, "{kind}: {}\n{}", lived.stderr, logs.map(read).join("\n--\n"));

    assert_eq!(read("version").trim(), format!("ringfence {}", env!("CARGO_PKG_VERSION")));
    assert!(!read("libraries").contains("not found"), "{}", read("libraries"));
    assert!(read("user").contains(":/var/lib/ringfence:"), "{}", read("user"));
    let uid = read("user").split(':').nth(2).expect("a user has a number").to_owned();
    let installed = read("installed.tree");
    assert!(installed.contains(&format!("var/lib/ringfence d 750 {uid}\n")), "{installed}");
    assert!(installed.contains("etc/ringfence/policy.toml f 644 0\n"), "{installed}");
    assert!(!installed.contains("wants"), "nothing is enabled by the installation:\n{installed}");
    let status: serde_json::Value = serde_json::from_str(&read("status")).expect("the server answered root");
    assert_eq!(status["data"], "/var/lib/ringfence");
    assert_eq!(read("mine").trim(), "# mine", "an upgrade keeps what was changed");

    let outside = |tree: &str| -> BTreeSet<String> {
        let text = read(tree);
        let paths = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned);
        paths.filter(|path| !path.starts_with("var/lib/ringfence")).collect()
    };
    let configuration = ["etc/ringfence", "etc/ringfence/policy.toml", "etc/ringfence/ringfence.toml"];
    assert_eq!(outside("removed.tree"), configuration.map(str::to_owned).into(), "a removal keeps the configuration");
    assert_eq!(outside("purged.tree"), BTreeSet::new(), "a purge keeps the state only");
    assert!(read("purged.tree").contains("var/lib/ringfence/journal/00000001.jsonl"), "{}", read("purged.tree"));
    assert!(read("purge.log").contains("/var/lib/ringfence is not empty and stays"), "{}", read("purge.log"));
    assert_eq!(read("gone.tree"), "", "without state nothing is left");
}
