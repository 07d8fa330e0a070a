//! Requests that pass as a whole, REPORT and unknown methods, on their way to a token of another shard.

use super::super::Relay;
use super::super::link::LinkId;
use super::super::refusal::Refusal;
use super::super::route::{Asker, Binding, Place};
use super::super::session::TokenId;
use super::super::transit::Whole;
use super::super::turn::Turn;
use super::{Content, Wanted, wanted_link};
use crate::moment::Moment;
use crate::msrp::{Kind, Method, response};

enum Placed {
    Here { target: LinkId, turn: Turn, pinned: Option<TokenId> },
    Elsewhere(u16, Wanted),
}

impl Relay {
    pub(in super::super) fn post_whole(&mut self, id: LinkId, asker: &Asker, place: &Place, whole: &Whole) {
        let (shard, wanted) = match place.to {
            Binding::Home(shard, _) => (shard, Wanted::Token { skip: place.hops }),
            Binding::Abroad(far) => (far.shard, wanted_link(far.link, place)),
            _ => return,
        };
        let bound = match place.to {
            Binding::Home(_, token) => self.links.get(id).is_some_and(|l| l.far_of.contains(&token)),
            _ => true,
        };
        let mut head = whole.head.clone();
        head.detach();
        let whole = Whole { head, body: whole.body.clone(), has_body: whole.has_body };
        self.post_from(id, shard, Content::Whole { asker: asker.clone(), wanted, whole, bound, passed: 0 });
    }

    /// A whole request from a link of another shard.
    pub(super) fn take_posted_whole(
        &mut self,
        asker: Asker,
        wanted: Wanted,
        whole: Whole,
        bound: bool,
        passed: u16,
        now: Moment,
    ) {
        let placed = match self.place_whole(&asker, &wanted, &whole, now) {
            Ok(Placed::Elsewhere(shard, wanted)) if passed <= self.settings.shards => {
                return self.post(shard, Content::Whole { asker, wanted, whole, bound, passed: passed + 1 });
            }
            Ok(Placed::Elsewhere(..)) => Err(Refusal::NoSession),
            Ok(Placed::Here { target, turn, pinned }) => Ok((target, turn, pinned)),
            Err(refusal) => Err(refusal),
        };
        match placed {
            Ok((target, turn, pinned)) => {
                if let Some(token) = pinned.filter(|_| !bound) {
                    self.post(asker.at.shard, Content::Bound { link: asker.at.link, token });
                }
                self.send_whole(target, &whole, &turn, asker.at, now);
            }
            Err(refusal) => {
                self.counts.refusals[refusal.kind() as usize] += 1;
                if whole.head.kind() == Kind::Request(Method::Report) {
                    return;
                }
                let (to, own) = (whole.head.from_path(), whole.head.to_path().and_then(|p| p.first()));
                let mut frame = Vec::new();
                let back = to.map(|p| p.after(0)).unwrap_or_default();
                response(&mut frame, whole.head.transact_id(), refusal.status(), back, own.unwrap_or_default(), &[]);
                self.send_back(asker.at, frame, false, now);
            }
        }
    }

    fn place_whole(&mut self, asker: &Asker, wanted: &Wanted, whole: &Whole, now: Moment) -> Result<Placed, Refusal> {
        let skip = match wanted {
            Wanted::Link(link) | Wanted::Leg { link, .. } => {
                let target = self.alive(*link).then_some(*link).ok_or(Refusal::NoSession)?;
                return Ok(Placed::Here { target, turn: wanted.turn(), pinned: None });
            }
            Wanted::Token { skip } => *skip,
        };
        let to = whole.head.to_path().ok_or(Refusal::Bad)?;
        let first = whole.head.from_path().and_then(|p| p.first()).ok_or(Refusal::Bad)?;
        let place = self.admit(asker, to, first, skip, now)?;
        if let Binding::Home(shard, _) = place.to {
            return Ok(Placed::Elsewhere(shard, Wanted::Token { skip: place.hops }));
        }
        if let (Binding::Abroad(far), true) = (&place.to, place.leg.is_some()) {
            return Ok(Placed::Elsewhere(far.shard, wanted_link(far.link, &place)));
        }
        let target = self.target_of(&place, to, now)?;
        Ok(Placed::Here { target, turn: place.turn(), pinned: self.bound(&place, asker) })
    }
}
