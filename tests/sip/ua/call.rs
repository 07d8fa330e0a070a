//! Requests of the agent.

use std::net::SocketAddr;

use super::message::{Message, Read, Start, place_of, uri_of};
use super::{Agent, Draft, digest};

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, MESSAGE";

impl Agent {
    /// Calls with this offer.
    pub async fn invite(&mut self, to: &str, sdp: &str) -> Message {
        self.request("INVITE", to, Draft::sdp(sdp)).await
    }

    /// A request outside of any dialog, to this URI.
    pub async fn request(&mut self, method: &str, to: &str, draft: Draft) -> Message {
        let tag = self.fresh();
        // To a registrar one speaks about oneself.
        let (uri, about) = match method {
            "REGISTER" => {
                let domain = to.rsplit_once('@').map_or(to, |(_, domain)| domain);
                (format!("sip:{}", domain.trim_start_matches("sip:")), format!("<{to}>"))
            }
            _ => (to.to_owned(), format!("<{to}>")),
        };
        let from = match method {
            "REGISTER" => format!("<{to}>;tag={tag}"),
            _ => format!("<{}>;tag={tag}", self.uri_at(self.address())),
        };
        let call_id = format!("{}@{}", self.fresh(), self.address().ip());
        let mut headers = vec![
            ("Via", self.via()),
            ("Max-Forwards", "70".to_owned()),
            ("From", from),
            ("To", about),
            ("Call-ID", call_id),
            ("CSeq", format!("1 {method}")),
        ];
        if ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE"].contains(&method) {
            headers.push(("Contact", self.contact()));
        }
        if method == "INVITE" {
            headers.push(("Allow", ALLOW.to_owned()));
        }
        let place = self.proxy.unwrap_or_else(|| place_of(&uri));
        let octets = draft.write(&format!("{method} {uri} SIP/2.0"), headers);
        self.send(octets, place).await
    }

    /// Registers at a registrar until it is told otherwise.
    pub async fn register(&mut self, registrar: SocketAddr, password: Option<&str>) {
        let aor = self.uri_at(registrar);
        let draft = Draft::new().header("Expires", "600");
        let proxy = self.proxy.replace(registrar);
        let mut request = self.request("REGISTER", &aor, draft).await;
        self.proxy = proxy;
        if let Some(password) = password {
            let challenge = self.response(&request, 401).await;
            let user = self.name.clone();
            request = self.with_credentials(&request, &challenge, &user, password).await;
        }
        self.response(&request, 200).await;
    }

    /// A request within the dialog of this message.
    pub async fn within(&mut self, handle: &Message, method: &str, draft: Draft) -> Message {
        let dialog = self.dialog(handle);
        dialog.cseq += 1;
        let number = dialog.cseq;
        self.numbered(handle, method, number, draft).await
    }

    /// Offers anew within the dialog of this message.
    pub async fn reinvite(&mut self, handle: &Message, sdp: &str) -> Message {
        self.within(handle, "INVITE", Draft::sdp(sdp)).await
    }

    /// Ends the dialog of this message, and waits until the other side agrees.
    pub async fn hang_up(&mut self, handle: &Message) {
        let bye = self.within(handle, "BYE", Draft::new()).await;
        self.response(&bye, 200).await;
    }

    /// Acknowledges a reliable provisional response (RFC 3262 section 7.2).
    pub async fn prack(&mut self, response: &Message, draft: Draft) -> Message {
        let (number, method) = response.cseq();
        let rack = format!("{} {number} {method}", response.need("RSeq"));
        self.within(response, "PRACK", draft.header("RAck", &rack)).await
    }

    /// Acknowledges a final response.
    pub async fn ack(&mut self, response: &Message) -> Message {
        self.ack_with(response, Draft::new()).await
    }

    /// The same with a body or further headers: the answer to a late offer.
    pub async fn ack_with(&mut self, response: &Message, draft: Draft) -> Message {
        let (number, _) = response.cseq();
        if (200..300).contains(&response.status()) {
            return self.numbered(response, "ACK", number, draft).await;
        }
        self.hop(&self.request_of(response), "ACK", response.need("To"), draft).await
    }

    /// Takes an INVITE back (RFC 3261 section 9.1).
    pub async fn cancel(&mut self, invite: &Message, draft: Draft) -> Message {
        self.hop(invite, "CANCEL", invite.need("To"), draft).await
    }

    /// The same request once more, with the answer to this challenge.
    pub async fn with_credentials(
        &mut self,
        request: &Message,
        challenge: &Message,
        user: &str,
        password: &str,
    ) -> Message {
        let (asked, given) = match challenge.status() {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            other => panic!("{other} is no challenge"),
        };
        let challenges = challenge.lines(asked);
        let md5 = challenges.into_iter().find(|c| digest::is_md5(c)).expect("a challenge for MD5");
        let value = digest::credentials(md5, user, password, &request.method(), request.uri());
        let (number, method) = request.cseq();
        let via = self.via();
        let renewed = |name: &str| match name {
            "Via" => Some(via.clone()),
            "CSeq" => Some(format!("{} {method}", number + 1)),
            _ => None,
        };
        let mut out = format!("{method} {} SIP/2.0\r\n{given}: {value}\r\n", request.uri());
        for (name, old) in &request.headers {
            out += &format!("{name}: {}\r\n", renewed(name).as_ref().unwrap_or(old));
        }
        let mut octets = (out + "\r\n").into_bytes();
        octets.extend_from_slice(&request.body);
        self.send(octets, request.peer).await
    }

    async fn numbered(&mut self, handle: &Message, method: &str, number: u32, draft: Draft) -> Message {
        let via = self.via();
        let contact = self.contact();
        let dialog = self.dialog(handle);
        let mut headers = vec![("Via", via), ("Max-Forwards", "70".to_owned())];
        headers.extend(dialog.routes.iter().map(|route| ("Route", route.clone())));
        headers.extend([
            ("From", dialog.local.clone()),
            ("To", dialog.remote.clone()),
            ("Call-ID", dialog.call_id.clone()),
            ("CSeq", format!("{number} {method}")),
        ]);
        if method == "INVITE" || method == "UPDATE" {
            headers.push(("Contact", contact));
            headers.push(("Allow", ALLOW.to_owned()));
        }
        let first = dialog.routes.first().map(|route| uri_of(route));
        assert!(first.is_none_or(|uri| uri.contains(";lr")), "a strict router: {first:?}");
        let place = place_of(first.unwrap_or(&dialog.target));
        let octets = draft.write(&format!("{method} {} SIP/2.0", dialog.target), headers);
        self.send(octets, place).await
    }

    /// A request that follows another one hop by hop: CANCEL, and ACK of what is no 2xx (RFC 3261 section 17.1.1.3).
    async fn hop(&mut self, request: &Message, method: &str, to: &str, draft: Draft) -> Message {
        let copy = |name: &'static str| (name, request.need(name).to_owned());
        let mut headers = vec![copy("Via"), ("Max-Forwards", "70".to_owned())];
        headers.extend(request.lines("Route").into_iter().map(|route| ("Route", route.to_owned())));
        headers.extend([copy("From"), ("To", to.to_owned()), copy("Call-ID")]);
        headers.push(("CSeq", format!("{} {method}", request.cseq().0)));
        let octets = draft.write(&format!("{method} {} SIP/2.0", request.uri()), headers);
        self.send(octets, request.peer).await
    }

    /// The request of ours that this responds to.
    pub(super) fn request_of(&self, response: &Message) -> Message {
        let ours = |sent: &&Message| sent.branch() == response.branch() && sent.cseq() == response.cseq();
        let found = self.sent.iter().rev().find(ours);
        found.unwrap_or_else(|| panic!("{} has asked nothing that this answers:\n{response}", self.name)).clone()
    }

    pub(super) async fn send(&mut self, octets: Vec<u8>, to: SocketAddr) -> Message {
        self.wire.send(&octets, to).await;
        let message = match Message::read(&octets, to) {
            Ok(Read::Whole(message, _)) => *message,
            // What a test breaks on purpose cannot be a handle either.
            _ => Message {
                start: Start::Request("BROKEN".to_owned(), String::new()),
                headers: Vec::new(),
                body: Vec::new(),
                raw: octets,
                peer: to,
            },
        };
        if message.is_request() && message.header("Via").is_some() {
            self.sent.push(message.clone());
        }
        message
    }
}
