use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::config::document::Document;

const DOCUMENTED: &str = include_str!("../../../config/chappe.toml");

/// The documented file with its examples switched on.
fn with_examples() -> String {
    let example = |line: &str| {
        let bare = line.strip_prefix('#')?;
        bare.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()).then(|| bare.to_owned())
    };
    DOCUMENTED.lines().map(|line| example(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// A user has a password or HA1s, not both.
fn without_password(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("password")).map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn the_documented_values_are_the_defaults() {
    let documented = parse(DOCUMENTED).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(documented, valid(""));
}

#[test]
fn the_documented_values_of_the_control_plane_are_the_defaults() {
    let head = "[[sip.listen]]";
    let listener = format!("{head}\naddress = \"127.0.0.1:5060\"\n");
    let text = DOCUMENTED.replace(&format!("#{head}\n"), &listener);
    let documented = parse(&text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(documented.sip.as_ref().map(|sip| sip.listen.len()), Some(1));
    assert_eq!(documented, valid(&listener));
}

#[test]
fn the_documented_examples_are_accepted() {
    let directory = TempDir::new().expect("a directory");
    for file in ["server.crt", "server.key", "ca.crt", "roots.crt", "users.htdigest"] {
        fs::write(directory.path().join(file), "").expect("a file");
    }
    let config = Config::from_str(&without_password(&with_examples()), directory.path());
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.peer_relay.len(), 1);
    assert_eq!(config.auth.users.len(), 1);
    assert_eq!(config.limits.max_message, Some(1 << 30));
    let sip = config.sip.expect("a listener");
    assert_eq!((sip.listen.len(), sip.routes.len(), sip.media.max_size), (1, 1, Some(100 << 20)));
}

#[test]
fn every_known_key_is_documented() {
    // A list of sections is read only where it has an entry.
    let everything = format!("{LEAST}[[peer_relay]]\n[[auth.user]]\n[[sip.listen]]\n[[sip.route]]\n");
    let document = Document::new(&everything, Path::new("/nonexistent"));
    assert!(Config::read(&document, "everything").is_err());
    let known = document.known.take();
    assert!(known.len() > 120, "only {} keys are known", known.len());

    let mut section = String::new();
    let mut written = BTreeSet::new();
    let text = with_examples();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line.trim_matches(|c| c == '[' || c == ']').to_owned();
            written.insert(section.clone());
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            written.insert(format!("{section}.{key}"));
        }
    }
    assert_eq!(known.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "known and not documented");
    assert_eq!(written.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "documented and not known");
}
