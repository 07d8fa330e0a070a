//! What the agent hears: taken in, judged, and handed out when it is asked for.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::dialog::Dialog;
use super::message::{Message, Start};
use super::wire::Arrived;
use super::{Agent, judge};

impl Agent {
    /// Waits for a request of this method.
    pub async fn expect(&mut self, method: &str) -> Message {
        self.wait(&format!("a request {method}"), |m| m.is_request() && m.method() == method).await
    }

    /// Waits for a request of this method within the dialog of this message.
    pub async fn expect_in(&mut self, handle: &Message, method: &str) -> Message {
        let dialog = self.dialog(handle).clone();
        self.wait(&format!("a request {method} of one call"), |m| {
            m.is_request() && m.method() == method && dialog.has(m)
        })
        .await
    }

    /// Waits for a response with this status to a request of ours. Another final response fails the test.
    pub async fn response(&mut self, request: &Message, status: u16) -> Message {
        let (branch, cseq) = (request.branch(), request.cseq());
        let of = |m: &Message| !m.is_request() && m.cseq() == cseq && m.branch() == branch;
        let what = format!("{status} to {}", cseq.1);
        let found = self.wait(&what, |m| of(m) && (m.status() == status || m.status() >= 200)).await;
        assert_eq!(found.status(), status, "another final response to {}:\n{found}", self.name);
        found
    }

    /// Waits for the final response to a request of ours, whatever it is.
    pub async fn final_response(&mut self, request: &Message) -> Message {
        let (branch, cseq) = (request.branch(), request.cseq());
        self.wait(&format!("a final response to {}", cseq.1), |m| {
            m.status() >= 200 && m.cseq() == cseq && m.branch() == branch
        })
        .await
    }

    /// How often exactly this message has come in so far.
    pub fn heard(&mut self, message: &Message) -> usize {
        self.take_in();
        self.heard.get(&message.raw).copied().unwrap_or_default()
    }

    /// Waits until exactly this message has come in so often.
    pub async fn heard_times(&mut self, message: &Message, times: usize) {
        let deadline = Instant::now() + self.patience;
        while self.heard(message) < times {
            let next = timeout_at(deadline, self.wire.next()).await;
            let next = next.unwrap_or_else(|_| panic!("heard {} times:\n{message}", self.heard[&message.raw]));
            self.hear(next);
        }
    }

    /// Fails if anything was heard that was not asked for, but 100s.
    pub fn quiet(&mut self) {
        self.take_in();
        self.inbox.retain(|message| message.status() != 100);
        assert!(self.inbox.is_empty(), "{} has also heard:\n{}", self.name, self.left());
    }

    /// Listens for so long, and fails if anything is heard that was not asked for.
    pub async fn quiet_for(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while let Ok(next) = timeout_at(deadline, self.wire.next()).await {
            self.hear(next);
        }
        self.quiet();
    }

    async fn wait(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let deadline = Instant::now() + self.patience;
        self.take_in();
        loop {
            if let Some(at) = self.inbox.iter().position(&wanted) {
                return self.inbox.remove(at).expect("found");
            }
            let next = timeout_at(deadline, self.wire.next()).await;
            let next =
                next.unwrap_or_else(|_| panic!("{} has waited for {what}, and heard:\n{}", self.name, self.left()));
            self.hear(next);
        }
    }

    fn left(&self) -> String {
        self.inbox.iter().map(|message| format!("{message}\n----\n")).collect()
    }

    fn take_in(&mut self) {
        while let Some(next) = self.wire.waiting() {
            self.hear(next);
        }
    }

    fn hear(&mut self, arrived: Arrived) {
        let message = arrived.unwrap_or_else(|fault| panic!("{} was sent what is no message: {fault}", self.name));
        let times = self.heard.entry(message.raw.clone()).or_default();
        *times += 1;
        if *times > 1 {
            return;
        }
        judge::message(&message);
        match &message.start {
            Start::Request(method, _) => self.hear_request(&message, &method.clone()),
            Start::Response(..) => self.hear_response(&message),
        }
        self.inbox.push_back(message);
    }

    fn hear_request(&mut self, request: &Message, method: &str) {
        let contact = self.uri();
        if request.tag("To").is_none() || method == "CANCEL" {
            return;
        }
        // One of no dialog is the test's to answer.
        let Some(dialog) = self.dialogs.iter_mut().rev().find(|dialog| dialog.has(request)) else { return };
        // The ACK of a failure goes hop by hop.
        let failed = method == "ACK" && request.uri() != contact;
        if !failed {
            judge::within(request, dialog, &contact);
        }
        if method != "ACK" {
            dialog.seen = Some(request.cseq().0);
        }
        if method == "INVITE" || method == "UPDATE" {
            dialog.update(request);
        }
    }

    fn hear_response(&mut self, response: &Message) {
        let request = self.request_of(response);
        judge::answer(response, &request);
        let method = request.method();
        let lasting = (101..300).contains(&response.status()) && ["INVITE", "UPDATE"].contains(&method.as_str());
        if !lasting {
            return;
        }
        match self.dialogs.iter_mut().find(|dialog| dialog.has(response)) {
            Some(dialog) => dialog.update(response),
            None if request.tag("To").is_none() && response.header("Contact").is_some() => {
                self.dialogs.push(Dialog::of_caller(response));
            }
            None => {}
        }
    }
}
