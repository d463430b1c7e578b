//! The first start, and the second.

use std::fs;
use std::sync::Arc;

use super::bootstrap::bootstrap;
use super::{AppError, Core};
use crate::config::Settings;
use crate::control::{Secret, revoke_token};
use crate::model::{Actor, Role, TokenScope};
use crate::sys::clock::SystemClock;

const POLICY: &str = "[[ring]]\nname = \"r\"\n[[group]]\nname = \"g\"\nmatch = \"any\"\nring = \"r\"\n";

struct Home {
    dir: tempfile::TempDir,
    settings: Settings,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { data: dir.path().join("data"), ..Settings::default() };
        settings.policy.bootstrap = dir.path().join("policy.toml");
        settings.admin.token_file = dir.path().join("admin.token");
        Self { dir, settings }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// One start; the error's text where it fails.
    async fn start(&self) -> Result<Core, String> {
        let core = Core::open(&self.settings, Arc::new(SystemClock)).map_err(|error| error.to_string())?;
        bootstrap(&core, &self.settings).await.map_err(|error| error.to_string())?;
        Ok(core)
    }
}

#[tokio::test]
async fn the_first_start_takes_over_the_files_and_the_second_nothing() {
    let home = Home::new();
    let secret = Secret::random().unwrap();
    home.write("policy.toml", POLICY);
    home.write("admin.token", &format!("{}\n", secret.expose()));
    let core = home.start().await.unwrap();
    let snapshot = core.catalog.snapshot();
    assert_eq!(snapshot.seq(), 2);
    assert_eq!(&*snapshot.policies()[0].text, POLICY);
    assert_eq!(snapshot.policies()[0].applied.by, Actor::system());
    let token = snapshot.token_by_hash(&core.token_key.hash(&secret)).unwrap();
    assert!(matches!(&token.scope, TokenScope::Person { role: Role::Admin, .. }), "{token:?}");
    drop((snapshot, core));
    // The file is only a file now, even a wrong one.
    home.write("policy.toml", "nonsense");
    let core = home.start().await.unwrap();
    let snapshot = core.catalog.snapshot();
    assert_eq!((snapshot.seq(), core.recovery.replayed), (2, 0));
    let token = snapshot.token_by_hash(&core.token_key.hash(&secret)).unwrap();
    assert!(token.is_valid_at(core.catalog.now()), "the key is the same one");
    revoke_token(&core.catalog, &Actor::system(), token.id).await.unwrap();
    drop((snapshot, core));
    let core = home.start().await.unwrap();
    let found = core.catalog.snapshot().token_by_hash(&core.token_key.hash(&secret)).cloned().unwrap();
    assert!(!found.is_valid_at(core.catalog.now()), "what was revoked stays revoked");
    assert_eq!(core.catalog.snapshot().seq(), 3);
}

#[tokio::test]
async fn a_wrong_file_is_named_and_nothing_is_taken_over() {
    let home = Home::new();
    home.write("policy.toml", "[[rung]]\n");
    let error = home.start().await.map(drop).unwrap_err();
    assert!(error.starts_with(&format!("{}: ", home.settings.policy.bootstrap.display())), "{error}");
    assert!(error.contains("line 1"), "{error}");
    home.write("policy.toml", POLICY);
    home.write("admin.token", "letmein");
    let error = home.start().await.map(drop).unwrap_err();
    assert!(error.contains("admin.token does not hold a token"), "{error}");
    assert!(!error.contains("letmein"), "a mistyped secret is not repeated");
    fs::remove_file(home.dir.path().join("policy.toml")).unwrap();
    fs::create_dir(home.dir.path().join("policy.toml")).unwrap();
    fs::remove_file(home.dir.path().join("admin.token")).unwrap();
    // The policy is in the journal by now, so its file is not even read.
    assert_eq!(home.start().await.unwrap().catalog.snapshot().seq(), 1);
}

#[tokio::test]
async fn without_files_the_server_starts_and_shows_nothing() {
    let home = Home::new();
    let core = home.start().await.unwrap();
    assert_eq!(core.catalog.snapshot().seq(), 0);
    // A second process has to wait for the first one's lock.
    let error = Core::open(&home.settings, Arc::new(SystemClock)).map(drop).unwrap_err();
    assert!(matches!(error, AppError::Lock(_)), "{error}");
}

#[tokio::test]
async fn a_damaged_token_key_is_not_replaced() {
    let home = Home::new();
    drop(home.start().await.unwrap());
    let key = home.settings.data.join("token.key");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&key, [1; 31]).unwrap();
    let error = home.start().await.map(drop).unwrap_err();
    assert!(error.contains("token.key") && error.contains("31 bytes"), "{error}");
    assert_eq!(fs::read(&key).unwrap(), [1; 31]);
}
