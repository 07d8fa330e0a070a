//! Two user agents, the machine between them and a shard of the relay beside it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) use super::texts::{cancel_of, line, path, sdp, sdp_at, uri_of};
use crate::moment::Moment;
use crate::relay::policy::{EgressPolicy, Rule};
use crate::relay::{AnchorNews, Authority, Event, Output as CoreOutput, Relay, Side};
use crate::sdp::{Fingerprint, Rules};
use crate::sip::b2bua::session_timer::Wishes;
use crate::sip::b2bua::{
    Admission, AnchorRef, B2bua, CallEvent, CallKey, Forks, MediaSettings, MsrpListener, Output, Refusal, Routed,
    Settings,
};
use crate::sip::framing;
use crate::sip::listeners::Listener;
use crate::sip::message::{Message, NameAddr, Request, Response, cseq};
use crate::sip::transaction::{self, Unsent};
use crate::sip::way::{FlowId, Protocol, Target, Way};

pub(super) const ANA: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 5060);
pub(super) const BO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2)), 5060);
/// Where a call goes that Bo's first address does not take.
pub(super) const BO_TOO: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 3)), 5060);
pub(super) const US: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 20)), 5060);

/// What left for somebody.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) to: SocketAddr,
    pub(super) way: Way,
    pub(super) message: Message,
}

pub(super) struct Scene {
    pub(super) b2bua: B2bua,
    pub(super) relay: Relay,
    pub(super) now: Moment,
    pub(super) sent: VecDeque<Sent>,
    pub(super) events: Vec<CallEvent>,
    /// Where calls go; none for 404.
    pub(super) targets: Vec<SocketAddr>,
    /// And by which protocol, the first of them and the others.
    pub(super) protocol: Protocol,
    pub(super) then: Protocol,
    pub(super) routed: Routed,
    pub(super) admission: Result<Admission, Refusal>,
    /// What the core is asked waits for [`Scene::release_core`].
    pub(super) hold_core: bool,
    pub(super) held: VecDeque<Output>,
    /// Admission and routing wait too.
    pub(super) hold_rules: bool,
    /// Whether URIs of ours that stand in a path live.
    pub(super) living: bool,
    /// Addresses that nothing can be sent to.
    pub(super) dead: Vec<SocketAddr>,
    pub(super) reserved: Vec<AnchorRef>,
    /// What was asked about routes: those of the INVITE, and whether its caller is a stranger.
    pub(super) asked_routes: Vec<(Vec<String>, bool)>,
    /// News of anchors are lost.
    pub(super) deaf: bool,
    /// What anchors have told.
    pub(super) told: Vec<(AnchorRef, &'static str)>,
    pub(super) released: Vec<AnchorRef>,
    pub(super) withdrawn: Vec<(AnchorRef, Side)>,
    /// What legs were told of their ends' paths.
    pub(super) terms: Vec<(Side, String)>,
    /// Legs whose terms are those of a file.
    pub(super) files: Vec<Side>,
    branch: u32,
    /// Which listener of ours hears what is said.
    pub(super) local: SocketAddr,
    connected: Vec<FlowId>,
    /// Names whose place was asked for.
    pub(super) located: Vec<String>,
    /// Targets that did not take a call.
    pub(super) rested: Vec<SocketAddr>,
}

/// A listener that is called what it is bound to.
pub(super) fn listener(protocol: Protocol, bound: SocketAddr) -> Listener {
    Listener { protocol, bound, host: bound.ip().to_string(), port: bound.port() }
}

/// Where everybody here lives, which is forbidden otherwise.
fn documentation() -> Vec<Rule> {
    ["192.0.2.0/24", "198.51.100.0/24"].map(|net| net.parse().unwrap()).into()
}

fn settings() -> Settings {
    let msrp = |scheme, port| MsrpListener {
        name: Authority { scheme, host: "203.0.113.20".to_owned(), port },
        bound: SocketAddr::new(US.ip(), port),
    };
    Settings {
        host: "gate.example".to_owned(),
        egress: EgressPolicy { allow: documentation(), ..EgressPolicy::default() },
        listeners: [Protocol::Udp, Protocol::Tcp].map(|protocol| listener(protocol, US)).into_iter().collect(),
        media: MediaSettings {
            rules: Rules::default(),
            secure_fingerprints: false,
            listeners: vec![msrp(crate::msrp::Scheme::Msrps, 2855), msrp(crate::msrp::Scheme::Msrp, 2856)],
            fingerprints: Fingerprint::of(b"our certificate"),
            within: Duration::from_secs(60),
        },
        timers: Wishes { interval: Duration::from_secs(1800), minimum: Duration::from_secs(90) },
        calls: 100,
        failed_connects: 30,
        forks: Forks::Each,
        capability: "message/cpim text/plain".to_owned(),
    }
}

impl Scene {
    pub(super) fn new() -> Scene {
        Scene::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Scene {
        let mut settings = settings();
        change(&mut settings);
        let mut core = crate::relay::Settings::new("203.0.113.20");
        core.authorities = settings.media.listeners.iter().map(|own| own.name.clone()).collect();
        core.policy.allow.extend(documentation());
        let listeners = settings.listeners.clone();
        Scene {
            b2bua: B2bua::new(settings, transaction::Settings::new(listeners), [7; 32]),
            relay: Relay::new(Arc::new(core), 0, [8; 32]),
            now: Moment::from_nanos(1 << 40),
            sent: VecDeque::new(),
            events: Vec::new(),
            targets: vec![BO],
            protocol: Protocol::Udp,
            then: Protocol::Udp,
            routed: Routed {
                targets: Vec::new(),
                anchor: true,
                protocol: None,
                request_uri: "sip:bo@east.example".to_owned(),
                route: Vec::new(),
            },
            admission: Ok(Admission::default()),
            hold_core: false,
            held: VecDeque::new(),
            hold_rules: false,
            living: false,
            reserved: Vec::new(),
            asked_routes: Vec::new(),
            deaf: false,
            told: Vec::new(),
            dead: Vec::new(),
            released: Vec::new(),
            withdrawn: Vec::new(),
            terms: Vec::new(),
            files: Vec::new(),
            branch: 0,
            local: US,
            connected: Vec::new(),
            located: Vec::new(),
            rested: Vec::new(),
        }
    }

    // ---- what comes in

    /// How somebody's datagrams come.
    pub(super) fn flow_of(&self, from: SocketAddr) -> FlowId {
        match self.connected.iter().find(|flow| flow.remote == from) {
            Some(flow) => *flow,
            None => FlowId { protocol: Protocol::Udp, local: self.local, remote: from, number: 0 },
        }
    }

    /// Somebody is connected from there.
    pub(super) fn connect(&mut self, from: SocketAddr) -> FlowId {
        self.connect_by(Protocol::Tcp, from)
    }

    /// The same by this protocol.
    pub(super) fn connect_by(&mut self, protocol: Protocol, from: SocketAddr) -> FlowId {
        let number = self.connected.len() as u64 + 1;
        self.connected.push(FlowId { protocol, local: self.local, remote: from, number });
        self.flow_of(from)
    }

    /// That connection is gone.
    pub(super) fn close(&mut self, flow: FlowId) {
        self.connected.retain(|other| *other != flow);
        self.b2bua.closed(flow, self.now);
        self.run();
    }

    /// A message of somebody, over UDP.
    pub(super) fn hear(&mut self, from: SocketAddr, text: &str) {
        self.hear_octets(from, text.as_bytes());
    }

    /// The same, of any octets.
    pub(super) fn hear_octets(&mut self, from: SocketAddr, octets: &[u8]) {
        let framed = framing::datagram(octets, from, &framing::Limits::default());
        let text = String::from_utf8_lossy(octets);
        let message = framed.expect("a message").unwrap_or_else(|broken| panic!("{broken:?} in {text}"));
        crate::sip::gate::check(&message).unwrap_or_else(|fault| panic!("{fault} in {text}"));
        let flow = self.flow_of(from);
        self.b2bua.receive(Message::read(&message), flow, self.now);
        self.run();
    }

    /// A request of Ana outside of any dialog.
    pub(super) fn outside(&mut self, method: &str) -> Request {
        self.branch += 1;
        let n = self.branch;
        let mut request = Request::new(method, "sip:bo@east.example");
        for (name, value) in [
            ("Via", &*format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKana{n}")),
            ("Max-Forwards", "70"),
            ("From", "\"Ana\" <sip:ana@west.example>;tag=ana1"),
            ("To", "<sip:bo@east.example>"),
            ("Call-ID", &*format!("call-{n}@192.0.2.1")),
            ("CSeq", &*format!("1 {method}")),
        ] {
            request.headers.push(name, value);
        }
        request
    }

    /// Ana's INVITE, with this body.
    pub(super) fn invite(&mut self, body: &str) -> Request {
        self.invite_with(&[], body)
    }

    pub(super) fn invite_with(&mut self, headers: &[(&str, &str)], body: &str) -> Request {
        let mut request = self.outside("INVITE");
        request.headers.push("Contact", "<sip:ana@192.0.2.1:5060>");
        for (name, value) in headers {
            request.headers.set(name, *value);
        }
        self.say(ANA, request, body)
    }

    /// Sends a request of somebody, with this description.
    pub(super) fn say(&mut self, from: SocketAddr, mut request: Request, body: &str) -> Request {
        if !body.is_empty() && !request.headers.has("Content-Type") {
            request.headers.push("Content-Type", "application/sdp");
        }
        request.body = body.to_owned().into();
        self.hear(from, std::str::from_utf8(&request.octets()).unwrap());
        request
    }

    /// A response of somebody to a request of ours.
    pub(super) fn reply(&mut self, from: SocketAddr, request: &Request, status: u16, body: &str) -> Response {
        self.reply_with(from, request, status, &[], body)
    }

    pub(super) fn reply_with(
        &mut self,
        from: SocketAddr,
        request: &Request,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut response = Response::to(request, status, "Phrase");
        let to = request.headers.first("To").unwrap();
        if NameAddr::read(to).unwrap().tag().is_none() && status > 100 {
            response.headers.set("To", format!("{to};tag=bo1"));
        }
        if matches!(&*request.method, "INVITE" | "UPDATE") && (101..300).contains(&status) {
            response.headers.push("Contact", format!("<sip:them@{from}>"));
        }
        if !body.is_empty() {
            response.headers.push("Content-Type", "application/sdp");
        }
        for (name, value) in headers {
            response.headers.set(name, *value);
        }
        response.body = body.to_owned().into();
        self.hear(from, std::str::from_utf8(&response.octets()).unwrap());
        response
    }

    /// A request of Ana in the dialog that this response of ours made.
    pub(super) fn of_ana(&mut self, response: &Response, method: &str, number: u32) -> Request {
        self.branch += 1;
        let mut request = Request::new(method, uri_of(&response.headers, "Contact"));
        let via = format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKana{}", self.branch);
        request.headers.push("Via", via);
        for name in ["From", "To", "Call-ID"] {
            request.headers.push(name, response.headers.first(name).unwrap());
        }
        request.headers.push("CSeq", format!("{number} {method}"));
        request.headers.push("Max-Forwards", "70");
        if matches!(method, "INVITE" | "UPDATE") {
            request.headers.push("Contact", "<sip:ana@192.0.2.1:5060>");
        }
        request
    }

    /// A request of Bo in the dialog that his response to this INVITE of ours made.
    pub(super) fn of_bo(&mut self, invite: &Request, method: &str, number: u32) -> Request {
        self.branch += 1;
        let mut request = Request::new(method, uri_of(&invite.headers, "Contact"));
        request.headers.push("Via", format!("SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bKbo{}", self.branch));
        let to = invite.headers.first("To").unwrap();
        request.headers.push("From", if to.contains(";tag=") { to.to_owned() } else { format!("{to};tag=bo1") });
        request.headers.push("To", invite.headers.first("From").unwrap());
        request.headers.push("Call-ID", invite.headers.first("Call-ID").unwrap());
        request.headers.push("CSeq", format!("{number} {method}"));
        request.headers.push("Max-Forwards", "70");
        if matches!(method, "INVITE" | "UPDATE") {
            request.headers.push("Contact", "<sip:bo@198.51.100.2:5060>");
        }
        request
    }

    /// Ana's ACK of this 2xx.
    pub(super) fn acknowledge(&mut self, ok: &Response, body: &str) {
        let number = cseq(&ok.headers).unwrap().number;
        let ack = self.of_ana(ok, "ACK", number);
        self.say(ANA, ack, body);
    }

    // ---- what goes out

    /// The next request that left for somebody, which is of this method.
    #[track_caller]
    pub(super) fn request(&mut self, to: SocketAddr, method: &str) -> Request {
        match self.next(to) {
            Some(Message::Request(request)) if request.method == method => request,
            other => panic!("no {method} to {to}, but {other:?}"),
        }
    }

    /// The next response that left for somebody, which has this status.
    #[track_caller]
    pub(super) fn response(&mut self, to: SocketAddr, status: u16) -> Response {
        match self.next(to) {
            Some(Message::Response(response)) if response.status == status => response,
            other => panic!("no {status} to {to}, but {other:?}"),
        }
    }

    /// Nothing left for anybody.
    #[track_caller]
    pub(super) fn silence(&self) {
        assert!(self.sent.is_empty(), "{:?}", self.sent);
    }

    pub(super) fn next(&mut self, to: SocketAddr) -> Option<Message> {
        let at = self.sent.iter().position(|s| s.to == to)?;
        self.sent.remove(at).map(|s| s.message)
    }

    /// The next response of this status, whatever was said before it.
    #[track_caller]
    pub(super) fn forget_until(&mut self, to: SocketAddr, status: u16) -> Response {
        loop {
            match self.next(to) {
                Some(Message::Response(response)) if response.status == status => return response,
                Some(_) => {}
                None => panic!("no {status} to {to}"),
            }
        }
    }

    pub(super) fn forget(&mut self) {
        self.sent.clear();
    }

    // ---- time

    /// Lets time pass, with everything that happens in it.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = [self.b2bua.next_timeout(), self.relay.poll_timeout()].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            self.relay.handle_timeout(self.now);
            self.b2bua.timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    /// Lets time pass until something leaves; how much that was.
    #[track_caller]
    pub(super) fn wait(&mut self, most: Duration) -> Duration {
        let begun = self.now;
        while self.sent.is_empty() {
            assert!(self.now.since(begun) < most, "nothing within {most:?}");
            self.pass(Duration::from_millis(10));
        }
        self.now.since(begun)
    }

    /// Everything is over: nothing is left that could grow.
    #[track_caller]
    pub(super) fn nothing_left(&mut self) {
        self.pass(Duration::from_secs(200));
        let b = &self.b2bua;
        assert_eq!((b.calls(), b.dialogs(), b.anchors(), b.timers()), (0, 0, 0, 0));
        assert!(b.transactions().is_empty() && b.servers.is_empty() && b.clients.is_empty());
        assert!(b.asked.is_empty() && b.ended.is_empty() && b.admitting.is_empty() && b.connections.is_empty());
        assert_eq!(b.next_timeout(), None);
    }

    pub(super) fn news(&mut self, at: AnchorRef, news: &AnchorNews) {
        self.b2bua.news(at, news, self.now);
        self.run();
    }

    pub(super) fn release_core(&mut self) {
        (self.hold_core, self.hold_rules) = (false, false);
        while let Some(output) = self.held.pop_front() {
            self.perform(output);
        }
        self.run();
    }

    pub(super) fn run(&mut self) {
        loop {
            while let Some(output) = self.b2bua.poll() {
                self.perform(output);
            }
            let Some(output) = self.relay.poll_output() else { break };
            if let CoreOutput::Event(Event::Anchor { shard, anchor, news }) = output {
                self.told.push((AnchorRef { shard, anchor }, news.word()));
                if !self.deaf {
                    self.b2bua.news(AnchorRef { shard, anchor }, &news, self.now);
                }
            }
        }
    }

    fn perform(&mut self, output: Output) {
        let of_core = matches!(
            output,
            Output::LookUp { .. } | Output::Reserve { .. } | Output::Renew { .. } | Output::Set { .. }
        );
        let of_rules = matches!(output, Output::Admit { .. } | Output::Route { .. });
        if (self.hold_core && of_core) || (self.hold_rules && of_rules) {
            return self.held.push_back(output);
        }
        self.perform_now(output);
    }

    pub(super) fn perform_now(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Transmit { octets, way, of } => self.transmit(&octets, &way, of),
            Output::Admit { server, .. } => {
                let admission = self.admission.clone();
                self.b2bua.admitted(server, admission, now);
            }
            Output::Route { call, routes, stranger, .. } => {
                self.asked_routes.push((routes, stranger));
                self.route(call);
            }
            Output::Locate { call, side, uri } => {
                self.located.push(uri.clone());
                let address = if side == Side::A { ANA } else { BO_TOO };
                let target = Target { protocol: Protocol::Tcp, address, name: None, from: None };
                self.b2bua.located(call, side, &uri, Some(target));
            }
            Output::Rest { target } => self.rested.push(target.address),
            Output::LookUp { ticket, uris } => {
                let living = if self.living { uris } else { Vec::new() };
                self.b2bua.looked_up(ticket, living, now);
            }
            Output::Reserve { ticket, wish } => {
                let result = self.relay.reserve_anchor(wish, now).map(|r| (0, r));
                self.reserved.extend(result.iter().map(|(shard, r)| AnchorRef { shard: *shard, anchor: r.anchor }));
                self.b2bua.reserved(ticket, result, now);
            }
            Output::Renew { ticket, at, side } => {
                let result = self.relay.renew_leg(at.anchor, side, now);
                self.b2bua.renewed(ticket, at, result, now);
            }
            Output::Withdraw { at, side } => {
                self.withdrawn.push((at, side));
                self.relay.withdraw_renewal(at.anchor, side, now);
            }
            Output::Set { ticket, at, side, terms, .. } => {
                self.terms.push((side, String::from_utf8_lossy(&terms.target).into_owned()));
                self.files.extend(terms.file.then_some(side));
                let result = self.relay.set_leg(at.anchor, side, terms, now);
                self.b2bua.set(ticket, result, now);
            }
            Output::Release { at, end } => {
                self.released.push(at);
                self.relay.release_anchor(at.anchor, end, now);
            }
            Output::Find { anchors } => {
                let lacks = self.relay.lacks(anchors.iter().map(|at| at.anchor).collect());
                let missing = lacks.into_iter().map(|anchor| AnchorRef { shard: 0, anchor }).collect();
                self.b2bua.not_found(missing, now);
            }
            Output::Event(event) => self.events.push(event),
        }
    }

    fn route(&mut self, call: CallKey) {
        let protocols = [self.protocol].into_iter().chain(std::iter::repeat(self.then));
        let target =
            |(address, protocol): (&SocketAddr, _)| Target { protocol, address: *address, name: None, from: None };
        let targets: Vec<Target> = self.targets.iter().zip(protocols).map(target).collect();
        let result = match targets.is_empty() {
            true => Err(Refusal { status: 404, headers: Vec::new() }),
            false => Ok(Routed { targets, ..self.routed.clone() }),
        };
        self.b2bua.routed(call, result, self.now);
    }

    fn transmit(&mut self, octets: &[u8], way: &Way, of: Option<transaction::ClientId>) {
        let to = way.remote();
        if self.dead.contains(&to) {
            if let Some(id) = of {
                self.b2bua.unsent(id, Unsent::Unreachable, self.now);
            }
            return;
        }
        let framed = framing::datagram(octets, US, &framing::Limits::default());
        let message = framed.expect("a message").expect("a good message");
        self.sent.push_back(Sent { to, way: way.clone(), message: Message::read(&message) });
    }
}
