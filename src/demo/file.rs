//! One big file, made while it is sent and digested while it arrives.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{
    DemoOptions,
    error::DemoError,
    party::{Party, outcome},
    summary::FileSummary,
};
use crate::client::{Body, Event, SendOptions};

const SEED: u64 = 0x6368_6170_7065;

/// Sends the file from `alice` to `bob` and compares the digests of both sides.
pub(super) async fn transfer(alice: &Party, bob: &Party, options: &DemoOptions) -> Result<FileSummary, DemoError> {
    let began = Instant::now();
    let (body, sent_digest) = file(options.file_size);
    let send_options =
        SendOptions { chunk: options.chunk, window: options.window, success_report: true, ..SendOptions::default() };
    let path = alice.to_path(bob);
    let sending = alice.endpoint.send_message(&path, Some("application/octet-stream"), body, send_options).await?;
    let bar = bar(options);
    let (progress, received) = tokio::try_join!(outcome(sending), receive(bob, &bar))?;
    bar.finish_and_clear();
    let elapsed = began.elapsed().max(Duration::from_nanos(1));
    let sent_digest = sent_digest.await.unwrap_or_default();
    if received.octets != options.file_size || progress.octets != options.file_size || received.digest != sent_digest {
        let (sent, received, digest) = (options.file_size, received.octets, received.digest);
        return Err(DemoError::File { sent, received, digest });
    }
    Ok(FileSummary {
        octets: received.octets,
        chunks_sent: progress.chunks,
        chunks_received: received.chunks,
        reports: progress.reports,
        elapsed,
        sha256: received.digest,
    })
}

/// A file of this length; its digest comes when its last octet is made.
fn file(length: u64) -> (Body, oneshot::Receiver<String>) {
    let (digested, digest) = oneshot::channel();
    let mut digested = Some(digested);
    let mut hash = Sha256::new();
    let mut finish = move |hash: &mut Sha256| {
        if let Some(digested) = digested.take() {
            // Nobody waits for it when the transfer has failed.
            let _ = digested.send(hex(hash.finalize_reset()));
        }
    };
    if length == 0 {
        finish(&mut hash);
    }
    let fill = move |position: u64, octets: &mut [u8]| {
        content(position, octets);
        hash.update(&*octets);
        if position + octets.len() as u64 == length {
            finish(&mut hash);
        }
    };
    (Body::Generated { length, fill: Box::new(fill) }, digest)
}

/// The octets of the file at a position, which look random.
fn content(position: u64, mut octets: &mut [u8]) {
    let mut block = position / 8;
    let mut skip = (position % 8) as usize;
    while !octets.is_empty() {
        let word = mixed(SEED.wrapping_add(block)).to_le_bytes();
        let length = octets.len().min(8 - skip);
        let (head, tail) = octets.split_at_mut(length);
        head.copy_from_slice(&word[skip..skip + length]);
        octets = tail;
        block += 1;
        skip = 0;
    }
}

/// The finalizer of SplitMix64.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// What has arrived.
struct Received {
    octets: u64,
    chunks: u64,
    digest: String,
}

/// Digests the file as it comes; the relay must not change the order.
async fn receive(party: &Party, bar: &ProgressBar) -> Result<Received, DemoError> {
    let mut hash = Sha256::new();
    let mut received = 0;
    loop {
        match party.event().await? {
            Event::Octets { offset, .. } if offset != received => return Err(DemoError::Order(offset, received)),
            Event::Octets { octets, .. } => {
                hash.update(&octets);
                received += octets.len() as u64;
                bar.set_position(received);
            }
            Event::Message(message) => {
                if let Some(body) = message.body {
                    hash.update(&body);
                }
                return Ok(Received { octets: message.length, chunks: message.chunks, digest: hex(hash.finalize()) });
            }
            other => return Err(DemoError::Unexpected(format!("{other:?}"))),
        }
    }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn bar(options: &DemoOptions) -> ProgressBar {
    // A target that is no terminal draws nothing.
    let target = if options.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec}");
    ProgressBar::with_draw_target(Some(options.file_size), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_depends_on_nothing_but_the_position() {
        let mut whole = [0; 100];
        content(1000, &mut whole);
        for start in 0..20 {
            let mut part = vec![0; 100 - start];
            content(1000 + start as u64, &mut part);
            assert_eq!(part, whole[start..]);
        }
        let zeroes = whole.iter().filter(|octet| **octet == 0).count();
        assert!(zeroes < 5, "{whole:?}");
    }

    #[tokio::test]
    async fn digest_comes_with_the_last_octet() {
        let (Body::Generated { mut fill, .. }, digest) = file(1000) else { panic!("not generated") };
        let (mut first, mut second) = ([0; 600], [0; 400]);
        fill(0, &mut first);
        fill(600, &mut second);
        let mut whole = [0; 1000];
        content(0, &mut whole);
        assert_eq!(digest.await.unwrap(), hex(Sha256::digest(whole)));
        assert_eq!(file(0).1.await.unwrap(), hex(Sha256::digest(b"")));
    }
}
