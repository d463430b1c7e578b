//! The words of a query, each at most once, and nothing else: a misspelt key would silently change the answer.

use http::StatusCode;

use super::Problem;
use crate::model::{Platform, ProductName, Version};

/// Longest query that is read.
const MAX_QUERY_BYTES: usize = 1024;

/// What a device says beside the path. Which of the keys a route takes is the route's business.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) platform: Option<Platform>,
    pub(super) product: Option<ProductName>,
    pub(super) current: Option<Version>,
}

impl Query {
    /// Reads a query that may have these keys.
    pub(super) fn parse(text: &str, keys: &[&str]) -> Result<Self, Problem> {
        let bad = |detail: String| Problem::with_detail(StatusCode::BAD_REQUEST, detail);
        if text.len() > MAX_QUERY_BYTES {
            return Err(bad(format!("a query has at most {MAX_QUERY_BYTES} characters")));
        }
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_repeated = match key {
                _ if !keys.contains(&key) => return Err(bad(format!("this query has only {}", keys.join(", ")))),
                "platform" => query.platform.replace(value.parse().map_err(|error| bad(format!("{error}")))?).is_some(),
                "product" => query.product.replace(value.parse().map_err(|error| bad(format!("{error}")))?).is_some(),
                _ => query.current.replace(value.parse().map_err(|error| bad(format!("{error}")))?).is_some(),
            };
            if is_repeated {
                return Err(bad(format!("{key} stands twice in the query")));
            }
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let all = ["platform", "product", "current"];
        let query = Query::parse("platform=windows-x64&product=av&current=1.2.3", &all).unwrap();
        assert_eq!(query.platform.unwrap().as_str(), "windows-x64");
        assert_eq!(query.product.unwrap().as_str(), "av");
        assert_eq!(query.current.unwrap().as_str(), "1.2.3");
        assert_eq!(Query::parse("", &all).unwrap(), Query::default());
        let long = "x".repeat(2000);
        let bad = [
            "platform=",
            "current=v1",
            "platfrom=x",
            "current=1&current=1",
            "current=1%2E2",
            "x",
            "product=A%20B",
            &long,
        ];
        for text in bad {
            assert!(Query::parse(text, &all).is_err(), "{text}");
        }
        assert!(Query::parse("product=av", &["platform", "current"]).is_err(), "not every route takes every key");
    }
}
