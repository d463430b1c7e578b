//! Randomness from the kernel, for secrets and for names that must not collide.

use std::io;

/// `N` bytes from the kernel's cryptographic generator.
///
/// # Errors
/// Where the kernel gives none, for example because `getrandom` is forbidden by a sandbox.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(random_bytes::<32>().unwrap(), random_bytes::<32>().unwrap());
    }
}
