//! Commands about anchored sessions: each goes to the shard that has the anchor, and is answered by it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Command, PATIENCE, Shards, Stuck};
use crate::msrp::Uri;
use crate::relay::{AnchorError, AnchorId, AnchorWish, LegTerms, Relay, Reserved, SessionEnd, Side, TokenId};

/// What a shard is asked to do about an anchor of its own.
#[derive(Debug)]
pub enum AnchorCommand {
    /// [`Relay::reserve_anchor`]
    Reserve(AnchorWish, oneshot::Sender<Result<Reserved, AnchorError>>),
    /// [`Relay::renew_leg`]
    Renew(AnchorId, Side, oneshot::Sender<Result<Arc<[u8]>, AnchorError>>),
    /// [`Relay::withdraw_renewal`]
    Withdraw(AnchorId, Side),
    /// [`Relay::set_leg`]
    Set(AnchorId, Side, LegTerms, oneshot::Sender<Result<(), AnchorError>>),
    /// [`Relay::release_anchor`]
    Release(AnchorId, SessionEnd),
    /// [`Relay::knows`]
    Know(Arc<[u8]>, oneshot::Sender<bool>),
    /// [`Relay::lacks`]
    Lack(Vec<AnchorId>, oneshot::Sender<Vec<AnchorId>>),
}

impl AnchorCommand {
    /// Has the core carry it out.
    pub fn obey(self, relay: &mut Relay, now: crate::moment::Moment) {
        // Whoever asked may be gone; what was reserved for it runs out by itself.
        match self {
            AnchorCommand::Reserve(wish, reply) => {
                let _ = reply.send(relay.reserve_anchor(wish, now));
            }
            AnchorCommand::Renew(anchor, side, reply) => {
                let _ = reply.send(relay.renew_leg(anchor, side, now));
            }
            AnchorCommand::Withdraw(anchor, side) => relay.withdraw_renewal(anchor, side, now),
            AnchorCommand::Set(anchor, side, terms, reply) => {
                let _ = reply.send(relay.set_leg(anchor, side, terms, now));
            }
            AnchorCommand::Release(anchor, end) => {
                relay.release_anchor(anchor, end, now);
            }
            AnchorCommand::Know(uri, reply) => {
                let _ = reply.send(relay.knows(&uri));
            }
            AnchorCommand::Lack(anchors, reply) => {
                let _ = reply.send(relay.lacks(anchors));
            }
        }
    }
}

impl Shards {
    /// Reserves an anchor on this shard.
    pub async fn reserve_anchor(&self, shard: u16, wish: AnchorWish) -> Result<Result<Reserved, AnchorError>, Stuck> {
        self.ask(shard, |reply| AnchorCommand::Reserve(wish, reply)).await
    }

    /// A new URI for a leg.
    pub async fn renew_leg(
        &self,
        shard: u16,
        anchor: AnchorId,
        side: Side,
    ) -> Result<Result<Arc<[u8]>, AnchorError>, Stuck> {
        self.ask(shard, |reply| AnchorCommand::Renew(anchor, side, reply)).await
    }

    /// That URI is not needed.
    pub async fn withdraw_renewal(&self, shard: u16, anchor: AnchorId, side: Side) -> Result<(), Stuck> {
        self.tell(shard, AnchorCommand::Withdraw(anchor, side)).await
    }

    /// The terms of a leg.
    pub async fn set_leg(
        &self,
        shard: u16,
        anchor: AnchorId,
        side: Side,
        terms: LegTerms,
    ) -> Result<Result<(), AnchorError>, Stuck> {
        self.ask(shard, |reply| AnchorCommand::Set(anchor, side, terms, reply)).await
    }

    /// Ends an anchor.
    pub async fn release_anchor(&self, shard: u16, anchor: AnchorId, end: SessionEnd) -> Result<(), Stuck> {
        self.tell(shard, AnchorCommand::Release(anchor, end)).await
    }

    /// Whether a URI of ours has a session that lives.
    pub async fn knows(&self, uri: Arc<[u8]>) -> Result<bool, Stuck> {
        let token = Uri::parse(&uri).ok().and_then(|uri| uri.session_id().and_then(TokenId::parse));
        match token.and_then(|token| token.label()) {
            Some(label) if usize::from(label.shard) < self.len() => {
                self.ask(label.shard, |reply| AnchorCommand::Know(uri, reply)).await
            }
            _ => Ok(false),
        }
    }

    /// Which of these anchors this shard does not have.
    pub async fn lacks(&self, shard: u16, anchors: Vec<AnchorId>) -> Result<Vec<AnchorId>, Stuck> {
        self.ask(shard, |reply| AnchorCommand::Lack(anchors, reply)).await
    }

    /// What must not be lost waits for room.
    async fn tell(&self, shard: u16, command: AnchorCommand) -> Result<(), Stuck> {
        let at = usize::from(shard);
        let queue = self.queues.get(at).ok_or(Stuck(at))?;
        let sent = tokio::time::timeout(PATIENCE, queue.send(Command::Anchor(command))).await;
        if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(Stuck(at)) }
    }

    async fn ask<T>(&self, shard: u16, command: impl FnOnce(oneshot::Sender<T>) -> AnchorCommand) -> Result<T, Stuck> {
        let (reply, answer) = oneshot::channel();
        self.tell(shard, command(reply)).await?;
        let got = tokio::time::timeout(PATIENCE, answer).await.map_err(|_| Stuck(usize::from(shard)))?;
        got.map_err(|_| Stuck(usize::from(shard)))
    }
}
