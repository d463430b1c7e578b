//! A data directory in memory, which can be copied and put back.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::catalog::testing::World;
use crate::sys::clock::ManualClock;

/// A world of this clock.
pub(crate) fn world(clock: &Arc<ManualClock>) -> World {
    World { clock: clock.clone(), ..World::in_memory() }
}

/// Lets go of a catalog, and waits until nobody has it.
pub(crate) async fn close(catalog: Arc<Catalog>) {
    let left = Arc::downgrade(&catalog);
    drop(catalog);
    while left.strong_count() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}
