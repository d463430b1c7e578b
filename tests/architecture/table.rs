//! The one table: which room may use which, and which words belong to which room only.

/// A room, the rooms it may use, and whether it is pure: no I/O, clock, randomness, threads or async.
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) may_use: &'static [&'static str],
    pub(crate) pure: bool,
}

const fn room(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { name, may_use, pure: false }
}

const fn pure(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { name, may_use, pure: true }
}

/// In dependency order: data flows down the list and nothing imports upward.
pub(crate) const ROOMS: &[Room] = &[
    pure("model", &[]),
    pure("policy", &["model"]),
    room("sys", &[]),
    // What is signed, and how: the seeds of keys and the bytes of files are read elsewhere.
    pure("signing", &["model"]),
    pure("gate", &["model", "signing"]),
    room("telemetry", &[]),
    room("journal", &["model", "sys"]),
    room("store", &["model", "sys"]),
    // The index lives in `store` (Index), its trees of releases, devices and reports are the catalog's.
    room("catalog", &["model", "policy", "journal", "store", "sys"]),
    // It names media types as publishing does.
    room("share", &["model", "policy", "gate", "store", "catalog", "sys"]),
    // The journal's errors are a publisher's errors.
    // A release's names must fit every share that shows its product: the layouts, which are shares', say whether they do.
    room("publish", &["model", "signing", "policy", "gate", "journal", "store", "catalog", "share", "sys"]),
    // Every change that is not a publication: products, approvals, holds, pins, policy, devices, tokens.
    // A policy's shares must have layouts that `share` knows.
    room("control", &["model", "signing", "policy", "store", "catalog", "journal", "share", "sys"]),
    // What a site is given are decisions. The journal's errors are those of whoever exports or imports.
    room("bundle", &["model", "signing", "policy", "journal", "store", "catalog", "publish", "sys"]),
    // What the command line speaks to the admin listener with, and a mirror to its upstream.
    room("client", &["model", "signing"]),
    room("mirror", &["model", "signing", "policy", "journal", "store", "catalog", "publish", "client", "sys"]),
    room(
        "serve",
        &[
            "model",
            "policy",
            "gate",
            "sys",
            "signing",
            "telemetry",
            "journal",
            "store",
            "catalog",
            "publish",
            "control",
            "share",
            "bundle",
            "mirror",
        ],
    ),
    room(
        "config",
        &[
            "model",
            "sys",
            "telemetry",
            "journal",
            "store",
            "catalog",
            "publish",
            "control",
            "bundle",
            "mirror",
            "serve",
        ],
    ),
    room(
        "app",
        &[
            "model",
            "policy",
            "gate",
            "sys",
            "signing",
            "telemetry",
            "journal",
            "store",
            "catalog",
            "publish",
            "control",
            "share",
            "bundle",
            "client",
            "mirror",
            "serve",
            "config",
        ],
    ),
    // `init` makes an admin token's secret as `control` spells it; `share stage` writes a tree where no server runs.
    // `release manifest` names media types as publishing does.
    // `bundle` reads and writes media where no server runs.
    room(
        "cli",
        &["model", "policy", "sys", "signing", "gate", "control", "share", "bundle", "config", "client", "app"],
    ),
    room("main", &["cli"]),
];

/// A word that only some rooms may say.
pub(crate) struct Word {
    /// As a path or macro, matched at word boundaries.
    pub(crate) word: &'static str,
    /// The rooms or files that may say it.
    pub(crate) only_in: &'static [&'static str],
    /// What to do instead.
    pub(crate) remedy: &'static str,
}

const fn word(word: &'static str, only_in: &'static [&'static str], remedy: &'static str) -> Word {
    Word { word, only_in, remedy }
}

const HTTP: &[&str] = &["serve", "client", "mirror"];
const SYS: &[&str] = &["sys"];
const PRINT: &[&str] = &["cli", "main"];
const CLOCK: &str = "take `now` as an argument, or a sys::Clock";
const DURABLE: &str = "call the helper of sys/durable.rs, which also syncs the directory";

/// Words outside of which rooms they may not be said.
pub(crate) const WORDS: &[Word] = &[
    word("hyper", HTTP, "domain rooms know no HTTP"),
    word("hyper_util", HTTP, "domain rooms know no HTTP"),
    word("axum", &["serve"], "only the admin listener routes with axum"),
    word("StatusCode", HTTP, "return a typed error; serve maps it to a status"),
    word("sled", &["store", "catalog"], "go through store::Index"),
    word("clap", &["cli"], "parse arguments in cli and pass values"),
    word("SystemTime::now", SYS, CLOCK),
    word("Timestamp::now", SYS, CLOCK),
    word("Zoned::now", SYS, CLOCK),
    word("getrandom", SYS, "call sys::random_bytes"),
    word("fs::rename", SYS, DURABLE),
    word("fs::remove_file", SYS, DURABLE),
    word("fs::remove_dir", SYS, DURABLE),
    word("fs::remove_dir_all", SYS, DURABLE),
    word("fs::hard_link", SYS, DURABLE),
    word("println!", PRINT, "return what is to be printed, or log it with tracing"),
    word("print!", PRINT, "return what is to be printed, or log it with tracing"),
    word("eprintln!", PRINT, "return what is to be printed, or log it with tracing"),
    word("eprint!", PRINT, "return what is to be printed, or log it with tracing"),
    word("unsafe", &["src/sys/map.rs"], "sys/map.rs is the one unsafe module"),
    word(".unwrap()", &[], "return a typed error, or use expect with the reason why it cannot fail"),
    word("todo!", &[], "write it, or leave it out"),
    word("unimplemented!", &[], "write it, or leave it out"),
];

/// Words no pure room may say.
pub(crate) const IMPURE: &[&str] = &[
    "tokio",
    "tokio_util",
    "tracing",
    "rustls",
    "sled",
    "hyper",
    "memmap2",
    "rustix",
    "async",
    "await",
    "std::fs",
    "std::env",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "Instant::now",
];

/// Longest file, and longest function, in lines.
pub(crate) const FILE_LINES_MAX: usize = 400;
pub(crate) const FUNCTION_LINES_MAX: usize = 70;
