//! Executables that carry a cabinet: self-extractors.

use super::DeriveError;
use super::cabinet::{Cabinet, SIGNATURE, looks_like_header};

/// The most places that look like a cabinet and are none, before the search ends.
const ATTEMPTS_MAX: usize = 16;

/// The first cabinet inside an executable whose directory makes sense. The extractor's own code holds the signature,
/// too, so a place must look like a header before it is tried.
pub(super) fn find_cabinet(executable: &[u8]) -> Result<Cabinet<'_>, DeriveError> {
    let places = executable
        .windows(SIGNATURE.len())
        .enumerate()
        .filter(|(_, window)| *window == SIGNATURE)
        .filter_map(|(at, _)| executable.get(at..))
        .filter(|rest| looks_like_header(rest));
    let mut first_error = None;
    for place in places.take(ATTEMPTS_MAX) {
        match Cabinet::parse(place) {
            Ok(cabinet) => return Ok(cabinet),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or(DeriveError::NotAnArchive))
}
