//! One connection, and what can be done with it.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    sync::{Mutex, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    body::{Body, Source},
    error::ClientError,
    event::Event,
    inbox::Inbox,
    ledger::Ledger,
    options::{Answer, EndpointOptions, SendOptions},
    reader::{self, Reader},
    sending::{Progress, Sending},
    tls,
    writer::{Frame, Outgoing, Writer},
};
use crate::msrp::{self, Head, Limits, Path, Status};

/// Connecting and the TLS handshake may take this long, each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a close waits for what is still to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long reading goes on after writing has failed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Frames and messages waiting to be written; whoever hands over more waits.
const QUEUE: usize = 256;

/// An octet stream in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One MSRP connection with one session of ours on it. Dropping it ends the connection at once; [`Endpoint::close`]
/// does it in order.
pub struct Endpoint {
    uri: Arc<str>,
    local: SocketAddr,
    peer: SocketAddr,
    ledger: Arc<Ledger>,
    control: mpsc::Sender<Frame>,
    fresh: mpsc::Sender<Outgoing>,
    events: Mutex<mpsc::Receiver<Event>>,
    answer: watch::Sender<Answer>,
    stop: watch::Sender<bool>,
    tasks: Tasks,
}

/// The tasks of a connection, which end with it.
struct Tasks([JoinHandle<()>; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Endpoint {
    /// Connects to `addr` through TLS, with the default options. The server's certificate must be good for `server_name`
    /// and signed by a root in `ca_pem`; `identity` is our own chain and key as PEM text.
    pub async fn connect_tls(
        addr: SocketAddr,
        server_name: &str,
        ca_pem: &str,
        identity: Option<(&str, &str)>,
    ) -> Result<Endpoint, ClientError> {
        Endpoint::connect_tls_with(addr, server_name, ca_pem, identity, EndpointOptions::default()).await
    }

    /// As [`Endpoint::connect_tls`], with these options.
    pub async fn connect_tls_with(
        addr: SocketAddr,
        server_name: &str,
        ca_pem: &str,
        identity: Option<(&str, &str)>,
        options: EndpointOptions,
    ) -> Result<Endpoint, ClientError> {
        let connector = tls::connector(ca_pem, identity)?;
        let name = ServerName::try_from(server_name.to_owned()).map_err(|_| ClientError::ServerName)?;
        let (stream, local, peer) = dial(addr, options.from).await?;
        let stream = timeout(CONNECT_TIMEOUT, connector.connect(name, stream)).await;
        let stream = stream.map_err(|_| ClientError::Timeout)?.map_err(|error| ClientError::Tls(error.to_string()))?;
        Endpoint::new(Box::new(stream), "msrps", local, peer, options)
    }

    /// Connects to `addr` without TLS, with the default options.
    pub async fn connect_tcp(addr: SocketAddr) -> Result<Endpoint, ClientError> {
        Endpoint::connect_tcp_with(addr, EndpointOptions::default()).await
    }

    /// As [`Endpoint::connect_tcp`], with these options.
    pub async fn connect_tcp_with(addr: SocketAddr, options: EndpointOptions) -> Result<Endpoint, ClientError> {
        let (stream, local, peer) = dial(addr, options.from).await?;
        Endpoint::new(Box::new(stream), "msrp", local, peer, options)
    }

    pub(super) fn new(
        stream: Box<dyn Stream>,
        scheme: &str,
        local: SocketAddr,
        peer: SocketAddr,
        options: EndpointOptions,
    ) -> Result<Endpoint, ClientError> {
        let ledger = Arc::new(Ledger::new(options.transaction_timeout)?);
        let own = || format!("{scheme}://{local}/{};tcp", ledger.random_text(22));
        let uri: Arc<str> = options.uri.clone().unwrap_or_else(own).into();
        let (read, write) = tokio::io::split(stream);
        let (control, control_out) = mpsc::channel(QUEUE);
        let (fresh, fresh_out) = mpsc::channel(QUEUE);
        let (events_in, events) = mpsc::channel(options.event_queue.max(1));
        let (answer, answer_out) = watch::channel(Answer::Accept);
        let (stop, stopped) = watch::channel(false);
        let writer = Writer {
            io: write,
            ledger: ledger.clone(),
            control: control_out,
            fresh: fresh_out,
            stop: stopped.clone(),
            messages: VecDeque::new(),
            buffer: Vec::new(),
        };
        let reader = Reader {
            io: read,
            ledger: ledger.clone(),
            control: control.clone(),
            events: events_in,
            answer: answer_out,
            uri: uri.clone(),
            inbox: Inbox::new(options.collect, options.open_messages),
            current: None,
            options,
        };
        let tasks = Tasks([
            tokio::spawn(write_to_the_end(writer, ledger.clone(), stop.clone())),
            tokio::spawn(read_to_the_end(reader, ledger.clone(), stop.clone(), stopped)),
        ]);
        let events = Mutex::new(events);
        Ok(Endpoint { uri, local, peer, ledger, control, fresh, events, answer, stop, tasks })
    }

    /// The URI of our session.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Our end of the connection.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end of the connection.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Says what SENDs get from now on; chunks whose head has been read keep what they were promised.
    pub fn set_answer(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }

    /// Hands a message over for sending to `to_path`, the whole path. Without a media type it must have no octets, and is
    /// sent without a body. Waits only while very many messages wait.
    pub async fn send_message(
        &self,
        to_path: &str,
        content_type: Option<&str>,
        body: impl Into<Body>,
        options: SendOptions,
    ) -> Result<Sending, ClientError> {
        let from_path = options.from_path.clone().unwrap_or_else(|| self.uri.to_string());
        check_paths(to_path, &from_path)?;
        let values = options.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        check_values(values.chain(content_type).chain(options.message_id.as_deref()))?;
        let message_id = options.message_id.clone().unwrap_or_else(|| self.random_text(20));
        let body = if content_type.is_some() { body.into() } else { Body::Whole(Bytes::new()) };
        let (progress_in, progress) = watch::channel(Progress::default());
        let progress_in = Arc::new(progress_in);
        let (abandon, abandoned) = watch::channel(false);
        let success_report = options.success_report;
        self.ledger.add_message(&message_id, progress_in.clone())?;
        let outgoing = Outgoing {
            message_id: message_id.clone(),
            to_path: to_path.to_owned(),
            from_path,
            content_type: content_type.map(str::to_owned),
            source: Source::new(body),
            options,
            progress: progress_in,
            abandon: abandoned,
        };
        self.fresh.send(outgoing).await.map_err(|_| self.reason())?;
        Ok(Sending { message_id, progress, abandon, success_report, ledger: self.ledger.clone() })
    }

    /// Sends a request other than SEND in one piece and waits for its response, whatever its code. `body` is a media type
    /// and its octets.
    pub async fn request(
        &self,
        method: &str,
        to_path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, &[u8])>,
    ) -> Result<Head, ClientError> {
        check_paths(to_path, &self.uri)?;
        check_values(headers.iter().flat_map(|(name, value)| [*name, *value]).chain(body.map(|(media, _)| media)))?;
        let tid = self.ledger.fresh_tid();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let mut octets = Vec::with_capacity(512);
        let (to, from) = (to_path.as_bytes(), self.uri.as_bytes());
        let media = body.map(|(media, _)| media.as_bytes());
        msrp::request_head(&mut octets, tid.as_bytes(), method, to, from, &headers, media);
        octets.extend_from_slice(body.map_or(&[], |(_, octets)| octets));
        msrp::end_line(&mut octets, tid.as_bytes(), msrp::Flag::Complete, body.is_some());
        let answered = self.ledger.open_request(tid)?;
        self.write(Frame { octets, request: Some(tid) }).await?;
        answered.await.unwrap_or_else(|_| Err(self.reason()))
    }

    /// Answers a request by hand; nothing is sent where its Failure-Report forbids it.
    pub async fn respond(&self, to: &Head, status: Status, headers: &[(&str, &str)]) -> Result<(), ClientError> {
        check_values(headers.iter().flat_map(|(name, value)| [*name, *value]))?;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        match reader::response(to, status, &headers) {
            Some(octets) => self.write(Frame { octets, request: None }).await,
            None => Ok(()),
        }
    }

    /// Writes octets as they are, between frames of our own: for what a well-behaved endpoint would not send.
    pub async fn write_raw(&self, octets: impl Into<Vec<u8>>) -> Result<(), ClientError> {
        self.write(Frame { octets: octets.into(), request: None }).await
    }

    /// The next event; `None` when the connection has ended and all have been taken. Only one caller at a time gets them.
    pub async fn event(&self) -> Option<Event> {
        self.events.lock().await.recv().await
    }

    /// Waits until the connection has ended, and says why.
    pub async fn closed(&self) -> ClientError {
        // The sender of the flag is ours, so waiting cannot fail.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
        self.reason()
    }

    /// Ends the connection: what has been answered is still written, messages that are not complete fail.
    pub async fn close(mut self) {
        self.ledger.close(&ClientError::Closed);
        self.stop.send_replace(true);
        // A reader that waits for room among the events must not be waited for.
        self.events.get_mut().close();
        for task in &mut self.tasks.0 {
            if timeout(CLOSE_TIMEOUT, &mut *task).await.is_err() {
                task.abort();
            }
        }
    }

    pub(super) fn random_text(&self, length: usize) -> String {
        self.ledger.random_text(length)
    }

    async fn write(&self, frame: Frame) -> Result<(), ClientError> {
        self.control.send(frame).await.map_err(|_| self.reason())
    }

    fn reason(&self) -> ClientError {
        self.ledger.closed().unwrap_or(ClientError::Closed)
    }
}

async fn dial(addr: SocketAddr, from: Option<IpAddr>) -> Result<(TcpStream, SocketAddr, SocketAddr), ClientError> {
    let connect = |error: std::io::Error| ClientError::Connect(error.kind());
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(connect)?;
    if let Some(from) = from {
        socket.bind((from, 0).into()).map_err(connect)?;
    }
    let stream = timeout(CONNECT_TIMEOUT, socket.connect(addr)).await.map_err(|_| ClientError::Timeout)?;
    let stream = stream.map_err(connect)?;
    stream.set_nodelay(true).map_err(connect)?;
    let (local, peer) = (stream.local_addr().map_err(connect)?, stream.peer_addr().map_err(connect)?);
    Ok((stream, local, peer))
}

async fn write_to_the_end<W: AsyncWrite + Unpin>(writer: Writer<W>, ledger: Arc<Ledger>, stop: watch::Sender<bool>) {
    let result = writer.run().await;
    if result.is_err() {
        // What the peer said before it closed may be still unread, and says more than our failure.
        let _ = timeout(LAST_WORDS, stop.subscribe().wait_for(|stop| *stop)).await;
    }
    ledger.close(&result.err().unwrap_or(ClientError::Closed));
    stop.send_replace(true);
}

async fn read_to_the_end<R: AsyncRead + Unpin>(
    reader: Reader<R>,
    ledger: Arc<Ledger>,
    stop: watch::Sender<bool>,
    mut stopped: watch::Receiver<bool>,
) {
    let why = tokio::select! {
        why = reader.run() => why,
        _ = stopped.wait_for(|stop| *stop) => ClientError::Closed,
    };
    ledger.close(&why);
    stop.send_replace(true);
}

fn check_paths(to: &str, from: &str) -> Result<(), ClientError> {
    check_values([to, from].into_iter())?;
    for path in [to, from] {
        Path::new(path.as_bytes()).check(&Limits::default())?;
    }
    Ok(())
}

/// Names and values of headers must not be able to end their line.
fn check_values<'a>(mut values: impl Iterator<Item = &'a str>) -> Result<(), ClientError> {
    if values.any(|value| value.bytes().any(|octet| octet < 0x20 && octet != b'\t')) {
        return Err(ClientError::Header);
    }
    Ok(())
}
