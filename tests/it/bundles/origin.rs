//! An origin, a site of it, and what is carried between them.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::{Admin, Setup, TestServer, random_bytes, request};

/// The site of most tests.
pub(super) const SITE: &str = "plant-7";

/// An origin with one product.
pub(super) struct Origin {
    pub(super) server: TestServer,
    media: tempfile::TempDir,
}

impl Origin {
    pub(super) fn start() -> Self {
        Self::of(Setup::new())
    }

    pub(super) fn of(setup: Setup) -> Self {
        let server = setup.start();
        server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
        Self { server, media: tempfile::tempdir().unwrap() }
    }

    /// Publishes a version of these bodies.
    pub(super) fn publish(&self, version: &str, bodies: &[Vec<u8>]) {
        let admin = self.server.as_admin();
        let artifacts: Vec<_> = bodies
            .iter()
            .enumerate()
            .map(|(index, body)| json!({ "target": format!("file-{index}"), "upload": admin.upload(body) }))
            .collect();
        admin.release("feed", version, &artifacts).expect(201);
    }

    /// Writes the next bundle for a site to a directory of its own.
    pub(super) fn export(&self, site: &str, since: &str, volume_size_bytes: u64) -> PathBuf {
        let Admin { address, token } = self.server.as_admin();
        let request_of = json!({ "site": site, "since": since, "volume_size_bytes": volume_size_bytes });
        let made = self.server.api("POST", "/v1/bundles", Some(&request_of)).expect(201).json();
        let id = made["bundle"].as_str().unwrap();
        let dir = self.media.path().join(format!("{site}-{}", made["sequence"]));
        std::fs::create_dir(&dir).unwrap();
        let authorization = format!("Bearer {token}");
        let get = |path: &str, to: &str| {
            let answer = request(address, "GET", path, &[("Authorization", authorization.as_str())], b"").expect(200);
            std::fs::write(dir.join(to), answer.body).unwrap();
        };
        for name in ["BUNDLE.json", "BUNDLE.sig"] {
            get(&format!("/v1/bundles/{id}/{name}"), name);
        }
        for (number, volume) in (1..).zip(made["volumes"].as_array().unwrap()) {
            get(&format!("/v1/bundles/{id}/volumes/{number}"), volume["name"].as_str().unwrap());
        }
        self.server.api("DELETE", &format!("/v1/bundles/{id}"), None).expect(204);
        dir
    }

    /// A site that trusts this origin, not started yet.
    pub(super) fn site(&self, setup: Setup, name: &str) -> Setup {
        let key = self.server.root().join("origin.pub");
        setup.config(&format!("[site]\nname = \"{name}\"\norigin_key_file = \"{}\"\n", key.display()))
    }
}

/// Bodies of a release: one large, and many small.
pub(super) fn bodies(seed: u64, large: usize, small: u64) -> Vec<Vec<u8>> {
    let one = random_bytes(seed << 20, large);
    let many = (1..=small).map(|index| random_bytes((seed << 20) + index, 200 + (index as usize * 37) % 9_000));
    std::iter::once(one).chain(many).collect()
}

/// The volumes of a bundle, by name.
pub(super) fn volumes(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut volumes: Vec<String> = names.filter(|name| name.starts_with("vol-")).collect();
    volumes.sort();
    volumes
}

/// A medium with some of a bundle's files.
pub(super) fn some_of(dir: &Path, volumes: &[String]) -> tempfile::TempDir {
    let medium = tempfile::tempdir().unwrap();
    for name in ["BUNDLE.json", "BUNDLE.sig"].into_iter().chain(volumes.iter().map(String::as_str)) {
        std::fs::copy(dir.join(name), medium.path().join(name)).unwrap();
    }
    medium
}

/// The path as a word of a command.
pub(super) fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The version that a device of the site is offered; none, too, where the site knows no such product yet.
pub(super) fn offered(site: &TestServer, device: &str) -> Option<String> {
    let answer = site.get(Some(device), "/v1/offers/feed");
    match answer.status {
        200 => Some(answer.json()["version"].as_str().expect("a version").to_owned()),
        204 | 404 => None,
        status => panic!("{status} {}", answer.text()),
    }
}
