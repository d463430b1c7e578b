//! `plain`: every artifact at its own path.

use super::tree::{Part, Tree};
use super::{Body, Layout, LayoutProblem, Pick, Planned};

pub(super) struct Plain;

impl Layout for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn about(&self) -> &'static str {
        "every artifact at the path it was published under; one product's files switch together"
    }

    fn rollback_limit(&self) -> Option<&'static str> {
        None
    }

    fn plan<'a>(&self, picks: &[Pick<'a>]) -> Result<Vec<Planned<'a>>, Vec<LayoutProblem>> {
        let mut tree = Tree::default();
        for pick in picks {
            if pick.artifacts.is_empty() {
                tree.refuse(pick, None, "the release has no artifact for the share's platform; publish one");
            }
            for &artifact in &pick.artifacts {
                let set = pick.product.as_str();
                tree.add(pick, artifact.target.as_str(), Body::Artifact(artifact), Part::Of(set));
            }
        }
        tree.finish()
    }
}
