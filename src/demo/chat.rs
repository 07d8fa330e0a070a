//! Chat in both directions at once.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    error::DemoError,
    party::{Party, outcome},
    summary::ChatSummary,
};
use crate::client::{Event, Message, SendOptions};

/// Messages that may wait for their REPORT, each way.
const AHEAD: usize = 32;

/// Exchanges `messages` texts, half of them each way. Each one has to arrive once, as it was sent, and to be reported.
pub(super) async fn exchange(alice: &Party, bob: &Party, messages: u32) -> Result<ChatSummary, DemoError> {
    let began = Instant::now();
    let there = messages / 2;
    let back = messages - there;
    let ((octets_there, reports_there), (octets_back, reports_back), (), ()) = tokio::try_join!(
        talk("Alice", alice, bob, there),
        talk("Bob", bob, alice, back),
        listen("Alice", bob, there),
        listen("Bob", alice, back)
    )?;
    Ok(ChatSummary {
        messages,
        octets: octets_there + octets_back,
        reports: reports_there + reports_back,
        elapsed: began.elapsed().max(Duration::from_nanos(1)),
    })
}

/// Sends all messages; the result is octets of text and success REPORTs.
async fn talk(name: &str, from: &Party, to: &Party, messages: u32) -> Result<(u64, u64), DemoError> {
    let path = from.to_path(to);
    let options = SendOptions { success_report: true, ..SendOptions::default() };
    let (mut octets, mut reports) = (0, 0);
    let mut waiting = VecDeque::with_capacity(AHEAD);
    for number in 0..messages {
        if waiting.len() == AHEAD
            && let Some(first) = waiting.pop_front()
        {
            reports += outcome(first).await?.reports;
        }
        let text = text(name, number);
        octets += text.len() as u64;
        waiting.push_back(from.endpoint.send_message(&path, Some("text/plain"), text, options.clone()).await?);
    }
    for sending in waiting {
        reports += outcome(sending).await?.reports;
    }
    Ok((octets, reports))
}

/// Takes all messages, each of which has to come exactly once.
async fn listen(name: &str, party: &Party, messages: u32) -> Result<(), DemoError> {
    let mut seen = vec![false; messages as usize];
    for _ in 0..messages {
        match party.event().await? {
            Event::Message(message) => tick_off(name, &message, &mut seen)?,
            other => return Err(DemoError::Unexpected(format!("{other:?}"))),
        }
    }
    Ok(())
}

fn tick_off(name: &str, message: &Message, seen: &mut [bool]) -> Result<(), DemoError> {
    let body = message.body.as_deref().unwrap_or_default();
    let wrong = || DemoError::Chat(String::from_utf8_lossy(body).into_owned());
    let got = std::str::from_utf8(body).map_err(|_| wrong())?;
    let number =
        got.split_once('#').and_then(|(_, rest)| rest.split_once(':')).and_then(|(number, _)| number.parse().ok());
    let number: u32 = number.ok_or_else(wrong)?;
    let slot = seen.get_mut(number as usize).filter(|seen| !**seen).ok_or_else(wrong)?;
    *slot = got == text(name, number);
    if *slot { Ok(()) } else { Err(wrong()) }
}

/// A text of 12 to 1000 octets that is different for each number.
fn text(name: &str, number: u32) -> String {
    let words = ["télégraphe", "tower", "arm", "signal", "clear sky", "✓"];
    let mut text = format!("{name} #{number}:");
    for step in 0..=number.wrapping_mul(2_654_435_761) >> 25 {
        text.push(' ');
        text.push_str(words[(number.wrapping_add(step) % 6) as usize]);
    }
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::msrp::{Head, Limits};

    fn message(body: String) -> Message {
        let head = "MSRP abcd SEND\r\nTo-Path: msrp://a.invalid:1/a;tcp\r\nFrom-Path: msrp://a.invalid:1/a;tcp\r\n";
        Message {
            message_id: "1".into(),
            content_type: None,
            from_path: String::new(),
            length: body.len() as u64,
            body: Some(body.into()),
            chunks: 1,
            longest_chunk: 1,
            head: Head::parse(Bytes::from(head), &Limits::default()).unwrap(),
        }
    }

    #[test]
    fn each_message_counts_once_and_only_as_it_was_sent() {
        let mut seen = vec![false; 3];
        assert_eq!(tick_off("Bob", &message(text("Bob", 1)), &mut seen), Ok(()));
        assert_eq!(seen, [false, true, false]);
        for wrong in [text("Bob", 1), text("Bob", 3), text("Alice", 0), text("Bob", 2) + "!", "x".into(), "#2:".into()]
        {
            assert_eq!(tick_off("Bob", &message(wrong.clone()), &mut seen), Err(DemoError::Chat(wrong)));
        }
    }

    #[test]
    fn texts_have_many_lengths() {
        let lengths: std::collections::HashSet<_> = (0..1000).map(|number| text("Bob", number).len()).collect();
        assert!(lengths.len() > 100 && lengths.iter().all(|length| (12..1000).contains(length)), "{lengths:?}");
    }
}
