//! What planning an answer costs, without any I/O: well below a microsecond, or it shows beside a 64 KiB range.

use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{ACCEPT, HOST, IF_NONE_MATCH, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use ringfence::model::{Blake3Digest, Sha256Digest};
use ringfence::serve::http::{Representation, plan};

fn request() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("updates.example:8480"));
    headers.insert(USER_AGENT, HeaderValue::from_static("curl/8.5.0"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers
}

fn benchmark(criterion: &mut Criterion) {
    let representation = Representation {
        size: 200 << 20,
        blake3: Blake3Digest::of(b"blob"),
        sha256: Some(Sha256Digest::of(b"blob")),
        last_modified: None,
        media_type: HeaderValue::from_static("application/octet-stream"),
        cache_control: Some(HeaderValue::from_static("private, immutable, max-age=31536000")),
        longest_transfer: None,
        boundary_salt: 1,
    };
    let with = |name, value| {
        let mut headers = request();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    };
    let requests = [
        ("whole", request()),
        ("one range", with(RANGE, "bytes=1048576-1114111")),
        ("four ranges", with(RANGE, "bytes=0-99,200-299,400-499,600-699")),
        ("not modified", with(IF_NONE_MATCH, "*")),
    ];
    for (name, headers) in &requests {
        criterion.bench_function(&format!("plan/{name}"), |bencher| {
            bencher.iter(|| plan(&Method::GET, std::hint::black_box(headers), &representation));
        });
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
