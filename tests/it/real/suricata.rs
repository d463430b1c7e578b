//! suricata-update against a share: it asks for the `.md5` first, and for the rules only if that has changed.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::client;
use crate::support::tools::need;
use crate::support::{Relay, ShareServer};

const RULES: &str = "emerging.rules.tar.gz";

/// The rules of one version, as the vendor packs them.
fn archive(dir: &std::path::Path, version: u32) -> Vec<u8> {
    let folder = dir.join("rules");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("one.rules"), rule(version) + "\n").unwrap();
    let file = dir.join(RULES);
    client(Command::new("tar").arg("-czf").arg(&file).arg("-C").arg(dir).arg("rules"));
    std::fs::read(file).unwrap()
}

fn rule(version: u32) -> String {
    format!("alert tcp any any -> any any (msg:\"version {version}\"; sid:100000{version}; rev:1;)")
}

struct SuricataUpdate {
    data: PathBuf,
    url: String,
}

impl SuricataUpdate {
    /// Updates, and says what it loaded. A cached archive younger than a quarter of an hour would be taken unasked, so
    /// it is made older.
    fn update(&self) -> String {
        let cache = self.data.join("update/cache");
        for entry in std::fs::read_dir(&cache).into_iter().flatten() {
            let file = std::fs::File::options().append(true).open(entry.unwrap().path()).unwrap();
            let downloaded = file.metadata().unwrap().modified().unwrap();
            file.set_modified(downloaded - Duration::from_secs(3600)).unwrap();
        }
        let mut command = Command::new("suricata-update");
        command.arg("--data-dir").arg(&self.data).args(["--url", &self.url, "--suricata-version", "6.0.10"]);
        client(command.args(["--no-test", "--no-reload", "--no-merge", "--fail"]));
        std::fs::read_to_string(self.data.join("rules/one.rules")).unwrap().trim().to_owned()
    }
}

#[test]
fn rules_follow_the_share_forward_and_back() {
    need!("real::suricata::rules_follow_the_share_forward_and_back", "suricata-update", "tar");
    let shares = ShareServer::prompt("ids", "suricata");
    let relay = Relay::to(shares.server.device);
    let scratch = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|version| archive(scratch.path(), version));
    let url = format!("http://{}/shares/ids/{RULES}", relay.address);
    let suricata = SuricataUpdate { data: scratch.path().join("data"), url };
    let (md5, rules) = (format!("GET /shares/ids/{RULES}.md5 200"), format!("GET /shares/ids/{RULES} 200"));
    shares.show("ids", "1", RULES, &first);
    assert_eq!(suricata.update(), rule(1));
    assert_eq!(relay.take_lines(), [&*rules], "the first time it has nothing to compare");
    assert_eq!(suricata.update(), rule(1));
    assert_eq!(relay.take_lines(), [&*md5], "the rules are not sent twice");
    shares.show("ids", "2", RULES, &second);
    assert_eq!(suricata.update(), rule(2));
    assert_eq!(relay.take_lines(), [&*md5, &*rules]);
    shares.hold("ids", "2");
    shares.wait_for(&format!("ids/{RULES}"), &first);
    assert_eq!(suricata.update(), rule(1), "it goes back to the older rules");
    assert_eq!(relay.take_lines(), [&*md5, &*rules]);
    assert_eq!(suricata.update(), rule(1));
    assert_eq!(relay.take_lines(), [&*md5]);
}
