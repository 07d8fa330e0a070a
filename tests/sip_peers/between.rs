//! What is between two peers, and how they are brought together.

use std::cell::Cell;
use std::net::SocketAddr;

use chappe::client::{Endpoint, EndpointOptions, Event, Listener, SendOptions};
use tokio::time::timeout;

use crate::sip::kamailio::{Kamailio, Wish};
use crate::sip::sipp::{Script, Sipp};
use crate::sip::{PATIENCE, Transport};

/// How two peers reach each other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Way {
    Direct,
    Kamailio,
}

/// What is between the peers: nothing, or a proxy where the callee has registered.
pub(crate) struct Between {
    transport: Transport,
    kamailio: Option<Kamailio>,
    calls: Cell<u32>,
}

impl Between {
    /// With nothing between, or with Kamailio and no Chappe beside it.
    pub(crate) async fn new(way: Way, transport: Transport) -> Between {
        let kamailio = match way {
            Way::Direct => None,
            Way::Kamailio => Some(Kamailio::start(&Wish { without_chappe: true, ..Wish::default() }).await),
        };
        Between { transport, kamailio, calls: Cell::new(0) }
    }

    /// Runs both sides of a call to their ends.
    pub(crate) async fn call(&self, callee: Script, caller: impl FnOnce(SocketAddr) -> Script) -> (Sipp, Sipp) {
        let (mut caller, mut callee) = self.begin(callee, caller).await;
        caller.end().await;
        callee.end().await;
        (caller, callee)
    }

    /// Starts both sides of a call. The callee is first registered, where there is a registrar.
    pub(crate) async fn begin(&self, callee: Script, caller: impl FnOnce(SocketAddr) -> Script) -> (Sipp, Sipp) {
        // Each call has a callee of its own: registrations outlive their devices.
        self.calls.set(self.calls.get() + 1);
        let user = format!("bob{}", self.calls.get());
        let callee = callee.start().await;
        let next = match &self.kamailio {
            Some(kamailio) => {
                register(kamailio, &user, &callee.uri(&user), self.transport, None).await;
                kamailio.address()
            }
            None => callee.address(),
        };
        (caller(next).user(&user).start().await, callee)
    }

    /// The side that is called.
    pub(crate) fn callee(&self, scenario: &str) -> Script {
        Script::callee(scenario, self.transport)
    }

    /// A pair of scenarios with nothing to be put in.
    pub(crate) async fn pair(&self, caller: &str, callee: &str) -> (Sipp, Sipp) {
        self.call(self.callee(callee), |next| Script::caller(caller, self.transport, next)).await
    }
}

/// Registers a contact by SIPp.
pub(crate) async fn register(
    kamailio: &Kamailio,
    user: &str,
    contact: &str,
    transport: Transport,
    password: Option<&str>,
) {
    let script = Script::caller("uac_register", transport, kamailio.address()).user(user).key("contact", contact);
    let script = match password {
        Some(password) => script.options(&["-au", user, "-ap", password]),
        None => script,
    };
    script.start().await.end().await;
}

/// An MSRP endpoint that can be connected to.
pub(crate) async fn listener() -> Listener {
    Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("an MSRP listener")
}

/// A message from here to the endpoint that a peer has named.
pub(crate) async fn carries(path: &str, far: &Listener) {
    let address = path.split('/').nth(2).and_then(|place| place.parse().ok()).expect("an address");
    let here = Endpoint::connect_tcp(address).await.expect("a connection");
    let text = Some("text/plain");
    let (sending, there) = tokio::join!(
        here.send_message(path, text, "through the call", SendOptions::default()),
        timeout(PATIENCE, far.accept(EndpointOptions::default()))
    );
    let there = there.expect("in time").expect("a connection");
    loop {
        match timeout(PATIENCE, there.event()).await.expect("in time").expect("an event") {
            Event::Message(message) => {
                assert_eq!(message.body.as_deref(), Some(&b"through the call"[..]));
                break;
            }
            _ => continue,
        }
    }
    timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("answered");
}
