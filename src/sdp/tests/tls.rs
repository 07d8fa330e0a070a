//! Fingerprints in descriptions (RFC 8122).

use rstest::rstest;

use super::*;

fn value(name: &str, length: usize) -> String {
    format!("{name} {}", vec!["aB"; length].join(":"))
}

fn with(values: &[String]) -> String {
    let lines: String = values.iter().map(|value| format!("a=fingerprint:{value}\n")).collect();
    let line = SECURE.lines().find(|line| line.starts_with("a=fingerprint")).unwrap();
    SECURE.replace(&format!("{line}\n"), &lines)
}

/// ADV-S09
#[rstest]
#[case::sdp_55_sha_256(value("SHA-256", 32), Ok(Hash::Sha256))]
#[case::adv_s09_lower_case(value("sha-256", 32).to_lowercase(), Ok(Hash::Sha256))]
#[case::sha_512(value("sha-512", 64), Ok(Hash::Sha512))]
#[case::amb_73_sha_1(value("SHA-1", 20), Ok(Hash::Sha1))]
#[case::unknown(value("sha3-256", 32), Ok(Hash::Unknown))]
#[case::adv_s09_31_octets(value("SHA-256", 31), Err(FingerprintFault::Length))]
#[case::adv_s09_garbage("sha-256 garbage".into(), Err(FingerprintFault::Syntax))]
#[case::no_digest("sha-256".into(), Err(FingerprintFault::Syntax))]
#[case::empty_octet(format!("{}:", value("sha-256", 32)), Err(FingerprintFault::Syntax))]
#[case::nothing(String::new(), Err(FingerprintFault::Syntax))]
fn adv_s09_values(#[case] text: String, #[case] expected: Result<Hash, FingerprintFault>) {
    assert_eq!(Fingerprint::parse(text.as_bytes()).map(|fingerprint| fingerprint.hash()), expected);
    if let Err(fault) = expected {
        assert_eq!(refused(&with(&[text]), &Rules::default()), Some(SectionFault::Fingerprint(fault)));
    }
}

#[test]
fn sdp_55_written_in_upper_case() {
    let read = Fingerprint::parse(value("sha-256", 32).as_bytes()).unwrap();
    assert_eq!(read.to_string(), value("SHA-256", 32).to_uppercase());
    assert_eq!(Fingerprint::parse(read.to_string().as_bytes()), Ok(read));
}

#[test]
fn sdp_55_ours_in_the_place_of_the_peers() {
    let text = with(&[value("SHA-256", 32), value("SHA-1", 20)]);
    let sent = Anchor::default().offer(&text);
    let lines: Vec<&str> =
        sent.lines().filter(|line| line.starts_with("a=fingerprint")).map(|line| &line[..23]).collect();
    assert_eq!(lines, ["a=fingerprint:SHA-256 A", "a=fingerprint:SHA-384 C"]);
    assert!(!sent.contains("aB"), "{sent}");
}

/// SDP-56
#[test]
fn sdp_56_functions_that_must_not_be_used() {
    let none = Some(SectionFault::Fingerprint(FingerprintFault::NoneUsable));
    assert_eq!(refused(&with(&[value("MD5", 16), value("md2", 16)]), &Rules::default()), none);
    assert_eq!(refused(&with(&[value("MD5", 16), value("SHA-256", 32)]), &Rules::default()), None);
    let strict = Rules { accept_sha1: false, ..Rules::default() };
    assert_eq!(refused(&with(&[value("SHA-1", 20)]), &strict), none);
    assert_eq!(refused(&with(&[value("SHA-1", 20)]), &Rules::default()), None);
}

/// Whether a certificate with this digest may be used.
fn met(fingerprints: &Fingerprints, hash: Hash, digest: &[u8]) -> bool {
    let seen = [Fingerprint::new(hash, digest).unwrap()];
    fingerprints.expected(true).is_some_and(|expected| Fingerprint::matches(&expected, &seen))
}

/// SDP-57
#[test]
fn sdp_57_any_of_the_preferred_function() {
    let other = value("sha-256", 32).replace("aB", "cD");
    let text = with(&[value("sha-1", 20), value("sha-512", 64), value("sha-256", 32), other]);
    let fingerprints = section(&text).unwrap().fingerprints;
    assert_eq!(fingerprints.preferred(true), Some(Hash::Sha256));
    assert!(met(&fingerprints, Hash::Sha256, &[0xAB; 32]) && met(&fingerprints, Hash::Sha256, &[0xCD; 32]));
    assert!(!met(&fingerprints, Hash::Sha256, &[0xEF; 32]) && !met(&fingerprints, Hash::Sha384, &[0xAB; 48]));
    assert!(!met(&fingerprints, Hash::Sha512, &[0xAB; 64]), "it is offered, but not preferred");
    assert_eq!(Fingerprints::default().preferred(true), None);
}

/// ADV-S09
#[test]
fn adv_s09_sixteen_at_most() {
    let many = vec![value("sha-256", 32); 17];
    assert_eq!(refused(&with(&many[..16]), &Rules::default()), None);
    let fault = SectionFault::Fingerprint(FingerprintFault::TooMany);
    assert_eq!(refused(&with(&many), &Rules::default()), Some(fault));
}

/// SDP-64
#[test]
fn sdp_64_at_session_level() {
    let line = format!("a=fingerprint:{}\n", value("sha-256", 32));
    let text = with(&[]).replace("t=0 0\n", &format!("t=0 0\n{line}"));
    assert!(met(&section(&text).unwrap().fingerprints, Hash::Sha256, &[0xAB; 32]));
    // The section's own replace them.
    let both = SECURE.replace("t=0 0\n", &format!("t=0 0\n{line}"));
    assert!(!met(&section(&both).unwrap().fingerprints, Hash::Sha256, &[0xAB; 32]));
    // AMB-73: none at all means that the name is checked.
    assert!(section(&with(&[])).unwrap().fingerprints.is_empty());
    assert_eq!(refused(&with(&[]), &Rules::default()), None);
    // Over plain TCP they mean nothing, whatever stands there.
    let plain = PLAIN.replace("t=0 0\n", "t=0 0\na=fingerprint:x\n");
    assert!(section(&plain).unwrap().fingerprints.is_empty());
}
