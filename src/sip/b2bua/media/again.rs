//! Descriptions that say nothing new: an offer that we answer by ourselves, and one that is answered once more.

use super::super::exchange::Exchange;
use super::{Media, MediaSettings, Said};
use crate::relay::Side;
use crate::sdp::{self, Description, Slot, Toward, Update};

impl Media {
    /// The answer to an offer that says nothing new: what we said last (SDP-12); none if there is something to do.
    pub(in crate::sip::b2bua) fn refresh(
        &mut self,
        settings: &MediaSettings,
        from: Side,
        text: &[u8],
    ) -> Option<Vec<u8>> {
        let limits = &settings.rules.limits;
        let now = Description::parse(text, limits).ok()?;
        let before = Description::parse(self.sides[from as usize].heard.as_deref()?, limits).ok()?;
        let lost = self.lines.iter().filter_map(|l| l.anchor.as_ref()).any(|a| a.lost.contains(&true));
        if lost || sdp::update(&before, &now) != Ok(Update::Refresh) {
            return None;
        }
        let said = self.sides[from as usize].said.clone()?;
        if !said.offered {
            return Some(said.text);
        }
        let text = self.answer_with_known(settings, from, &now)?;
        self.sides[from as usize].said = Some(Said { text: text.clone(), offered: false });
        Some(text)
    }

    /// Our answer to this offer, made of what the other side said last.
    fn answer_with_known(&mut self, settings: &MediaSettings, from: Side, offer: &Description<'_>) -> Option<Vec<u8>> {
        let rules = self.rules(settings, from);
        let heard = self.sides[from.other() as usize].heard.clone()?;
        let received = Description::parse(&heard, &rules.limits).ok()?;
        let lines = received.media_lines().iter().enumerate();
        let slots: Vec<Slot<'_>> = lines
            .map(|(index, media)| {
                let known = self.lines.get(index);
                match known.and_then(|line| line.anchor.as_ref()) {
                    Some(anchored) if !media.is_zero() => Slot::Anchor(&anchored.uris[from as usize]),
                    None if !media.is_zero() && !known.is_some_and(|line| line.other) => Slot::Refuse,
                    _ => Slot::Keep,
                }
            })
            .collect();
        let our = self.our_address(settings, from);
        let toward = Toward {
            address: &our,
            fingerprints: &settings.fingerprints,
            content: &rules.content,
            interworking: rules.interworking.is_some(),
        };
        let draft = sdp::rewrite_answer(&received, offer, &slots, &toward).ok()?;
        Some(self.sides[from as usize].origin.issue(draft))
    }

    /// The offer of this side once more, for another answer; what it says to the other side was said.
    pub(in crate::sip::b2bua) fn offer_again(
        &mut self,
        settings: &MediaSettings,
        from: Side,
        anchor: bool,
    ) -> Option<Box<Exchange>> {
        let heard = self.sides[from as usize].heard.clone()?;
        let living = Media::own_uris(settings, &heard);
        let mut exchange = self.plan(settings, from, &heard, &living, anchor).ok()?;
        self.say(settings, &mut exchange).ok()?;
        Some(exchange)
    }
}
