//! Many short calls at once, and what SIPp has counted of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Transport;
use super::sipp::{Script, Sipp};

/// How many calls, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Calls that are begun in a second.
    pub rate: u32,
    /// Calls in all.
    pub calls: u32,
    /// From the ACK to the BYE.
    pub hold: Duration,
}

/// What one side has counted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Report {
    /// Calls that went as the scenario says.
    pub successful: u64,
    /// All others.
    pub failed: u64,
    /// Messages that were sent once more.
    pub retransmissions: u64,
    /// Calls that failed for a message that was not expected.
    pub unexpected: u64,
    /// Messages of no call, or of one that was over.
    pub stray: u64,
    /// Calls a second, over all the time.
    pub rate: f64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Report { successful, failed, retransmissions, unexpected, stray, rate } = self;
        write!(
            f,
            "{successful} calls at {rate:.0}/s, {failed} failed ({unexpected} for an unexpected message), \
             {retransmissions} retransmissions, {stray} stray messages"
        )
    }
}

impl Storm {
    /// The side that is called; it listens when this is done.
    pub async fn callee(&self, transport: Transport) -> Sipp {
        self.script(Script::callee("uas_storm", transport)).start().await
    }

    /// Calls by way of this address, and waits for the end: the caller's report, and the callee's.
    pub async fn run(&self, transport: Transport, remote: SocketAddr, target: &str, callee: &mut Sipp) -> [Report; 2] {
        let script = self.script(Script::caller("uac_storm", transport, remote)).target(target).hold(self.hold);
        let rate = self.rate.to_string();
        let mut caller = script.options(&["-r", &rate, "-rp", "1000"]).start().await;
        caller.end_anyhow().await;
        let report = Report::read(&caller.file("statistics.csv"));
        // Calls that failed at the caller may never end at the callee.
        if report.failed == 0 {
            callee.end_anyhow().await;
        }
        [report, Report::read(&callee.file("statistics.csv"))]
    }

    fn script(&self, script: Script) -> Script {
        let lasts = Duration::from_secs(u64::from(self.calls / self.rate.max(1)));
        let statistics = ["-trace_stat", "-stf", "statistics.csv", "-fd", "1", "-l", "50000"];
        let script = script.calls(self.calls).untraced().options(&statistics);
        script.patience(Duration::from_secs(20) + lasts + self.hold)
    }
}

impl Report {
    /// Reads the last line of SIPp's statistics; columns with (C) count from the beginning.
    fn read(text: &str) -> Report {
        let mut lines = text.lines();
        let names = lines.next().unwrap_or_default().split(';');
        let values = lines.next_back().expect("statistics").split(';');
        let of: HashMap<&str, &str> = names.zip(values).collect();
        let number = |name: &str| -> f64 {
            let value = of.get(name).unwrap_or_else(|| panic!("no {name} in {of:?}"));
            value.parse().unwrap_or_else(|_| panic!("{name} is {value}"))
        };
        let count = |name: &str| number(name) as u64;
        Report {
            successful: count("SuccessfulCall(C)"),
            failed: count("FailedCall(C)"),
            retransmissions: count("Retransmissions(C)"),
            unexpected: count("FailedUnexpectedMessage(C)"),
            stray: count("OutOfCallMsgs(C)") + count("DeadCallMsgs(C)"),
            rate: number("CallRate(C)"),
        }
    }
}
