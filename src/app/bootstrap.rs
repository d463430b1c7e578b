//! The first start: the policy and the admin token that `init` wrote are taken over into the journal, once.

use std::fs;
use std::io;
use std::path::Path;

use super::core::Core;
use super::error::AppError;
use crate::config::Settings;
use crate::control::{Secret, adopt_token, apply_policy};
use crate::model::{Actor, Role, TokenScope};

/// Takes over what the journal does not have yet. Files that are missing are passed over.
pub(super) async fn bootstrap(core: &Core, settings: &Settings) -> Result<(), AppError> {
    first_policy(core, &settings.policy.bootstrap).await?;
    admin_token(core, &settings.admin.token_file).await
}

/// A policy in the journal, any policy, makes the file only a file: from then on it counts when it is applied.
async fn first_policy(core: &Core, path: &Path) -> Result<(), AppError> {
    let snapshot = core.catalog.snapshot();
    // An offline site's policy, even that there is none, comes with its bundles.
    if !snapshot.policies().is_empty() || snapshot.applied_bundle().is_some() {
        return Ok(());
    }
    let Some(text) = read(path)? else {
        tracing::warn!(path = %path.display(), "there is no policy yet, so no device sees anything; apply one with `ringfence policy apply`");
        return Ok(());
    };
    let applied = apply_policy(&core.catalog, &Actor::system(), text, Some(0)).await;
    let applied = applied.map_err(|error| AppError::FirstPolicy { path: path.to_owned(), source: Box::new(error) })?;
    tracing::info!(path = %path.display(), policy = applied.seq, "the first policy is in force");
    Ok(())
}

async fn admin_token(core: &Core, path: &Path) -> Result<(), AppError> {
    let Some(text) = read(path)? else { return Ok(()) };
    let secret: Secret = text.trim().parse().map_err(|_| AppError::BadTokenFile(path.to_owned()))?;
    let scope = TokenScope::Person { actor: Actor::admin(), role: Role::Admin, reach: Default::default() };
    if adopt_token(&core.catalog, &Actor::system(), &core.token_key, &secret, scope).await? {
        tracing::info!(path = %path.display(), "the admin token of this file may be used");
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<String>, AppError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AppError::io("read", path)(error)),
    }
}
