//! Tests of the module as a whole: exchanges by way of one anchor, as its caller carries them out.

mod anchor;
mod answers;
mod examples;
mod files;
mod modes;
mod properties;
mod roles;
mod tls;
mod tunnels;
mod updates;
mod validation;

use super::*;

/// An offer over plain TCP from behind a NAT.
const PLAIN: &str = "v=0
o=lena 61 1 IN IP4 10.8.0.4
s=-
c=IN IP4 10.8.0.4
t=0 0
m=message 9 TCP/MSRP *
a=setup:active
a=accept-types:message/cpim text/plain
a=accept-wrapped-types:*
a=path:msrp://10.8.0.4:9/Lq7ZtB2mXv9Ks4Rd;tcp
";

/// An answer to it.
const ANSWER: &str = "v=0
o=omar 7 1 IN IP4 198.51.100.9
s=-
c=IN IP4 198.51.100.9
t=0 0
m=message 40118 TCP/MSRP *
a=setup:passive
a=accept-types:text/plain
a=path:msrp://198.51.100.9:40118/Ov3nHs6YtE1wQa8U;tcp
";

/// An offer over TLS by a CEMA endpoint.
const SECURE: &str = "v=0
o=lena 61 1 IN IP4 192.0.2.33
s=-
t=0 0
m=message 51200 TCP/TLS/MSRP *
c=IN IP4 192.0.2.33
a=setup:actpass
a=msrp-cema
a=accept-types:message/cpim
a=accept-wrapped-types:text/plain image/*
a=fingerprint:SHA-256 0B:5E:41:9C:77:D2:18:A3:64:FF:20:8D:3B:E9:55:C0:12:7A:96:41:BD:08:E7:33:5F:C4:29:81:6E:AA:90:1D
a=path:msrps://192.0.2.33:51200/Gy6uJm1cPz8oTe4X;tcp
";

/// With the line ends of SIP.
fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn parse(text: &str) -> Description<'_> {
    Description::parse(text.as_bytes(), &Limits::default()).unwrap_or_else(|fault| panic!("{fault}\n{text}"))
}

fn section(text: &str) -> Result<MessageSection<'_>, SectionFault> {
    MessageSection::parse(&parse(text), 0, &Limits::default())
}

fn foreign(_: &crate::msrp::Uri<'_>) -> Ownership {
    Ownership::Foreign
}

fn assess<'a>(text: &'a str, rules: &Rules) -> Offer<'a> {
    Offer::assess(&parse(text), rules, foreign)
}

/// The fault of the only m-line.
fn refused(text: &str, rules: &Rules) -> Option<SectionFault> {
    match assess(text, rules).lines.into_iter().next() {
        Some(Offered::Refused(fault)) => Some(fault),
        _ => None,
    }
}

/// An anchor with one address in front of both sides.
struct Anchor {
    rules: Rules,
    address: Address,
    fingerprints: Vec<Fingerprint>,
}

impl Default for Anchor {
    fn default() -> Anchor {
        Anchor {
            rules: Rules::default(),
            address: Address::V4([203, 0, 113, 20].into()),
            fingerprints: vec![
                Fingerprint::new(Hash::Sha384, &[0xCD; 48]).unwrap(),
                Fingerprint::new(Hash::Sha256, &[0xAB; 32]).unwrap(),
            ],
        }
    }
}

impl Anchor {
    fn limited(max_size: u64) -> Anchor {
        let mut anchor = Anchor::default();
        anchor.rules.content.max_size = Some(max_size);
        anchor
    }

    fn toward(&self) -> Toward<'_> {
        Toward {
            address: &self.address,
            fingerprints: &self.fingerprints,
            content: &self.rules.content,
            interworking: self.rules.interworking.is_some(),
        }
    }

    fn our(&self, leg: &str, index: usize, protocol: Protocol) -> OurUri {
        OurUri::new(self.address.clone(), protocol, 2855, &format!("our{leg}{index}")).unwrap()
    }

    /// What an offer becomes for the far side, before its origin is written.
    fn draft_offer(&self, text: &str) -> Draft {
        let description = parse(text);
        let offer = Offer::assess(&description, &self.rules, foreign);
        let ours: Vec<Option<OurUri>> =
            offer.lines.iter().enumerate().map(|(index, line)| self.uri(index, line)).collect();
        let slot = |(line, our): (&Offered<'_>, _)| match (line.mode(), our) {
            (Mode::Anchored, Some(our)) => Slot::Anchor(our),
            (Mode::Tunnelled, _) => Slot::Tunnel(Some(30412)),
            (Mode::Refused, _) => Slot::Refuse,
            _ => Slot::Keep,
        };
        let slots: Vec<Slot<'_>> = offer.lines.iter().zip(ours.iter().map(Option::as_ref)).map(slot).collect();
        rewrite_offer(&description, &slots, &self.toward()).unwrap()
    }

    fn uri(&self, index: usize, line: &Offered<'_>) -> Option<OurUri> {
        match line {
            Offered::Ours(Mode::Anchored, section) => {
                Some(self.our("B", index, self.rules.protocol_beyond(section.protocol)))
            }
            _ => None,
        }
    }

    fn offer(&self, text: &str) -> String {
        let mut origin = Origin::new(90021, self.address.clone());
        String::from_utf8(origin.issue(self.draft_offer(text))).unwrap()
    }

    /// What an answer becomes for the side that sent `offer`.
    fn answer(&self, text: &str, offer: &str) -> Result<String, AnswerFault> {
        let (sent, received, answer) = (self.offer(offer), parse(offer), parse(text));
        let modes = Offer::assess(&received, &self.rules, foreign).modes();
        let lines = assess_answer(&parse(&sent), &modes, &answer, &self.rules, foreign)?;
        let protocol = |index: usize| received.media_lines()[index].message_protocol().unwrap_or(Protocol::Tcp);
        let ours: Vec<OurUri> = (0..lines.len()).map(|index| self.our("A", index, protocol(index))).collect();
        let slots = modes.iter().zip(&lines).zip(&ours).map(|((mode, line), our)| match (mode, line) {
            (Mode::Anchored, Answered::Accepted(_)) => Slot::Anchor(our),
            (Mode::Tunnelled, Answered::Accepted(_)) => Slot::Tunnel(None),
            (Mode::Anchored | Mode::Tunnelled | Mode::Refused, _) => Slot::Refuse,
            _ => Slot::Keep,
        });
        let slots: Vec<Slot<'_>> = slots.collect();
        let draft = rewrite_answer(&answer, &received, &slots, &self.toward()).unwrap();
        let mut origin = Origin::new(90020, self.address.clone());
        Ok(String::from_utf8(origin.issue(draft)).unwrap())
    }
}
