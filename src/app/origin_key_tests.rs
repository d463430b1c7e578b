//! The signing key over several starts, and over rotations that are cut off.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::Core;
use super::origin_key::open_from;
use crate::config::Settings;
use crate::control::OriginKeys;
use crate::model::{Actor, KeyId, OriginKey, PublicKey};
use crate::signing::SecretKey;
use crate::sys::clock::SystemClock;

struct Home {
    dir: tempfile::TempDir,
    settings: Settings,
}

type Started = (Core, Arc<OriginKeys>);

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { data: dir.path().join("data"), ..Settings::default() };
        settings.signing.key = dir.path().join("origin.key");
        Self { dir, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn key(&self, name: &str) -> PublicKey {
        SecretKey::parse(&fs::read_to_string(self.path(name)).unwrap()).unwrap().public()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    async fn start(&self) -> Result<Started, String> {
        self.start_with(None).await
    }

    async fn start_with(&self, credentials: Option<&str>) -> Result<Started, String> {
        let core = Core::open(&self.settings, Arc::new(SystemClock)).map_err(|error| error.to_string())?;
        let credentials = credentials.map(|name| self.path(name).into_os_string());
        let keys = open_from(&core, &self.settings, credentials.as_deref()).await;
        keys.map(|keys| (core, keys)).map_err(|error| error.to_string())
    }
}

fn known(core: &Core) -> Vec<OriginKey> {
    core.catalog.snapshot().origin_keys().to_vec()
}

fn ids(core: &Core) -> Vec<KeyId> {
    known(core).iter().map(|known| known.key.id).collect()
}

#[tokio::test]
async fn a_first_key_is_made_and_kept() {
    let home = Home::new();
    let (core, keys) = home.start().await.unwrap();
    let key = keys.key().public();
    assert_eq!((home.key("origin.key"), home.mode("origin.key")), (key, 0o600));
    assert_eq!(PublicKey::parse(&fs::read_to_string(home.path("origin.pub")).unwrap()).unwrap(), key);
    assert_eq!(ids(&core), [key.id]);
    assert_eq!((known(&core)[0].introduced_by, known(&core)[0].added.by.clone()), (None, Actor::system()));
    drop((core, keys));
    let (core, keys) = home.start().await.unwrap();
    assert_eq!((keys.key().public(), ids(&core)), (key, vec![key.id]));
    // The secret is in no file but its own.
    let secret = fs::read_to_string(home.path("origin.key")).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    let journal = fs::read_to_string(home.path("data/journal/00000001.jsonl")).unwrap();
    assert!(journal.contains("origin_key_added") && !journal.contains(secret));
}

#[tokio::test]
async fn a_rotation_is_chained_and_outlives_the_process() {
    let home = Home::new();
    let (core, keys) = home.start().await.unwrap();
    let first = keys.key().public();
    let second = keys.rotate(&core.catalog, &Actor::admin()).await.unwrap();
    assert_eq!((keys.key().public(), home.key("origin.key")), (second, second));
    assert_eq!((home.key("origin.key.previous"), home.mode("origin.key.previous")), (first, 0o600));
    assert_eq!((home.mode("origin.key"), home.path("origin.key.next").exists()), (0o600, false));
    let document = keys.document(&core.catalog.snapshot());
    let now = core.catalog.now();
    assert_eq!(document.trusted_from(&first, now), [first, second], "the signed chain verifies");
    let reason = || "lost laptop".parse().unwrap();
    let refused = keys.retire(&core.catalog, &Actor::admin(), second.id, reason()).await.unwrap_err();
    assert!(refused.to_string().contains("is the one that signs"), "{refused}");
    keys.retire(&core.catalog, &Actor::admin(), first.id, reason()).await.unwrap();
    assert!(keys.retire(&core.catalog, &Actor::admin(), first.id, reason()).await.is_err());
    assert!(keys.retire(&core.catalog, &Actor::admin(), KeyId([9; 8]), reason()).await.is_err());
    let document = keys.document(&core.catalog.snapshot());
    assert!(document.trusted_from(&first, core.catalog.now()).is_empty());
    drop((core, keys));
    let (core, keys) = home.start().await.unwrap();
    assert_eq!((keys.key().public(), ids(&core)), (second, vec![first.id, second.id]));
    assert_eq!(keys.document(&core.catalog.snapshot()), document, "as it was before");
    drop((core, keys));
    // The old key, put back, counts no more.
    fs::copy(home.path("origin.key.previous"), home.path("origin.key")).unwrap();
    let refused = home.start().await.err().unwrap();
    assert!(refused.contains("was retired"), "{refused}");
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_ended_or_undone() {
    let home = Home::new();
    let (core, keys) = home.start().await.unwrap();
    let first = keys.key().public();
    let before = fs::read(home.path("origin.key")).unwrap();
    drop((core, keys));
    // Cut off before the journal named the key.
    let stranger = SecretKey::from_random([8; 32], [8; 8]);
    fs::write(home.path("origin.key.next"), stranger.expose()).unwrap();
    let (core, keys) = home.start().await.unwrap();
    assert_eq!((keys.key().public(), home.path("origin.key.next").exists()), (first, false));
    let second = keys.rotate(&core.catalog, &Actor::admin()).await.unwrap();
    drop((core, keys));
    // Cut off after the journal named it, before and after the old key was set aside.
    for is_set_aside in [false, true] {
        fs::copy(home.path("origin.key"), home.path("origin.key.next")).unwrap();
        fs::write(home.path("origin.key"), &before).unwrap();
        if !is_set_aside {
            fs::remove_file(home.path("origin.key.previous")).unwrap();
        }
        let (core, keys) = home.start().await.unwrap();
        assert_eq!((keys.key().public(), home.key("origin.key.previous")), (second, first));
        assert_eq!((ids(&core), home.path("origin.key.next").exists()), (vec![first.id, second.id], false));
    }
}

#[tokio::test]
async fn a_new_file_is_a_new_key_and_the_previous_one_vouches_for_it() {
    let home = Home::new();
    let (core, keys) = home.start().await.unwrap();
    let first = keys.key().public();
    drop((core, keys));
    let next = SecretKey::from_random([8; 32], [8; 8]);
    fs::create_dir(home.path("credentials")).unwrap();
    fs::copy(home.path("origin.key"), home.path("credentials/origin.key.previous")).unwrap();
    fs::write(home.path("credentials/origin.key"), next.expose()).unwrap();
    let (core, keys) = home.start_with(Some("credentials")).await.unwrap();
    let document = keys.document(&core.catalog.snapshot());
    assert_eq!(document.trusted_from(&first, core.catalog.now()), [first, next.public()]);
    let refused = keys.rotate(&core.catalog, &Actor::admin()).await.unwrap_err();
    assert!(refused.to_string().contains("LoadCredential="), "{refused}");
    assert_eq!(ids(&core).len(), 2, "nothing was journaled");
    assert!(!home.path("credentials/origin.key.next").exists());
    drop((core, keys));
    // A key that replaces a lost one: nobody vouches for it.
    let lost = SecretKey::from_random([7; 32], [7; 8]);
    fs::remove_file(home.path("credentials/origin.key.previous")).unwrap();
    fs::write(home.path("credentials/origin.key"), lost.expose()).unwrap();
    let (core, _keys) = home.start_with(Some("credentials")).await.unwrap();
    assert_eq!(known(&core)[2].introduced_by, None);
}

#[tokio::test]
async fn what_is_no_key_stops_the_start() {
    let home = Home::new();
    for text in [b"nonsense".to_vec(), Vec::new(), vec![0xff; 100], vec![b'x'; 10_000]] {
        fs::write(home.path("origin.key"), &text).unwrap();
        let refused = home.start().await.err().unwrap();
        assert!(refused.contains("does not hold a signing key"), "{refused}");
        assert_eq!(fs::read(home.path("origin.key")).unwrap(), text, "it is not replaced");
    }
}
