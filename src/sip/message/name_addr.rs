//! From, To, Contact, Route and their kind: a URI with a display name before it and parameters behind (RFC 3261 sections
//! 20.10, 25.1).

use super::Uri;
use super::list::{position, split};

/// One value of such a header, as text in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameAddr<'a> {
    /// What stands before the URI, quotes included; perhaps empty.
    pub display: &'a str,
    /// The URI, without angle brackets.
    pub uri: &'a str,
    /// The parameters, without their first semicolon; perhaps empty.
    pub params: &'a str,
}

impl<'a> NameAddr<'a> {
    /// Reads one value. Without angle brackets what follows the first semicolon are parameters of the header (RFC 3261
    /// section 20.10); none where there is no URI.
    pub fn read(value: &'a str) -> Option<NameAddr<'a>> {
        let value = value.trim();
        let (display, uri, rest) = match position(value, b'<') {
            Some(open) => {
                let close = open + value[open..].find('>')?;
                (value[..open].trim(), value[open + 1..close].trim(), value[close + 1..].trim())
            }
            None => {
                let at = position(value, b';').unwrap_or(value.len());
                ("", value[..at].trim(), &value[at..])
            }
        };
        let params = match rest.strip_prefix(';') {
            Some(params) => params.trim(),
            None if rest.is_empty() => "",
            None => return None,
        };
        (!uri.is_empty()).then_some(NameAddr { display, uri, params })
    }

    /// The URI in its parts.
    pub fn parsed(&self) -> Option<Uri<'a>> {
        Uri::parse(self.uri)
    }

    /// The tag (RFC 3261 section 19.3).
    pub fn tag(&self) -> Option<&'a str> {
        param(self.params, "tag").flatten().filter(|tag| !tag.is_empty())
    }

    /// The display name as it may be sent: what is neither quoted nor made of tokens is quoted (RFC 4475 section 3.1.2.15).
    fn named(&self) -> String {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~ \t".contains(&b);
        let display = self.display;
        if display.is_empty() || display.starts_with('"') || display.bytes().all(token) {
            return display.to_owned();
        }
        format!("\"{}\"", display.replace('\\', "\\\\").replace('"', "\\\""))
    }

    /// The value as a request of our own may have it: with this tag or without one, and without defects of its display name.
    pub fn anew(&self, tag: Option<&str>) -> String {
        let display = self.named();
        NameAddr { display: &display, ..*self }.with_tag(tag)
    }

    /// The value again, with this tag or without one.
    pub fn with_tag(&self, tag: Option<&str>) -> String {
        let mut text = if self.display.is_empty() { String::new() } else { format!("{} ", self.display) };
        text.push_str(&format!("<{}>", self.uri));
        for one in split(self.params, b';').filter(|one| !one.is_empty() && !named(one, "tag")) {
            text.push(';');
            text.push_str(one);
        }
        if let Some(tag) = tag {
            text.push_str(&format!(";tag={tag}"));
        }
        text
    }
}

/// The value of a parameter among `a=1;b`: none if it is absent, an inner none if it has no value.
pub fn param<'a>(params: &'a str, name: &str) -> Option<Option<&'a str>> {
    let one = split(params, b';').find(|one| named(one, name))?;
    Some(one.split_once('=').map(|(_, value)| value.trim()))
}

/// The parameters without this one.
pub fn without_param(params: &str, name: &str) -> String {
    split(params, b';').filter(|one| !one.is_empty() && !named(one, name)).collect::<Vec<_>>().join(";")
}

/// The parameters with this one at their end, whatever it was before.
pub fn set_param(params: &str, name: &str, value: &str) -> String {
    let rest = without_param(params, name);
    if rest.is_empty() { format!("{name}={value}") } else { format!("{rest};{name}={value}") }
}

fn named(one: &str, name: &str) -> bool {
    one.split('=').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_value() {
        let full = NameAddr::read("\"A \\\" <x>\" <sip:a@b;lr?h=v> ; tag=9;x").unwrap();
        assert_eq!(full, NameAddr { display: "\"A \\\" <x>\"", uri: "sip:a@b;lr?h=v", params: "tag=9;x" });
        assert_eq!(full.tag(), Some("9"));
        assert_eq!(full.with_tag(Some("7")), "\"A \\\" <x>\" <sip:a@b;lr?h=v>;x;tag=7");
        let bare = NameAddr::read("sip:a@b;tag=1").unwrap();
        assert_eq!((bare.uri, bare.tag()), ("sip:a@b", Some("1")));
        assert_eq!(bare.with_tag(None), "<sip:a@b>");
        for bad in ["", "<>", "<sip:a", "<sip:a> x"] {
            assert_eq!(NameAddr::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn rfc4475_s3_1_2_14_and_15_defects_are_not_sent_on() {
        let anew = |text| NameAddr::read(text).map(|it| it.anew(None));
        let name = |text: &str| Some(format!("{text} <sip:a@b>"));
        assert_eq!(anew("Bell, Alexander <sip:a@b>;tag=43"), name("\"Bell, Alexander\""));
        assert_eq!(anew("\"Watson, Thomas\" < sip:a@b >"), name("\"Watson, Thomas\""));
        assert_eq!(anew("caller<sip:a@b>"), name("caller"));
        assert_eq!(anew("(c) \u{41f} <sip:a@b>"), name("\"(c) \u{41f}\""));
        assert_eq!(anew("<sip:a@b>"), Some("<sip:a@b>".to_owned()));
    }

    #[test]
    fn parameters() {
        assert_eq!(param("a=1; B = 2 ;c", "b"), Some(Some("2")));
        assert_eq!(param("a=1;c", "c"), Some(None));
        assert_eq!(param("a=1", "x"), None);
        assert_eq!(set_param("a=1;tag=2;c", "tag", "3"), "a=1;c;tag=3");
        assert_eq!(without_param("tag=2", "tag"), "");
    }
}
