//! What hyper lets through and two HTTP implementations in a row may read differently. Such a request is answered 400,
//! and the connection closes.
//!
//! hyper itself refuses what no parser should take: differing lengths, folded lines, bare line ends, a space before a
//! colon, codings that do not end in `chunked`. Of Content-Length beside Transfer-Encoding it drops the former before
//! anyone sees it, reads the body as chunked and closes the connection after the answer (RFC 9112 section 6.1), so that
//! nothing behind the body is ever taken for a request.

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderValue, Request, StatusCode, Version};

use super::problem::Problem;

/// The refusal of a request that could be read in two ways.
pub(crate) fn refusal<B>(request: &Request<B>) -> Option<Problem> {
    let is_h1 = matches!(request.version(), Version::HTTP_10 | Version::HTTP_11);
    let detail = if !is_h1 { None } else { bad_coding(request).or_else(|| bad_host(request)) }?;
    let problem = Problem::with_detail(StatusCode::BAD_REQUEST, detail);
    Some(problem.header(CONNECTION, HeaderValue::from_static("close")))
}

/// A coding that is not understood must not be passed over (RFC 9112 section 6.1), and `chunked` once is the only one
/// that is.
fn bad_coding<B>(request: &Request<B>) -> Option<&'static str> {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let first = codings.next()?;
    let is_plain = codings.next().is_none() && first.as_bytes().eq_ignore_ascii_case(b"chunked");
    (!is_plain).then_some("Transfer-Encoding must be chunked, and nothing else")
}

/// RFC 9112 section 3.2: exactly one valid Host over HTTP/1.1, and at most one over 1.0. Where the request's target is a
/// whole URI, its host must be the same one: a cache before us may have gone by either.
fn bad_host<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let Some(host) = first else {
        return (request.version() == Version::HTTP_11).then_some("the header Host is missing");
    };
    if second.is_some() {
        return Some("the header Host stands there twice");
    }
    let is_valid =
        host.is_empty() || Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains(['@', ',']));
    if !is_valid {
        return Some("the header Host is not the name of a host");
    }
    let target = request.uri().authority()?;
    let is_same = host.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes());
    (!is_same).then_some("the header Host is not the host of the request's target")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(uri: &str, headers: &[(&str, &str)]) -> bool {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        refusal(&request.body(()).unwrap()).is_some()
    }

    #[test]
    fn one_valid_host() {
        for host in ["x", "x:80", "[::1]:8480", "10.0.0.1", ""] {
            assert!(!is_refused("/a", &[("host", host)]), "{host}");
        }
        for host in ["x y", "x/y", "u@x", "x,y", "x\ty"] {
            assert!(is_refused("/a", &[("host", host)]), "{host}");
        }
        assert!(is_refused("/a", &[]));
        assert!(is_refused("/a", &[("host", "x"), ("host", "x")]));
        assert!(!is_refused("http://x/a", &[("host", "X")]));
        assert!(is_refused("http://x/a", &[("host", "y")]));
    }

    #[test]
    fn chunked_and_nothing_else() {
        assert!(!is_refused("/a", &[("host", "x"), ("transfer-encoding", "Chunked")]));
        for coding in ["gzip, chunked", "chunked, chunked", "chunked ,", "chunked;q=1"] {
            assert!(is_refused("/a", &[("host", "x"), ("transfer-encoding", coding)]), "{coding}");
        }
        let twice = [("host", "x"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert!(is_refused("/a", &twice));
    }

    #[test]
    fn http2_has_its_own_rules() {
        let request = Request::get("http://x/").version(Version::HTTP_2).body(()).unwrap();
        assert!(refusal(&request).is_none());
    }
}
