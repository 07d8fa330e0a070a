//! A request of ours on its way: with its Via, and by TCP if it is too long for a datagram (RFC 3261 section 18.1.1).

use bytes::Bytes;

use crate::sip::listeners::Listeners;
use crate::sip::message::Request;
use crate::sip::way::{Protocol, Target, Way};

/// A request over this goes by a connection: the path's MTU is not known, and a response may be longer by 200.
const LONGEST_DATAGRAM: usize = 1300;

/// What is sent, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Outgoing {
    pub(super) octets: Bytes,
    pub(super) way: Way,
    /// The same by UDP, for it was too long and goes by TCP: in case that nobody listens there.
    pub(super) datagram: Option<Box<Outgoing>>,
}

impl Outgoing {
    /// Gives the request its Via, the only one that it has. UDP is left only where the target was to be chosen: a flow is
    /// what somebody has chosen.
    pub(super) fn new(request: &mut Request, way: Way, branch: &str, listeners: &Listeners) -> Outgoing {
        request.headers.remove("Via");
        request.headers.push_front("Via", listeners.via(&way, branch));
        let plain = Outgoing { octets: request.octets(), way, datagram: None };
        let Way::Target(target @ Target { protocol: Protocol::Udp, .. }) = &plain.way else { return plain };
        if plain.octets.len() <= LONGEST_DATAGRAM {
            return plain;
        }
        let way = Way::Target(listeners.aim(Target { protocol: Protocol::Tcp, ..target.clone() }));
        request.headers.set("Via", listeners.via(&way, branch));
        Outgoing { octets: request.octets(), way, datagram: Some(Box::new(plain)) }
    }

    /// Takes to UDP after all; false if it is there already, or never was to be.
    pub(super) fn fall_back(&mut self) -> bool {
        let Some(datagram) = self.datagram.take() else { return false };
        *self = *datagram;
        true
    }
}
