//! freshclam against a share: custom databases by URL, and a private mirror. It decides by dates of its own, so these
//! tests are about dates.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::shares::{PROMPT, ShareOf};
use crate::support::tools::need;
use crate::support::{Relay, Run, ShareServer};

/// A configuration and a folder of databases.
struct Freshclam {
    dir: tempfile::TempDir,
}

impl Freshclam {
    fn new(source: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("db");
        std::fs::create_dir(&database).unwrap();
        let database = database.display();
        let config = format!(
            "DatabaseDirectory {database}\nDatabaseOwner root\nTestDatabases no\nBytecode no\nMaxAttempts 1\n\
             ConnectTimeout 10\nReceiveTimeout 30\n{source}\n"
        );
        std::fs::write(dir.path().join("freshclam.conf"), config).unwrap();
        Self { dir }
    }

    /// Of one custom database. freshclam wants a mirror's name all the same; nothing listens there.
    fn custom(url: &str) -> Self {
        Self::new(&format!("PrivateMirror http://127.0.0.1:1\nDatabaseCustomURL {url}"))
    }

    fn run(&self, databases: &[&str]) -> Run {
        let mut command = Command::new("freshclam");
        command.arg("--stdout").arg("--config-file").arg(self.dir.path().join("freshclam.conf"));
        Run::of(command.args(databases))
    }

    /// Updates the custom database: what is in it then.
    fn update(&self) -> String {
        self.run(&["--update-db=custom"]).ok();
        std::fs::read_to_string(self.file("my.ndb")).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("db").join(name)
    }

    /// Whether freshclam has locked itself out: the time it keeps behind its UUID in `freshclam.dat`.
    fn is_banned(&self) -> bool {
        let state = std::fs::read(self.file("freshclam.dat")).unwrap();
        assert!(state.starts_with(b"FreshClamData") && state.len() > 54, "{state:?}");
        state[54..].iter().any(|byte| *byte != 0)
    }
}

/// A custom database that freshclam can load.
fn signatures(number: u32) -> String {
    format!("Test.Signature-{number}:0:*:deadbeef{number:08x}\n")
}

/// A database with a header as the vendor's have, of a body that nobody has signed.
fn unsigned_cvd(version: u32) -> Vec<u8> {
    let (digest, signature) = ("a".repeat(32), "B".repeat(343));
    let header = format!("ClamAV-VDB:21 Nov 2026 05-00 +0000:{version}:10:90:{digest}:{signature}:tester:1795237200");
    let mut database = format!("{header:<512}").into_bytes();
    database.extend(vec![b'x'; 5_000 + version as usize]);
    database
}

#[test]
fn a_custom_database_follows_the_share_forward_and_back() {
    need!("real::freshclam::a_custom_database_follows_the_share_forward_and_back", "freshclam");
    let config = format!("{PROMPT}\nlongest_transfer = \"1s\"");
    let shares = ShareServer::start(&[ShareOf::open("clam", "clamav")], &config);
    let relay = Relay::to(shares.server.device);
    let client = Freshclam::custom(&format!("http://{}/shares/clam/my.ndb", relay.address));
    let show = |number: u32| shares.show("clam", &format!("{number}"), "my.ndb", signatures(number).as_bytes());
    show(1);
    // Its date of the download has to be later than the file's by more than the longest transfer.
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!(client.update(), signatures(1));
    assert_eq!(relay.take_lines(), ["GET /shares/clam/my.ndb 200"]);
    assert_eq!(client.update(), signatures(1));
    assert_eq!(relay.take_lines(), ["GET /shares/clam/my.ndb 304"], "nothing is sent twice");
    show(2);
    assert_eq!(client.update(), signatures(2));
    assert_eq!(relay.take_lines(), ["GET /shares/clam/my.ndb 200"]);
    shares.hold("clam", "2");
    shares.wait_for("clam/my.ndb", signatures(1).as_bytes());
    assert_eq!(client.update(), signatures(1), "it goes back to the older content");
    assert_eq!(relay.take_lines(), ["GET /shares/clam/my.ndb 200"]);
    assert!(!client.is_banned());
}

#[test]
fn a_withheld_database_is_missing_and_bans_nobody() {
    need!("real::freshclam::a_withheld_database_is_missing_and_bans_nobody", "freshclam");
    let shares = ShareServer::prompt("clam", "clamav");
    let relay = Relay::to(shares.server.device);
    let client = Freshclam::custom(&format!("http://{}/shares/clam/my.ndb", relay.address));
    shares.show("clam", "1", "my.ndb", signatures(1).as_bytes());
    assert_eq!(client.update(), signatures(1));
    shares.hold("clam", "1");
    relay.take();
    let run = client.run(&["--update-db=custom"]);
    assert_eq!(relay.take_lines(), ["GET /shares/clam/my.ndb 404"], "{}", run.stdout);
    assert!(!client.is_banned(), "{}", run.stdout);
    assert_eq!(std::fs::read_to_string(client.file("my.ndb")).unwrap(), signatures(1), "it keeps what it has");
    shares.show("clam", "2", "my.ndb", signatures(2).as_bytes());
    assert_eq!(client.update(), signatures(2), "and goes on as before");
}

#[test]
fn publications_in_quick_succession_all_arrive() {
    need!("real::freshclam::publications_in_quick_succession_all_arrive", "freshclam");
    let shares = ShareServer::prompt("clam", "clamav");
    let client = Freshclam::custom(&shares.url("clam/my.ndb"));
    for round in 0..4 {
        // Downloaded in the very second in which it appears, whose date the download then has, too.
        let (first, second, third) = (3 * round + 1, 3 * round + 2, 3 * round + 3);
        shares.show("clam", &first.to_string(), "my.ndb", signatures(first).as_bytes());
        assert_eq!(client.update(), signatures(first));
        // Two publications within one second.
        shares.publish("clam", &second.to_string(), &[("my.ndb", signatures(second).as_bytes())]);
        shares.show("clam", &third.to_string(), "my.ndb", signatures(third).as_bytes());
        assert_eq!(client.update(), signatures(third));
    }
}

#[test]
fn a_switch_during_a_slow_download_is_noticed() {
    need!("real::freshclam::a_switch_during_a_slow_download_is_noticed", "freshclam");
    let shares = ShareServer::prompt("clam", "clamav");
    let relay = Relay::to(shares.server.device);
    let client = Freshclam::custom(&format!("http://{}/shares/clam/my.ndb", relay.address));
    shares.show("clam", "1", "my.ndb", signatures(1).as_bytes());
    assert_eq!(client.update(), signatures(1));
    shares.show("clam", "2", "my.ndb", signatures(2).as_bytes());
    // As if the download of the first had ended a minute after the switch to the second.
    let file = std::fs::File::options().append(true).open(client.file("my.ndb")).unwrap();
    let downloaded = file.metadata().unwrap().modified().unwrap();
    file.set_modified(downloaded + Duration::from_secs(60)).unwrap();
    relay.take();
    assert_eq!(client.update(), signatures(2));
    let exchanges = relay.take();
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].answer.status, 200);
}

/// Databases belong to no set: whoever asks gets the newest, also just after a switch and behind the address of somebody
/// who has read the one before. freshclam keeps a database under its own clock's time: an old one, got in the very second
/// of the switch, would be told for ever that nothing has changed.
#[test]
fn databases_have_no_stragglers() {
    need!("real::freshclam::databases_have_no_stragglers", "freshclam");
    let shares = ShareServer::start(&[ShareOf::open("clam", "clamav")], "straggler_grace = \"4s\"");
    let [neighbour, client] = [0, 1].map(|_| Freshclam::custom(&shares.url("clam/my.ndb")));
    for number in [1, 2] {
        let body = signatures(number);
        shares.publish("clam", &number.to_string(), &[("my.ndb", body.as_bytes()), ("other.ndb", body.as_bytes())]);
        shares.wait_for("clam/my.ndb", body.as_bytes());
        let reader = if number == 1 { &neighbour } else { &client };
        assert_eq!(reader.update(), body);
    }
}

#[test]
fn a_private_mirror_is_read_by_its_headers() {
    need!("real::freshclam::a_private_mirror_is_read_by_its_headers", "freshclam");
    let shares = ShareServer::prompt("clam", "clamav");
    let relay = Relay::to(shares.server.device);
    let client = Freshclam::new(&format!("PrivateMirror http://{}/shares/clam", relay.address));
    shares.show("clam", "20", "daily.cvd", &unsigned_cvd(20));
    std::fs::write(client.file("daily.cvd"), unsigned_cvd(20)).unwrap();
    let daily = ["--update-db=daily"];
    let asks = ["GET /shares/clam/daily.cld 404", "GET /shares/clam/daily.cvd 206"];
    let run = client.run(&daily).ok();
    assert!(run.stdout.contains("daily.cvd database is up-to-date (version: 20"), "{}", run.stdout);
    let exchanges = relay.take();
    assert_eq!(exchanges[1].header("range"), Some("bytes=0-511"));
    assert!(exchanges[1].answer.body == unsigned_cvd(20)[..512]);
    // A newer one is fetched whole. Nobody but the vendor can sign it, so freshclam refuses it and keeps what it has.
    shares.show("clam", "22", "daily.cvd", &unsigned_cvd(22));
    let run = client.run(&daily);
    assert_eq!(relay.take_lines(), [asks[0], asks[1], "GET /shares/clam/daily.cvd 200"], "{}", run.stdout);
    assert!(run.stdout.contains("local version: 20, remote version: 22"), "{}", run.stdout);
    assert!(std::fs::read(client.file("daily.cvd")).unwrap() == unsigned_cvd(20), "it took an unsigned database");
    // The known limit: who has a newer version does not go back.
    std::fs::write(client.file("daily.cvd"), unsigned_cvd(22)).unwrap();
    shares.hold("clam", "22");
    shares.wait_for("clam/daily.cvd", &unsigned_cvd(20));
    let run = client.run(&daily).ok();
    assert_eq!(relay.take_lines(), asks);
    assert!(run.stdout.contains("up-to-date (version: 22"), "{}", run.stdout);
    assert!(std::fs::read(client.file("daily.cvd")).unwrap() == unsigned_cvd(22));
    assert!(!client.is_banned());
}

#[test]
fn a_mirror_without_every_database_bans_nobody() {
    need!("real::freshclam::a_mirror_without_every_database_bans_nobody", "freshclam");
    let shares = ShareServer::prompt("clam", "clamav");
    shares.show("clam", "20", "daily.cvd", &unsigned_cvd(20));
    let relay = Relay::to(shares.server.device);
    let client = Freshclam::new(&format!("PrivateMirror http://{}/shares/clam", relay.address));
    std::fs::write(client.file("daily.cvd"), unsigned_cvd(20)).unwrap();
    for _ in 0..2 {
        let run = client.run(&[]);
        let lines = relay.take_lines();
        assert!(lines.contains(&"GET /shares/clam/daily.cvd 206".into()), "{lines:?}\n{}", run.stdout);
        assert!(lines.contains(&"GET /shares/clam/main.cvd 404".into()), "{lines:?}\n{}", run.stdout);
        assert!(!client.is_banned(), "{}", run.stdout);
    }
    // What a ban looks like: a server that answers 403.
    let forbidding = answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let banned = Freshclam::custom(&format!("http://{forbidding}/my.ndb"));
    banned.run(&["--update-db=custom"]);
    assert!(banned.is_banned());
}

/// A server that answers everything with this.
fn answering(answer: &'static str) -> std::net::SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(answer.as_bytes());
        }
    });
    address
}
