//! Blanks out what the checks must not see. Not a Rust parser: it knows comments, literals, attributes and brackets,
//! which is enough for code that rustfmt has laid out.

/// Replaces comments and the insides of string and character literals by spaces; line feeds stay where they are.
pub(crate) fn strip_comments_and_strings(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at + 1..].first() == Some(&b'/') => line_end(bytes, at),
            b'/' if bytes[at + 1..].first() == Some(&b'*') => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !continues_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'b' if !continues_word(bytes, at) && bytes[at + 1..].first() == Some(&b'r') => {
                raw_string_end(bytes, at + 1).unwrap_or(at)
            }
            b'\'' => char_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    // Only whole literals and comments were blanked, so what is left is still UTF-8.
    String::from_utf8(out).expect("blanking keeps the text UTF-8")
}

fn continues_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_word(bytes[at - 1]) && !(bytes[at - 1] == b'b' && !(at > 1 && is_word(bytes[at - 2])))
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut here = at;
    while here < bytes.len() {
        if bytes[here..].starts_with(b"/*") {
            depth += 1;
            here += 2;
        } else if bytes[here..].starts_with(b"*/") {
            depth -= 1;
            here += 2;
            if depth == 0 {
                return here;
            }
        } else {
            here += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut here = at + 1;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b'"' => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

/// `at` is the `r`; `None` if no raw string starts there.
fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = &bytes[open + 1..];
    let length = body.windows(close.len()).position(|window| window == close)?;
    Some(open + 1 + length + close.len())
}

/// `None` if the quote opens a lifetime.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at + 1..];
    if rest.first() == Some(&b'\\') {
        return rest[2..].iter().position(|byte| *byte == b'\'').map(|length| at + 1 + 2 + length + 1);
    }
    let width = match rest.first()? {
        0..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    (rest.get(width) == Some(&b'\'')).then_some(at + 1 + width + 1)
}

const CFG_TEST: &str = "#[cfg(test)]";

/// The end of the item that starts after an attribute at `at`: its closing brace, its semicolon, or, if it is a field or
/// a variant, its comma.
pub(crate) fn item_end(code: &str, at: usize) -> usize {
    const ITEMS: [&str; 12] =
        ["fn", "pub", "mod", "use", "impl", "struct", "enum", "trait", "const", "static", "async", "unsafe"];
    let bytes = code.as_bytes();
    let first = code[at..].split_whitespace().find(|word| !word.starts_with("#[")).unwrap_or_default();
    let is_item = ITEMS.contains(&first.split('(').next().unwrap_or_default());
    let mut depth = 0_i32;
    let mut here = at;
    while here < bytes.len() {
        match bytes[here] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth -= 1,
            b'}' => {
                depth -= 1;
                if depth <= 0 {
                    return here + 1;
                }
            }
            b';' if depth == 0 => return here + 1,
            b',' if depth == 0 && !is_item => return here + 1,
            _ => {}
        }
        here += 1;
    }
    bytes.len()
}

/// A module declared under `#[cfg(test)]`: by its name, or by the file that its `#[path]` names.
pub(crate) enum TestModule {
    Named(String),
    Path(String),
}

/// The files that `text` declares as tests; `code` is the same without comments and literals, byte for byte.
pub(crate) fn cfg_test_modules(text: &str, code: &str) -> Vec<TestModule> {
    let items = code.match_indices(CFG_TEST).map(|(at, _)| {
        let start = at + CFG_TEST.len();
        start..item_end(code, start)
    });
    let modules = items.filter_map(|item| {
        let path = text[item.clone()].split("#[path = \"").nth(1).and_then(|rest| rest.split('"').next());
        let name = code[item].split("mod ").nth(1)?.trim().strip_suffix(';')?;
        let is_file = name.bytes().all(is_word);
        is_file.then(|| path.map_or_else(|| TestModule::Named(name.into()), |path| TestModule::Path(path.into())))
    });
    modules.collect()
}

/// Blanks out every item under `#[cfg(test)]`, in code without comments and literals.
pub(crate) fn strip_tests(code: &str) -> String {
    let mut out = code.to_owned();
    let mut from = 0;
    while let Some(at) = out[from..].find(CFG_TEST).map(|at| from + at) {
        let end = item_end(&out, at + CFG_TEST.len());
        let blank: String = out[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        from = at + blank.len();
        out.replace_range(at..end, &blank);
    }
    out
}
