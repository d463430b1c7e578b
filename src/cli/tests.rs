use clap::{CommandFactory as _, Parser as _};
use serde_json::json;

use super::*;
use crate::client::{ClientError, Problem};

#[test]
fn the_tree_is_consistent() {
    Cli::command().debug_assert();
}

/// The help of every command, as it is printed without a terminal.
#[test]
fn help_texts() {
    fn add(command: &mut clap::Command, path: &str, texts: &mut Vec<(String, String)>) {
        texts.push((path.to_owned(), command.render_long_help().to_string()));
        for sub in command.get_subcommands_mut() {
            let path = format!("{path}-{}", sub.get_name());
            add(sub, &path, texts);
        }
    }
    let mut root = command().term_width(100);
    root.build();
    let mut texts = Vec::new();
    add(&mut root, "ringfence", &mut texts);
    for (path, text) in texts {
        insta::assert_snapshot!(format!("help-{path}"), text);
    }
}

#[test]
fn every_command_and_argument_says_what_it_is() {
    fn check(command: &clap::Command, path: &str) {
        assert!(command.get_about().is_some(), "{path} has no description");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{path}: {} has no description", argument.get_id());
        }
        command.get_subcommands().for_each(|sub| check(sub, &format!("{path} {}", sub.get_name())));
    }
    check(&command(), "ringfence");
}

#[test]
fn what_design_spells_is_accepted() {
    for line in [
        "demo",
        "demo --data d --port-base 9000",
        "init d",
        "serve --config ringfence.toml --data d --device-listen 127.0.0.1:1 --admin-listen 127.0.0.1:2",
        "check-config --config ringfence.toml --json",
        "status --json --server http://h:1",
        "product add p --class platform",
        "product list",
        "publish p 1.2 --artifact windows-x64:x64/a.exe=f --artifact b=g --platform any --barrier --allow-older",
        "release list p",
        "release show p 1",
        "release approve p 1",
        "release withdraw p 1 --reason bad --yes",
        "rollout start p 1 --reason r",
        "rollout list --product p --all",
        "rollout show 7 --timeline",
        "rollout show p@1.2 --json",
        "rollout pause 7 --reason r",
        "rollout resume p@1 --reason r",
        "rollout halt 7 --reason r --yes",
        "rollout promote 7 --reason r --yes",
        "rollout rollback p --from 2 --to 1 --group g --group h --reason r --confirm-devices 4812 --yes",
        "rollout expedite p 1 --criteria exploited --pinned-group g --yes",
        "rollout approve 7",
        "rollout signal 7 fail --source prometheus --reason r",
        "rollout reset p --reason r --yes",
        "hold add p 1 --group g --reason r --for 24h",
        "hold add p --everyone --reason r --until 2026-11-21T14:30:00Z",
        "hold add p 1 --ring r --reason r",
        "hold add p 1 --device dc-* --reason r",
        "hold list --all",
        "hold lift 7 --reason r",
        "pin",
        "pin g p 1 --reason r",
        "unpin g p --reason r",
        "policy check f",
        "policy plan f",
        "policy apply f --yes",
        "policy show --seq 3",
        "policy history",
        "device list --after a --limit 5",
        "device show d",
        "device import f",
        "device enrol d --valid-for 24h --out f",
        "device enrolments --json",
        "device claim rfe_x --from http://h:8480",
        "device claim - --from http://h:8480 --token f",
        "device claim rfe_x --from http://h:8480 --key k --certificate c --json",
        "device deny d --reason r",
        "device allow d --reason r",
        "device denied",
        "bundle receipt --to d --qr --last --json",
        "bundle receipt RECEIPT-plant-7-0001.json --signature f --site-key k",
        "bundle receipt d e -",
        "bundle sites",
        "bundle sites plant-7 --json",
        "share list --json",
        "share show s",
        "share add s --group g --layout plain --product p --product q --platform windows-x64 --open-to 10.0.0.0/8 \
         --open-to devices --listing --reason r --yes",
        "share stage s --to d",
        "share stage s --to d --watch --keep-previous --rehash --adopt --retry-for 30s",
        "share stage s --to d --plan --json",
        "share stage --configured --watch --config ringfence.toml",
        "share verify d --json",
        "explain d p --at 2026-11-21T14:30:00Z --platform windows-x64 --current 1 --address 10.0.0.1",
        "store stats --data d",
        "store verify",
        "store scrub",
        "store sweep",
        "store rebuild",
        "journal verify --head 1:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        "journal show --after 3",
        "token create --actor a@corp --role publisher --expires-in 90d",
        "token create --device dc-1 --out f",
        "token list",
        "token revoke 4",
        "key list",
        "key show --json",
        "key rotate --yes",
        "key retire E7620F1842B4E81F --reason r --yes",
        "fetch p --to d --from http://h:1 --key origin.pub --platform windows-x64 --current 1 --device pc-1 --json",
        "completions bash",
        "man --to d",
    ] {
        let words = std::iter::once("ringfence").chain(line.split_whitespace());
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "product add Bad --class platform",
        "product add p --class kernel",
        "publish p v1 --artifact f",
        "publish p 1",
        "publish p 1 --artifact ../x=f",
        "rollout show p",
        "rollout show p@",
        "rollout show 7 --timeline --json",
        "rollout halt 7",
        "rollout signal 7 maybe --source s --reason r",
        "rollout expedite p 1",
        "hold add p 1 --reason r",
        "hold add p 1 --group g --everyone --reason r",
        "hold add p 1 --everyone --reason r --for 1h --until 2026-11-21T14:30:00Z",
        "pin g p",
        "pin g p 1",
        "key retire x --reason r",
        "fetch p --from http://h:1",
        "fetch p --to d --device pc-1",
        "share stage s",
        "share stage --to d",
        "share stage --watch",
        "share stage s --configured",
        "share stage s --to d --configured",
        "share stage s --to d --plan --watch",
        "share stage --configured --adopt",
        "share stage Bad --to d",
        "share add s --group g --layout plain",
        "share add s --group g --product p",
        "share verify",
        "token create",
        "token create --actor a",
        "token create --device d --actor a --role admin",
        "device deny d",
        "device enrol",
        "device claim rfe_x",
        "device claim rfe_x --from http://h:8480 --key k",
        "device claim rfe_x --from http://h:8480 --token t --key k --certificate c",
        "demo --port-base 65535",
        "store stats --data d --server http://h:1",
    ] {
        let words = std::iter::once("ringfence").chain(line.split_whitespace());
        assert!(Cli::try_parse_from(words).is_err(), "{line}");
    }
}

#[test]
fn exit_codes_of_refusals() {
    let refused = |status| {
        CliError::Client(ClientError::Refused(Problem {
            status,
            kind: "about:blank".to_owned(),
            title: "no".to_owned(),
            detail: None,
            missing: Box::default(),
            receipt: None,
            findings: Box::default(),
        }))
    };
    let codes = [(400, 1), (401, 5), (403, 5), (404, 6), (409, 7), (412, 7), (413, 1), (500, 1), (507, 1)];
    for (status, code) in codes {
        assert_eq!(refused(status).exit_code(), code, "{status}");
    }
    assert_eq!(CliError::NeedsYes.exit_code(), 2);
    assert_eq!(CliError::Input(String::new()).exit_code(), 3);
    assert_eq!(CliError::Damage(String::new()).exit_code(), 8);
    assert_eq!(CliError::Pending(String::new()).exit_code(), 9);
    let unreachable = ClientError::Unreachable { server: String::new(), cause: String::new() };
    assert_eq!(CliError::Client(unreachable).exit_code(), 4);
}

#[test]
fn the_exit_codes_are_documented() {
    let documented = include_str!("../../docs/cli.md");
    for line in EXIT_CODES.lines().skip(1) {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        assert!(documented.contains(&format!("| {code} | {meaning} |")), "docs/cli.md lacks: {line}");
    }
}

#[test]
fn artifacts_are_read() {
    use publish::ArtifactArg;
    let read = |text: &str| {
        text.parse::<ArtifactArg>().map(|a| (a.target.to_string(), a.platform.map(|p| p.to_string()), a.file))
    };
    assert_eq!(read("dir/a.bin").unwrap(), ("a.bin".into(), None, "dir/a.bin".into()));
    assert_eq!(read("x64/a.exe=out/b=c").unwrap(), ("x64/a.exe".into(), None, "out/b=c".into()));
    assert_eq!(read("windows-x64:x64/a.exe=f").unwrap(), ("x64/a.exe".into(), Some("windows-x64".into()), "f".into()));
    assert_eq!(
        read("my file.bin").unwrap_err(),
        "\"my file.bin\" cannot be a target name: only letters, digits and . _ - { } + ~ are allowed between '/'; name \
         it yourself: --artifact TARGET=my file.bin"
    );
    for bad in ["", "..", "a=", "=f", "Windows:a=f", "../a=f"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn inventories_are_read() {
    let expected = r#"[{"id":"dc-1","platform":"windows-x64","tags":["core","dc"],"attributes":{"os":"windows, 2025"}},{"id":"pos-1"}]"#;
    let forms = [
        expected.to_owned(),
        expected.trim_matches(['[', ']']).replace("}},{", "}}\n\n{"),
        "id,platform,tags,os\ndc-1,windows-x64,dc core,\"windows, 2025\"\npos-1,,,\n".to_owned(),
    ];
    for form in forms {
        let devices = inventory::parse(&form).unwrap();
        assert_eq!(serde_json::to_string(&devices).unwrap(), expected, "{form}");
    }
    assert!(inventory::parse("id\n").unwrap().is_empty());
}

#[test]
fn inventories_with_mistakes_point_at_the_line() {
    let cases = [
        ("", (1, "the first line names no column \"id\"; it looks like id,platform,tags,os")),
        ("id,tags\na,b\nc\n", (3, "the line has 1 fields, the first one 2")),
        ("id\na\na\n", (3, "device a is in the file twice")),
        ("id\na b\n", (2, "\"a b\" is not a device id: 1 to 128 letters, digits, '.', '_', '-', ':' or '@'")),
        (
            "{\"id\":\"a\"}\n{\"id\":\"b\",\"tag\":1}\n",
            (2, "unknown field \"tag\", expected one of \"id\", \"platform\", \"tags\", \"attributes\""),
        ),
        ("[{\"id\":\"a\"},\n{\"id\":1}]", (2, "invalid type: integer \"1\", expected a string")),
    ];
    for (text, (line, message)) in cases {
        assert_eq!(inventory::parse(text).unwrap_err(), (line, message.to_owned()), "{text}");
    }
    let (line, message) = inventory::parse("id,Os\na,b\n").unwrap_err();
    assert!(line == 1 && message.contains("\"Os\""), "{message}");
}

#[test]
fn an_explanation_numbers_its_steps_and_marks_the_one_that_decided() {
    let decision = serde_json::from_value(json!({
        "product": "av", "version": "1.2", "rule": "ring", "reason": "ring early serves 1.2",
        "group": "servers", "ring": "early", "valid_until": "2026-11-21T14:30:00Z",
        "trace": [
            { "step": 1, "rule": "platform", "outcome": "passed", "detail": "windows-x64 fits" },
            { "step": 4, "rule": "hold", "outcome": "passed", "detail": "nothing is withheld" },
            { "step": 10, "rule": "ring", "outcome": "decided", "detail": "1.2 is in early" }
        ]
    }))
    .unwrap();
    let text = explain::said("dc-1", "av", &decision).join("\n");
    let plain = anstream::adapter::strip_str(&text).to_string();
    let expected = "\
dc-1 (group servers, ring early) gets av 1.2.
  because  ring early serves 1.2
  until    2026-11-21 14:30:00Z at the latest, unless something changes

   1  platform  passed   windows-x64 fits
   2  hold      passed   nothing is withheld
→  3  ring      decided  1.2 is in early";
    assert_eq!(plain, expected);
}

#[test]
fn tables_align_and_carry_no_trailing_blanks() {
    let rows = vec![vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), String::new()]];
    assert_eq!(output::table(&["name", "count"], rows), "NAME    COUNT\na       1\nlonger");
    let rows = vec![vec![output::state_cell("published".to_owned()), "1".into()]];
    assert_eq!(output::table(&["state", "count"], rows), "STATE      COUNT\npublished  1");
}

#[test]
fn numbers_for_people() {
    let texts: Vec<String> = [0, 999, 1000, 4812, 1_234_567].into_iter().map(output::grouped).collect();
    assert_eq!(texts, ["0", "999", "1,000", "4,812", "1,234,567"]);
    assert_eq!(output::counted(1, "device"), "1 device");
    assert_eq!(output::counted(4812, "device"), "4,812 devices");
}

#[test]
fn init_writes_its_files_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("new/ringfence");
    init::write(&place).unwrap();
    let settings = crate::config::load(&place.join("ringfence.toml")).unwrap();
    assert_eq!(settings.policy.bootstrap, place.join("policy.toml"));
    let token = std::fs::read_to_string(&settings.admin.token_file).unwrap();
    assert!(token.starts_with("rf_") && token.trim().len() == 46, "{token}");
    assert_eq!(std::fs::metadata(&settings.admin.token_file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&settings.signing.key).unwrap();
    let public = crate::signing::SecretKey::parse(&key).unwrap().public();
    let public_file = std::fs::read_to_string(place.join("origin.pub")).unwrap();
    assert_eq!(crate::model::PublicKey::parse(&public_file).unwrap(), public);
    assert_eq!(std::fs::metadata(&settings.signing.key).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::remove_file(place.join("policy.toml")).unwrap();
    let error = init::write(&place).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let there = "ringfence.toml, admin.token, origin.key, origin.pub";
    let expected = format!("{}: already there: {there}; nothing was written", place.display());
    assert_eq!(error.to_string(), expected);
    assert!(!place.join("policy.toml").exists());
    assert_eq!(std::fs::read_to_string(&settings.admin.token_file).unwrap(), token);
}

#[test]
fn damage_in_a_result_is_an_error() {
    assert!(result::refuse_damage(&json!({"checked": 3, "damaged": [], "missing": 0})).is_ok());
    assert_eq!(result::refuse_damage(&json!({"damaged": ["a"]})).unwrap_err().exit_code(), 8);
    assert_eq!(result::refuse_damage(&json!({"missing": 2})).unwrap_err().exit_code(), 8);
}

#[test]
fn moments_and_lengths() {
    assert_eq!(time::shown(time::moment("2026-11-21T14:30:00Z").unwrap()), "2026-11-21 14:30:00Z");
    assert!(time::moment("2026-11-21 14:30").is_ok());
    assert!(time::moment("tomorrow").is_err());
    assert_eq!(time::length("24h").unwrap().as_secs(), 86_400);
    let now = time::moment("2026-11-21T14:30:00Z").unwrap();
    assert_eq!(time::shown(time::after(now, time::length("7d").unwrap()).unwrap()), "2026-11-28 14:30:00Z");
    assert_eq!(time::after(now, std::time::Duration::MAX).unwrap_err().exit_code(), 2);
}
