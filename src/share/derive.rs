//! From planned to bodies: what has to be made of a blob's bytes before a share can show them. Blocking, and without a
//! clock.

use md5::Digest as _;

/// The MD5 of these bytes as 32 lower-case hexadecimal characters, for clients that ask for nothing better.
pub fn md5_hex(bytes: &[u8]) -> String {
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
