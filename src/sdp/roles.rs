//! Who opens the connection (RFC 4145 section 4, RFC 6135 section 4.2, AMB-70).

use std::fmt;

/// The value of `a=setup`. `holdconn` is not among them: MSRP reads it as no attribute at all (SDP-21).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setup {
    /// The author connects.
    Active,
    /// The author is connected to.
    Passive,
    /// Either.
    Actpass,
}

impl Setup {
    /// What we say in every offer: our address is reachable, and passive stands in no offer (SDP-22, SDP-23).
    pub const IN_OFFERS: Setup = Setup::Actpass;

    /// The value of an attribute; none for `holdconn` and for words that are no role.
    pub(super) fn parse(value: &[u8]) -> Option<Setup> {
        let value = value.trim_ascii();
        let is = |setup: &Setup| value.eq_ignore_ascii_case(setup.as_str().as_bytes());
        [Setup::Active, Setup::Passive, Setup::Actpass].into_iter().find(is)
    }

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::Actpass => "actpass",
        }
    }

    /// What we answer to an offer: we are reachable, so the offerer connects (SDP-26), unless it says that it will not.
    pub fn in_answer_to(offer: Option<Setup>) -> Setup {
        match offer {
            Some(Setup::Passive) => Setup::Active,
            None | Some(Setup::Active | Setup::Actpass) => Setup::Passive,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A side of an offer/answer exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Who sent the offer.
    Offerer,
    /// Who sent the answer.
    Answerer,
}

/// Which of two endpoints connects and sends the first SEND. Only an answerer that says `active` where it may do so
/// connects; with every other pair the rule of RFC 4975 section 8.5 holds (SDP-29).
pub fn active_side(offer: Option<Setup>, answer: Option<Setup>) -> Side {
    match (offer, answer) {
        (Some(Setup::Actpass | Setup::Passive), Some(Setup::Active)) => Side::Answerer,
        _ => Side::Offerer,
    }
}

/// Who opens the connection of one of our legs. Who does is the TLS client (SDP-101).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connects {
    /// The peer, to our URI.
    Peer,
    /// We, to the first URI of the peer's path.
    We,
}

impl Connects {
    /// On the leg that sent us an offer with this role, after our answer.
    pub fn on_offer(offer: Option<Setup>) -> Connects {
        match active_side(offer, Some(Setup::in_answer_to(offer))) {
            Side::Offerer => Connects::Peer,
            Side::Answerer => Connects::We,
        }
    }

    /// On the leg that answered our offer with this role. A role that answers nothing, as `actpass`, counts as passive
    /// (AMB-70, IOP-34).
    pub fn on_answer(answer: Option<Setup>) -> Connects {
        match active_side(Some(Setup::IN_OFFERS), answer) {
            Side::Offerer => Connects::We,
            Side::Answerer => Connects::Peer,
        }
    }
}
