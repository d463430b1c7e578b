//! The target before anything is done to it: whether it may be staged to at all, whose it is, and the lock.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::error::Context;
use super::manifest::{self, Manifest};
use super::tree::{HOME, PATH_CHARS_MAX, STAGING_PREFIX, StageTree, TreeFault};
use super::{StageError, StageOptions};
use crate::sys::durable;
use crate::sys::tree::{Kind, Root};

/// A directory that is ours to stage to.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) root: Root,
    pub(super) manifest: Option<Manifest>,
}

/// Refuses a tree that cannot be staged to the directory whatever that holds.
pub(super) fn check_tree(tree: &StageTree, context: &Context<'_>) -> Result<(), StageError> {
    let share = context.share.to_owned();
    match tree.fault() {
        Some(TreeFault::TooMany(files)) => return Err(StageError::TooManyFiles { share, files }),
        Some(TreeFault::Order(path)) => return Err(StageError::Order { share, path: path.to_string() }),
        Some(TreeFault::Reserved(path)) => return Err(StageError::Reserved { share, path: path.to_string() }),
        Some(TreeFault::Collision(path, other)) => {
            return Err(StageError::Collision { share, path: path.to_string(), other });
        }
        None => {}
    }
    let dir = std::path::absolute(context.dir).map_err(context.at(Path::new(""), "resolved"))?;
    let dir_chars = dir.to_string_lossy().trim_end_matches('/').chars().count() + 1;
    match tree.files.iter().find(|file| dir_chars + file.path.as_str().len() > PATH_CHARS_MAX) {
        Some(file) => {
            let path = dir.join(file.path.as_str());
            Err(StageError::PathTooLong { share, path, chars: dir_chars + file.path.as_str().len() })
        }
        None => Ok(()),
    }
}

impl Home {
    /// Opens the directory as it is. `None` where it does not exist but could be created.
    pub(super) fn open(
        tree: &StageTree,
        context: &Context<'_>,
        options: &StageOptions,
    ) -> Result<Option<Self>, StageError> {
        let (share, path) = (context.share.to_owned(), context.dir.to_owned());
        match fs::metadata(context.dir) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(StageError::NotADirectory { share, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = context
                    .dir
                    .parent()
                    .map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
                let is_possible = above.is_some_and(Path::is_dir) && fs::symlink_metadata(context.dir).is_err();
                return if is_possible { Ok(None) } else { Err(StageError::Missing { share, path }) };
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(StageError::Missing { share, path });
            }
            Err(error) => return Err(context.failed(Path::new(""), "looked at", error)),
        }
        let root = Root::open(context.dir).map_err(context.at(Path::new(""), "opened"))?;
        let manifest = Self::read_manifest(&root, tree, context, options)?;
        if manifest.is_none() && !options.adopt && !is_vacant(&root, context)? {
            // With a manifest that could not be read, `rehash` says that the directory is ours nevertheless.
            let is_told = options.rehash && manifest::read(&root).is_err();
            if !is_told {
                return Err(StageError::NotOurs { share, path });
            }
        }
        Ok(Some(Self { root, manifest }))
    }

    fn read_manifest(
        root: &Root,
        tree: &StageTree,
        context: &Context<'_>,
        options: &StageOptions,
    ) -> Result<Option<Manifest>, StageError> {
        let share = context.share.to_owned();
        match manifest::read(root) {
            Ok(Some(manifest)) if manifest.share == tree.share => Ok(Some(manifest)),
            Ok(Some(_)) if options.adopt => Ok(None),
            Ok(Some(manifest)) => {
                let (path, other) = (context.dir.to_owned(), manifest.share.to_string());
                Err(StageError::OtherShare { share, path, other })
            }
            Ok(None) => Ok(None),
            Err(_) if options.adopt || options.rehash => Ok(None),
            Err(why) => Err(StageError::UnreadableManifest { share, path: context.dir.join(manifest::path()), why }),
        }
    }

    /// Opens the directory to write: it is created where its parent is there, and locked until the file is dropped.
    pub(super) fn take(
        tree: &StageTree,
        context: &Context<'_>,
        options: &StageOptions,
    ) -> Result<(Self, File), StageError> {
        let mut home = match Self::open(tree, context, options)? {
            Some(home) => home,
            None => {
                durable::create_dir_durably(context.dir).map_err(|error| not_writable(context, error))?;
                let root = Root::open(context.dir).map_err(context.at(Path::new(""), "opened"))?;
                Self { root, manifest: None }
            }
        };
        let writable = |error| not_writable(context, error);
        let own = Path::new(HOME);
        // Only an adopted directory can have something else of this name.
        if home.root.look(own).map_err(writable)?.is_some_and(|seen| seen.kind != Kind::Directory) {
            home.root.remove(own).map_err(writable)?;
        }
        home.root.make_dir(own).map_err(writable)?;
        let lock_path = own.join("lock");
        if home.root.look(&lock_path).map_err(writable)?.is_some_and(|seen| seen.kind != Kind::File) {
            home.root.remove_all(&lock_path).map_err(writable)?;
        }
        let lock = home.root.lock(&lock_path).map_err(writable)?.map_err(|pid| StageError::Busy {
            share: context.share.to_owned(),
            path: context.dir.to_owned(),
            pid,
        })?;
        // Whoever had the lock before may have written another one.
        home.manifest = Self::read_manifest(&home.root, tree, context, options)?;
        Ok((home, lock))
    }
}

/// Whether there is nothing but what a first run that was cut off leaves.
fn is_vacant(root: &Root, context: &Context<'_>) -> Result<bool, StageError> {
    let names = root.list(Path::new("")).map_err(context.at(Path::new(""), "listed"))?;
    Ok(names.iter().all(|(name, seen)| {
        let is_own = name == HOME || name == "lost+found" || name.to_string_lossy().starts_with(STAGING_PREFIX);
        is_own && seen.kind == Kind::Directory
    }))
}

/// The error for the first thing that is written.
pub(super) fn not_writable(context: &Context<'_>, source: io::Error) -> StageError {
    match Errno::from_io_error(&source) {
        Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => {
            StageError::ReadOnly { share: context.share.to_owned(), path: PathBuf::from(context.dir), source }
        }
        _ => context.failed(Path::new(HOME), "prepared", source),
    }
}
