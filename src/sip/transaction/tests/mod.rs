//! Transactions in virtual time: scripts whose whole log is compared, and two parties over a bad network.

mod client_invite;
mod client_other;
mod matching;
mod odd;
mod property;
mod server_invite;
mod server_other;
mod ways;

use std::time::Duration;

use super::*;
use crate::sip::framing;
use crate::sip::listeners::{Listener, Listeners};
use crate::sip::message::{Request, Response, cseq};
use crate::sip::way::{Protocol, Target, Way};

const UDP: Protocol = Protocol::Udp;
const TCP: Protocol = Protocol::Tcp;
const TLS: Protocol = Protocol::Tls;

/// One layer, its clock, and what it did.
struct Scene {
    layer: Transactions,
    now: Moment,
    /// What happened, each with its time in milliseconds.
    log: Vec<String>,
    sent: Vec<(Message, Way, Option<ClientId>)>,
    lengths: Vec<usize>,
    requests: Vec<(ServerId, Request)>,
    told: Vec<Response>,
    acks: Vec<Request>,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Scene {
        let mut settings = Settings::new(named("us.example"));
        change(&mut settings);
        Scene {
            layer: Transactions::new(settings, [7; 32]),
            now: Moment::ZERO,
            log: Vec::new(),
            sent: Vec::new(),
            lengths: Vec::new(),
            requests: Vec::new(),
            told: Vec::new(),
            acks: Vec::new(),
        }
    }

    /// Lets time pass.
    fn until(&mut self, ms: u64) {
        let end = Moment::ZERO + Duration::from_millis(ms);
        while let Some(next) = self.layer.next_timeout().filter(|next| *next <= end) {
            self.now = next;
            self.layer.timeout(next);
            self.drain();
        }
        self.now = end;
    }

    /// The log since the last look.
    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    fn request(&mut self, request: Request, way: Way) -> ClientId {
        let id = self.layer.request(request, way, self.now).unwrap();
        self.drain();
        id
    }

    fn receive(&mut self, message: impl Into<Message>, flow: FlowId) {
        self.layer.receive(framed(&message.into(), flow), flow, self.now);
        self.drain();
    }

    /// The other side answers the request that was sent at this place.
    fn answer(&mut self, place: usize, status: u16, tag: &str) {
        let (Message::Request(request), way, _) = &self.sent[place] else { panic!("not a request") };
        let flow = match way {
            Way::Flow(flow) => *flow,
            Way::Target(target) => flow(target.protocol),
        };
        self.receive(answer(request, status, tag), flow);
    }

    fn respond(&mut self, id: ServerId, response: Response) {
        self.layer.respond(id, response, self.now);
        self.drain();
    }

    /// Our user answers the request that was told at this place.
    fn reply(&mut self, place: usize, status: u16) {
        let (id, request) = &self.requests[place];
        let (id, response) = (*id, answer(request, status, "us"));
        self.respond(id, response);
    }

    fn closed(&mut self, flow: FlowId) {
        self.layer.closed(flow, self.now);
        self.drain();
    }

    fn unsent(&mut self, id: ClientId, why: Unsent) {
        self.layer.unsent(id, why, self.now);
        self.drain();
    }

    fn cancel(&mut self, id: ClientId, more: &[(&str, &str)]) {
        let more: Vec<(String, String)> = more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.layer.cancel(id, &more, self.now);
        self.drain();
    }

    fn acknowledge(&mut self, id: ClientId, ack: Request, way: Way) {
        self.layer.acknowledge(id, ack, way, self.now);
        self.drain();
    }

    fn sent_request(&self, place: usize) -> &Request {
        let (Message::Request(request), ..) = &self.sent[place] else { panic!("not a request") };
        request
    }

    fn last_response(&self) -> &Response {
        let Some((Message::Response(response), ..)) = self.sent.last() else { panic!("not a response") };
        response
    }

    /// Nothing is left: no transaction, no timer, no name.
    fn assert_empty(&self) {
        assert!(self.layer.is_empty());
        assert_eq!(self.layer.next_timeout(), None);
        let outside = &self.layer.outside;
        assert_eq!((outside.names.len(), outside.places.len(), outside.timers.len()), (0, 0, 0));
    }

    fn drain(&mut self) {
        let ms = self.now.since(Moment::ZERO).as_millis();
        while let Some(output) = self.layer.poll() {
            let line = match output {
                Output::Transmit { octets, way, of } => {
                    self.lengths.push(octets.len());
                    let message = read(&octets, way.remote());
                    let line = match &message {
                        Message::Request(request) => format!("> {}", request.method),
                        Message::Response(response) => {
                            format!("> {} {}", response.status, cseq(&response.headers).unwrap().method)
                        }
                    };
                    self.sent.push((message, way, of));
                    line
                }
                Output::Request { id, request, .. } => {
                    let line = format!("{} begins", request.method);
                    self.requests.push((id, request));
                    line
                }
                Output::Acknowledged { ack, .. } => {
                    self.acks.push(ack);
                    "acknowledged".to_owned()
                }
                Output::Cancelled { .. } => "cancelled".to_owned(),
                Output::Unacknowledged { .. } => "unacknowledged".to_owned(),
                Output::Response { response, .. } => {
                    let line = format!("< {}", response.status);
                    self.told.push(response);
                    line
                }
                Output::Failed { why, .. } => format!("failed: {why}"),
                Output::Ended { .. } => "ended".to_owned(),
            };
            self.log.push(format!("{ms} {line}"));
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Message {
        Message::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Message {
        Message::Response(response)
    }
}

fn octets(message: &Message) -> bytes::Bytes {
    match message {
        Message::Request(request) => request.octets(),
        Message::Response(response) => response.octets(),
    }
}

fn read(octets: &[u8], source: std::net::SocketAddr) -> Message {
    Message::read(&framing::datagram(octets, source, &framing::Limits::default()).unwrap().unwrap())
}

/// The message as it comes out of framing.
fn framed(message: &Message, flow: FlowId) -> Message {
    read(&octets(message), flow.remote)
}

/// One listener of this name.
fn named(name: &str) -> Listeners {
    let bound = flow(UDP).local;
    [Listener { protocol: UDP, bound, host: name.to_owned(), port: 5060 }].into_iter().collect()
}

fn flow(protocol: Protocol) -> FlowId {
    let number = if protocol.is_reliable() { 7 } else { 0 };
    FlowId { protocol, local: ([192, 0, 2, 1], 5060).into(), remote: ([192, 0, 2, 9], 5060).into(), number }
}

fn target(protocol: Protocol) -> Way {
    Way::Target(Target { protocol, address: ([192, 0, 2, 9], 5060).into(), name: None, from: None })
}

/// A request of ours, without its Via.
fn ours(method: &str) -> Request {
    let mut request = Request::new(method, "sip:b@there.example");
    for (name, value) in [
        ("Route", "<sip:proxy.example;lr>"),
        ("Route", "<sip:other.example;lr>"),
        ("From", "<sip:a@us.example>;tag=us"),
        ("To", "\"B\" <sip:b@there.example>"),
        ("Call-ID", "ours"),
        ("Max-Forwards", "69"),
        ("X-More", "x"),
    ] {
        request.headers.push(name, value);
    }
    request.headers.push("CSeq", format!("7 {method}"));
    request
}

/// The user's ACK of a 2xx of that fork.
fn our_ack(tag: &str) -> Request {
    let mut ack = ours("ACK");
    ack.headers.set("To", format!("<sip:b@there.example>;tag={tag}"));
    ack
}

/// A request of the other side, with this branch.
fn theirs(method: &str, branch: &str) -> Request {
    let mut request = Request::new(method, "sip:a@us.example");
    for (name, value) in
        [("From", "<sip:b@there.example>;tag=them"), ("To", "<sip:a@us.example>"), ("Call-ID", "theirs")]
    {
        request.headers.push(name, value);
    }
    request.headers.push_front("Via", format!("SIP/2.0/UDP 192.0.2.9:5060;branch={branch}"));
    request.headers.push("CSeq", format!("3 {method}"));
    request
}

/// The same in the dialog that our answer has made.
fn in_dialog(method: &str, branch: &str, number: u32) -> Request {
    let mut request = theirs(method, branch);
    request.headers.set("To", "<sip:a@us.example>;tag=us");
    request.headers.set("CSeq", format!("{number} {method}"));
    request
}

fn answer(request: &Request, status: u16, tag: &str) -> Response {
    let mut response = Response::to(request, status, "Whatever");
    let to = response.headers.first("To").unwrap().to_owned();
    if !tag.is_empty() && !to.contains(";tag=") {
        response.headers.set("To", format!("{to};tag={tag}"));
    }
    response
}

#[test]
fn s8_1_1_7_branches_are_new_each_time_and_follow_the_seed() {
    let branches = |seed| {
        let mut scene = Scene::new();
        scene.layer = Transactions::new(Settings::new(named("us.example")), [seed; 32]);
        for _ in 0..50 {
            scene.request(ours("OPTIONS"), target(UDP));
        }
        let via = |place: usize| key::top(&scene.sent_request(place).headers).unwrap();
        (0..50).map(|place| via(place).param("branch").unwrap().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (one, two) = (branches(1), branches(2));
    let mut all: Vec<&String> = one.iter().chain(&two).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 100);
    assert!(all.iter().all(|branch| branch.starts_with("z9hG4bK") && branch.len() == 39));
    assert_eq!(one, branches(1));
}

#[test]
fn s17_1_1_1_another_t1_scales_the_timers() {
    let mut scene = Scene::with(|settings| settings.t1 = Duration::from_millis(50));
    scene.receive(theirs("INVITE", "z9hG4bK1"), flow(UDP));
    scene.request(ours("INVITE"), target(TCP));
    scene.until(19);
    assert_eq!(scene.take(), ["0 INVITE begins", "0 > INVITE"]);
    scene.until(3200);
    assert_eq!(scene.take(), ["20 > 100 INVITE", "3200 failed: no response in time", "3200 ended"]);
}
