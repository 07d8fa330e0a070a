//! What both sides of a call remember of it (RFC 3261 section 12).

use super::message::Message;

/// One dialog, as seen from the agent.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Its Call-ID.
    pub call_id: String,
    /// Our From in requests of ours.
    pub local: String,
    /// Our To in requests of ours.
    pub remote: String,
    /// The tag in `local`.
    pub local_tag: String,
    /// The tag in `remote`.
    pub remote_tag: String,
    /// The Request-URI of requests of ours.
    pub target: String,
    /// The Route headers of requests of ours.
    pub routes: Vec<String>,
    /// The number of our last request.
    pub cseq: u32,
    /// The highest number of theirs, once there was one.
    pub seen: Option<u32>,
    /// The Record-Routes of a 2xx are final (RFC 3261 section 13.2.2.4).
    pub confirmed: bool,
}

impl Dialog {
    /// The dialog that a response to our INVITE makes (RFC 3261 section 12.1.2).
    pub fn of_caller(response: &Message) -> Dialog {
        let mut routes = response.list("Record-Route");
        routes.reverse();
        Dialog {
            call_id: response.call_id().to_owned(),
            local: response.need("From").to_owned(),
            remote: response.need("To").to_owned(),
            local_tag: response.tag("From").expect("our tag"),
            remote_tag: response.tag("To").expect("a tag in To"),
            target: response.contact(),
            routes,
            cseq: response.cseq().0,
            seen: None,
            confirmed: response.status() >= 200,
        }
    }

    /// The dialog that our response to an INVITE makes, whose To has our tag (RFC 3261 section 12.1.1).
    pub fn of_callee(request: &Message, to: &str, tag: &str) -> Dialog {
        Dialog {
            call_id: request.call_id().to_owned(),
            local: to.to_owned(),
            remote: request.need("From").to_owned(),
            local_tag: tag.to_owned(),
            remote_tag: request.tag("From").expect("a tag in From"),
            target: request.contact(),
            routes: request.list("Record-Route"),
            cseq: 0,
            seen: Some(request.cseq().0),
            confirmed: true,
        }
    }

    /// Whether a message belongs to it: what tags it has are the dialog's.
    pub fn has(&self, message: &Message) -> bool {
        let ours = |name| message.tag(name).is_none_or(|tag| tag == self.local_tag || tag == self.remote_tag);
        message.call_id() == self.call_id && ours("From") && ours("To")
    }

    /// What a further response to the INVITE, or a request that refreshes the target, changes.
    pub fn update(&mut self, message: &Message) {
        if message.header("Contact").is_some() {
            self.target = message.contact();
        }
        let first = !self.confirmed && (200..300).contains(&message.status());
        if first {
            self.routes = message.list("Record-Route");
            self.routes.reverse();
            self.confirmed = true;
        }
    }
}
