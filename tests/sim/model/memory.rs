//! Buffers are bounded by what the configuration says, whoever does not read.

use chappe::relay::Limits;

use super::{LinkKind, Model, Rule};

/// Octets that a link may have beside its sessions: a batch, and one read more than fits.
const SLACK: usize = 2 * (64 << 10);

impl Model {
    /// What a relay accounts for is within the limits of those who are connected.
    pub fn memory(&mut self, node: usize, buffered: usize, limits: &Limits) {
        if buffered <= limits.session_buffer + limits.response_queue + SLACK {
            return;
        }
        let n = &self.nodes[node];
        let of_sessions = |end: usize| {
            let ways = n.ways.keys().filter(|(from, _)| *from == end).count();
            ways.max(1) * (limits.session_buffer + SLACK)
        };
        let most: usize = n
            .links
            .iter()
            .filter(|(_, l)| l.open)
            .map(|(end, l)| match l.kind {
                LinkKind::Person(_) => of_sessions(*end) + limits.response_queue + SLACK,
                LinkKind::Peer { .. } => of_sessions(*end) + limits.link_buffer + limits.response_queue + SLACK,
            })
            .sum();
        if buffered > most {
            self.fail(Rule::Memory, format!("relay {node} holds {buffered} octets, {most} are allowed"));
        }
    }
}
