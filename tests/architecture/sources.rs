//! The sources as the checks see them: stripped of what is not code or only tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::strip::{TestModule, cfg_test_modules, strip_comments_and_strings, strip_tests};

/// One file under `src/`.
pub(crate) struct Source {
    /// `src/room/file.rs`.
    pub(crate) path: String,
    /// As written.
    pub(crate) text: String,
    /// With comments, literals and tests blanked out; line numbers are kept.
    pub(crate) code: String,
    test_modules: Vec<TestModule>,
}

impl Source {
    /// `tests` are path prefixes whose files are tests as a whole.
    pub(crate) fn new(path: String, text: String, tests: &[String]) -> Self {
        let bare = strip_comments_and_strings(&text);
        let is_test =
            tests.iter().any(|prefix| path == format!("{prefix}.rs") || path.starts_with(&format!("{prefix}/")));
        let test_modules = cfg_test_modules(&text, &bare);
        let code = if is_test { String::new() } else { strip_tests(&bare) };
        Self { path, text, code, test_modules }
    }

    /// Path prefixes of the modules that this file declares under `#[cfg(test)]`.
    pub(crate) fn test_files(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = match stem.strip_suffix("/mod").or_else(|| stem.strip_suffix("/lib")) {
            Some(folder) => folder,
            None => stem,
        };
        let beside = self.path.rsplit_once('/').map_or("", |(beside, _)| beside);
        let prefix = |module: &TestModule| match module {
            TestModule::Named(name) => format!("{folder}/{name}"),
            TestModule::Path(file) => format!("{beside}/{}", file.trim_end_matches(".rs")),
        };
        self.test_modules.iter().map(prefix).collect()
    }

    /// The room: the first component under `src/`.
    pub(crate) fn room(&self) -> &str {
        let inner = self.path.trim_start_matches("src/");
        inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
    }

    /// How many `super::` lead from this file's module to the crate's root.
    pub(crate) fn depth(&self) -> usize {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        inner.split('/').count()
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of sources can be read") {
        let path = entry.expect("a folder of sources can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every file under `src/`, in order of path.
pub(crate) fn read_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    let read = |file: &PathBuf, tests: &[String]| {
        let path = file.strip_prefix(root).expect("the file lies below the root").to_string_lossy().into_owned();
        Source::new(path, fs::read_to_string(file).expect("a source is UTF-8"), tests)
    };
    let tests: Vec<String> = files.iter().flat_map(|file| read(file, &[]).test_files()).collect();
    files.iter().map(|file| read(file, &tests)).collect()
}
