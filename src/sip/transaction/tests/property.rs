//! Two parties over a network that loses, doubles, delays and reorders.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use bytes::Bytes;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;

/// What happens at a moment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Ask { number: u32, method: &'static str },
    Cancel { number: u32 },
    Acknowledge { number: u32, tag: String },
    Respond { number: u32, status: u16 },
    Arrive { caller: bool, octets: Vec<u8> },
}

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
enum Network {
    /// A connection.
    Reliable,
    /// The same octets are lost three times at most.
    Fair,
    /// So many of a hundred are lost.
    Lossy(u64),
}

struct World {
    random: ChaCha8Rng,
    network: Network,
    now: Moment,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    count: u64,
    lost: HashMap<Vec<u8>, u32>,
    caller: Transactions,
    callee: Transactions,
    asked: BTreeMap<ClientId, u32>,
    pending: BTreeMap<u32, ClientId>,
    /// The history of each request, as the caller's user sees it.
    seen: BTreeMap<u32, Vec<String>>,
    told: BTreeMap<ServerId, u32>,
    served: BTreeMap<u32, Served>,
    cancelled: usize,
}

struct Served {
    id: ServerId,
    request: Request,
    final_status: Option<u16>,
    /// Whether each 2xx was acknowledged.
    acks: Vec<bool>,
}

impl World {
    fn new(seed: u64, network: Network) -> World {
        let layer = |name: &str, seed| Transactions::new(Settings::new(named(name)), [seed; 32]);
        World {
            random: ChaCha8Rng::seed_from_u64(seed),
            network,
            now: Moment::ZERO,
            events: BinaryHeap::new(),
            count: 0,
            lost: HashMap::new(),
            caller: layer("caller.example", 1),
            callee: layer("callee.example", 2),
            asked: BTreeMap::new(),
            pending: BTreeMap::new(),
            seen: BTreeMap::new(),
            told: BTreeMap::new(),
            served: BTreeMap::new(),
            cancelled: 0,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    fn at(&mut self, ms: u64, event: Event) {
        self.count += 1;
        self.events.push(Reverse((self.now + Duration::from_millis(ms), self.count, event)));
    }

    fn run(&mut self) {
        let next = |world: &World| {
            let event = world.events.peek().map(|Reverse((at, ..))| *at);
            [event, world.caller.next_timeout(), world.callee.next_timeout()].into_iter().flatten().min()
        };
        while let Some(at) = next(self) {
            self.now = at;
            while let Some(Reverse((_, _, event))) =
                self.events.peek().is_some_and(|Reverse((due, ..))| *due <= at).then(|| self.events.pop()).flatten()
            {
                self.happen(event);
                self.drain();
            }
            self.caller.timeout(at);
            self.callee.timeout(at);
            self.drain();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Ask { number, method } => {
                let mut request = ours(method);
                request.headers.set("Call-ID", number.to_string());
                let id = self.caller.request(request, self.way(true), self.now).unwrap();
                self.asked.insert(id, number);
                self.pending.insert(number, id);
            }
            Event::Cancel { number } => self.caller.cancel(self.pending[&number], &[], self.now),
            Event::Acknowledge { number, tag } => {
                let mut ack = our_ack(&tag);
                ack.headers.set("Call-ID", number.to_string());
                self.caller.acknowledge(self.pending[&number], ack, self.way(true), self.now);
            }
            Event::Respond { number, status } => self.respond(number, status),
            Event::Arrive { caller, octets } => {
                let flow = self.flow(caller);
                let layer = if caller { &mut self.caller } else { &mut self.callee };
                layer.receive(read(&octets, flow.remote), flow, self.now);
            }
        }
    }

    fn respond(&mut self, number: u32, status: u16) {
        let served = self.served.get_mut(&number).unwrap();
        if served.final_status.is_some() {
            return;
        }
        if status >= 200 {
            served.final_status = Some(status);
        }
        self.callee.respond(served.id, answer(&served.request, status, "callee"), self.now);
    }

    fn drain(&mut self) {
        while let Some(output) = self.caller.poll() {
            self.caller_is_told(output);
        }
        while let Some(output) = self.callee.poll() {
            self.callee_is_told(output);
        }
    }

    fn caller_is_told(&mut self, output: Output) {
        let (id, news) = match output {
            Output::Transmit { octets, .. } => return self.send(false, octets),
            Output::Response { id, response, .. } => {
                if response.is_success() && cseq(&response.headers).unwrap().method == "INVITE" {
                    let (number, wait) = (self.asked[&id], self.below(3000));
                    let tag = key::tag(&response.headers, "To").to_owned();
                    self.at(wait, Event::Acknowledge { number, tag });
                }
                (id, if response.is_provisional() { "news".to_owned() } else { format!("final {}", response.status) })
            }
            Output::Failed { id, .. } => (id, "final failure".to_owned()),
            Output::Ended { id } => (id, "ended".to_owned()),
            other => panic!("{other:?}"),
        };
        self.seen.entry(self.asked[&id]).or_default().push(news);
    }

    fn callee_is_told(&mut self, output: Output) {
        match output {
            Output::Transmit { octets, .. } => self.send(true, octets),
            Output::Request { id, request, .. } => {
                let number = request.headers.first("Call-ID").unwrap().parse().unwrap();
                self.told.insert(id, number);
                // A lossy network may bring a copy when all is over; the user has answered then.
                if self.served.contains_key(&number) {
                    assert!(matches!(self.network, Network::Lossy(_)), "told twice");
                    self.callee.respond(id, answer(&request, 400, "again"), self.now);
                    return;
                }
                let statuses: [u16; 4] =
                    if request.method == "INVITE" { [200, 200, 486, 603] } else { [200, 202, 481, 500] };
                let served = Served { id, request, final_status: None, acks: Vec::new() };
                self.served.insert(number, served);
                let (ring, answer, which) = (self.below(4000), self.below(8000), self.below(4));
                self.at(ring, Event::Respond { number, status: 180 });
                self.at(answer, Event::Respond { number, status: statuses[which as usize] });
            }
            Output::Cancelled { id, .. } => {
                self.cancelled += 1;
                self.respond(self.told[&id], 487);
            }
            Output::Acknowledged { id, .. } => self.served.get_mut(&self.told[&id]).unwrap().acks.push(true),
            Output::Unacknowledged { id } => self.served.get_mut(&self.told[&id]).unwrap().acks.push(false),
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, caller: bool, octets: Bytes) {
        let octets = octets.to_vec();
        let event = Event::Arrive { caller, octets: octets.clone() };
        if let Network::Reliable = self.network {
            return self.at(20, event);
        }
        let copies = 1 + u64::from(self.below(5) == 0);
        let (half, hundred) = (self.below(2) == 0, self.below(100));
        let lost = match self.network {
            Network::Lossy(share) => hundred < share,
            _ => {
                let lost = self.lost.entry(octets).or_default();
                let loses = half && *lost < 3;
                *lost += u32::from(loses);
                loses
            }
        };
        for _ in 0..if lost { 0 } else { copies } {
            let delay = self.below(1000);
            self.at(delay, event.clone());
        }
    }

    fn way(&self, caller: bool) -> Way {
        let protocol = if matches!(self.network, Network::Reliable) { TCP } else { UDP };
        Way::Target(Target { protocol, address: self.flow(caller).remote, name: None, from: None })
    }

    fn flow(&self, caller: bool) -> FlowId {
        let protocol = if matches!(self.network, Network::Reliable) { TCP } else { UDP };
        let flow = flow(protocol);
        if caller { flow } else { FlowId { local: flow.remote, remote: flow.local, ..flow } }
    }
}

fn play(seed: u64, network: Network) -> World {
    let mut world = World::new(seed, network);
    for number in 0..20 {
        let method = ["INVITE", "INVITE", "OPTIONS", "MESSAGE"][world.below(4) as usize];
        let (begin, give_up) = (world.below(10_000), world.below(12_000));
        world.at(begin, Event::Ask { number, method });
        if world.below(2) == 0 {
            world.at(begin + give_up, Event::Cancel { number });
        }
    }
    world.run();
    for (number, seen) in &world.seen {
        let finals = seen.iter().filter(|news| news.starts_with("final")).count();
        let ended = seen.iter().filter(|news| *news == "ended").count();
        assert_eq!((finals, ended, seen.last().map(String::as_str)), (1, 1, Some("ended")), "{number}: {seen:?}");
    }
    assert_eq!(world.seen.len(), 20);
    for (number, served) in &world.served {
        let expected = usize::from(served.request.method == "INVITE" && served.final_status.unwrap() < 300);
        assert_eq!(served.acks.len(), expected, "{number}");
    }
    for layer in [&world.caller, &world.callee] {
        let outside = &layer.outside;
        assert!(layer.is_empty() && layer.next_timeout().is_none());
        assert_eq!((outside.names.len(), outside.places.len(), outside.timers.len()), (0, 0, 0));
    }
    world
}

/// Everything arrives in the end, so nothing fails and both sides say the same.
fn play_to_the_end(seed: u64, network: Network) {
    let world = play(seed, network);
    for (number, served) in &world.served {
        let status = served.final_status.unwrap();
        assert!(world.seen[number].contains(&format!("final {status}")), "{number}: {:?}", world.seen[number]);
        assert!(served.acks.iter().all(|acknowledged| *acknowledged), "{number}");
    }
    assert_eq!(world.served.len(), 20);
    assert_eq!((world.caller.counts().timeouts, world.callee.counts().timeouts), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_lost_three_times_arrives(seed: u64) {
        play_to_the_end(seed, Network::Fair);
    }

    #[test]
    fn connections_bring_all(seed: u64) {
        play_to_the_end(seed, Network::Reliable);
    }

    #[test]
    fn whatever_is_lost_each_request_has_one_end(seed: u64, share in 0..=100u64) {
        play(seed, Network::Lossy(share));
    }
}

#[test]
fn the_game_has_all_that_it_is_to_test() {
    let worlds: Vec<World> = (0..20).map(|seed| play(seed, Network::Fair)).collect();
    assert!(worlds.iter().any(|world| world.cancelled > 0));
    let sum = |count: fn(Counts) -> u64| -> u64 {
        worlds.iter().map(|world| count(world.caller.counts()) + count(world.callee.counts())).sum()
    };
    assert!(sum(|counts| counts.repeated) > 100 && sum(|counts| counts.absorbed) > 100);
}
