//! A share of its full size, measured. Run by hand: `cargo test --lib scale -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

#[test]
#[ignore = "writes 4 GiB; run by hand to measure"]
fn a_thousand_files_of_two_gibibytes_in_which_ten_changed() {
    let mut target = Target::on_disk();
    let body = |file: usize, version: usize| {
        let mut bytes = vec![0; 2 * 1024 * 1024];
        blake3::Hasher::new().update(format!("{file} {version}").as_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    };
    struct Made(Box<dyn Fn(usize, usize) -> Vec<u8>>);
    impl Bodies for Made {
        fn open(&self, file: &StageFile) -> io::Result<Body> {
            let number: usize = file.path.as_str()[5..].parse().map_err(io::Error::other)?;
            let version = usize::from(file.set.ends_with('2'));
            Ok(Body::Bytes(Bytes::from(self.0(number, version))))
        }
    }
    let file = |number: usize, version: usize| {
        let bytes = body(number, version);
        let (at, set) = (i64::try_from(version).unwrap(), if version == 0 { "" } else { "2" });
        StageFile {
            path: format!("data/{number}").parse().unwrap(),
            size: bytes.len() as u64,
            blake3: Blake3Digest::of(&bytes),
            sha256: Sha256Digest::of(&bytes),
            modified: second(at),
            set: set.to_owned(),
            last: false,
        }
    };
    let mut tree = target.memory.tree(1, &[]);
    tree.files = (0..1_000).map(|number| file(number, 0)).collect();
    tree.files.sort_by(|a, b| a.path.cmp(&b.path));
    let bodies = Made(Box::new(body));
    let run = |tree: &StageTree, options: &StageOptions| {
        let started = Instant::now();
        let staged = stage(tree, &target.dir(), &bodies, options, second(9), &mut |_| {}).unwrap();
        println!("{:?}: {} bytes written, switch {} us", started.elapsed(), staged.written_bytes, staged.switch_us);
    };
    run(&tree, &KEEPING);
    let first = tree.clone();
    for number in 0..10 {
        let at = tree.files.iter().position(|file| file.path.as_str() == format!("data/{}", number * 97)).unwrap();
        tree.files[at] = file(number * 97, 1);
    }
    tree.switch = 2;
    run(&tree, &KEEPING);
    run(&tree, &KEEPING);
    run(&StageTree { switch: 3, ..first }, &KEEPING);
    // The same change by rsync, on copies of the same trees.
    let (old, new) = (target.dir().join(".ringfence/previous"), target.dir().join("data"));
    let copy = target.temporary.path().join("copy");
    let rsync = |from: &Path| {
        let started = Instant::now();
        let status = std::process::Command::new("rsync").args(["-a", "--checksum"]).arg(from).arg(&copy).status();
        println!("rsync {status:?}: {:?}", started.elapsed());
    };
    rsync(&new);
    rsync(&old.join("data"));
}
