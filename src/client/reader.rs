//! The task that reads: frames to answers, events and entries of the ledger.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{mpsc, watch},
};

use super::{
    error::ClientError,
    event::{Event, Report, Request, text},
    inbox::{Arriving, Complete, Inbox},
    ledger::Ledger,
    options::{Answer, EndpointOptions},
    writer::Frame,
};
use crate::msrp::{
    self, ByteRange, Decoder, FailureReport, Flag, Head, Kind, MAX_NON_SEND_BODY, Method, Path, Status, Uri,
};

/// Octets asked for in one read.
const READ: usize = 65_536;

pub(super) struct Reader<R> {
    pub(super) io: R,
    pub(super) ledger: Arc<Ledger>,
    pub(super) control: mpsc::Sender<Frame>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) answer: watch::Receiver<Answer>,
    pub(super) uri: Arc<str>,
    pub(super) options: EndpointOptions,
    pub(super) inbox: Inbox,
    pub(super) current: Option<Current>,
}

/// The frame whose head has been read.
pub(super) enum Current {
    /// Answered already, or not to be answered.
    Skip,
    Send(Head, Arriving),
    Report(Head),
    Response(Head, Status),
    Request(Head, BytesMut),
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads until the connection ends; the result is why.
    pub(super) async fn run(mut self) -> ClientError {
        let mut decoder = Decoder::new(self.options.limits);
        let mut input = BytesMut::new();
        loop {
            input.reserve(READ);
            match self.io.read_buf(&mut input).await {
                Ok(0) => return ClientError::Closed,
                Ok(_) => decoder.feed(input.split().freeze()),
                Err(error) => return ClientError::Lost(error.kind()),
            }
            loop {
                let result = match decoder.next() {
                    Ok(None) => break,
                    Ok(Some(event)) => self.event(event).await,
                    Err(fatal) => return ClientError::Framing(fatal),
                };
                if let Err(closed) = result {
                    return closed;
                }
            }
        }
    }

    async fn event(&mut self, event: msrp::Event) -> Result<(), ClientError> {
        match event {
            msrp::Event::Head(head) => {
                self.current = Some(self.head(head).await);
                Ok(())
            }
            msrp::Event::Body(octets) => self.body(octets).await,
            msrp::Event::End(flag) => match self.current.take() {
                Some(current) => self.end(current, flag).await,
                None => Ok(()),
            },
        }
    }

    async fn head(&mut self, head: Head) -> Current {
        let method = match head.kind() {
            Kind::Response(status) => return Current::Response(head, status),
            Kind::Request(Method::Report) => return Current::Report(head),
            Kind::Request(method) => method,
        };
        let verdict = match (self.admit(&head), method) {
            (Err(status), _) => Err(status),
            (Ok(()), Method::Send) => match *self.answer.borrow() {
                Answer::Refuse(status) => Err(status),
                _ => self.inbox.begin(&head).map(|arriving| Current::Send(head.clone(), arriving)),
            },
            (Ok(()), _) if self.options.refuse_methods => Err(Status::NOT_IMPLEMENTED),
            (Ok(()), _) => Ok(Current::Request(head.clone(), BytesMut::new())),
        };
        match verdict {
            Ok(current) => current,
            Err(status) => {
                self.answer(&head, status).await;
                Current::Skip
            }
        }
    }

    /// Whether a request is well-formed and for a session of this connection (RFC 4975 section 7.3).
    fn admit(&self, head: &Head) -> Result<(), Status> {
        if head.fault().is_some() {
            return Err(Status::BAD_REQUEST);
        }
        for path in [head.to_path(), head.from_path()] {
            path.is_some_and(|path| path.check(&self.options.limits).is_ok())
                .then_some(())
                .ok_or(Status::BAD_REQUEST)?;
        }
        if self.options.any_session {
            return Ok(());
        }
        let to = head.to_path().unwrap_or(Path::new(b""));
        let addressed = to.first().and_then(|uri| Uri::parse(uri).ok());
        let ours = Uri::parse(self.uri.as_bytes()).ok();
        match (addressed, ours) {
            (Some(addressed), Some(ours)) if to.len() == 1 && addressed.equivalent(&ours) => Ok(()),
            _ => Err(Status::NO_SESSION),
        }
    }

    async fn body(&mut self, octets: Bytes) -> Result<(), ClientError> {
        let mut events = Vec::new();
        let refused = match &mut self.current {
            Some(Current::Send(head, arriving)) => match self.inbox.octets(arriving, octets, &mut events) {
                Ok(()) => None,
                Err(status) => {
                    self.inbox.refuse(arriving);
                    Some((head.clone(), status))
                }
            },
            Some(Current::Request(_, body)) if (body.len() + octets.len()) as u64 <= MAX_NON_SEND_BODY => {
                body.extend_from_slice(&octets);
                None
            }
            Some(Current::Request(head, _)) => Some((head.clone(), Status::TOO_LARGE)),
            _ => None,
        };
        self.publish(events).await?;
        if let Some((head, status)) = refused {
            self.current = Some(Current::Skip);
            self.answer(&head, status).await;
        }
        Ok(())
    }

    async fn end(&mut self, current: Current, flag: Flag) -> Result<(), ClientError> {
        match current {
            Current::Skip => Ok(()),
            Current::Response(head, status) => {
                // What belongs to no transaction of ours is dropped (CORE-105).
                self.ledger.response(head, status);
                Ok(())
            }
            Current::Report(head) => self.report(head).await,
            Current::Request(head, body) => self.publish([Event::Request(Request { head, body: body.freeze() })]).await,
            Current::Send(head, arriving) => {
                let mut events = Vec::new();
                let complete = self.inbox.end(arriving, flag, &mut events);
                let answer = *self.answer.borrow();
                if answer != Answer::Silence {
                    self.answer(&head, Status::OK).await;
                }
                if let Some(Complete { message, success_report }) = complete {
                    if success_report && answer == Answer::Accept {
                        self.success(&head, message.length).await;
                    }
                    events.push(Event::Message(message));
                }
                self.publish(events).await
            }
        }
    }

    /// One REPORT for the whole message (RFC 4975 section 7.1.3).
    async fn success(&mut self, head: &Head, length: u64) {
        let tid = self.ledger.fresh_tid();
        let range = ByteRange { start: 1, end: Some(length), total: Some(length) };
        let to = head.from_path().map_or(&b""[..], |path| path.after(0));
        let mut octets = Vec::with_capacity(512);
        let from = addressed(head);
        msrp::report(&mut octets, tid.as_bytes(), to, from, head.message_id(), range, Status::OK);
        self.write(octets).await;
    }

    /// A REPORT is never answered, whatever is wrong with it (CORE-52).
    async fn report(&mut self, head: Head) -> Result<(), ClientError> {
        let Some(message_id) = head.message_id().map(text) else { return Ok(()) };
        let Some(Ok((0, status))) = head.status_header() else { return Ok(()) };
        let range = head.byte_range().unwrap_or(ByteRange::UNKNOWN);
        if self.ledger.report(&message_id, status, range) {
            return Ok(());
        }
        self.publish([Event::Report(Report { message_id, status, range, head })]).await
    }

    async fn answer(&mut self, head: &Head, status: Status) {
        if let Some(octets) = response(head, status, &[]) {
            self.write(octets).await;
        }
    }

    /// Hands a frame to the writer. If that has failed, there is nobody to answer, but still something to read.
    async fn write(&mut self, octets: Vec<u8>) {
        let _ = self.control.send(Frame { octets, request: None }).await;
    }

    /// Waits while the caller has enough to do: that is how a slow receiver slows its sender.
    async fn publish(&mut self, events: impl IntoIterator<Item = Event>) -> Result<(), ClientError> {
        for event in events {
            self.events.send(event).await.map_err(|_| ClientError::Closed)?;
        }
        Ok(())
    }
}

/// The response to a request, unless its Failure-Report or an absent path forbids one (RFC 4975 section 7.2).
pub(super) fn response(head: &Head, status: Status, extra: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let from_path = head.from_path()?;
    let to = match head.kind() {
        Kind::Request(Method::Send) => match head.failure_report() {
            FailureReport::No => return None,
            FailureReport::Partial if status.is_success() => return None,
            _ => from_path.first()?,
        },
        Kind::Request(Method::Report) | Kind::Response(_) => return None,
        Kind::Request(_) => from_path.after(0),
    };
    let mut octets = Vec::with_capacity(512);
    msrp::response(&mut octets, head.transact_id(), status, to, addressed(head), extra);
    Some(octets)
}

/// The URI that a request was addressed to here.
fn addressed(head: &Head) -> &[u8] {
    head.to_path().and_then(|path| path.first()).unwrap_or_default()
}
