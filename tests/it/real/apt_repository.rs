//! A Debian repository of one tiny package, signed by a throw-away key, and an apt of its own that knows nothing of the
//! machine's.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::client;
use crate::support::{Run, random_bytes};

/// Where apt asks for the index.
pub(super) const BINARY: &str = "dists/stable/main/binary-amd64";

/// Builds repositories.
pub(super) struct Workshop {
    dir: tempfile::TempDir,
}

/// The files of one version of a repository.
pub(super) type Files = Vec<(String, Vec<u8>)>;

impl Workshop {
    /// With a key of its own.
    pub(super) fn new() -> Self {
        let workshop = Self { dir: tempfile::Builder::new().prefix("rf-apt-").tempdir().unwrap() };
        std::fs::create_dir_all(workshop.path("gnupg")).unwrap();
        client(Command::new("chmod").arg("700").arg(workshop.path("gnupg")));
        let key = ["--passphrase", "", "--quick-gen-key", "Test <test@example.invalid>", "ed25519", "sign", "never"];
        client(workshop.gpg().args(["--pinentry-mode", "loopback"]).args(key));
        client(workshop.gpg().arg("--output").arg(workshop.path("key.gpg")).arg("--export"));
        workshop
    }

    /// A path in its folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--yes", "--quiet", "--homedir"]).arg(self.path("gnupg"));
        gpg
    }

    /// The bytes of the package `tiny` of a version; the same each time.
    pub(super) fn package(&self, version: u64) -> Vec<u8> {
        let (tree, package) = (self.path("tree"), self.path("tiny.deb"));
        let _ = std::fs::remove_dir_all(&tree);
        std::fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        std::fs::create_dir_all(tree.join("usr/share/tiny")).unwrap();
        let control = format!(
            "Package: tiny\nVersion: {version}.0\nArchitecture: all\nMaintainer: Test <test@example.invalid>\n\
             Description: tiny\n"
        );
        std::fs::write(tree.join("DEBIAN/control"), control).unwrap();
        std::fs::write(tree.join("usr/share/tiny/version"), version.to_string()).unwrap();
        std::fs::write(tree.join("usr/share/tiny/noise"), random_bytes(version, 300_000)).unwrap();
        let mut build = Command::new("dpkg-deb");
        build.env("SOURCE_DATE_EPOCH", "1700000000").args(["--root-owner-group", "--build"]);
        client(build.arg(&tree).arg(&package));
        std::fs::read(&package).unwrap()
    }

    /// A repository with these versions of the package, dated now. With `sums` apt-ftparchive writes these besides
    /// SHA256.
    pub(super) fn repository(&self, versions: &[u64], sums: &[&str]) -> Files {
        let root = self.path("repository");
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("pool")).unwrap();
        std::fs::create_dir_all(root.join(BINARY)).unwrap();
        for version in versions {
            std::fs::write(root.join(format!("pool/tiny_{version}.0_all.deb")), self.package(*version)).unwrap();
        }
        let packages = ftparchive(&root, sums, &["packages", "pool"]);
        std::fs::write(root.join(BINARY).join("Packages"), packages).unwrap();
        client(Command::new("gzip").arg("-9nk").arg(root.join(BINARY).join("Packages")));
        let release = ftparchive(&root, sums, &["release", "dists/stable"]);
        let (plain, signed) = (root.join("dists/stable/Release"), root.join("dists/stable/InRelease"));
        std::fs::write(&plain, release).unwrap();
        client(self.gpg().arg("--output").arg(&signed).arg("--clearsign").arg(&plain));
        let names = ["Packages", "Packages.gz"].map(|name| format!("{BINARY}/{name}")).into_iter();
        let names = names.chain(["Release", "InRelease"].map(|name| format!("dists/stable/{name}")));
        let names = names.chain(versions.iter().map(|version| format!("pool/tiny_{version}.0_all.deb")));
        names.map(|name| (name.clone(), std::fs::read(root.join(name)).unwrap())).collect()
    }
}

fn ftparchive(root: &Path, sums: &[&str], words: &[&str]) -> String {
    let mut command = Command::new("apt-ftparchive");
    for sum in ["MD5", "SHA1", "SHA512"] {
        command.args(["-o", &format!("APT::FTPArchive::{sum}={}", if sums.contains(&sum) { "yes" } else { "no" })]);
    }
    for field in ["Suite=stable", "Codename=stable", "Components=main", "Architectures=amd64", "Acquire-By-Hash=yes"] {
        command.args(["-o", &format!("APT::FTPArchive::Release::{field}")]);
    }
    client(command.args(words).current_dir(root)).stdout
}

/// An apt with folders of its own, which installs below one of them.
pub(super) struct Apt {
    root: PathBuf,
}

impl Apt {
    /// That reads this repository.
    pub(super) fn new(workshop: &Workshop, url: &str) -> Self {
        let root = workshop.path("apt");
        let folders = [
            "state/lists/partial",
            "cache/archives/partial",
            "etc/apt.conf.d",
            "etc/preferences.d",
            "etc/trusted.gpg.d",
        ];
        for folder in folders.iter().chain(&["etc/sources.list.d", "log", "inst/var/lib/dpkg/info"]) {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for folder in ["inst/var/lib/dpkg/updates", "inst/var/lib/dpkg/triggers"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let at = root.display();
        for file in ["status", "available"] {
            std::fs::write(root.join("inst/var/lib/dpkg").join(file), "").unwrap();
        }
        let key = workshop.path("key.gpg");
        let source = format!("deb [arch=amd64 signed-by={}] {url} stable main\n", key.display());
        std::fs::write(root.join("etc/sources.list"), source).unwrap();
        let config = format!(
            "Dir \"{at}\"; Dir::State \"state\"; Dir::State::status \"{at}/inst/var/lib/dpkg/status\";\n\
             Dir::Cache \"cache\"; Dir::Etc \"etc\"; Dir::Log \"log\";\n\
             Debug::NoLocking \"true\"; APT::Sandbox::User \"root\"; APT::Architecture \"amd64\";\n\
             Acquire::Languages \"none\"; Acquire::http::Proxy \"DIRECT\"; Acquire::Retries \"0\";\n\
             APT::Keep-Downloaded-Packages \"true\";\n\
             DPkg::Options {{ \"--root={at}/inst\"; \"--log=/dev/null\"; \"--force-not-root\"; }};\n"
        );
        std::fs::write(root.join("apt.conf"), config).unwrap();
        Self { root }
    }

    /// `apt-get` with these words.
    pub(super) fn get(&self, words: &[&str]) -> Run {
        self.run("apt-get", words)
    }

    fn run(&self, program: &str, words: &[&str]) -> Run {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.root.join("apt.conf")).env("DEBIAN_FRONTEND", "noninteractive");
        Run::of(command.env("LC_ALL", "C").args(words).current_dir(&self.root))
    }

    /// Refreshes the indexes; a warning is a failure.
    pub(super) fn update(&self) -> Run {
        self.get(&["-o", "APT::Update::Error-Mode=any", "update"]).ok()
    }

    /// The version of the package that would be installed.
    pub(super) fn candidate(&self) -> String {
        let policy = self.run("apt-cache", &["policy", "tiny"]).ok().stdout;
        let line = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
        line.unwrap_or_else(|| panic!("no candidate: {policy}")).to_owned()
    }

    /// The version that is installed, by the file in the package.
    pub(super) fn installed(&self) -> String {
        std::fs::read_to_string(self.root.join("inst/usr/share/tiny/version")).unwrap()
    }

    /// A file in the cache of packages.
    pub(super) fn archive(&self, name: &str) -> PathBuf {
        self.root.join("cache/archives").join(name)
    }
}
