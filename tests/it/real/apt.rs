//! apt against a share: a whole repository that switches at once, forward, and back with a fresh date.

use std::time::{Duration, SystemTime};

use super::apt_repository::{Apt, BINARY, Files, Workshop};
use crate::support::tools::need;
use crate::support::{Relay, ShareServer, sha256_hex};

/// A share with a repository in it, and an apt that reads it over a relay.
struct Stand {
    shares: ShareServer,
    relay: Relay,
    workshop: Workshop,
    apt: Apt,
}

impl Stand {
    fn new() -> Self {
        let shares = ShareServer::prompt("deb", "apt");
        let relay = Relay::to(shares.server.device);
        let workshop = Workshop::new();
        let apt = Apt::new(&workshop, &format!("http://{}/shares/deb", relay.address));
        Self { shares, relay, workshop, apt }
    }

    fn publish(&self, version: u64, files: &Files) {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, body)| (name.as_str(), body.as_slice())).collect();
        self.shares.publish("deb", &version.to_string(), &files);
    }

    /// Publishes a repository and waits until it is shown.
    fn show(&self, version: u64, files: &Files) {
        self.publish(version, files);
        self.wait(files);
    }

    fn wait(&self, files: &Files) {
        let (_, body) = files.iter().find(|(name, _)| name.ends_with("/InRelease")).unwrap();
        self.shares.wait_for("deb/dists/stable/InRelease", body);
    }

    /// What apt asked for below the share, and the answers' statuses.
    fn asked(&self) -> Vec<String> {
        let lines = self.relay.take_lines().into_iter();
        lines.map(|line| line.replacen("GET /shares/deb/", "", 1)).collect()
    }
}

/// The line with which apt asks for the index by its digest.
fn by_hash(files: &Files) -> String {
    let (_, index) = files.iter().find(|(name, _)| name.ends_with("/Packages.gz")).unwrap();
    format!("{BINARY}/by-hash/SHA256/{} 200", sha256_hex(index))
}

const IN_RELEASE: &str = "dists/stable/InRelease";

#[test]
fn a_repository_goes_forward_and_back() {
    need!("real::apt::a_repository_goes_forward_and_back", "apt-get", "apt-ftparchive", "dpkg-deb", "gpg");
    let stand = Stand::new();
    let (apt, workshop) = (&stand.apt, &stand.workshop);
    let first = workshop.repository(&[1], &[]);
    stand.show(1, &first);
    apt.update();
    assert_eq!(stand.asked(), [format!("{IN_RELEASE} 200"), by_hash(&first)]);
    apt.get(&["install", "-y", "tiny"]).ok();
    assert_eq!(apt.installed(), "1");
    assert_eq!(stand.asked(), ["pool/tiny_1.0_all.deb 200"]);
    apt.update();
    assert_eq!(stand.asked(), [format!("{IN_RELEASE} 304")], "nothing is sent twice");

    // Release files are dated in whole seconds.
    std::thread::sleep(Duration::from_millis(1_100));
    let second = workshop.repository(&[1, 2], &[]);
    stand.show(2, &second);
    apt.update();
    assert_eq!(stand.asked(), [format!("{IN_RELEASE} 200"), by_hash(&second)]);
    apt.get(&["upgrade", "-y"]).ok();
    assert_eq!(apt.installed(), "2");

    // Back to the release before: its Release file is older than the one that apt has, and apt keeps what it has.
    stand.shares.hold("deb", "2");
    stand.wait(&first);
    stand.asked();
    let run = apt.get(&["update"]).ok();
    assert_eq!(stand.asked()[0], format!("{IN_RELEASE} 200"), "{}{}", run.stdout, run.stderr);
    assert_eq!(apt.candidate(), "2.0", "the known limit: {}{}", run.stdout, run.stderr);
    // What is withheld is not to be had all the same.
    stand.shares.look("deb/pool/tiny_2.0_all.deb").expect(404);

    // The older packages with a fresh Release.
    std::thread::sleep(Duration::from_millis(1_100));
    let third = workshop.repository(&[1], &[]);
    stand.show(3, &third);
    apt.update();
    stand.asked();
    apt.get(&["install", "-y", "--allow-downgrades", "tiny=1.0"]).ok();
    assert_eq!(apt.installed(), "1");
}

#[test]
fn two_publications_within_a_second_both_count() {
    need!("real::apt::two_publications_within_a_second_both_count", "apt-get", "apt-ftparchive", "dpkg-deb", "gpg");
    let stand = Stand::new();
    let versions: Vec<Files> = (1..=5_u64).map(|version| stand.workshop.repository(&[version], &[])).collect();
    stand.show(1, &versions[0]);
    stand.apt.update();
    for version in [2, 4] {
        stand.publish(version, &versions[version as usize - 1]);
        stand.show(version + 1, &versions[version as usize]);
        stand.apt.update();
        assert_eq!(stand.apt.candidate(), format!("{}.0", version + 1));
    }
}

#[test]
fn a_cut_download_is_resumed_by_its_date() {
    need!("real::apt::a_cut_download_is_resumed_by_its_date", "apt-get", "apt-ftparchive", "dpkg-deb", "gpg");
    let stand = Stand::new();
    stand.show(1, &stand.workshop.repository(&[1], &[]));
    stand.apt.update();
    let package = stand.workshop.package(1);
    let path = "pool/tiny_1.0_all.deb";
    let date = stand.shares.look(&format!("deb/{path}")).header("last-modified").unwrap().to_owned();
    let published = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();
    let published = SystemTime::UNIX_EPOCH + Duration::from_secs(published.as_second() as u64);
    let partial = stand.apt.archive("partial/tiny_1.0_all.deb");
    // The date of the share's file, and another, as of the file that was there before.
    for (modified, status, length) in
        [(published, 206, package.len() - 100_000), (published - Duration::from_secs(60), 200, package.len())]
    {
        stand.asked();
        std::fs::write(&partial, &package[..100_000]).unwrap();
        std::fs::File::options().append(true).open(&partial).unwrap().set_modified(modified).unwrap();
        stand.apt.get(&["install", "-y", "--download-only", "tiny"]).ok();
        let exchanges = stand.relay.take();
        assert_eq!(exchanges.len(), 1, "{exchanges:?}");
        assert_eq!(exchanges[0].header("range"), Some("bytes=100000-"));
        assert_eq!(exchanges[0].header("if-range").is_some_and(|sent| sent == date), status == 206);
        assert_eq!((exchanges[0].answer.status, exchanges[0].answer.body.len()), (status, length));
        let downloaded = stand.apt.archive("tiny_1.0_all.deb");
        assert!(std::fs::read(&downloaded).unwrap() == package);
        std::fs::remove_file(downloaded).unwrap();
    }
}

/// apt asks for the strongest digest that Release has, and takes the plain name where there is none of that.
#[test]
fn a_release_with_stronger_digests_is_read_by_its_plain_names() {
    need!(
        "real::apt::a_release_with_stronger_digests_is_read_by_its_plain_names",
        "apt-get",
        "apt-ftparchive",
        "dpkg-deb",
        "gpg"
    );
    let stand = Stand::new();
    stand.show(1, &stand.workshop.repository(&[1], &["MD5", "SHA1", "SHA512"]));
    stand.apt.update();
    let asked = stand.asked();
    assert!(asked[1].contains("/by-hash/SHA512/") && asked[1].ends_with(" 404"), "{asked:?}");
    assert_eq!(asked[2], format!("{BINARY}/Packages.gz 200"), "{asked:?}");
    assert_eq!(stand.apt.candidate(), "1.0");
}
