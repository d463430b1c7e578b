//! `suricata`: rule archives with the `.md5` files that suricata-update asks for first.

use super::tree::{Part, Tree, file_name};
use super::{Body, Layout, LayoutProblem, Pick, Planned};

const ENDINGS: [&str; 4] = [".rules.tar.gz", ".tar.gz", ".rules", ".zip"];

pub(super) struct Suricata;

fn is_rules(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.strip_suffix(ending).is_some_and(|stem| !stem.is_empty()))
}

impl Layout for Suricata {
    fn name(&self) -> &'static str {
        "suricata"
    }

    fn about(&self) -> &'static str {
        "rule sets for suricata-update: NAME.rules.tar.gz, each with a generated NAME.rules.tar.gz.md5"
    }

    fn rollback_limit(&self) -> Option<&'static str> {
        None
    }

    fn plan<'a>(&self, picks: &[Pick<'a>]) -> Result<Vec<Planned<'a>>, Vec<LayoutProblem>> {
        let mut tree = Tree::default();
        for pick in picks {
            let mut fits_any = false;
            for &artifact in &pick.artifacts {
                let name = file_name(artifact);
                // A `.md5` that the release brings is left out: the generated one cannot contradict the bytes.
                if !is_rules(name) {
                    continue;
                }
                fits_any = true;
                tree.add(pick, name, Body::Artifact(artifact), Part::Of(name));
                tree.add(pick, &format!("{name}.md5"), Body::Md5Of(artifact), Part::IndexOf(name));
            }
            if !fits_any {
                let why = "no artifact fits the layout; publish a .rules.tar.gz, .tar.gz, .rules or .zip";
                tree.refuse(pick, None, why);
            }
        }
        tree.finish()
    }
}
