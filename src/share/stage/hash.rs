//! Both digests of a body in one pass.

use std::io::{self, Read};

use sha2::Digest as _;

use crate::model::{Blake3Digest, Sha256Digest};

/// Bytes read, written or hashed at a time.
pub(super) const BUFFER_BYTES: usize = 1024 * 1024;

/// The two digests of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digests {
    pub(super) blake3: Blake3Digest,
    pub(super) sha256: Sha256Digest,
}

/// Reads `body` to its end: how many bytes it has, and their digests.
pub(super) fn digests_of(mut body: impl Read) -> io::Result<(u64, Digests)> {
    let (mut blake3, mut sha256) = (blake3::Hasher::new(), sha2::Sha256::new());
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        blake3.update(&buffer[..count]);
        sha256.update(&buffer[..count]);
        bytes += count as u64;
    }
    let blake3 = Blake3Digest::from_bytes(*blake3.finalize().as_bytes());
    Ok((bytes, Digests { blake3, sha256: Sha256Digest::from_bytes(sha256.finalize().into()) }))
}
