//! What reader, writer and callers of one connection share: open transactions, their time limits, messages on their way.
//!
//! One lock, held for a few look-ups and never while waiting.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};

use super::{
    error::{ClientError, Failure},
    sending::Progress,
};
use crate::msrp::{ByteRange, Head, Status, Tid, random_base62};

/// The progress of a message, watched by its [`super::Sending`].
pub(super) type Watched = Arc<watch::Sender<Progress>>;

pub(super) struct Ledger {
    books: Mutex<Books>,
    timeout: Duration,
    /// A window may have opened, or a message may have failed.
    pub(super) changed: Notify,
}

struct Books {
    rng: ChaCha12Rng,
    open: HashMap<Tid, Transaction>,
    /// In ascending order, since the time limit is the same for all. Entries of ended transactions stay until their time.
    deadlines: VecDeque<(Instant, Tid)>,
    messages: HashMap<String, Watched>,
    closed: Option<ClientError>,
}

/// Who waits for a response.
enum Transaction {
    Chunk { progress: Watched, awaited: bool },
    Request(oneshot::Sender<Result<Head, ClientError>>),
}

impl Ledger {
    pub(super) fn new(timeout: Duration) -> Result<Ledger, ClientError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| ClientError::Entropy)?;
        let books = Books {
            rng: ChaCha12Rng::from_seed(seed),
            open: HashMap::new(),
            deadlines: VecDeque::new(),
            messages: HashMap::new(),
            closed: None,
        };
        Ok(Ledger { books: Mutex::new(books), timeout, changed: Notify::new() })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fresh_tid(&self) -> Tid {
        Tid::random(&mut self.books().rng)
    }

    /// Random base62 text.
    pub(super) fn random_text(&self, length: usize) -> String {
        let mut text = vec![0; length];
        random_base62(&mut self.books().rng, &mut text);
        text.into_iter().map(char::from).collect()
    }

    /// Adds a message, so that REPORTs find it. Those whose handles are dropped make room.
    pub(super) fn add_message(&self, message_id: &str, progress: Watched) -> Result<(), ClientError> {
        let mut books = self.books();
        if let Some(why) = &books.closed {
            return Err(why.clone());
        }
        if books.messages.len() >= 64 && books.messages.len().is_power_of_two() {
            books.messages.retain(|_, progress| progress.receiver_count() > 0);
        }
        books.messages.insert(message_id.to_owned(), progress);
        Ok(())
    }

    /// Opens the transaction of a chunk, before its first octet is written. `awaited` with Failure-Report `yes`.
    pub(super) fn open_chunk(&self, tid: Tid, progress: &Watched, awaited: bool) {
        if awaited {
            progress.send_modify(Progress::chunk_begins);
        }
        self.books().open.insert(tid, Transaction::Chunk { progress: progress.clone(), awaited });
    }

    /// Opens the transaction of another request.
    pub(super) fn open_request(&self, tid: Tid) -> Result<oneshot::Receiver<Result<Head, ClientError>>, ClientError> {
        let (answer, answered) = oneshot::channel();
        let mut books = self.books();
        match &books.closed {
            Some(why) => Err(why.clone()),
            None => {
                books.open.insert(tid, Transaction::Request(answer));
                Ok(answered)
            }
        }
    }

    /// The last octet of a request has been given to the system: its time begins.
    pub(super) fn written(&self, tid: Tid) {
        let mut books = self.books();
        if books.open.contains_key(&tid) {
            books.deadlines.push_back((Instant::now() + self.timeout, tid));
        }
    }

    /// A response: false if it belongs to nothing.
    pub(super) fn response(&self, head: Head, status: Status) -> bool {
        let Some(tid) = Tid::parse(head.transact_id()) else { return false };
        let Some(transaction) = self.books().open.remove(&tid) else { return false };
        match transaction {
            Transaction::Chunk { progress, awaited } => {
                progress.send_modify(|progress| progress.response(status, awaited));
                self.changed.notify_one();
            }
            // The caller may have stopped waiting.
            Transaction::Request(answer) => drop(answer.send(Ok(head))),
        }
        true
    }

    /// A REPORT: false if nobody holds its message any more.
    pub(super) fn report(&self, message_id: &str, status: Status, range: ByteRange) -> bool {
        let Some(progress) = self.books().messages.get(message_id).cloned() else { return false };
        if progress.receiver_count() == 0 {
            return false;
        }
        progress.send_modify(|progress| progress.report(status, range));
        self.changed.notify_one();
        true
    }

    /// When the next transaction runs out of time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let mut books = self.books();
        let books = &mut *books;
        while let Some((deadline, tid)) = books.deadlines.front() {
            if books.open.contains_key(tid) {
                return Some(*deadline);
            }
            books.deadlines.pop_front();
        }
        None
    }

    /// Ends the transactions whose time is over.
    pub(super) fn expire(&self) {
        let now = Instant::now();
        loop {
            let transaction = {
                let mut books = self.books();
                match books.deadlines.front() {
                    Some((deadline, _)) if *deadline <= now => {}
                    _ => break,
                }
                books.deadlines.pop_front().and_then(|(_, tid)| books.open.remove(&tid))
            };
            match transaction {
                Some(Transaction::Chunk { progress, awaited: true }) => {
                    progress.send_modify(|progress| progress.fail(Failure::Timeout));
                }
                Some(Transaction::Request(answer)) => drop(answer.send(Err(ClientError::Timeout))),
                // With Failure-Report `partial` silence is success.
                Some(Transaction::Chunk { awaited: false, .. }) | None => {}
            }
        }
        self.changed.notify_one();
    }

    /// The connection has ended: nobody waits any longer. The first reason stays.
    pub(super) fn close(&self, why: &ClientError) {
        let (open, messages) = {
            let mut books = self.books();
            books.closed.get_or_insert_with(|| why.clone());
            books.deadlines.clear();
            (std::mem::take(&mut books.open), std::mem::take(&mut books.messages))
        };
        for transaction in open.into_values() {
            if let Transaction::Request(answer) = transaction {
                drop(answer.send(Err(why.clone())));
            }
        }
        for progress in messages.into_values() {
            progress.send_modify(|progress| progress.fail(Failure::Connection(why.clone())));
        }
        self.changed.notify_one();
    }

    /// Why the connection has ended, if it has.
    pub(super) fn closed(&self) -> Option<ClientError> {
        self.books().closed.clone()
    }
}
