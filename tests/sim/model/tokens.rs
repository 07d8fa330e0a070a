//! Whose a token is, and so where a request with it may go (RFC 4976 sections 6.3 and 6.4).

use super::{LinkKind, Model, Rule};
use crate::frame::Head;
use crate::node::host;
use crate::wire::EndRef;

/// The clocks of a relay fire within this, in nanoseconds.
const TOLERANCE: u64 = 50_000_000;
/// After a disturbance shards may not have what another has told them, for so many nanoseconds.
const QUIET: u64 = 8_000_000_000;

/// Who obtained a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Link(EndRef),
    Peer(usize),
    Leg(usize, usize),
}

pub(super) struct Token {
    owner: Owner,
    /// When its life is over at the earliest, counted from its AUTH, and at the latest, from the 200.
    fades: u64,
    expires: u64,
    named: bool,
    dead: Option<u64>,
    /// The accepted connection that used it from outside last, and when.
    far: Option<(EndRef, u64)>,
}

impl Token {
    /// How it stood when a request came in.
    fn told(&self, which: &str, came: u64) -> String {
        let seconds = |at: u64| at as f64 / 1e9;
        let (came, dead, expires) = (seconds(came), self.dead.map(seconds), seconds(self.expires));
        format!("{which} was dead at {came:.6}: {:?}, dead {dead:?}, expires {expires:.6}", self.owner)
    }
}

/// One side of an anchor: URIs that we have there, paths that its end has had, who that is.
#[derive(Default)]
pub(super) struct Legs {
    uris: Vec<String>,
    targets: Vec<String>,
    person: usize,
}

/// A request as it came in.
pub(super) struct Came<'a> {
    pub(super) link: EndRef,
    pub(super) to: &'a [String],
    pub(super) from: &'a [String],
    pub(super) at: u64,
}

/// Whatever becomes of a SEND, its sender is told of it by then: an answer that does not come, on a link that nobody reads.
const TOLD: u64 = 100_000_000_000;

type Verdict = Result<(), (Rule, String)>;

impl Model {
    // ---- how tokens begin and end

    /// A 200 to AUTH has left: its last Use-Path entry is a token of this relay. `auth`: whether it named Expires, and when it
    /// came.
    pub(super) fn token_given(&mut self, node: usize, end: EndRef, head: &Head, auth: (bool, u64), now: u64) {
        let Some(link) = self.nodes[node].links.get(&end) else { return };
        let owner = match link.kind {
            LinkKind::Person(_) => Owner::Link(end),
            LinkKind::Peer { node, .. } => Owner::Peer(node),
        };
        let uri = head.line("Use-Path").and_then(|p| p.rsplit(' ').next()).unwrap_or_default().to_owned();
        let life: u64 = head.line("Expires").and_then(|e| e.parse().ok()).unwrap_or(0);
        let dead = (!link.open).then_some(now);
        let ((named, came), life) = (auth, life * 1_000_000_000);
        let token = Token { owner, fades: came + life, expires: now + life, named, dead, far: None };
        if self.nodes[node].tokens.insert(uri.clone(), token).is_some() {
            self.fail(Rule::Token, format!("relay {node} gives the same token twice"));
        }
    }

    pub(super) fn tokens_of_link_die(&mut self, node: usize, end: EndRef, now: u64) {
        let of = |t: &&mut Token| t.owner == Owner::Link(end) && t.dead.is_none();
        self.nodes[node].tokens.values_mut().filter(of).for_each(|t| t.dead = Some(now));
    }

    /// A leg has this URI from now on.
    pub fn leg_uri(&mut self, node: usize, call: usize, side: usize, uri: &str) {
        let n = &mut self.nodes[node];
        n.legs.entry(call).or_default()[side].uris.push(uri.to_owned());
        let owner = Owner::Leg(call, side);
        let token = Token { owner, fades: u64::MAX, expires: u64::MAX, named: false, dead: None, far: None };
        n.tokens.insert(uri.to_owned(), token);
    }

    pub fn leg_uri_dead(&mut self, node: usize, uri: &str, now: u64) {
        if let Some(token) = self.nodes[node].tokens.get_mut(uri) {
            token.dead = Some(now);
        }
    }

    pub fn leg_target(&mut self, node: usize, call: usize, side: usize, target: &str, person: usize) {
        let leg = &mut self.nodes[node].legs.entry(call).or_default()[side];
        leg.person = person;
        leg.targets.push(target.to_owned());
    }

    /// An anchor takes nothing new from now on.
    pub fn anchor_over(&mut self, node: usize, call: usize, now: u64) {
        let of = |t: &&mut Token| matches!(t.owner, Owner::Leg(c, _) if c == call) && t.dead.is_none();
        self.nodes[node].tokens.values_mut().filter(of).for_each(|t| t.dead = Some(now));
    }

    /// A token of this URI leads to a leg.
    pub(super) fn is_leg(&self, node: usize, uri: &str) -> bool {
        self.nodes[node].tokens.get(uri).is_some_and(|t| matches!(t.owner, Owner::Leg(..)))
    }

    /// The token was a leg's and is over.
    pub(super) fn leg_is_over(&self, node: usize, uri: &str) -> bool {
        self.nodes[node].tokens.get(uri).is_some_and(|t| matches!(t.owner, Owner::Leg(..)) && t.dead.is_some())
    }

    // ---- what a request may do

    /// Whether a request that came in so may leave here with these paths.
    pub(super) fn may_pass(&mut self, node: usize, came: &Came<'_>, out: EndRef, head: &Head) -> Verdict {
        let token = |uri: Option<&String>| uri.and_then(|u| self.nodes[node].tokens.get(u));
        let wrong = |what: &str| Err((Rule::Token, format!("relay {node}, in by {}, out by {out}: {what}", came.link)));
        let Some(first) = token(came.to.first()) else { return wrong("no such token") };
        if !self.alive(node, first, came.at) {
            return wrong(&first.told("the token", came.at));
        }
        let (Some(from), Some(target)) = (self.kind(node, came.link), self.kind(node, out)) else {
            return wrong("by a link that is not known");
        };
        if let Owner::Leg(call, side) = first.owner {
            let Some(legs) = self.nodes[node].legs.get(&call) else { return wrong("no such anchor") };
            let other = &legs[1 - side];
            let paths = head.to.len() == 1 && other.targets.contains(&head.to[0]);
            if target != LinkKind::Person(other.person) || came.to.len() != 1 {
                return wrong("to somebody who is not the other end");
            }
            let right = paths && head.from.len() == 1 && other.uris.contains(&head.from[0]);
            return if right { Ok(()) } else { Err((Rule::Headers, "paths of a leg".into())) };
        }
        let owns = |o: Owner| match o {
            Owner::Link(end) => end == came.link,
            Owner::Peer(n) => matches!(from, LinkKind::Peer { node, .. } if node == n),
            Owner::Leg(..) => false,
        };
        let leads_to = |o: Owner| match o {
            Owner::Link(end) => end == out,
            Owner::Peer(n) => matches!(target, LinkKind::Peer { node, .. } if node == n),
            Owner::Leg(..) => false,
        };
        let mut hops = 1;
        if !owns(first.owner) {
            if !leads_to(first.owner) {
                return wrong("from somebody else, and not to the owner");
            }
            self.pin(node, &came.to[0], came, from);
        } else if let Some(next) = came.to.get(1).filter(|u| host_of(u) == self.nodes[node].host) {
            hops = 2;
            let Some(inner) = self.nodes[node].tokens.get(next) else { return wrong("no such inner token") };
            if !self.alive(node, inner, came.at) {
                return wrong(&inner.told("the inner token", came.at));
            }
            if !leads_to(inner.owner) {
                return wrong("not to the owner of the inner token");
            }
            self.pin(node, next, came, from);
        } else {
            let name = match target {
                LinkKind::Person(p) => format!("c{p}.example"),
                LinkKind::Peer { node, .. } => host(node),
            };
            if came.to.get(1).map(|u| host_of(u)) != Some(name.as_str()) {
                return wrong("not to the host that the path names");
            }
        }
        let to = came.to.get(hops..).unwrap_or_default();
        let from: Vec<&String> = came.to[..hops].iter().rev().chain(came.from).collect();
        let right = head.to == to && head.from.iter().eq(from);
        if right { Ok(()) } else { Err((Rule::Headers, format!("relay {node}: paths {:?} {:?}", head.to, head.from))) }
    }

    /// It lived then, or what ended it may not have been noticed: a relay that stood still reads before it looks at its clocks,
    /// and a shard that still has a way of another's token is told by mail.
    fn alive(&self, node: usize, token: &Token, at: u64) -> bool {
        let expires = token.named || self.expire_live;
        let noticed = token.expires.max(self.nodes[node].disturbed).saturating_add(TOLERANCE);
        token.dead.is_none_or(|dead| at <= dead) && (!expires || at <= noticed)
    }

    /// Each token that this message was sent with lived until all could be told of it.
    pub fn way_back_lasted(&self, id: &str) -> bool {
        let lasted = |n: &super::NodeModel, c: &super::Chunk| {
            let told = c.came + TOLD;
            let tokens = c.to.iter().filter_map(|uri| n.tokens.get(uri));
            let expires = |t: &Token| t.named || self.expire_live;
            tokens.into_iter().all(|t| t.dead.is_none_or(|at| at > told) && (!expires(t) || t.expires > told))
        };
        let mut passages = self.nodes.iter().filter_map(|n| Some((n, n.passages.get(id)?)));
        passages.all(|(n, p)| p.chunks.iter().all(|c| lasted(n, c)))
    }

    /// Both ends of the way that this To-Path names, if it leads to the owner of a token that lives, by nothing that could be
    /// gone: then there is a session, whatever the relay says.
    pub(super) fn session_of(
        &self,
        node: usize,
        link: EndRef,
        to: &[String],
        came: u64,
        now: u64,
    ) -> Option<[EndRef; 2]> {
        let n = &self.nodes[node];
        let undisturbed = n.up && !n.shutting_down && n.disturbed + QUIET <= came;
        let living = |uri: &String| n.tokens.get(uri).filter(|t| t.dead.is_none() && t.fades > now);
        let (first, inner) = (living(to.first()?)?, to.get(1).and_then(living));
        let (token, behind) = if first.owner == Owner::Link(link) { (inner?, to.get(2)) } else { (first, to.get(1)) };
        let Owner::Link(owner) = token.owner else { return None };
        let open = |end: &EndRef| n.links.get(end).is_some_and(|l| l.open && !l.finished);
        let ends = [link, owner];
        (undisturbed && behind.is_some() && owner != link && ends.iter().all(open)).then_some(ends)
    }

    pub(super) fn kind(&self, node: usize, end: EndRef) -> Option<LinkKind> {
        self.nodes[node].links.get(&end).map(|l| l.kind)
    }

    /// Of those who come to a token from outside by a connection of their own, one at a time is let through (RLY-92): the
    /// connection of whoever came first is gone by then, or about to go.
    fn pin(&mut self, node: usize, uri: &str, came: &Came<'_>, from: LinkKind) {
        let n = &mut self.nodes[node];
        let dialled = n.links.get(&came.link).is_some_and(|l| l.dialled);
        let Some(token) = n.tokens.get_mut(uri) else { return };
        if matches!(from, LinkKind::Peer { .. }) || dialled {
            return;
        }
        let other = token.far.filter(|(far, _)| *far != came.link);
        token.far = token.far.filter(|(_, at)| *at >= came.at).or(Some((came.link, came.at)));
        let Some((far, at)) = other else { return };
        let first = if at < came.at { far } else { came.link };
        if n.links.get(&first).is_some_and(|l| l.open && !l.finished) {
            let what = format!("relay {node}: two far sides of one token, {far} and {}", came.link);
            self.suspect(node, vec![first], at.max(came.at), Rule::Token, what);
        }
    }
}

/// Host of a URI.
fn host_of(uri: &str) -> &str {
    let authority = uri.split("//").nth(1).unwrap_or_default().split(['/', ';']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default()
}
