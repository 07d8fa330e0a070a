//! Responses of the agent.

use super::dialog::Dialog;
use super::message::{Message, parameter};
use super::{Agent, Draft};

impl Agent {
    /// Responds without a body.
    pub async fn reply(&mut self, request: &Message, status: u16) -> Message {
        self.reply_with(request, status, Draft::new()).await
    }

    /// Responds 200 with this description.
    pub async fn answer(&mut self, request: &Message, sdp: &str) -> Message {
        self.reply_with(request, 200, Draft::sdp(sdp)).await
    }

    /// Responds with further headers or a body.
    pub async fn reply_with(&mut self, request: &Message, status: u16, draft: Draft) -> Message {
        let call = request.call_id().to_owned();
        let fresh = self.fresh();
        let tag = self.tags.entry(call).or_insert(fresh).clone();
        self.reply_as(request, &tag, status, draft).await
    }

    /// Responds with this tag: as one of several devices behind a proxy that forks.
    pub async fn reply_as(&mut self, request: &Message, tag: &str, status: u16, draft: Draft) -> Message {
        let mut to = request.need("To").to_owned();
        let begins = request.tag("To").is_none();
        if begins && status > 100 {
            to = format!("{to};tag={tag}");
        }
        let mut headers: Vec<(&str, String)> = Vec::new();
        for (n, via) in request.list("Via").into_iter().enumerate() {
            headers.push(("Via", if n == 0 { marked(&via, request) } else { via }));
        }
        for name in ["From", "Call-ID", "CSeq"] {
            headers.push((name, request.need(name).to_owned()));
        }
        headers.insert(headers.len() - 2, ("To", to.clone()));
        let method = request.method();
        let lasting = (101..300).contains(&status) && ["INVITE", "UPDATE"].contains(&method.as_str());
        if lasting {
            headers.extend(request.lines("Record-Route").into_iter().map(|route| ("Record-Route", route.to_owned())));
            headers.push(("Contact", self.contact()));
        }
        if lasting && begins {
            let dialog = Dialog::of_callee(request, &to, tag);
            if !self.dialogs.iter().any(|d| d.call_id == dialog.call_id && d.local_tag == dialog.local_tag) {
                self.dialogs.push(dialog);
            }
        }
        let phrase = draft.phrase.clone().unwrap_or_else(|| phrase(status).to_owned());
        let octets = draft.write(&format!("SIP/2.0 {status} {phrase}"), headers);
        self.send(octets, request.peer).await
    }
}

/// The top Via with where the request really came from (RFC 3581 section 4).
fn marked(via: &str, request: &Message) -> String {
    if parameter(via, "rport").is_none_or(|port| !port.is_empty()) {
        return via.to_owned();
    }
    let parts: Vec<&str> = via.split(';').filter(|part| !part.trim().eq_ignore_ascii_case("rport")).collect();
    format!("{};received={};rport={}", parts.join(";"), request.peer.ip(), request.peer.port())
}

fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        302 => "Moved Temporarily",
        401 => "Unauthorized",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        415 => "Unsupported Media Type",
        422 => "Session Interval Too Small",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "As The Test Says",
    }
}
