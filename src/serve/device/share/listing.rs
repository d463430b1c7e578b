//! A folder of a share as a page of its own, or as plain lines for scripts.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};

use crate::model::{ShareName, TargetName};
use crate::serve::bodies::RequestBody;
use crate::serve::http::BytesBody;
use crate::share::{Found, listing};

/// A name directly below the folder, and the file where it is one.
type Row<'s> = (&'s str, Option<Found<'s>>);

/// The listing of a folder of these files; `None` where there is no such folder.
pub(super) fn answer(
    files: &[Found<'_>],
    share: &ShareName,
    folder: &Option<TargetName>,
    request: &Request<RequestBody>,
) -> Option<Response<BytesBody>> {
    let folder = folder.as_ref().map_or("", TargetName::as_str);
    let mut rows = listing(files, folder)?;
    // Stable, so that names stay in order.
    rows.sort_by_key(|(_, found)| found.is_some());
    let (media_type, text) = if wants_text(request.headers()) {
        ("text/plain; charset=utf-8", lines(&rows))
    } else {
        ("text/html; charset=utf-8", page(&rows, share, folder))
    };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_LENGTH, text.len().into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let body = if request.method() == Method::HEAD { BytesBody::empty() } else { Bytes::from(text).into() };
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    Some(response)
}

/// Whether plain text is named and HTML is not: a browser names HTML, a script that wants lines names only them.
fn wants_text(headers: &HeaderMap) -> bool {
    let lines = || headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let names = || lines().flat_map(|line| line.split(',')).filter_map(|range| range.split(';').next());
    let names_type = |wanted: &str| names().any(|name| name.trim().eq_ignore_ascii_case(wanted));
    names_type("text/plain") && !names_type("text/html")
}

fn lines(rows: &[Row<'_>]) -> String {
    rows.iter().fold(String::new(), |text, (name, _)| text + name + "\n")
}

fn page(rows: &[Row<'_>], share: &ShareName, folder: &str) -> String {
    let slash = if folder.is_empty() { "" } else { "/" };
    let title = escape(&format!("/shares/{share}/{folder}{slash}"));
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>\n\
         <h1>{title}</h1>\n<table>\n<tr><th>Name</th><th>Bytes</th><th>Since (UTC)</th></tr>\n"
    );
    if !folder.is_empty() {
        text.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for (name, found) in rows {
        let (href, name) = (escape(&encode(name)), escape(name));
        let (size, since) = found.map_or_else(Default::default, |found| {
            (found.file.size.to_string(), found.since.strftime("%Y-%m-%d %H:%M:%S").to_string())
        });
        // Writing to a string cannot fail.
        let _ = writeln!(text, "<tr><td><a href=\"{href}\">{name}</a></td><td>{size}</td><td>{since}</td></tr>");
    }
    text.push_str("</table>\n</body>\n</html>\n");
    text
}

/// What RFC 3986 does not allow in a path becomes `%XX`; `/` stays.
fn encode(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The grammar of names has nothing to escape today; the page does not rely on it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_for_who_names_only_them() {
        let wants = |lines: &[&'static str]| {
            wants_text(&lines.iter().map(|line| (ACCEPT, HeaderValue::from_static(line))).collect())
        };
        for accept in [&["text/plain"] as &[_], &["text/plain;q=0.5, */*"], &["image/png", "Text/Plain"]] {
            assert!(wants(accept), "{accept:?}");
        }
        for accept in [&[] as &[_], &["*/*"], &["text/html"], &["text/html,text/plain"], &["text/*"]] {
            assert!(!wants(accept), "{accept:?}");
        }
    }

    #[test]
    fn what_html_and_urls_do_not_take_is_spelt_otherwise() {
        assert_eq!(escape("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
        assert_eq!(encode("{a}+~b/"), "%7Ba%7D+~b/");
    }
}
