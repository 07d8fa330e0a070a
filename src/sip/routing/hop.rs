//! A server that the operator named: where its URI leads, and whether it wants to stand in a Route header.

use std::fmt;
use std::str::FromStr;

use super::{Place, PlaceError};
use crate::sip::message::Uri;

/// A next hop of the configuration, as `sip:proxy.example.com:5060;transport=tcp;lr`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hop {
    text: String,
    place: Place,
    loose: bool,
}

/// A text is no next hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HopError {
    /// Not a SIP URI.
    #[error("not a SIP URI")]
    Syntax,
    /// A server has no user.
    #[error("a user, which no server has")]
    User,
    /// Headers belong to a request that a human starts (RFC 3261 section 19.1.1).
    #[error("headers, which no server has")]
    Headers,
    /// It leads nowhere.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

impl Hop {
    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the URI has `lr`: then it is put into a Route header, as RFC 3261 section 8.1.1.1 recommends for an outbound
    /// proxy. Without it the request just goes there.
    pub fn is_loose(&self) -> bool {
        self.loose
    }

    /// The URI as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Hop {
    type Err = HopError;

    fn from_str(text: &str) -> Result<Hop, HopError> {
        let text = text.trim();
        // It may stand in a header later: nothing that would end the URI there.
        if text.bytes().any(|octet| !octet.is_ascii_graphic() || b"<>\",".contains(&octet)) {
            return Err(HopError::Syntax);
        }
        let uri = Uri::parse(text).ok_or(HopError::Syntax)?;
        let place = Place::of(&uri)?;
        if uri.user.is_some() {
            return Err(HopError::User);
        }
        if !uri.headers.is_empty() {
            return Err(HopError::Headers);
        }
        Ok(Hop { text: text.to_owned(), place, loose: uri.is_loose() })
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_hop_keeps_its_text() {
        let hop: Hop = " sip:Proxy.Example.com:5070;transport=tcp;lr ".parse().expect("a hop");
        assert_eq!(hop.as_str(), "sip:Proxy.Example.com:5070;transport=tcp;lr");
        assert_eq!(hop.place().to_string(), "sip:proxy.example.com:5070;transport=tcp");
        assert!(hop.is_loose());
        assert!(!"sips:proxy.example.com".parse::<Hop>().expect("a hop").is_loose());
    }

    #[rstest]
    #[case("proxy.example.com", HopError::Syntax)]
    #[case("http://proxy.example.com", HopError::Syntax)]
    #[case("sip:", HopError::Syntax)]
    #[case("sip:a>b", HopError::Syntax)]
    #[case("sip:a\r\nX: y", HopError::Syntax)]
    #[case("sip:bob@proxy.example.com", HopError::User)]
    #[case("sip:proxy.example.com?Subject=x", HopError::Headers)]
    #[case("tel:112", HopError::Place(PlaceError::NoHost))]
    #[case("sip:proxy.example.com;transport=ws", HopError::Place(PlaceError::Transport))]
    fn what_is_no_hop(#[case] text: &str, #[case] why: HopError) {
        assert_eq!(text.parse::<Hop>(), Err(why));
    }
}
