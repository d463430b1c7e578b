//! The part of the file for people: who may do what, and whose tokens say who somebody is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Finding;
use super::settings::{OidcSettings, PersonSettings};
use crate::model::{Actor, NameGlob, Reach, Role};

/// The most people of one file; more belong to an identity provider.
const PEOPLE_MAX: usize = 1_000;
/// The most values of a claim that stand for roles.
const ROLES_MAX: usize = 100;

/// A person whom a client certificate or an identity provider's token may name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonTable {
    /// The name, as the certificate or the token says it; changes are journaled under it.
    #[schemars(with = "String")]
    name: Actor,
    /// `auditor`, `publisher`, `approver`, `operator`, `admin` or `mirror`.
    #[schemars(with = "String")]
    role: Role,
    /// The products over which the role holds, as globs; all where empty.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 64))]
    products: Vec<NameGlob>,
    /// The groups over which it holds, as globs; all where empty.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 64))]
    groups: Vec<NameGlob>,
}

/// An identity provider (OpenID Connect) whose tokens are taken on the admin listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OidcTable {
    /// What `iss` of a token must be, to the letter.
    issuer: String,
    /// What `aud` of a token must be or contain.
    audience: String,
    /// The file with the provider's keys (JWKS). Read again when it changes, and on SIGHUP. Relative to this file.
    jwks_file: PathBuf,
    /// The claim with the name under which changes are journaled.
    #[serde(default = "sub")]
    name_claim: String,
    /// The claim with a person's roles; dots lead into objects. Without it, people need a `[[person]]` table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roles_claim: Option<String>,
    /// Which value of that claim stands for which role.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    roles: BTreeMap<String, Role>,
    /// Whether a token without `nbf` is refused. One that has it is never taken before that time.
    #[serde(default = "yes")]
    nbf_required: bool,
}

fn sub() -> String {
    "sub".to_owned()
}

const fn yes() -> bool {
    true
}

pub(super) fn people_settings(tables: Vec<PersonTable>) -> Result<Vec<PersonSettings>, Finding> {
    if tables.len() > PEOPLE_MAX {
        let message = format!("there are {} people; at most {PEOPLE_MAX} are allowed", tables.len());
        return Err(Finding { key: format!("person.{PEOPLE_MAX}").into(), message });
    }
    let mut people: Vec<PersonSettings> = Vec::new();
    for (index, PersonTable { name, role, products, groups }) in tables.into_iter().enumerate() {
        let finding = |key, message| Finding { key: format!("person.{index}.{key}").into(), message };
        if name.is_reserved() {
            return Err(finding("name", format!("{name} is the server's own name, or a user's of this machine")));
        }
        if people.iter().any(|other| other.name == name) {
            return Err(finding("name", format!("{name} is there twice: a person has one role")));
        }
        for (key, globs) in [("products", &products), ("groups", &groups)] {
            if globs.len() > Reach::GLOBS_MAX {
                let message = format!("{name} has {} {key}; at most {} are allowed", globs.len(), Reach::GLOBS_MAX);
                return Err(finding(key, message));
            }
        }
        people.push(PersonSettings { name, role, reach: Reach { products, groups } });
    }
    Ok(people)
}

pub(super) fn oidc_settings(table: Option<OidcTable>, base: &Path) -> Result<Option<OidcSettings>, Finding> {
    let Some(table) = table else { return Ok(None) };
    let OidcTable { issuer, audience, jwks_file, name_claim, roles_claim, roles, nbf_required } = table;
    let finding = |key: &'static str, message: String| Finding { key: key.into(), message };
    let path = jwks_file.to_string_lossy();
    let texts: [(&'static str, &str); 4] = [
        ("oidc.issuer", &issuer),
        ("oidc.audience", &audience),
        ("oidc.jwks_file", &path),
        ("oidc.name_claim", &name_claim),
    ];
    for (key, text) in texts {
        if text.is_empty() {
            return Err(finding(key, format!("{key} is empty: every token would be refused, or any taken")));
        }
    }
    match &roles_claim {
        None if !roles.is_empty() => {
            let message = "[oidc.roles] says what a claim's values stand for: name the claim in oidc.roles_claim";
            return Err(finding("oidc.roles", message.to_owned()));
        }
        Some(claim) if claim.is_empty() || roles.is_empty() => {
            let message = "oidc.roles_claim gives nobody a role without [oidc.roles]: say what its values stand for";
            return Err(finding("oidc.roles_claim", message.to_owned()));
        }
        _ => {}
    }
    if roles.len() > ROLES_MAX {
        let message = format!("[oidc.roles] has {} values; at most {ROLES_MAX} are allowed", roles.len());
        return Err(finding("oidc.roles", message));
    }
    let jwks_file = base.join(jwks_file);
    let is_nbf_required = nbf_required;
    Ok(Some(OidcSettings { issuer, audience, jwks_file, name_claim, roles_claim, roles, is_nbf_required }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{EXAMPLE, PersonSettings, Settings, parse};
    use crate::model::Role;

    fn read(text: &str) -> Result<Settings, String> {
        parse(text, Path::new("r.toml"), Path::new("/etc/r")).map_err(|error| error.to_string())
    }

    /// The commented lines from this one on, to the next line that is none.
    fn shown(from: &str) -> String {
        let lines = EXAMPLE.lines().skip_while(|line| *line != format!("# {from}"));
        let lines = lines.map_while(|line| line.strip_prefix("# "));
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    #[test]
    fn the_shown_examples_are_read() {
        let settings = read(&shown("[[person]]")).unwrap();
        let expected = PersonSettings {
            name: "bo@corp".parse().unwrap(),
            role: Role::Operator,
            reach: serde_json::from_str(r#"{"products":["defender-*"],"groups":["pos-*"]}"#).unwrap(),
        };
        assert_eq!(settings.people, [expected]);
        let oidc = read(&shown("[oidc]")).unwrap().oidc.unwrap();
        assert_eq!(oidc.jwks_file, Path::new("/etc/r/jwks.json"));
        assert_eq!((oidc.name_claim.as_str(), oidc.is_nbf_required), ("sub", true));
        assert_eq!(oidc.roles["content-approvers"], Role::Approver);
        let short = "[oidc]\nissuer = \"i\"\naudience = \"a\"\njwks_file = \"/j\"\n";
        let oidc = read(short).unwrap().oidc.unwrap();
        assert_eq!((oidc.name_claim.as_str(), oidc.is_nbf_required, oidc.roles_claim), ("sub", true, None));
    }

    #[test]
    fn what_cannot_be_is_refused_at_its_line() {
        let person = |name: &str| format!("[[person]]\nname = \"{name}\"\nrole = \"auditor\"\n");
        let oidc = "[oidc]\nissuer = \"i\"\naudience = \"a\"\njwks_file = \"j\"\n";
        let many = "\"a\", ".repeat(65);
        let cases = [
            (person("ada") + &person("ada"), "r.toml:5: ada is there twice: a person has one role"),
            (person("uid:0"), "r.toml:2: uid:0 is the server's own name, or a user's of this machine"),
            (person("ada") + &format!("groups = [{many}]\n"), "r.toml:4: ada has 65 groups; at most 64 are allowed"),
            (person("ada").replace("auditor", "boss"), "r.toml:3: unknown variant \"boss\""),
            (person("ada") + "products = [\"\"]\n", "r.toml:4: \"\" is not a glob"),
            (oidc.replace("\"i\"", "\"\""), "r.toml:2: oidc.issuer is empty"),
            (oidc.to_owned() + "roles_claim = \"roles\"\n", "r.toml:5: oidc.roles_claim gives nobody a role"),
            (oidc.to_owned() + "[oidc.roles]\nx = \"admin\"\n", "r.toml:5: [oidc.roles] says what a claim's values"),
            ("[oidc]\nissuer = \"i\"\n".to_owned(), "r.toml:1: missing field \"audience\""),
            (oidc.to_owned() + "alg = \"HS256\"\n", "r.toml:5: unknown key \"alg\" in [oidc]"),
        ];
        for (text, expected) in cases {
            let message = read(&text).unwrap_err();
            assert!(message.starts_with(expected), "{message}\n{expected}");
        }
    }
}
