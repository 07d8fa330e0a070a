//! AUTH: asking a relay for a URI of our own (RFC 4976 sections 5.1 and 9.1).

use super::{
    challenge::{Asking, Challenge, Reply},
    endpoint::Endpoint,
    error::ClientError,
};
use crate::msrp::{Head, Kind, Limits, Path, Status};

/// What a relay has granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Use-Path: the URIs to put in front of a To-Path, in this order.
    pub use_path: Vec<String>,
    /// Life of the grant in seconds.
    pub expires: u64,
}

impl Grant {
    /// The To-Path to a peer whose path is `peer`.
    pub fn to_path(&self, peer: &str) -> String {
        format!("{} {peer}", self.use_path.join(" "))
    }

    /// The path under which others reach us, `uri` being our own URI: what an SDP `path` attribute would say.
    pub fn own_path(&self, uri: &str) -> String {
        self.use_path.iter().rev().map(String::as_str).chain([uri]).collect::<Vec<_>>().join(" ")
    }

    fn parse(head: &Head) -> Option<Grant> {
        let use_path = Path::new(head.header("Use-Path")?);
        use_path.check(&Limits::default()).ok()?;
        let use_path: Result<Vec<String>, _> = use_path.texts().map(|uri| String::from_utf8(uri.to_vec())).collect();
        let expires = std::str::from_utf8(head.header("Expires")?).ok()?;
        let digits = expires.bytes().all(|octet| octet.is_ascii_digit());
        Some(Grant { use_path: use_path.ok()?, expires: expires.parse().ok().filter(|_| digits)? })
    }
}

impl Endpoint {
    /// Obtains a URI from the relay at the end of `relay_path`, which is that relay's URI alone, or the Use-Path of
    /// an inner relay and that URI. `expires` is the life wanted, in seconds. SHA-256 is preferred to MD5 where it is
    /// offered, one `stale` challenge is taken up, and the relay has to prove that it knows the password, too.
    pub async fn authenticate(
        &self,
        relay_path: &str,
        user: &str,
        password: &str,
        expires: Option<u64>,
    ) -> Result<Grant, ClientError> {
        let digest_uri = relay_path.split_ascii_whitespace().last().unwrap_or_default();
        let mut reply: Option<Reply> = None;
        let mut stale_seen = false;
        loop {
            let head = self.auth_request(relay_path, reply.as_ref(), expires).await?;
            let Kind::Response(status) = head.kind() else { return Err(ClientError::Challenge) };
            if status.is_success() {
                let proof = head.header("Authentication-Info").unwrap_or_default();
                return match reply {
                    Some(reply) if reply.proven_by(proof) => Grant::parse(&head).ok_or(ClientError::Grant),
                    _ => Err(ClientError::RspAuth),
                };
            }
            if status != Status::UNAUTHORIZED {
                return Err(ClientError::Refused(status));
            }
            let challenges = head
                .headers()
                .filter(|(name, _)| name.eq_ignore_ascii_case(b"WWW-Authenticate"))
                .map(|(_, value)| value);
            let challenge = Challenge::strongest(challenges);
            let again = challenge.as_ref().is_some_and(|challenge| challenge.stale) && !stale_seen;
            if reply.is_some() && !again {
                return Err(ClientError::Refused(status));
            }
            stale_seen |= reply.is_some();
            let asking = Asking { user, password, digest_uri, cnonce: &self.random_text(16) };
            reply = Some(challenge.ok_or(ClientError::Challenge)?.reply(&asking)?);
        }
    }

    async fn auth_request(
        &self,
        relay_path: &str,
        reply: Option<&Reply>,
        expires: Option<u64>,
    ) -> Result<Head, ClientError> {
        let mut headers = Vec::new();
        if let Some(expires) = expires {
            headers.push(("Expires", expires.to_string()));
        }
        if let Some(reply) = reply {
            headers.push(("Authorization", reply.authorization.clone()));
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.request("AUTH", relay_path, &headers, None).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rstest::rstest;

    use super::*;

    fn grant(headers: &str) -> Option<Grant> {
        let text = format!(
            "MSRP abcd1234 200 OK\r\nTo-Path: msrp://a.invalid:1/a;tcp\r\nFrom-Path: msrps://r.invalid;tcp\r\n{headers}"
        );
        Grant::parse(&Head::parse(Bytes::from(text), &Limits::default()).unwrap())
    }

    /// RLY-38
    #[test]
    fn rly_38_use_path_is_in_order_of_use() {
        let grant =
            grant("Use-Path: msrps://in.invalid:1/i;tcp msrps://out.invalid:1/o;tcp\r\nExpires: 90\r\n").unwrap();
        assert_eq!(grant.expires, 90);
        assert_eq!(
            grant.to_path("msrp://peer.invalid:1/p;tcp"),
            "msrps://in.invalid:1/i;tcp msrps://out.invalid:1/o;tcp msrp://peer.invalid:1/p;tcp"
        );
        assert_eq!(
            grant.own_path("msrp://me.invalid:1/m;tcp"),
            "msrps://out.invalid:1/o;tcp msrps://in.invalid:1/i;tcp msrp://me.invalid:1/m;tcp"
        );
    }

    /// RLY-30
    #[rstest]
    #[case("Expires: 90\r\n")]
    #[case("Use-Path: msrps://in.invalid:1/i;tcp\r\n")]
    #[case("Use-Path: \r\nExpires: 90\r\n")]
    #[case("Use-Path: nonsense\r\nExpires: 90\r\n")]
    #[case("Use-Path: msrps://in.invalid:1/i;tcp\r\nExpires: +90\r\n")]
    #[case("Use-Path: msrps://in.invalid:1/i;tcp\r\nExpires: 1.5\r\n")]
    #[case("Use-Path: msrps://in.invalid:1/i;tcp\r\nExpires: 99999999999999999999999\r\n")]
    fn rly_30_grant_needs_uris_and_whole_seconds(#[case] headers: &str) {
        assert_eq!(grant(headers), None);
    }
}
