use std::path::Path;

use super::*;

fn refused(text: &str) -> String {
    parse(text, Path::new("ringfence.toml"), Path::new("")).unwrap_err().to_string()
}

#[test]
fn the_example_is_the_defaults_and_shows_every_key() {
    let parsed = parse(EXAMPLE, Path::new("ringfence.toml"), Path::new("")).unwrap();
    assert_eq!(parsed, Settings::default());
    let written: toml::Table = EXAMPLE.parse().unwrap();
    let all = toml::Value::try_from(file::File::default()).unwrap();
    for (key, value) in all.as_table().unwrap() {
        let shown = written.get(key).unwrap_or_else(|| panic!("{key} is missing from config/ringfence.toml"));
        for inner in value.as_table().into_iter().flat_map(toml::Table::keys) {
            assert!(shown.get(inner).is_some(), "{key}.{inner} is missing from config/ringfence.toml");
        }
    }
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(parse("", Path::new("r.toml"), Path::new("")).unwrap(), Settings::default());
}

#[test]
fn unknown_keys_point_at_the_line_and_the_nearest_key() {
    let cases = [
        (
            "data = \"d\"\n\n[device]\nlistne = \"127.0.0.1:1\"\n",
            "ringfence.toml:4: unknown key \"listne\" in [device]; did you mean \"listen\"?",
        ),
        ("dta = \"d\"\n", "ringfence.toml:1: unknown key \"dta\" at the top level; did you mean \"data\"?"),
        ("[limits]\nbananas = 1\n", "ringfence.toml:2: unknown key \"bananas\" in [limits]"),
        ("\n[devices]\n", "ringfence.toml:2: unknown key \"devices\" at the top level; did you mean \"device\"?"),
        (
            "[log]\nlevel = \"loud\"\n",
            "ringfence.toml:2: unknown variant \"loud\", expected one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text), expected);
    }
}

#[test]
fn values_that_cannot_be() {
    let cases = [
        (
            "[device]\nlisten = \"127.0.0.1:9000\"\n[admin]\nlisten = \"0.0.0.0:9000\"\n",
            "ringfence.toml:4: admin.listen 0.0.0.0:9000 overlaps device.listen 127.0.0.1:9000: devices and admins need listeners of their own",
        ),
        (
            "[device]\nlisten = \"127.0.0.1:8481\"\n",
            "ringfence.toml: admin.listen 127.0.0.1:8481 overlaps device.listen 127.0.0.1:8481: devices and admins need listeners of their own",
        ),
        (
            "[store]\n\ninline_max_bytes = \"129 KiB\"\n",
            "ringfence.toml:3: store.inline_max_bytes is 129 KiB: at most 128 KiB may be inline",
        ),
        (
            "[limits]\nconnections_max = 0\n",
            "ringfence.toml:2: limits.connections_max is zero: nothing could be served with it; give a limit above zero",
        ),
        (
            "[limits]\nheader_timeout = \"0s\"\n",
            "ringfence.toml:2: limits.header_timeout is zero: nothing could be served with it; give a limit above zero",
        ),
        (
            "[limits]\nrequests_per_second_per_device = 0\n",
            "ringfence.toml:2: limits.requests_per_second_per_device is zero: nothing could be served with it; give a limit above zero",
        ),
        ("[limits]\nrefusal_time = \"2s\"\n", "ringfence.toml:2: limits.refusal_time is 2s: it must be at most 1s"),
        (
            "[limits]\nheader_max_bytes = \"4 KiB\"\n",
            "ringfence.toml:2: limits.header_max_bytes is 4 KiB: it must be at least 8 KiB",
        ),
        (
            "[limits]\nheader_max_bytes = \"2 MiB\"\n",
            "ringfence.toml:2: limits.header_max_bytes is 2 MiB: it must be at most 1 MiB",
        ),
        (
            "[limits]\nh2_streams_max = 10001\n",
            "ringfence.toml:2: limits.h2_streams_max is 10001: it must be at most 10000",
        ),
        (
            "[journal]\nsegment_max_bytes = 10\n",
            "ringfence.toml:2: journal.segment_max_bytes is 10 B: it must be at least 1 MiB",
        ),
        (
            "[store]\nscrub_every = \"soon\"\n",
            "ringfence.toml:2: \"soon\" is not a length of time: write a number with s, m, h or d, like \"24h\" or \"7d\"",
        ),
        (
            "[store]\nindex_cache_bytes = \"64 MB\"\n",
            "ringfence.toml:2: \"64 MB\" is not a size: write a number of bytes, or a number with B, KiB, MiB, GiB or TiB, like \"64 MiB\"",
        ),
        (
            "[alert]\ncommand = [\"\"]\n",
            "ringfence.toml:2: alert.command begins with an empty text: name a program, or leave the list empty",
        ),
        (
            "[alert]\ntimeout = \"0s\"\n",
            "ringfence.toml:2: alert.timeout is zero: nothing could be served with it; give a limit above zero",
        ),
        ("data = \"\"\n", "ringfence.toml:1: data is empty: name a directory"),
        ("data = \"/dev/null\"\n", "ringfence.toml:1: data /dev/null is not a directory"),
        ("[device]\nlisten = \"8480\"\n", "ringfence.toml:2: invalid socket address syntax"),
        ("[limits]\nartifacts_max = -1\n", "ringfence.toml:2: invalid value: integer \"-1\", expected u32"),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text), expected);
    }
}

#[test]
fn tls_tables_are_read_with_their_defaults() {
    let text = "[device.tls]\ncertificate = \"c.pem\"\nkey = \"/k\"\nclient_ca = \"ca.pem\"\nclient_crl = [\"a.crl\"]\n\
                client_certificates = \"required\"\nminimum_version = \"1.3\"\n[admin.tls]\ncertificate = \"c\"\nkey = \"k\"\n";
    let settings = parse(text, Path::new("r.toml"), Path::new("/etc/r")).unwrap();
    let device = settings.device.tls.unwrap();
    let clients = device.options.clients.unwrap();
    assert_eq!((device.options.certificate, device.options.key), ("/etc/r/c.pem".into(), "/k".into()));
    assert_eq!((clients.ca, clients.crls), ("/etc/r/ca.pem".into(), vec!["/etc/r/a.crl".into()]));
    assert!(clients.is_required && device.options.minimum_version == crate::serve::MinimumVersion::Tls13);
    let rules = |tls: &TlsSettings| tls.identity.iter().map(ToString::to_string).collect::<Vec<_>>();
    let admin = settings.admin.tls.unwrap();
    assert_eq!(rules(&admin), ["san-uri urn:ringfence:person:*"]);
    assert!(admin.options.clients.is_none() && admin.options.expired == crate::serve::Expired::Serve);
    let with_rules = text.replacen("minimum", "identity = [\"san-dns *.corp\", \"common-name *\"]\nminimum", 1);
    let settings = parse(&with_rules, Path::new("r.toml"), Path::new("")).unwrap();
    assert_eq!(rules(&settings.device.tls.unwrap()), ["san-dns *.corp", "common-name *"]);
}

#[test]
fn tls_tables_that_cannot_be_are_refused_at_their_line() {
    let tls = |more: &str| refused(&format!("[device.tls]\ncertificate = \"c\"\nkey = \"k\"\n{more}\n"));
    let nothing = "does nothing without client_ca: name the CAs";
    let cases = [
        ("client_certificates = \"required\"", format!("device.tls.client_certificates {nothing}")),
        ("client_crl = [\"a\"]", format!("device.tls.client_crl {nothing}")),
        ("identity = []", format!("device.tls.identity {nothing}")),
        ("client_ca = \"\"", "device.tls.client_ca is empty: name a PEM file".to_owned()),
        ("minimum_version = \"1.1\"", "unknown variant \"1.1\", expected \"1.2\" or \"1.3\"".to_owned()),
        ("certificat = \"c\"", "unknown key \"certificat\" in [device.tls]; did you mean \"certificate\"?".to_owned()),
    ];
    for (line, expected) in cases {
        assert_eq!(tls(line), format!("ringfence.toml:4: {expected}"));
    }
    let message = tls("client_ca = \"a\"\nidentity = [\"cn *\"]");
    assert!(message.starts_with("ringfence.toml:5: \"cn *\" is not an identity rule: "), "{message}");
    assert!(refused("[admin.tls]\nkey = \"k\"\n").contains("missing field \"certificate\""));
}

/// A table that the example shows behind `# `.
fn shown(heading: &str) -> String {
    let lines = EXAMPLE.lines().skip_while(|line| line.strip_prefix("# ") != Some(heading));
    let table = lines.map_while(|line| line.strip_prefix("# "));
    table.take_while(|line| *line == heading || line.contains(" = ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_mirror_is_read_and_the_shown_examples_are_some() {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let text = shown("[mirror]").replace("RW...", key);
    let settings = parse(&text, Path::new("ringfence.toml"), Path::new("/etc/r")).unwrap();
    let mirror = settings.mirror.unwrap();
    assert_eq!(mirror.upstream.to_string(), "https://origin.example:8481");
    assert_eq!(mirror.origin_keys, [key.parse().unwrap()]);
    assert_eq!(mirror.token_file, Some("/etc/r/upstream.token".into()));
    assert_eq!(
        (mirror.bandwidth_bytes_per_second, mirror.parallel_ranges, mirror.partial_max),
        (Some(10 << 20), 4, 64)
    );
    assert_eq!(mirror.windows.as_ref().unwrap().to_string(), "Mon-Fri 19:00-07:00 Europe/Berlin");
    assert_eq!(mirror.critical, ["av-signatures".parse().unwrap()]);
    let own = include_str!("../../config/mirror.toml");
    let settings = parse(own, Path::new("mirror.toml"), Path::new("/etc/ringfence")).unwrap();
    assert_eq!(settings.data, Path::new("/var/lib/ringfence-mirror"));
    let expected = MirrorSettings {
        token_file: Some("/etc/ringfence/upstream.token".into()),
        ca_file: Some("/etc/ringfence/origin-ca.pem".into()),
        origin_keys: Vec::new(),
        bandwidth_bytes_per_second: None,
        windows: None,
        critical: Vec::new(),
        ..mirror
    };
    assert_eq!(settings.mirror, Some(expected));
}

#[test]
fn a_mirror_that_cannot_be_is_refused_at_its_line() {
    let mirror = |more: &str| format!("[mirror]\nupstream = \"http://o:1\"\nname = \"m\"\n{more}\n");
    let cases = [
        ("[mirror]\nname = \"m\"\n".to_owned(), "ringfence.toml:1: missing field \"upstream\""),
        (
            "[mirror]\nupstream = \"o\"\nname = \"m\"\n".to_owned(),
            "ringfence.toml:2: mirror.upstream: \"o\" is not a server",
        ),
        (
            "[mirror]\nupstream = \"https://o\"\nname = \"m\"\n".to_owned(),
            "ringfence.toml:2: mirror.upstream speaks TLS",
        ),
        (mirror("key = \"k\""), "mirror.certificate and mirror.key belong together"),
        (mirror("poll_wait = \"31s\""), "ringfence.toml:4: mirror.poll_wait is 31s: it must be at most 30s"),
        (mirror("stale_after = \"0s\""), "ringfence.toml:4: mirror.stale_after is zero"),
        (mirror("stale_after = \"29s\""), "ringfence.toml:4: mirror.stale_after is 29s: every wait"),
        (mirror("origin_keys = [\"x\"]"), "ringfence.toml:4: "),
        (
            mirror("upstrem = \"o\""),
            "ringfence.toml:4: unknown key \"upstrem\" in [mirror]; did you mean \"upstream\"?",
        ),
    ];
    for (text, expected) in cases {
        let said = refused(&text);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn targets_are_read_and_the_shown_example_is_one() {
    let shown = shown("[[target]]");
    let settings = parse(&shown, Path::new("ringfence.toml"), Path::new("/etc/r")).unwrap();
    let expected = TargetSettings { share: "dc-intel".parse().unwrap(), to: "/srv/share".into(), keep_previous: true };
    assert_eq!(settings.targets, [expected]);
    let relative = "[[target]]\nshare = \"a\"\nto = \"./x/../y\"\n";
    let settings = parse(relative, Path::new("ringfence.toml"), Path::new("/etc/r")).unwrap();
    assert_eq!(settings.targets[0].to, Path::new("/etc/r/y"));
    assert!(!settings.targets[0].keep_previous);
}

#[test]
fn targets_that_cannot_be_are_refused_at_their_line() {
    let target = |share: &str, to: &str| format!("[[target]]\nshare = \"{share}\"\nto = \"{to}\"\n");
    let in_one_another = "are one in the other: give each a directory of its own";
    let cases = [
        (
            target("a", "/x") + &target("b", "/x/y"),
            format!("ringfence.toml:6: target /x/y of share b and target /x of share a {in_one_another}"),
        ),
        (
            target("a", "/x/y") + &target("b", "/x/y/../y/."),
            format!("ringfence.toml:6: target /x/y of share b and target /x/y of share a {in_one_another}"),
        ),
        (target("a", ""), "ringfence.toml:3: the target of share a has an empty \"to\": name a directory".to_owned()),
        (
            "[[target]]\nshare = \"a\"\nto = \"/x\"\nkeep = 1\n".to_owned(),
            "ringfence.toml:4: unknown key \"keep\" in [target]".to_owned(),
        ),
        (
            "[stager]\nlook_every = \"0s\"\n".to_owned(),
            "ringfence.toml:2: stager.look_every is zero: nothing could be served with it; give a limit above zero"
                .to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(&text), expected);
    }
    assert!(refused(&target("No!", "/x")).starts_with("ringfence.toml:2: \"No!\" is not a share name"));
    let many: String = (0..65).map(|number| target("a", &format!("/x/{number}"))).collect();
    assert_eq!(refused(&many), "ringfence.toml:193: there are 65 targets; at most 64 are allowed");
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let message = refused("data = \"d\"\n[device\n");
    assert!(message.starts_with("ringfence.toml:2: "), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn paths_are_relative_to_the_file_and_the_socket_to_the_data() {
    let settings = parse("data = \"d\"\n", Path::new("/etc/r/r.toml"), Path::new("/etc/r")).unwrap();
    assert_eq!(settings.data, Path::new("/etc/r/d"));
    assert_eq!(settings.admin.socket, Path::new("/etc/r/d/admin.sock"));
    assert_eq!(settings.admin.token_file, Path::new("/etc/r/admin.token"));
    assert_eq!(settings.policy.bootstrap, Path::new("/etc/r/policy.toml"));
}

#[test]
fn a_missing_file_is_named() {
    let message = load(Path::new("/nowhere/ringfence.toml")).unwrap_err().to_string();
    assert!(message.starts_with("/nowhere/ringfence.toml: the configuration cannot be read: "), "{message}");
}

#[test]
fn sizes_and_lengths_print_as_they_are_read() {
    for text in ["0 B", "1 B", "1023 B", "4 KiB", "64 MiB", "3 TiB"] {
        assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
    }
    for bad in ["", "MiB", "-1", "1.5 MiB", "1 mb", "99999999999 TiB"] {
        assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
    }
    for text in ["10s", "75s", "24h", "7d", "90m", "250ms"] {
        let length: Length = text.parse().unwrap();
        assert_eq!(length.to_string().parse::<Length>().unwrap(), length);
    }
    for bad in ["", "10", "-1h", "1 month", "1y", "ago"] {
        assert!(parse_length(bad).is_err(), "{bad}");
    }
    assert_eq!(parse_length("1h 30m").unwrap().as_secs(), 5400);
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    let tables = schema["$defs"].as_object().unwrap();
    for (name, table) in tables {
        for (key, property) in table["properties"].as_object().into_iter().flatten() {
            let described = property.get("description").is_some();
            assert!(described, "{name}.{key} has no description");
        }
    }
}
