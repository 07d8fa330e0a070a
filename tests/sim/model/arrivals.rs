//! What comes in at a relay.

use super::{Chunk, Model, Passing, Request};
use crate::frame::{Event, Head, Kind};
use crate::trace::Trace;
use crate::wire::EndRef;

impl Model {
    pub(super) fn arrive(&mut self, trace: &mut Trace, node: usize, end: EndRef, event: Event, now: u64) {
        match event {
            Event::Head(head) => {
                trace.say(|| format!("  relay {node} <- {end}: {}", line(&head)));
                self.head_arrives(node, end, &head, now);
            }
            Event::Body(octets) => {
                let n = &mut self.nodes[node];
                let Some(link) = n.links.get(&end) else { return };
                if let Some((message, chunk)) = &link.arriving
                    && let Some(passage) = n.passages.get_mut(message)
                {
                    let c = &mut passage.chunks[*chunk];
                    c.len += octets.len() as u64;
                    c.moved = now;
                }
            }
            Event::End(flag) => {
                trace.say(|| format!("  relay {node} <- {end}: end {flag}"));
                self.end_arrives(node, end, flag, now);
            }
        }
    }

    fn head_arrives(&mut self, node: usize, end: EndRef, head: &Head, now: u64) {
        match &head.kind {
            Kind::Response(code) => self.answer_arrives(node, end, head, *code, now),
            Kind::Request(method) if method == "SEND" => self.send_arrives(node, end, head, now),
            Kind::Request(method) => {
                let n = &mut self.nodes[node];
                let Some(link) = n.links.get_mut(&end) else { return };
                if method != "REPORT" {
                    link.requests.entry(head.tid.clone()).or_default().push(Request {
                        method: method.clone(),
                        to: head.to.clone(),
                        from: head.from.clone(),
                        chunk: None,
                        expires_named: head.line("Expires").is_some(),
                        came: now,
                    });
                }
                link.arriving_whole = Some(Passing {
                    link: end,
                    method: method.clone(),
                    to: head.to.clone(),
                    from: head.from.clone(),
                    came: now,
                    about: about(head),
                });
            }
        }
    }

    /// Counts for the SEND that left here under this transact-id, if it is addressed to whom that came from.
    fn answer_arrives(&mut self, node: usize, end: EndRef, head: &Head, code: u16, now: u64) {
        let n = &mut self.nodes[node];
        let Some(link) = n.links.get_mut(&end) else { return };
        let Some((message, part)) = link.parts.get(&head.tid) else { return };
        let Some(part) = n.passages.get_mut(message).and_then(|p| p.parts.get_mut(*part)) else { return };
        if part.answer.is_none() && head.to.first() == Some(&part.from) {
            part.answer = Some((code, now));
        }
    }

    fn send_arrives(&mut self, node: usize, end: EndRef, head: &Head, now: u64) {
        let n = &mut self.nodes[node];
        let Some(link) = n.links.get_mut(&end) else { return };
        let range = head.range();
        let chunk = Chunk {
            link: end,
            to: head.to.clone(),
            from: head.from.clone(),
            start: range.map_or(1, |r| r.start),
            len: 0,
            total: range.and_then(|r| r.total),
            wish: head.failure_report(),
            lines: head.lines.clone(),
            body: head.body,
            flag: None,
            came: now,
            ended: 0,
            cut: false,
            answer: None,
            refused: None,
            reports: Vec::new(),
            out: 0,
            out_done: false,
            parts: Vec::new(),
            turn: None,
            moved: now,
        };
        // A SEND without a name has one by its transact-id: it is looked for by nobody else.
        let id = if head.message().is_empty() { format!("tid {}", head.tid) } else { head.message().to_owned() };
        let passage = n.passages.entry(id.clone()).or_default();
        passage.chunks.push(chunk);
        let at = passage.chunks.len() - 1;
        n.live.insert(id.clone());
        link.arriving = Some((id.clone(), at));
        link.requests.entry(head.tid.clone()).or_default().push(Request {
            method: "SEND".to_owned(),
            to: head.to.clone(),
            from: head.from.clone(),
            chunk: Some((id, at)),
            expires_named: false,
            came: now,
        });
    }

    fn end_arrives(&mut self, node: usize, end: EndRef, flag: char, now: u64) {
        let n = &mut self.nodes[node];
        let Some(link) = n.links.get_mut(&end) else { return };
        if let Some((message, chunk)) = link.arriving.take()
            && let Some(passage) = n.passages.get_mut(&message)
        {
            let c = &mut passage.chunks[chunk];
            (c.flag, c.ended, c.moved) = (Some(flag), now, now);
            // What has left already needs no further part to say that more follows.
            let left = c.parts.last().is_some_and(|p| passage.parts[*p].flag.is_some());
            c.out_done |= flag == '+' && left && c.out == c.len;
            return self.takes_its_turn(node, &message, chunk);
        }
        if let Some(passing) = link.arriving_whole.take() {
            n.passing.push(passing);
        }
    }
}

/// What a REPORT says.
pub(super) fn about(head: &Head) -> String {
    head.lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

pub(super) fn line(head: &Head) -> String {
    let what = match &head.kind {
        Kind::Request(method) => method.clone(),
        Kind::Response(code) => code.to_string(),
    };
    let more: Vec<String> = ["Message-ID", "Byte-Range", "Failure-Report", "Status", "Use-Path", "Expires"]
        .iter()
        .filter_map(|n| head.line(n))
        .map(str::to_owned)
        .collect();
    let short = |uri: &String| uri.trim_start_matches("msrps://").replace(".example", "").chars().take(30).collect();
    let path = |p: &[String]| p.iter().map(short).collect::<Vec<String>>().join(" ");
    format!("{} {what} {} [{}] from [{}]", head.tid, more.join(" "), path(&head.to), path(&head.from))
}
