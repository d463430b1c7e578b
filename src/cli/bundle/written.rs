//! A receipt's two files on a medium.

use std::path::{Path, PathBuf};

use crate::cli::CliError;
use crate::sys::durable;

/// Writes `<name>.json`, then `<name>.sig`; each is there whole or not at all. The same receipt may be there; another one
/// is never overwritten. Returns the paths, durable.
pub(super) fn write(directory: &Path, name: &str, text: &str, signature: &str) -> Result<[PathBuf; 2], CliError> {
    if !directory.is_dir() {
        return Err(CliError::Input(format!("{}: this is no directory", directory.display())));
    }
    let path = |ending: &str| directory.join(format!("{name}.{ending}"));
    let files = [(path("json"), text), (path("sig"), signature)];
    for (path, content) in &files {
        match std::fs::read(path) {
            Ok(known) if known != content.as_bytes() => {
                return Err(CliError::Conflict(format!(
                    "{}: another receipt is there, perhaps of a copy of this site; write to another directory",
                    path.display()
                )));
            }
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(CliError::Failed(format!("{}: {cause}", path.display())));
            }
            Ok(_) | Err(_) => {}
        }
    }
    for (path, content) in &files {
        let written = durable::write_atomically(path, content.as_bytes(), 0o644);
        written.map_err(|cause| CliError::Failed(format!("{}: {cause}", path.display())))?;
    }
    Ok(files.map(|(path, _)| path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_receipt_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        let [text, signature] = write(place, "RECEIPT-ship-0001", "one", "signed").unwrap();
        assert_eq!(std::fs::read_to_string(&text).unwrap(), "one");
        assert_eq!(signature, place.join("RECEIPT-ship-0001.sig"));
        write(place, "RECEIPT-ship-0001", "one", "signed").unwrap();
        for (text, signature) in [("two", "signed"), ("one", "otherwise")] {
            assert_eq!(write(place, "RECEIPT-ship-0001", text, signature).unwrap_err().exit_code(), 7);
        }
        assert_eq!(std::fs::read_to_string(&text).unwrap(), "one");
        assert_eq!(write(&place.join("none"), "RECEIPT-ship-0001", "one", "x").unwrap_err().exit_code(), 3);
        assert_eq!(std::fs::read_dir(place).unwrap().count(), 2, "nothing temporary stays");
    }
}
