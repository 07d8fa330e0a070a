//! How a process ends: another one takes over, or nobody does; what is there drains, and the rest is told.

use std::process::ExitCode;
use std::time::Duration;

use chappe::admin::{Order, Phase};
use chappe::handover::Successor;

use super::{Process, Signals};

/// How often a drain looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(200);
/// Time for the shards' last frames.
const GOODBYE: Duration = Duration::from_secs(10);

impl Process {
    /// Starts the process that takes over; nothing changes here until it is ready.
    pub(super) fn upgrade(&self) {
        if self.offered.is_some() {
            self.program.start();
        } else {
            tracing::error!(
                "no other process can take over: relay.handover names no place for it, or one has taken over"
            );
        }
    }

    /// Lets a process that is ready take over; whether it has.
    pub(super) async fn hand_on(&mut self, successor: Successor) -> bool {
        let channel = match successor.go().await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::warn!(%error, "a new process ended before it could take over; this one goes on");
                return false;
            }
        };
        tracing::info!("a new process serves; this one accepts nothing more, and ends when its sessions have ended");
        self.handed_on = true;
        let _ = self.server.shards.release().await;
        if let Some(plane) = &self.plane {
            plane.release(channel).await;
        }
        self.admin_ends = None;
        // The twins go with the task; the name is the new process's.
        self.offered = None;
        true
    }

    /// No new sessions; bound ones go on until they end or the time is over. A second signal ends the wait.
    pub(super) async fn drain(mut self, mut signals: Signals) -> ExitCode {
        self.admin.enter(Phase::Draining);
        let time = self.config.relay.drain_timeout;
        // Who has just been let in still gets the session that it came for: there is no other process on that connection.
        let grace = if self.handed_on { self.config.limits.probation } else { Duration::ZERO };
        if !self.handed_on {
            self.manager.stopping();
        }
        let begin = tokio::time::sleep(grace);
        let deadline = tokio::time::sleep(grace + time);
        tokio::pin!(begin, deadline);
        let mut draining = false;
        loop {
            if !draining && (grace.is_zero() || begin.is_elapsed()) {
                draining = true;
                self.refuse_new().await;
            }
            let calls = match &self.plane {
                Some(plane) => plane.calls().await,
                None => 0,
            };
            // A shard that is too busy to answer has something left.
            if draining && calls == 0 && self.server.shards.drained().await.unwrap_or(false) {
                break;
            }
            tokio::select! {
                () = &mut begin, if !draining => {}
                () = super::failed(&mut self.plane) => self.without_plane(),
                () = tokio::time::sleep(DRAIN_STEP) => {}
                () = &mut deadline => {
                    tracing::warn!("drain timeout: sessions that are left are ended");
                    break;
                }
                _ = signals.term.recv() => break,
                _ = signals.int.recv() => break,
                _ = signals.upgrade.recv() => self.upgrade(),
                _ = signals.hangup.recv() => {
                    let _ = self.reload_as_told().await;
                }
                Some(successor) = self.successors.recv() => {
                    self.hand_on(successor).await;
                }
                Some(order) = self.order.recv() => match order {
                    Order::Reload(reply) => {
                        let _ = reply.send(self.reload_as_told().await);
                    }
                    Order::Drain => {}
                },
            }
        }
        self.stop().await
    }

    async fn refuse_new(&self) {
        let time = self.config.relay.drain_timeout;
        tracing::info!(timeout_s = time.as_secs(), "draining: new sessions are refused, bound ones go on");
        if let Some(plane) = &self.plane {
            plane.drain().await;
        }
        let _ = self.server.shards.drain().await;
        if self.handed_on {
            let _ = self.server.shards.dismiss().await;
        }
    }

    /// Ends everything that is left.
    pub(super) async fn stop(mut self) -> ExitCode {
        self.offered = None;
        // Whoever still has a call hears BYE before its media go.
        if let Some(plane) = self.plane {
            plane.stop().await;
        }
        let _ = self.server.shards.stop().await;
        if tokio::time::timeout(GOODBYE, self.server.ended()).await.is_err() {
            tracing::warn!("some links did not take their last frames in time");
        }
        self.records.flush();
        tracing::info!("stopped");
        ExitCode::SUCCESS
    }
}
