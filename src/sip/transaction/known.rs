//! Whether a message belongs to a transaction: what another process of this place has to know before it takes it.

use super::key::{self, Key};
use super::{Owner, Transactions};
use crate::sip::gate::METHODS;
use crate::sip::message::{Message, Request, Response, cseq};

impl Transactions {
    /// Whether a transaction here would take it, one that only absorbs repetitions included.
    pub fn knows(&self, message: &Message) -> bool {
        match message {
            Message::Request(request) => self.knows_request(request),
            Message::Response(response) => self.knows_response(response),
        }
    }

    fn knows_request(&self, request: &Request) -> bool {
        let Some(via) = key::top(&request.headers) else { return false };
        let keys = &self.outside.keys;
        match &*request.method {
            "ACK" => {
                self.is_server(keys.server(request, &via, "INVITE")) || self.is_server(keys.success(&request.headers))
            }
            // It may mean any of them (RFC 3261 section 9.2).
            "CANCEL" => METHODS.iter().any(|method| self.is_server(keys.server(request, &via, method))),
            method => {
                let merged = keys.merged(request).is_some_and(|merged| self.is_server(merged));
                merged || self.is_server(keys.server(request, &via, method))
            }
        }
    }

    fn knows_response(&self, response: &Response) -> bool {
        let Some(via) = key::top(&response.headers) else { return false };
        let branch = via.param("branch").flatten().unwrap_or_default();
        let method = cseq(&response.headers).map(|cseq| cseq.method).unwrap_or_default();
        let owner = self.outside.names.get(&self.outside.keys.client(branch, &method));
        matches!(owner, Some(Owner::Client(_)))
    }

    fn is_server(&self, key: Key) -> bool {
        matches!(self.outside.names.get(&key), Some(Owner::Server(_)))
    }
}
