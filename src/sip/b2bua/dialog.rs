//! One dialog of one leg: what it remembers of both sides, and the requests it makes (RFC 3261 section 12).
//!
//! A dialog begins with [`Dialog::answering`] where a request came to us, and with [`Dialog::asking`] where we send one: that
//! is the dialog before anyone answered, and each response with a new To-tag makes a dialog of its own from it.

mod fault;
mod key;
mod path;
#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use key::{DialogKey, key_of_request, key_of_response};

use path::Path;

use crate::sip::message::{Headers, NameAddr, Request, Response, cseq};
use crate::sip::way::Way;

/// What a request starts with (RFC 3261 section 8.1.1.6).
const MAX_FORWARDS: &str = "70";

/// Where the numbers of our requests begin in a dialog that the other side opened (RFC 3261 section 8.1.1.5).
const FIRST_CSEQ: u32 = 1;

/// Where they end: one request a second takes 68 years to come there (RFC 3261 section 8.1.1.5).
const LAST_CSEQ: u32 = (1 << 31) - 1;

/// A dialog, or what becomes one as soon as its request is answered (RFC 3261 section 12).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialog {
    /// By which way its requests go, if it is another one than its leg's: only an early dialog has one.
    pub way: Option<Way>,
    key: DialogKey,
    /// What we write into From of our requests.
    local: String,
    /// What we write into To of our requests.
    remote: String,
    /// Of our next request.
    next_cseq: u32,
    /// Of the newest request of the other side.
    remote_cseq: Option<u32>,
    path: Path,
    contact: String,
    confirmed: bool,
    asked: bool,
    /// The other side has said where it is.
    placed: bool,
}

impl Dialog {
    /// The dialog that a request opens with us, early at first (RFC 3261 section 12.1.1).
    pub fn answering(request: &Request, local_tag: &str, contact: &str) -> Result<Dialog, Fault> {
        let headers = &request.headers;
        let remote = headers.first("From").ok_or(Fault::From)?;
        let remote_tag = NameAddr::read(remote).ok_or(Fault::From)?.tag().ok_or(Fault::TagMissing)?;
        let to = headers.first("To").and_then(NameAddr::read).ok_or(Fault::To)?;
        Ok(Dialog {
            way: None,
            key: DialogKey {
                call_id: headers.first("Call-ID").ok_or(Fault::CallId)?.to_owned(),
                local_tag: local_tag.to_owned(),
                remote_tag: Some(remote_tag.to_owned()),
            },
            local: to.with_tag(Some(local_tag)),
            remote: remote.to_owned(),
            next_cseq: FIRST_CSEQ,
            remote_cseq: Some(cseq(headers).ok_or(Fault::CSeq)?.number),
            path: Path {
                routes: path::record_route(headers)?,
                target: path::contact(headers)?.ok_or(Fault::ContactMissing)?,
            },
            contact: contact.to_owned(),
            confirmed: false,
            asked: false,
            placed: true,
        })
    }

    /// The dialog that a request of ours shall open, before anyone answered; `from` and `to` are values that can be read, our
    /// first request has the number `cseq`, below 2^31, and goes to the URI of `to` (RFC 3261 section 8.1.1).
    pub fn asking(from: String, local_tag: &str, to: String, call_id: &str, contact: &str, cseq: u32) -> Dialog {
        let target = NameAddr::read(&to).and_then(|to| path::request_uri(to.uri)).unwrap_or_else(|| to.clone());
        Dialog {
            way: None,
            key: DialogKey { call_id: call_id.to_owned(), local_tag: local_tag.to_owned(), remote_tag: None },
            local: tagged(&from, Some(local_tag)),
            remote: tagged(&to, None),
            next_cseq: cseq,
            remote_cseq: None,
            path: Path { routes: Vec::new(), target },
            contact: contact.to_owned(),
            confirmed: false,
            asked: true,
            placed: false,
        }
    }

    /// Sends the first request to another URI than that of To, as routing decides (RFC 3261 section 8.1.1.1).
    pub fn aim(&mut self, target: &str) {
        self.path.target = target.to_owned();
    }

    /// The dialog as a response to our INVITE makes it: early, or confirmed by a 2xx; one of its own for each To-tag
    /// (RFC 3261 sections 12.1.2, 13.2.2.4).
    ///
    /// To be asked of the dialog with this To-tag if there is one, else of that from [`Dialog::asking`]. Where no response
    /// named a Contact, the Request-URI stays the target: a 180 often has none, and a 2xx without one is better
    /// acknowledged than left alone.
    pub fn answered(&self, response: &Response) -> Result<Dialog, Fault> {
        if !(101..300).contains(&response.status) {
            return Err(Fault::Status);
        }
        let headers = &response.headers;
        let to = headers.first("To").and_then(NameAddr::read).ok_or(Fault::To)?;
        let tag = to.tag().ok_or(Fault::TagMissing)?;
        let is_new = self.key.remote_tag.is_none();
        if !is_new && self.key.remote_tag.as_deref() != Some(tag) {
            return Err(Fault::OtherDialog);
        }
        let mut dialog = self.clone();
        let before = self.next_hop();
        let contact = match path::contact(headers) {
            Err(fault) if is_new || response.is_success() => return Err(fault),
            read => read.ok().flatten(),
        };
        // A 180 may have come without a Contact, and so without a way (section 12.1.2).
        let is_placed = !self.placed && contact.is_some();
        // A 2xx may know more of the way than a 1xx did (section 13.2.2.4); once confirmed, the way stays.
        if is_new || is_placed || (response.is_success() && !self.confirmed) {
            dialog.path.routes = path::record_route(headers)?;
            dialog.path.routes.reverse();
        }
        if (is_new || is_placed || response.is_success())
            && let Some(target) = contact
        {
            dialog.path.target = target;
            dialog.placed = true;
        }
        dialog.way.take_if(|_| dialog.path.next_hop() != before);
        dialog.remote = tagged(&self.remote, Some(tag));
        dialog.key.remote_tag = Some(tag.to_owned());
        dialog.confirmed |= response.is_success();
        Ok(dialog)
    }

    /// Takes the Contact of an INVITE or UPDATE that was accepted, or of its 2xx, as the new target; what cannot be read
    /// changes nothing (RFC 3261 sections 12.2.1.2, 12.2.2; RFC 3311 section 5).
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(Some(target)) = path::contact(headers) {
            let before = self.next_hop().to_owned();
            self.path.target = target;
            self.way.take_if(|_| self.path.next_hop() != before);
        }
    }

    /// Whether a request in this dialog is newer than the last one and can be read; its number is remembered (RFC 3261
    /// section 12.2.2). ACK and CANCEL have the number of their INVITE, whatever came in between.
    pub fn admit(&mut self, request: &Request) -> Result<(), Fault> {
        let number = cseq(&request.headers).ok_or(Fault::CSeq)?.number;
        if matches!(&*request.method, "ACK" | "CANCEL") {
            return Ok(());
        }
        // A request of the same number is no retransmission: the transaction would have kept that.
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Err(Fault::OutOfOrder);
        }
        self.remote_cseq = Some(number);
        if refreshes_target(&request.method) {
            path::contact(&request.headers)?;
        }
        Ok(())
    }

    /// Our next request in this dialog, without Via and body (RFC 3261 section 12.2.1.1).
    pub fn request(&mut self, method: &str) -> Request {
        let number = self.next_cseq;
        self.next_cseq = number.saturating_add(1).min(LAST_CSEQ);
        self.write(method, number)
    }

    /// The ACK for a 2xx to our INVITE of this number (RFC 3261 section 13.2.2.4).
    pub fn ack(&self, invite_cseq: u32) -> Request {
        self.write("ACK", invite_cseq)
    }

    /// Our response to a request of this dialog: with our tag, and with Record-Route and Contact where the other side needs
    /// them to know the way (RFC 3261 sections 8.2.6.2, 12.1.1).
    pub fn response(&self, request: &Request, status: u16, phrase: &str) -> Response {
        let mut response = Response::to(request, status, phrase);
        if status == 100 {
            return response;
        }
        if key_of_request(request).is_none() {
            response.headers.set("To", &*self.local);
        }
        if status < 300 && refreshes_target(&request.method) {
            for value in request.headers.all("Record-Route") {
                response.headers.push("Record-Route", value);
            }
            response.headers.push("Contact", &*self.contact);
        }
        response
    }

    /// Call-ID and tags, by which messages find it (RFC 3261 section 12).
    pub fn key(&self) -> DialogKey {
        self.key.clone()
    }

    /// The URI that requests are sent to: that of the first Route, else the remote target (RFC 3261 section 8.1.2).
    pub fn next_hop(&self) -> &str {
        self.path.next_hop()
    }

    /// The URI that the other side wants to be reached at (RFC 3261 section 12).
    pub fn remote_target(&self) -> &str {
        &self.path.target
    }

    /// Whether nobody has asked to stand between (RFC 3261 section 12.1).
    pub fn is_direct(&self) -> bool {
        self.next_hop() == self.remote_target()
    }

    /// Our side as a value of From or To, with our tag.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The other side as a value of From or To, with its tag once it is known.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The value of our Contact.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// Whether the Call-ID is ours, which decides who waits longer after a 491 (RFC 3261 section 14.1).
    pub fn owns_call_id(&self) -> bool {
        self.asked
    }

    /// Makes it a confirmed dialog: we sent a 2xx (RFC 3261 section 12).
    pub fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Whether a 2xx was sent or came (RFC 3261 section 12).
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    fn write(&self, method: &str, number: u32) -> Request {
        let mut request = self.path.request(method);
        for (name, value) in [
            ("Max-Forwards", MAX_FORWARDS),
            ("From", &self.local),
            ("To", &self.remote),
            ("Call-ID", &self.key.call_id),
            ("CSeq", &format!("{number} {method}")),
        ] {
            request.headers.push(name, value);
        }
        if refreshes_target(method) {
            request.headers.push("Contact", &*self.contact);
        }
        request
    }
}

/// Whether its Contact says where its sender is reached from now on (RFC 3261 section 12.2, RFC 3311 section 4).
fn refreshes_target(method: &str) -> bool {
    matches!(method, "INVITE" | "UPDATE")
}

/// A value of From or To with another tag. What cannot be read is left to whoever refuses it.
fn tagged(value: &str, tag: Option<&str>) -> String {
    NameAddr::read(value).map_or_else(|| value.to_owned(), |read| read.with_tag(tag))
}
