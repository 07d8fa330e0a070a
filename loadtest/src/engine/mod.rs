//! One thread that plays all callers and all callees of a run.
//!
//! The way of a message: `pace` says when it is due, `sending` writes it to the caller's link, the relay does what it does,
//! `receiving` compares it with what was sent and answers, `answers` takes the responses and REPORTs at the caller and settles
//! it. `set_up` makes sessions and takes them down.

mod answers;
mod links;
mod pace;
mod poller;
mod receiving;
mod run;
mod sending;
mod session;
mod set_up;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use rustls::{ClientConnection, Connection, ServerConnection};
use rustls_pki_types::ServerName;

pub use self::run::{Measured, TICK, Watcher};
use self::{
    links::{Link, LinkEnd, LinkId, Links, Side, Slow},
    poller::{Interest, Poller, Ready},
    session::Session,
};
use crate::{
    book::{Book, Time},
    dial::Dialler,
    faults::Kind,
    names::Run,
    pattern::Pattern,
    result::Tls,
    scenario::{Scenario, Shape},
    stream::{Received, Stream, StreamError},
    target::Target,
    wire::Scanner,
};

/// Octets that are read at a time.
const ROOM: usize = 256 * 1024;
/// Poller key of the listener.
const LISTENER: u64 = u64::MAX;
/// How often messages and set-ups are checked for being late.
const SWEEP: Time = 200_000_000;

/// Everything of a run.
pub struct Engine<'a> {
    scenario: &'a Scenario,
    target: &'a Target,
    /// Headers of each kind of message.
    headers: Vec<Vec<u8>>,
    names: Run,
    random: fastrand::Rng,
    pattern: Pattern,
    epoch: Instant,
    now: Time,
    poller: Poller,
    listener: Option<TcpListener>,
    dialler: Dialler,
    links: Links,
    sessions: Vec<Session>,
    /// Sessions that may be able to send.
    ready: Vec<u32>,
    /// Links that have got something to write.
    touched: Vec<LinkId>,
    /// Sessions that are over, with links that they may have been the last to use.
    leaving: Vec<(LinkId, u32)>,
    /// Slow links that are read again at these times.
    paused: BinaryHeap<Reverse<(Time, u64)>>,
    book: Book,
    pace: pace::Pace,
    /// Links that sessions share, by the number of their group. One that has ended is found no more.
    shared: [Vec<Option<LinkId>>; 2],
    setting_up: u32,
    alive: u32,
    /// Messages begun and not settled.
    under_way: u64,
    tls: Option<Tls>,
    room: Vec<u8>,
    swept: Time,
}

/// Why a link ends.
enum End {
    Closed,
    Failed(StreamError),
}

impl<'a> Engine<'a> {
    /// A run that has not begun.
    pub fn new(scenario: &'a Scenario, target: &'a Target, seed: u64) -> io::Result<Engine<'a>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let poller = Poller::new()?;
        let listener = target.listen.map(TcpListener::bind).transpose()?;
        if let Some(listener) = &listener {
            listener.set_nonblocking(true)?;
            poller.add(listener, LISTENER, Interest::READ)?;
        }
        let groups = scenario.sessions.count.div_ceil(scenario.sessions.per_link) as usize;
        Ok(Engine {
            scenario,
            target,
            headers: scenario.messages.iter().map(sending::headers).collect(),
            names: Run::random(&mut random),
            pattern: Pattern::new(random.u64(..)),
            random,
            epoch: Instant::now(),
            now: 0,
            poller,
            listener,
            dialler: Dialler::new(&target.sources),
            links: Links::default(),
            sessions: (0..scenario.sessions.count).map(|_| Session::default()).collect(),
            ready: Vec::new(),
            touched: Vec::new(),
            leaving: Vec::new(),
            paused: BinaryHeap::new(),
            book: Book::default(),
            pace: pace::Pace::new(scenario),
            shared: [vec![None; groups], vec![None; groups]],
            setting_up: 0,
            alive: 0,
            under_way: 0,
            tls: None,
            room: vec![0; ROOM],
            swept: 0,
        })
    }

    /// Where callees listen, if they do.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    fn read_clock(&mut self) {
        self.now = self.epoch.elapsed().as_nanos() as Time;
    }

    /// Does what is due, waits until something else is, and deals with it; no longer than `until`.
    fn turn(&mut self, until: Time, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.read_clock();
        self.arrive();
        self.begin_set_ups();
        if self.now >= self.swept + SWEEP {
            self.sweep();
        }
        self.resume_slow();
        self.send_ready();
        self.poller.wait(Duration::from_nanos(self.next_due(until).saturating_sub(self.now)), ready)?;
        for ready in &*ready {
            self.read_clock();
            if ready.key == LISTENER {
                self.accept()?;
            } else {
                self.serve(*ready);
            }
            self.send_ready();
        }
        Ok(())
    }

    fn next_due(&self, until: Time) -> Time {
        if !self.ready.is_empty() {
            return self.now;
        }
        let paused = self.paused.peek().map_or(Time::MAX, |Reverse((at, _))| *at);
        until.min(self.swept + SWEEP).min(paused).min(self.next_arrival()).min(self.next_set_up())
    }

    /// A connection to a relay that is about to be made.
    fn dial(&mut self, side: Side, session: u32) -> io::Result<LinkId> {
        let hop = match side {
            Side::Caller => self.target.callers_hop(),
            Side::Callee => &self.target.relay,
        };
        let tls = self.target.client_tls.as_ref().map(|config| {
            let name = ServerName::try_from(hop.name.clone()).map_err(|_| io::ErrorKind::InvalidInput)?;
            let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
            Ok::<_, io::Error>(Connection::from(connection))
        });
        let stream = Stream::new(self.dialler.connect(hop.address)?, tls.transpose()?);
        let interest = Interest { read: true, write: true };
        self.add(stream, side, vec![session], true, interest)
    }

    /// A byte proxy brings a connection; whose it is will show.
    fn accept(&mut self) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            // Whoever has given up while it waited is nobody's loss but its own, and will be missed.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // There may be more of them.
        self.poller.change(listener, LISTENER, Interest::READ)?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let tls = self.target.server_tls.as_ref().map(|config| ServerConnection::new(config.clone()));
        let tls = tls.transpose().map_err(io::Error::other)?;
        let stream = Stream::new(socket, tls.map(Connection::from));
        self.add(stream, Side::Callee, Vec::new(), false, Interest::READ)?;
        Ok(())
    }

    fn add(
        &mut self,
        stream: Stream,
        side: Side,
        sessions: Vec<u32>,
        connecting: bool,
        interest: Interest,
    ) -> io::Result<LinkId> {
        let id = self.links.reserve();
        self.poller.add(&stream, id.key(), interest)?;
        let open = !connecting && stream.is_open();
        let slow = self.scenario.slow.as_ref().filter(|slow| side == Side::Callee && self.random.f64() < slow.share);
        let slow = slow.map(|slow| Slow { rate: slow.rate.as_u64() as f64, next: 0 });
        let end =
            LinkEnd { id, side, open, sessions, out: Vec::new(), written: 0, incoming: None, stalled: Vec::new() };
        self.links.put(id, Box::new(Link { stream, scanner: Scanner::default(), end, connecting, interest, slow }));
        Ok(id)
    }

    /// Deals with a link that is ready.
    fn serve(&mut self, ready: Ready) {
        let id = LinkId::from_key(ready.key);
        let Some(mut link) = self.links.take(id) else { return };
        match self.progress(&mut link, ready) {
            Ok(()) => self.links.put(id, link),
            Err(end) => self.lose(*link, end),
        }
    }

    fn progress(&mut self, link: &mut Link, ready: Ready) -> Result<(), End> {
        if link.connecting {
            if let Some(error) = link.stream.connect_error() {
                return Err(End::Failed(error.into()));
            }
            if !ready.write {
                return Ok(());
            }
            link.connecting = false;
        } else if ready.read && link.interest.read {
            self.read(link, ready.closed)?;
        }
        if !link.end.open && link.stream.is_open() {
            link.end.open = true;
            if self.tls.is_none() {
                self.tls = link.stream.agreed();
            }
            self.link_opened(&mut link.end, &link.stream);
        }
        self.write(link)
    }

    fn read(&mut self, link: &mut Link, closed: bool) -> Result<(), End> {
        let mut room = std::mem::take(&mut self.room);
        let most = link.slow.map_or(room.len(), |slow| slow.room());
        let Link { stream, scanner, end, .. } = link;
        let received =
            stream.receive(&mut room[..most], |octets| scanner.feed(octets, |event| self.on_event(end, event)));
        self.room = room;
        match received.map_err(End::Failed)? {
            Received::End => Err(End::Closed),
            Received::Octets(octets) => {
                if (octets == most || closed) && link.slow.is_none() {
                    self.look_again(link)?;
                }
                if let Some(slow) = &mut link.slow {
                    slow.next = self.now + (octets as f64 / slow.rate * 1e9) as Time;
                    self.paused.push(Reverse((slow.next, link.end.id.key())));
                    self.want(link, Interest { read: false, ..link.interest })?;
                }
                Ok(())
            }
        }
    }

    /// Slow links whose time has come are read on.
    fn resume_slow(&mut self) {
        while let Some(&Reverse((at, key))) = self.paused.peek()
            && at <= self.now
        {
            self.paused.pop();
            let id = LinkId::from_key(key);
            if let Some(mut link) = self.links.take(id) {
                let interest = Interest { read: true, ..link.interest };
                match self.want(&mut link, interest) {
                    Ok(()) => self.links.put(id, link),
                    Err(end) => self.lose(*link, end),
                }
            }
        }
    }

    fn write(&mut self, link: &mut Link) -> Result<(), End> {
        let LinkEnd { out, written, stalled, .. } = &mut link.end;
        let done = link.stream.send(out, written).map_err(End::Failed)?;
        if done {
            for session in stalled.drain(..) {
                sending::queue(&mut self.sessions, &mut self.ready, session);
            }
        }
        self.want(link, Interest { write: !done, ..link.interest })
    }

    /// There may be more to read than was read.
    fn look_again(&mut self, link: &Link) -> Result<(), End> {
        let changed = self.poller.change(&link.stream, link.end.id.key(), link.interest);
        changed.map_err(|error| End::Failed(error.into()))
    }

    fn want(&mut self, link: &mut Link, interest: Interest) -> Result<(), End> {
        if link.interest != interest {
            let changed = self.poller.change(&link.stream, link.end.id.key(), interest);
            changed.map_err(|error| End::Failed(error.into()))?;
            link.interest = interest;
        }
        Ok(())
    }

    /// Lets sessions send that may, and writes what has come together on each link.
    fn send_ready(&mut self) {
        for session in std::mem::take(&mut self.ready) {
            self.send(session);
        }
        while let Some(id) = self.touched.pop() {
            let Some(mut link) = self.links.take(id) else { continue };
            let written = if link.connecting || !link.end.open { Ok(()) } else { self.write(&mut link) };
            match written {
                Ok(()) => self.links.put(id, link),
                Err(end) => self.lose(*link, end),
            }
        }
        while let Some((id, session)) = self.leaving.pop() {
            self.leave(id, session);
        }
    }

    /// A link has ended, by itself or by an error: so have its sessions.
    fn lose(&mut self, link: Link, why: End) {
        let Link { end, connecting, .. } = link;
        let kind = match &why {
            End::Failed(StreamError::Tls(_)) => Kind::Tls,
            End::Failed(StreamError::Malformed(_)) => Kind::Malformed,
            End::Failed(StreamError::Io(_)) if connecting => Kind::Connect,
            _ => Kind::LinkClosed,
        };
        self.links.release(end.id);
        if end.sessions.is_empty() && kind == Kind::Malformed {
            self.book.fault(self.now, kind, || "on a link that a proxy has brought".to_owned());
        }
        for session in end.sessions {
            let side = end.side;
            self.fail(session, kind, || match &why {
                End::Closed => format!("the link of a {side:?} was closed by the other side"),
                End::Failed(error) => format!("the link of a {side:?}: {error}"),
            });
        }
    }

    /// Closes a link of ours when its last session is over.
    fn leave(&mut self, id: LinkId, session: u32) {
        let Some(link) = self.links.find(id) else { return };
        link.end.sessions.retain(|&other| other != session);
        if link.end.sessions.is_empty()
            && let Some(mut link) = self.links.take(id)
        {
            let LinkEnd { out, written, .. } = &mut link.end;
            let _ = link.stream.send(out, written);
            link.stream.close();
            self.links.release(id);
        }
    }

    fn is_churn(&self) -> bool {
        self.scenario.load.shape == Shape::Churn
    }
}
