//! One tree for each layout.

use super::*;

#[test]
fn plain() {
    let release = release("tools", "1.2", &["any docs/readme.txt", "linux-x64 bin/tool", "any tool.conf"]);
    insta::assert_snapshot!(tree("plain", &picks(&release)), @r"
    bin/tool = bin/tool [tools]
    docs/readme.txt = docs/readme.txt [tools]
    tool.conf = tool.conf [tools]
    ");
}

#[test]
fn defender_windows() {
    let release = release(
        "defender-intelligence",
        "1.427.3.0",
        &[
            "windows-x64 mpam-fe.exe",
            "windows-x64 mpam-d.exe",
            "windows-x64 nis_full.exe",
            "windows-x64 notes.txt",
            "any x86/MPAM-FE.exe",
            "windows-arm64 anywhere/mpam-fe.exe",
            "linux-x64 x64/mpam-fe.exe",
        ],
    );
    let picks: Vec<_> =
        picks(&release).into_iter().filter(|pick| pick.platform.unwrap().as_str() != "linux-x64").collect();
    insta::assert_snapshot!(tree("defender-windows", &picks), @r"
    arm64/mpam-fe.exe = anywhere/mpam-fe.exe [arm64]
    x64/mpam-d.exe = mpam-d.exe [x64]
    x64/mpam-fe.exe = mpam-fe.exe [x64]
    x64/nis_full.exe = nis_full.exe [x64]
    x86/mpam-fe.exe = x86/MPAM-FE.exe [x86]
    ");
}

#[test]
fn defender_vdi() {
    let release = release(
        "defender-intelligence",
        "1.427.3.0",
        &[
            "windows-x64 x64/mpam-fe.exe",
            "windows-x64 x64/nis_full.exe",
            "windows-x86 x86/mpam-fe.exe",
            "any extra.zip",
            "any readme.txt",
        ],
    );
    insta::assert_snapshot!(tree("defender-vdi", &picks(&release)), @r"
    {00000000-0000-0000-0000-261121123456} members of x64/mpam-fe.exe [{00000000-0000-0000-0000-261121123456}]
    {00000000-0000-0000-0000-261121123456} members of extra.zip [{00000000-0000-0000-0000-261121123456}]
    {00000000-0000-0000-0000-261121123456}/nis_full.exe = x64/nis_full.exe [{00000000-0000-0000-0000-261121123456}]
    {00000000-0000-0000-0000-261121123456}/readme.txt = readme.txt [{00000000-0000-0000-0000-261121123456}]
    ");
}

#[test]
fn defender_vdi_takes_the_next_best_processor() {
    let release = release("intelligence", "1", &["windows-arm64 mpam-fe.exe", "windows-x86 x86/mpam-fe.exe"]);
    let planned = tree("defender-vdi", &picks(&release));
    assert!(planned.contains("members of x86/mpam-fe.exe") && planned.lines().count() == 1, "{planned}");
}

#[test]
fn clamav() {
    let official = release(
        "clamav",
        "27000",
        &["any main.cvd", "any db/daily.cld", "any bytecode.cvd", "any daily-27000.cdiff", "any daily-27000.cvd.sign"],
    );
    let custom = release("own-rules", "3", &["any my.ndb", "any rules/my.yara", "any allowed.ign2"]);
    let both: Vec<_> = picks(&official).into_iter().chain(picks(&custom)).collect();
    insta::assert_snapshot!(tree("clamav", &both), @r"
    allowed.ign2 = allowed.ign2 []
    bytecode.cvd = bytecode.cvd []
    daily-27000.cdiff = daily-27000.cdiff []
    daily-27000.cvd.sign = daily-27000.cvd.sign []
    daily.cld = db/daily.cld []
    main.cvd = main.cvd []
    my.ndb = my.ndb []
    my.yara = rules/my.yara []
    ");
}

#[test]
fn suricata() {
    let release = release(
        "emerging",
        "10768",
        &["any 7.0/emerging.rules.tar.gz", "any 7.0/emerging.rules.tar.gz.md5", "any local.rules", "any LICENSE"],
    );
    insta::assert_snapshot!(tree("suricata", &picks(&release)), @r"
    emerging.rules.tar.gz = 7.0/emerging.rules.tar.gz [emerging.rules.tar.gz]
    emerging.rules.tar.gz.md5 md5 of 7.0/emerging.rules.tar.gz [emerging.rules.tar.gz, last]
    local.rules = local.rules [local.rules]
    local.rules.md5 md5 of local.rules [local.rules, last]
    ");
}
