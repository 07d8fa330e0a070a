//! An offer that has no answer yet: what is planned for each of its m-lines (RFC 3264 sections 5 to 8).

use std::sync::Arc;

use super::media::{AnchorRef, Anchored, address};
use crate::relay::{Reserved, Side};
use crate::sdp::{Change, Family, MessageSection, Mode, OurUri, Protocol, Slot};

/// An open exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Who offered.
    pub(super) from: Side,
    /// The offer, as it came.
    pub(super) heard: Vec<u8>,
    /// The offer, as it went on.
    pub(super) said: Option<Vec<u8>>,
    /// The answer, as it came.
    pub(super) answered: Option<Vec<u8>>,
    /// The answer, as it goes on.
    pub(super) replied: Option<Vec<u8>>,
    pub(super) lines: Vec<Planned>,
}

/// What is planned for an m-line.
#[derive(Debug)]
pub(super) enum Planned {
    /// It stays as it is; an anchor that was there ends.
    Left { mode: Mode, ends: Option<AnchorRef> },
    /// Port 0.
    Refused { ends: Option<AnchorRef> },
    /// A session of ours begins here, once it is reserved.
    Begins { protocols: [Protocol; 2], made: Option<Anchored>, ends: Option<AnchorRef>, accepted: bool },
    /// It goes on; a leg that needs another URI has it once that is made.
    Goes { anchored: Anchored, renew: [bool; 2], renewed: [bool; 2], accepted: bool },
}

/// What an exchange needs before its offer can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// A new anchor for this line, whose legs A and B speak these.
    Reserve { line: usize, protocols: [Protocol; 2] },
    /// Another URI for a leg.
    Renew { line: usize, at: AnchorRef, side: Side },
}

impl Planned {
    /// A line with a session: what it was before decides.
    pub(super) fn anchored(
        anchored: Option<&Anchored>,
        before: Option<&MessageSection<'_>>,
        now: &MessageSection<'_>,
        from: Side,
        protocols: [Protocol; 2],
    ) -> Planned {
        let connected = anchored.is_some_and(|a| !a.lost[from as usize]);
        let change = match anchored {
            Some(_) => Change::of(before, Some(now), connected),
            None => Change::Begins,
        };
        match (anchored, change) {
            (Some(anchored), Change::Stays | Change::Rerouted { .. } | Change::Replaced) => {
                let mut renew = anchored.lost;
                renew[from as usize] |= change.needs_uri();
                Planned::Goes { anchored: anchored.clone(), renew, renewed: [false; 2], accepted: false }
            }
            (before, _) => Planned::Begins { protocols, made: None, ends: before.map(|a| a.at), accepted: false },
        }
    }

    /// How the line is treated.
    pub(super) fn mode(&self) -> Mode {
        match self {
            Planned::Left { mode, .. } => *mode,
            Planned::Refused { .. } => Mode::Refused,
            Planned::Begins { .. } | Planned::Goes { .. } => Mode::Anchored,
        }
    }

    /// What takes its place in a description for this side.
    pub(super) fn slot(&self, toward: Side) -> Slot<'_> {
        match self {
            Planned::Left { .. } => Slot::Keep,
            Planned::Refused { .. } | Planned::Begins { made: None, .. } => Slot::Refuse,
            Planned::Begins { made: Some(anchored), .. } | Planned::Goes { anchored, .. } => {
                Slot::Anchor(&anchored.uris[toward as usize])
            }
        }
    }

    /// Its anchor, if it has one.
    pub(super) fn at(&self) -> Option<AnchorRef> {
        match self {
            Planned::Begins { made: Some(anchored), .. } | Planned::Goes { anchored, .. } => Some(anchored.at),
            _ => None,
        }
    }

    /// The answer takes the line, or declines it.
    pub(super) fn accepted(&mut self, is: bool) {
        if let Planned::Begins { accepted, .. } | Planned::Goes { accepted, .. } = self {
            *accepted = is;
        }
    }

    /// Anchors that end when the exchange is complete.
    pub(super) fn ends(&self) -> Vec<AnchorRef> {
        match self {
            Planned::Left { ends, .. } | Planned::Refused { ends } => ends.iter().copied().collect(),
            Planned::Begins { made, ends, accepted, .. } => {
                let declined = made.as_ref().filter(|_| !accepted).map(|a| a.at);
                ends.iter().copied().chain(declined).collect()
            }
            Planned::Goes { anchored, accepted, .. } => (!accepted).then_some(anchored.at).into_iter().collect(),
        }
    }

    /// Whether it is alive and not ours.
    pub(super) fn is_other(&self) -> bool {
        matches!(self, Planned::Left { mode: Mode::Foreign | Mode::PassedThrough | Mode::Relayed, .. })
    }

    /// What the line is from now on.
    pub(super) fn into_anchored(self) -> Option<Anchored> {
        match self {
            Planned::Begins { made, accepted: true, .. } => made,
            Planned::Goes { mut anchored, renewed, accepted: true, .. } => {
                for (lost, renewed) in anchored.lost.iter_mut().zip(renewed) {
                    *lost &= !renewed;
                }
                Some(anchored)
            }
            _ => None,
        }
    }
}

impl Exchange {
    pub(super) fn new(from: Side, heard: Vec<u8>, lines: Vec<Planned>) -> Exchange {
        Exchange { from, heard, said: None, answered: None, replied: None, lines }
    }

    /// What is needed before the offer can go on.
    pub(super) fn wants(&self) -> Vec<Want> {
        let mut wants = Vec::new();
        for (line, planned) in self.lines.iter().enumerate() {
            match planned {
                Planned::Begins { protocols, made: None, .. } => {
                    wants.push(Want::Reserve { line, protocols: *protocols });
                }
                Planned::Goes { anchored, renew, renewed, .. } => {
                    let sides = Side::BOTH.into_iter().filter(|s| renew[*s as usize] && !renewed[*s as usize]);
                    wants.extend(sides.map(|side| Want::Renew { line, at: anchored.at, side }));
                }
                _ => {}
            }
        }
        wants
    }

    /// An anchor is reserved for a line.
    pub(super) fn reserved(&mut self, line: usize, shard: u16, reserved: &Reserved, families: [Family; 2]) -> bool {
        let Some(Planned::Begins { protocols, made, .. }) = self.lines.get_mut(line) else { return false };
        let uri =
            |side: Side| our_uri(&reserved.uris[side as usize], protocols[side as usize], families[side as usize]);
        let (Some(a), Some(b)) = (uri(Side::A), uri(Side::B)) else { return false };
        let at = AnchorRef { shard, anchor: reserved.anchor };
        *made = Some(Anchored { at, uris: [a, b], lost: [false; 2] });
        true
    }

    /// A leg has another URI.
    pub(super) fn renewed(&mut self, line: usize, side: Side, uri: &Arc<[u8]>, family: Family) -> bool {
        let Some(Planned::Goes { anchored, renewed, .. }) = self.lines.get_mut(line) else { return false };
        let Some(uri) = our_uri(uri, anchored.uris[side as usize].protocol(), family) else { return false };
        anchored.uris[side as usize] = uri;
        renewed[side as usize] = true;
        true
    }

    /// A leg's link is gone while it is open.
    pub(super) fn lose(&mut self, at: AnchorRef, side: Side) {
        for line in &mut self.lines {
            if let Planned::Goes { anchored, renewed, .. } = line
                && anchored.at == at
                && !renewed[side as usize]
            {
                anchored.lost[side as usize] = true;
            }
        }
    }

    /// What has to be taken back if nothing comes of the exchange: anchors that began, URIs that were renewed.
    pub(super) fn undo(&self) -> (Vec<AnchorRef>, Vec<(AnchorRef, Side)>) {
        let (mut release, mut withdraw) = (Vec::new(), Vec::new());
        for line in &self.lines {
            match line {
                Planned::Begins { made: Some(anchored), .. } => release.push(anchored.at),
                Planned::Goes { anchored, renewed, .. } => {
                    let sides = Side::BOTH.into_iter().filter(|s| renewed[*s as usize]);
                    withdraw.extend(sides.map(|side| (anchored.at, side)));
                }
                _ => {}
            }
        }
        (release, withdraw)
    }
}

/// A URI that the core has made, as the description needs it.
fn our_uri(text: &[u8], protocol: Protocol, family: Family) -> Option<OurUri> {
    let uri = crate::msrp::Uri::parse(text).ok()?;
    let session_id = std::str::from_utf8(uri.session_id()?).ok()?;
    OurUri::new(address(&uri.host_string(), family), protocol, uri.port()?, session_id).ok()
}
