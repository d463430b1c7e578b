//! Why the files of a listener's TLS are not taken.

use std::path::PathBuf;

use jiff::Timestamp;

/// Why the files of a listener's TLS are not taken: one sentence that names the file and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{}: the file cannot be read: {cause}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The file is larger than anything sensible.
    #[error("{}: the file is larger than {limit_bytes} bytes: name a smaller one", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file is not PEM.
    #[error("{}: the file is not PEM ({cause}): convert it with `openssl {tool} -inform der -in … -out …`", path.display())]
    NotPem {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
        /// The command of openssl that converts this kind of file.
        tool: &'static str,
    },
    /// The file is PEM, but holds nothing of the kind.
    #[error("{}: the file holds no {what}: name the one that does", path.display())]
    Without {
        /// Which file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// More of the kind than anybody needs.
    #[error("{}: the file holds more than {limit} of a {what}: name one with fewer", path.display())]
    TooMany {
        /// Which file.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The key needs a passphrase.
    #[error("{}: the key is encrypted, and nobody is there to decrypt it: write it out with `openssl pkey -in … -out …`, and protect the file by its mode (0600)", path.display())]
    EncryptedKey {
        /// Which file.
        path: PathBuf,
    },
    /// Which key is meant cannot be told.
    #[error("{}: the file holds {count} private keys: leave only that of the certificate", path.display())]
    SeveralKeys {
        /// Which file.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// The key is of a kind that is not spoken.
    #[error("{}: the key cannot be used ({cause}): make an ECDSA (P-256, P-384), RSA (2048 bits or more) or Ed25519 key", path.display())]
    KeyUnfit {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The key is another certificate's.
    #[error("{}: the key is not that of the first certificate in {}: name the pair, the server's own certificate first", key.display(), certificate.display())]
    KeyMismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// A certificate cannot be understood.
    #[error("{}: a certificate in the file cannot be used ({cause}): have it issued again", path.display())]
    BadCertificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A list of revoked certificates cannot be understood.
    #[error("{}: the revocation list cannot be used ({cause}): fetch a full X.509 v2 list from its CA", path.display())]
    BadCrl {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The certificate's time is over, and `expired = "refuse"`.
    #[error("{}: the certificate expired on {at}: renew it, or set expired = \"serve\" until you have", path.display())]
    Expired {
        /// Which file.
        path: PathBuf,
        /// Its end.
        at: Timestamp,
    },
    /// Its time has not come, and `expired = "refuse"`.
    #[error("{}: the certificate is valid only from {at} on: wait, set the clock, or set expired = \"serve\"", path.display())]
    NotYetValid {
        /// Which file.
        path: PathBuf,
        /// Its beginning.
        at: Timestamp,
    },
    /// The system gives no randomness for the tickets' keys.
    #[error("no keys for session tickets can be made: {0}")]
    Tickets(String),
}
