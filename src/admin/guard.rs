//! Who may ask: the bearer token, and what keeps web pages in a browser on this machine out.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Admin;
use super::answer::Failure;
use super::listener::Peer;
use crate::config::Secret;
use crate::observe::throttle::Throttle;

/// Longest body of a request, in octets.
pub(super) const BODY: usize = 4096;

/// What probes of load balancers ask without a token.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

static REFUSED: Throttle = Throttle::new(10);

/// Lets a request through or says why not.
pub(super) async fn guard(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let token = admin.token.load_full();
    match check(&request, token.as_deref()) {
        Ok(()) => {
            if !OPEN.contains(&request.uri().path()) {
                peer.admit();
            }
            next.run(request).await
        }
        Err(failure) => {
            if let Some(held_back) = REFUSED.admit() {
                let peer = peer.address.ip().to_canonical();
                tracing::warn!(%peer, held_back, error = failure.text(), "admin request refused");
            }
            failure.into_response()
        }
    }
}

fn check(request: &Request, token: Option<&Secret>) -> Result<(), Failure> {
    let headers = request.headers();
    match token {
        Some(_) if OPEN.contains(&request.uri().path()) => {}
        Some(token) if bears(headers, token) => {}
        Some(_) => return Err(Failure::new(StatusCode::UNAUTHORIZED, "a bearer token is needed")),
        None if names_loopback(request) => {}
        None => {
            return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, "Host must be localhost or a loopback address"));
        }
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && headers.contains_key(header::ORIGIN) {
        // Browsers add it to whatever a page makes them send; there is no page of ours.
        return Err(Failure::new(StatusCode::FORBIDDEN, "requests of web pages are not served"));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY as u64) {
        return Err(Failure::too_large());
    }
    Ok(())
}

/// Compared in time that depends on the lengths only.
fn bears(headers: &HeaderMap, token: &Secret) -> bool {
    let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else { return false };
    let Some((scheme, given)) = value.split_once(' ') else { return false };
    scheme.eq_ignore_ascii_case("Bearer") && Secret::from(given.trim()) == *token
}

/// Against DNS rebinding: a page of evil.example whose name suddenly means 127.0.0.1 still names itself in Host. A request
/// without Host is not a browser's.
fn names_loopback(request: &Request) -> bool {
    let authority = request.uri().authority().is_none_or(is_loopback);
    let hosts = request.headers().get_all(header::HOST);
    authority
        && hosts.iter().all(|host| {
            host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()).is_some_and(|host| is_loopback(&host))
        })
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use rstest::rstest;

    fn status(builder: axum::http::request::Builder, token: Option<&str>) -> Option<StatusCode> {
        let token = token.map(Secret::from);
        let request = builder.body(Body::empty()).expect("request");
        check(&request, token.as_ref()).err().map(|failure| failure.status())
    }

    #[rstest]
    #[case("localhost", true)]
    #[case("LocalHost:9855", true)]
    #[case("127.0.0.1:9855", true)]
    #[case("[::1]:9855", true)]
    #[case("evil.example", false)]
    #[case("localhost.evil.example:9855", false)]
    #[case("127.0.0.1.evil.example", false)]
    #[case("127.0.0.1@evil.example", false)]
    #[case("192.0.2.1", false)]
    #[case("", false)]
    fn without_a_token_host_must_be_loopback(#[case] host: &str, #[case] served: bool) {
        let request = Request::builder().uri("/sessions").header("Host", host);
        assert_eq!(status(request, None), (!served).then_some(StatusCode::MISDIRECTED_REQUEST));
    }

    #[rstest]
    #[case("/sessions", Some("Bearer hunter2"), true)]
    #[case("/sessions", Some("bearer  hunter2"), true)]
    #[case("/sessions", Some("Bearer hunter3"), false)]
    #[case("/sessions", Some("Bearer hunter22"), false)]
    #[case("/sessions", Some("Bearer"), false)]
    #[case("/sessions", Some("Basic hunter2"), false)]
    #[case("/sessions", None, false)]
    #[case("/no-such-thing", None, false)]
    #[case("/healthz", None, true)]
    #[case("/readyz", None, true)]
    #[case("/healthz/../sessions", None, false)]
    fn with_a_token_all_but_probes_need_it(
        #[case] path: &str,
        #[case] authorization: Option<&str>,
        #[case] served: bool,
    ) {
        let mut request = Request::builder().uri(path).header("Host", "relay.example");
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        assert_eq!(status(request, Some("hunter2")), (!served).then_some(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn a_web_page_cannot_change_anything() {
        let request = |method: &str| {
            Request::builder().method(method).uri("/drain").header("Host", "localhost").header("Origin", "null")
        };
        assert_eq!(status(request("POST"), None), Some(StatusCode::FORBIDDEN));
        assert_eq!(status(request("GET"), None), None);
    }
}
