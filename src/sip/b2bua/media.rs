//! The media of a call: one line for each m-line, and what an offer and its answer make of them (RFC 3264).
//!
//! Nothing here changes before an exchange is complete: an [`Exchange`] collects what is planned, and [`Media::commit`]
//! is the end of it. So a refused offer leaves everything as it was (RFC 3261 section 14.1).

mod again;
mod ours;

use std::sync::Arc;
use std::time::Duration;

pub(super) use ours::address;
pub use ours::{MediaSettings, MsrpListener};

use super::exchange::{Exchange, Planned};
use crate::relay::{AnchorId, Connect, Expects, LegTerms, Side};
use crate::sdp::{
    self, Address, Answered, Connects, Description, Family, MessageSection, Offer, Offered, Origin, OurUri, Ownership,
    Protocol, Refusal, Rules, Slot, Toward,
};

/// Where an anchor is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AnchorRef {
    /// Its shard.
    pub shard: u16,
    /// Its key there.
    pub anchor: AnchorId,
}

/// The media of one call.
#[derive(Debug)]
pub(super) struct Media {
    lines: Vec<Line>,
    sides: [Spoken; 2],
}

/// What was said on a leg.
#[derive(Debug)]
struct Spoken {
    origin: Origin,
    family: Family,
    secure: bool,
    /// What we must offer there, where the route says so.
    protocol: Option<Protocol>,
    /// The last description of the other end that was accepted.
    heard: Option<Vec<u8>>,
    /// What it has accepted of ours.
    said: Option<Said>,
}

/// A description of ours that was accepted.
#[derive(Clone, Debug)]
struct Said {
    text: Vec<u8>,
    /// Whether we offered it: an answer may not say the same (RFC 6135 section 4.2.2).
    offered: bool,
}

/// One m-line.
#[derive(Clone, Debug, Default)]
struct Line {
    anchor: Option<Anchored>,
    /// Whether it is alive and not ours: other media, relayed, passed through.
    other: bool,
}

/// An m-line that is anchored.
#[derive(Clone, Debug)]
pub(super) struct Anchored {
    pub(super) at: AnchorRef,
    pub(super) uris: [OurUri; 2],
    /// Legs whose link is gone, and their URIs with it.
    pub(super) lost: [bool; 2],
}

/// What an answer leads to.
pub(super) struct Concluded {
    /// The answer for the side that offered.
    pub(super) answer: Vec<u8>,
    /// What the legs have to be told.
    pub(super) terms: Vec<(AnchorRef, Side, LegTerms)>,
}

impl Media {
    /// No lines yet. `numbers` are the session-ids of our descriptions toward A and B, `families` what their signalling uses.
    pub(super) fn new(settings: &MediaSettings, numbers: [u64; 2]) -> Media {
        let spoken = |number| {
            let host = settings.listeners.first().map_or("localhost", |own| &*own.name.host);
            let origin = Origin::new(number, address(host, Family::V4));
            Spoken { origin, family: Family::V4, secure: false, protocol: None, heard: None, said: None }
        };
        Media { lines: Vec::new(), sides: numbers.map(spoken) }
    }

    /// How a leg's signalling travels: decides the family of our addresses, and whether its fingerprints count.
    pub(super) fn signalled(&mut self, side: Side, family: Family, secure: bool) {
        let spoken = &mut self.sides[side as usize];
        (spoken.family, spoken.secure) = (family, secure);
    }

    /// Whether what a side says now has come securely.
    pub(super) fn is_secure(&mut self, side: Side) -> &mut bool {
        &mut self.sides[side as usize].secure
    }

    /// What is offered to a leg, whatever the other one offered.
    pub(super) fn demand(&mut self, side: Side, protocol: Protocol) {
        self.sides[side as usize].protocol = Some(protocol);
    }

    /// Family of a leg's signalling.
    pub(super) fn family(&self, side: Side) -> Family {
        self.sides[side as usize].family
    }

    /// All that is anchored.
    pub(super) fn anchors(&self) -> impl Iterator<Item = AnchorRef> + '_ {
        self.lines.iter().filter_map(|line| line.anchor.as_ref()).map(|a| a.at)
    }

    /// How many m-lines live and are not anchored: with some a call goes on without its chat.
    pub(super) fn others(&self) -> usize {
        self.lines.iter().filter(|line| line.other).count()
    }

    /// Whether something of the call lives beside this anchor.
    pub(super) fn goes_on_without(&self, at: AnchorRef) -> bool {
        self.others() > 0 || self.anchors().any(|other| other != at)
    }

    /// A leg's link is gone.
    pub(super) fn lose(&mut self, at: AnchorRef, side: Side) {
        for anchored in self.lines.iter_mut().filter_map(|l| l.anchor.as_mut()).filter(|a| a.at == at) {
            anchored.lost[side as usize] = true;
        }
    }

    /// An anchor is gone for good.
    pub(super) fn forget(&mut self, at: AnchorRef) {
        for line in self.lines.iter_mut().filter(|l| l.anchor.as_ref().is_some_and(|a| a.at == at)) {
            line.anchor = None;
        }
    }

    /// What we said last to a side, and was accepted there.
    pub(super) fn repeat(&self, side: Side) -> Option<Vec<u8>> {
        self.sides[side as usize].said.as_ref().map(|said| said.text.clone())
    }

    fn rules(&self, settings: &MediaSettings, side: Side) -> Rules {
        let spoken = &self.sides[side as usize];
        let interworking = self.sides[side.other() as usize].protocol;
        let fingerprints_trusted = spoken.secure || !settings.secure_fingerprints;
        Rules { interworking, fingerprints_trusted, ..settings.rules.clone() }
    }

    /// URIs that stand first in a path of this description and name us: whether they live must be known before
    /// [`plan`](Media::plan).
    pub(super) fn own_uris(settings: &MediaSettings, text: &[u8]) -> Vec<Arc<[u8]>> {
        let Ok(description) = Description::parse(text, &settings.rules.limits) else { return Vec::new() };
        let sections = (0..description.media_lines().len())
            .filter_map(|index| MessageSection::parse(&description, index, &settings.rules.limits).ok());
        let ours = sections.filter(|s| settings.owns(&s.first));
        ours.filter_map(|s| s.path.first().map(Arc::from)).collect()
    }

    /// What an offer of `from` leads to. `living` are those of [`own_uris`](Media::own_uris) that do.
    pub(super) fn plan(
        &self,
        settings: &MediaSettings,
        from: Side,
        text: &[u8],
        living: &[Arc<[u8]>],
        anchoring: bool,
    ) -> Result<Box<Exchange>, Refusal> {
        let rules = Rules { anchoring, ..self.rules(settings, from) };
        let now = Description::parse(text, &rules.limits)?;
        let heard = self.sides[from as usize].heard.as_deref();
        let before = heard.and_then(|text| Description::parse(text, &rules.limits).ok());
        if let Some(before) = &before {
            sdp::update(before, &now)?;
        }
        let offer = Offer::assess(&now, &rules, |uri| ownership(settings, uri, living));
        if let Some(refusal) = offer.refusal(&now) {
            return Err(refusal);
        }
        let mut lines = Vec::with_capacity(offer.lines.len());
        for (index, line) in offer.lines.iter().enumerate() {
            let anchored = self.lines.get(index).and_then(|l| l.anchor.as_ref());
            let earlier = before.as_ref().filter(|_| anchored.is_some());
            let earlier = earlier.and_then(|d| MessageSection::parse(d, index, &rules.limits).ok());
            // A session that has a URI of ours on its other leg goes on with it, whoever is its end's relay now.
            let relayed = matches!(line, Offered::Left(sdp::Mode::Relayed)) && anchored.is_some();
            let section = relayed.then(|| MessageSection::parse(&now, index, &rules.limits).ok()).flatten();
            let line = section.map_or_else(|| line.clone(), |s| Offered::Ours(sdp::Mode::Anchored, Box::new(s)));
            lines.push(match &line {
                Offered::Ours(_, section) => {
                    let other = rules.protocol_beyond(section.protocol);
                    let mut protocols = [section.protocol; 2];
                    protocols[from.other() as usize] = other;
                    Planned::anchored(anchored, earlier.as_ref(), section, from, protocols)
                }
                Offered::Left(mode) => Planned::Left { mode: *mode, ends: anchored.map(|a| a.at) },
                Offered::Refused(_) => Planned::Refused { ends: anchored.map(|a| a.at) },
            });
        }
        Ok(Box::new(Exchange::new(from, text.to_vec(), lines)))
    }

    /// The offer as the other side gets it, once the exchange has all URIs.
    pub(super) fn say(&mut self, settings: &MediaSettings, exchange: &mut Exchange) -> Result<Vec<u8>, Refusal> {
        let (from, to) = (exchange.from, exchange.from.other());
        let rules = self.rules(settings, from);
        let received = Description::parse(&exchange.heard, &rules.limits)?;
        let slots: Vec<Slot<'_>> = exchange.lines.iter().map(|line| line.slot(to)).collect();
        let our = self.our_address(settings, to);
        let toward = Toward {
            address: &our,
            fingerprints: &settings.fingerprints,
            content: &rules.content,
            interworking: rules.interworking.is_some(),
        };
        let draft = sdp::rewrite_offer(&received, &slots, &toward).map_err(mistake)?;
        let said = self.sides[to as usize].origin.issue(draft);
        exchange.said = Some(said.clone());
        Ok(said)
    }

    /// What an answer becomes for the side that offered, and what both legs are told. Nothing is committed.
    pub(super) fn answer(
        &mut self,
        settings: &MediaSettings,
        exchange: &mut Exchange,
        text: &[u8],
    ) -> Result<Concluded, Refusal> {
        let (from, to) = (exchange.from, exchange.from.other());
        let rules = Rules { anchoring: true, ..self.rules(settings, to) };
        let limits = rules.limits;
        let fault = |e: sdp::DescriptionFault| Refusal::from(sdp::AnswerFault::from(e));
        let said = exchange.said.clone().unwrap_or_default();
        let sent = Description::parse(&said, &limits).map_err(fault)?;
        let offer = Description::parse(&exchange.heard, &limits).map_err(fault)?;
        let received = Description::parse(text, &limits).map_err(fault)?;
        let modes: Vec<sdp::Mode> = exchange.lines.iter().map(Planned::mode).collect();
        // Who answers may have us as its relay; whether the session that it names lives shows when its leg has its terms.
        let of = |uri: &crate::msrp::Uri<'_>| if settings.owns(uri) { Ownership::Ours } else { Ownership::Foreign };
        let answered = sdp::assess_answer(&sent, &modes, &received, &rules, of)?;
        let mut terms = Vec::new();
        let mut slots = Vec::with_capacity(answered.len());
        for (index, (line, planned)) in answered.iter().zip(&mut exchange.lines).enumerate() {
            let accepted = if let Answered::Accepted(section) = line { Some(section) } else { None };
            planned.accepted(accepted.is_some());
            slots.push(if accepted.is_some() { planned.slot(from) } else { Slot::Keep });
            let (Some(theirs), Some(at)) = (accepted, planned.at()) else { continue };
            let Ok(ours) = MessageSection::parse(&offer, index, &limits) else { continue };
            let (offers, answers) = (Connects::on_offer(ours.setup), Connects::on_answer(theirs.setup));
            terms.push((at, to, leg_terms(theirs, answers, &rules, settings.within)));
            terms.push((at, from, leg_terms(&ours, offers, &rules, settings.within)));
        }
        let our = self.our_address(settings, from);
        let toward = Toward {
            address: &our,
            fingerprints: &settings.fingerprints,
            content: &rules.content,
            interworking: self.rules(settings, from).interworking.is_some(),
        };
        let draft = sdp::rewrite_answer(&received, &offer, &slots, &toward).map_err(mistake)?;
        let answer = self.sides[from as usize].origin.issue(draft);
        exchange.answered = Some(text.to_vec());
        exchange.replied = Some(answer.clone());
        Ok(Concluded { answer, terms })
    }

    /// The exchange is complete. What it ended is given back, for release.
    pub(super) fn commit(&mut self, exchange: Exchange) -> Vec<AnchorRef> {
        let Exchange { from, heard, answered, said, replied, lines } = exchange;
        let of = |text: Option<Vec<u8>>, offered| text.map(|text| Said { text, offered });
        let [offerer, answerer] = [from, from.other()].map(|side| side as usize);
        (self.sides[offerer].heard, self.sides[offerer].said) = (Some(heard), of(replied, false));
        (self.sides[answerer].heard, self.sides[answerer].said) = (answered, of(said, true));
        let mut ended = Vec::new();
        self.lines.resize_with(lines.len().max(self.lines.len()), Line::default);
        for (line, planned) in self.lines.iter_mut().zip(lines) {
            ended.extend(planned.ends());
            line.other = planned.is_other();
            line.anchor = planned.into_anchored();
        }
        self.remember_protocol(from);
        ended
    }

    /// Where the route says what one side speaks, the other one goes on with what it offered.
    fn remember_protocol(&mut self, from: Side) {
        if self.sides[from.other() as usize].protocol.is_some()
            && let Some(anchored) = self.lines.iter().find_map(|line| line.anchor.as_ref())
        {
            self.sides[from as usize].protocol = Some(anchored.uris[from as usize].protocol());
        }
    }

    fn our_address(&self, settings: &MediaSettings, side: Side) -> Address {
        let family = self.family(side);
        let authority = settings.authority(Protocol::Tls, family).or_else(|| settings.authority(Protocol::Tcp, family));
        address(authority.map_or("localhost", |a| &*a.host), family)
    }
}

fn ownership(settings: &MediaSettings, uri: &crate::msrp::Uri<'_>, living: &[Arc<[u8]>]) -> Ownership {
    if !settings.owns(uri) {
        return Ownership::Foreign;
    }
    let lives = |known: &Arc<[u8]>| crate::msrp::Uri::parse(known).is_ok_and(|known| known.equivalent(uri));
    if living.iter().any(lives) { Ownership::Ours } else { Ownership::OursUnknown }
}

fn leg_terms(section: &MessageSection<'_>, connects: Connects, rules: &Rules, within: Duration) -> LegTerms {
    let connect = match connects {
        Connects::Peer => Connect::Them,
        Connects::We => Connect::Us,
    };
    let expected = section.fingerprints.expected(rules.accept_sha1);
    LegTerms {
        target: section.target_path().into(),
        connect,
        expects: expected.map_or(Expects::Nothing, Expects::Fingerprints),
        within: Some(within),
        max_size: [section.max_size, rules.content.max_size].into_iter().flatten().min(),
        file: section.file.transfer_id.is_some(),
    }
}

/// A plan that does not fit its description is a fault of ours.
fn mistake(error: sdp::RewriteError) -> Refusal {
    debug_assert!(false, "{error}");
    Refusal { status: 500, warning: None }
}
