//! Several generator processes as one run: they are started, begin together, and their results are merged.
//!
//! A part talks in lines of JSON on its standard output, and is told to begin by a line on its standard input.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{report::merge::merge, result::RunResult, single::Audience};

/// What a part says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    /// It has looked at the relay, and connects from now on.
    Begun,
    /// Its sessions are set up.
    SetUp,
    /// How it goes: the phase, messages and octets so far, errors so far.
    Progress(String, (u64, u64), u64),
    /// What it has found.
    Result(Box<RunResult>),
    /// It has ended; nobody says this of itself.
    Gone,
}

/// The voice of a part.
pub struct Part;

impl Part {
    fn say(said: &Said) {
        if let Ok(line) = serde_json::to_string(said) {
            println!("{line}");
        }
    }

    /// Says what was found.
    pub fn tell_result(result: RunResult) {
        Part::say(&Said::Result(Box::new(result)));
    }
}

impl Audience for Part {
    fn begun(&mut self) {
        Part::say(&Said::Begun);
    }

    fn tell(&mut self, phase: &str, delivered: (u64, u64), errors: u64) {
        Part::say(&Said::Progress(phase.to_owned(), delivered, errors));
    }

    fn set_up(&mut self) {
        Part::say(&Said::SetUp);
        // Whatever comes, the end of the parent's life included, lets it go on.
        let _ = std::io::stdin().lock().read_line(&mut String::new());
    }
}

/// Runs `processes` parts with the arguments of this process, and merges what they have found.
pub fn run(processes: u32, audience: &mut dyn Audience) -> Result<RunResult> {
    let (sender, said) = sync_channel(1024);
    let mut parts = Vec::new();
    // The first part reads the relay's memory before anybody has connected.
    parts.push(Running::start(0, sender.clone())?);
    wait_for_begin(&said)?;
    for number in 1..processes {
        parts.push(Running::start(number, sender.clone())?);
    }
    drop(sender);
    let results = follow(&mut parts, &said, audience)?;
    for part in &mut parts {
        part.child.wait().context("a part cannot be waited for")?;
    }
    if results.len() < parts.len() {
        bail!("{} of {} generator processes have failed; see above", parts.len() - results.len(), parts.len());
    }
    Ok(merge(results)?)
}

fn wait_for_begin(said: &Receiver<(usize, Said)>) -> Result<()> {
    match said.recv() {
        Ok((_, Said::Begun)) => Ok(()),
        _ => bail!("the first generator process has failed; see above"),
    }
}

fn follow(
    parts: &mut [Running],
    said: &Receiver<(usize, Said)>,
    audience: &mut dyn Audience,
) -> Result<Vec<RunResult>> {
    let mut progress = vec![((0, 0), 0); parts.len()];
    let mut results = Vec::new();
    let (mut set_up, mut gone) = (0, 0);
    while let Ok((number, said)) = said.recv() {
        match said {
            Said::Begun => {}
            Said::SetUp => {
                set_up += 1;
                if set_up == parts.len() {
                    audience.set_up();
                    for part in parts.iter_mut() {
                        part.stdin.write_all(b"go\n").context("a generator process has gone")?;
                    }
                }
            }
            Said::Progress(phase, delivered, errors) => {
                progress[number] = (delivered, errors);
                let sum = progress
                    .iter()
                    .fold(((0, 0), 0), |sum, part| ((sum.0.0 + part.0.0, sum.0.1 + part.0.1), sum.1 + part.1));
                audience.tell(&phase, sum.0, sum.1);
            }
            Said::Result(result) => results.push(*result),
            // One that ends without a result would be waited for by all the others, for ever.
            Said::Gone => gone += 1,
        }
        if gone > results.len() {
            bail!("a generator process has failed; see above");
        }
    }
    Ok(results)
}

struct Running {
    child: Child,
    stdin: ChildStdin,
}

impl Running {
    fn start(number: u32, sender: SyncSender<(usize, Said)>) -> Result<Running> {
        let program = std::env::current_exe().context("this program cannot be found again")?;
        let mut child = Command::new(program)
            .args(std::env::args_os().skip(1))
            .args(["--part", &number.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a generator process cannot be started")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("a generator process cannot be talked to");
        };
        thread::spawn(move || {
            let said = BufReader::new(stdout).lines().map_while(Result::ok);
            for said in said.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send((number as usize, said)).is_err() {
                    return;
                }
            }
            let _ = sender.send((number as usize, Said::Gone));
        });
        Ok(Running { child, stdin })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only one that has not ended by itself: it has been waited for otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
