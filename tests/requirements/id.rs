//! Ids: capitals, a hyphen, at most one more capital and a number, such as `SDP-7` or `ADV-S07`.

/// Whether this is one.
pub(crate) fn is_id(word: &str) -> bool {
    let Some((name, number)) = word.split_once('-') else { return false };
    let number = number.strip_prefix(|letter: char| letter.is_ascii_uppercase()).unwrap_or(number);
    !name.is_empty()
        && name.bytes().all(|letter| letter.is_ascii_uppercase())
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// An id without its number: `SDP-`, `ADV-S`.
pub(crate) fn family(id: &str) -> &str {
    id.trim_end_matches(|digit: char| digit.is_ascii_digit())
}

/// Words that may be ids, without what stands around them.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').filter(|word| !word.is_empty())
}

#[test]
fn ids_and_other_words() {
    for id in ["SDP-1", "SDP-105", "ADV-S07", "RLY-34"] {
        assert!(is_id(id), "{id}");
    }
    for word in ["SDP", "SDP-", "SDP-x", "sdp-1", "-1", "SDP-1a", "ADV-SS7", "ADV-S", "S-P-1"] {
        assert!(!is_id(word), "{word}");
    }
    assert_eq!((family("SDP-105"), family("ADV-S07")), ("SDP-", "ADV-S"));
    let found: Vec<&str> = words("(SDP-1, `ADV-S07`): SDP-19…SDP-22.").filter(|word| is_id(word)).collect();
    assert_eq!(found, ["SDP-1", "ADV-S07", "SDP-19", "SDP-22"]);
}
