//! `clamav`: a database mirror as freshclam reads it, flat.

use super::tree::{Part, Tree, file_name};
use super::{Body, Layout, LayoutProblem, Pick, Planned};

/// The official databases; a misspelt one would be a database that no client ever asks for.
const OFFICIAL: [&str; 3] = ["main", "daily", "bytecode"];
/// Endings of databases that the scanner loads by their ending, whatever they are called.
const DATABASES: [&str; 36] = [
    "db", "hdb", "hdu", "fp", "mdb", "mdu", "hsb", "hsu", "sfp", "msb", "msu", "ndb", "ndu", "ldb", "ldu", "sdb",
    "zmd", "rmd", "pdb", "gdb", "wdb", "cbc", "ftm", "cfg", "cdb", "cat", "crb", "idb", "ioc", "yar", "yara", "pwdb",
    "ign", "ign2", "info", "imp",
];

pub(super) struct Clamav;

/// Whether a client of this layout can ask for a file of that name.
fn is_known(name: &str) -> bool {
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    match ending {
        _ if stem.is_empty() => false,
        "cvd" | "cld" => OFFICIAL.contains(&stem),
        "cdiff" | "sign" => true,
        _ => DATABASES.contains(&ending),
    }
}

impl Layout for Clamav {
    fn name(&self) -> &'static str {
        "clamav"
    }

    fn about(&self) -> &'static str {
        "a ClamAV mirror: main, daily and bytecode databases, differences and signatures, and custom databases"
    }

    fn rollback_limit(&self) -> Option<&'static str> {
        Some(
            "freshclam in mirror mode (PrivateMirror) compares the version inside the database with its own and ignores \
             an older one; with DatabaseCustomURL it takes it",
        )
    }

    fn plan<'a>(&self, picks: &[Pick<'a>]) -> Result<Vec<Planned<'a>>, Vec<LayoutProblem>> {
        let mut tree = Tree::default();
        for pick in picks {
            if pick.artifacts.is_empty() {
                tree.refuse(pick, None, "the release has no artifact for the share's platform; publish a database");
            }
            for &artifact in &pick.artifacts {
                let name = file_name(artifact);
                if is_known(name) {
                    // Each database has a version of its own, and each difference and signature the one in its name: a
                    // client mixes nothing when one of them is newer than another.
                    tree.add(pick, name, Body::Artifact(artifact), Part::Alone);
                } else {
                    let why = "ClamAV reads no file of that name (main, daily or bytecode with .cvd or .cld; .cdiff, \
                               .sign, or a custom database such as .ndb); leave it out of the release or rename it";
                    tree.refuse(pick, Some(artifact.target.as_str()), why);
                }
            }
        }
        tree.finish()
    }
}
