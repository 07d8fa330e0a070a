//! A load, as a file describes it.

use std::{path::Path, time::Duration};

use bytesize::ByteSize;
use serde::Deserialize;

use crate::{pattern::Alphabet, result::Figure};

/// A scenario file. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub about: String,
    /// The figure it is run for.
    #[serde(default)]
    pub figure: Figure,
    /// Who is connected to whom.
    #[serde(default)]
    pub sessions: Sessions,
    /// When messages are sent.
    #[serde(default)]
    pub load: Load,
    /// What is sent; each message is one of these, by weight.
    pub messages: Vec<Message>,
    /// Receivers that read slowly.
    #[serde(default)]
    pub slow: Option<Slow>,
}

/// `[sessions]`: each has a caller, who sends, and a callee, who has authenticated at the relay.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// How many at a time.
    pub count: u32,
    /// How callers reach the relay.
    pub callers: Callers,
    /// Sessions that share a link at either end; each authenticates by itself.
    pub per_link: u32,
    /// Set-ups under way at the same time.
    pub set_up: u32,
    /// Time over which the sessions are set up, evenly; as fast as `set_up` allows if it is zero.
    #[serde(with = "humantime_serde")]
    pub over: Duration,
}

/// How callers reach the relay.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Callers {
    /// As a peer without a relay: they connect to the callee's relay and send to its Use-Path.
    Direct,
    /// They authenticate as well: at the callee's relay, or at that of `--caller-relay`.
    Authenticated,
}

/// `[load]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// Its shape.
    pub shape: Shape,
    /// closed, churn, idle: messages of a session under way at the same time.
    pub window: u32,
    /// open: messages per second over all sessions. ramp: where it begins. churn: sessions per second.
    pub rate: f64,
    /// ramp: messages per second at its end.
    pub rate_end: f64,
    /// churn, idle: messages of a session before it is torn down, or rests.
    pub messages: u32,
    /// idle: how long the sessions rest before memory is read.
    #[serde(with = "humantime_serde")]
    pub rest: Duration,
    /// Time under load that is not measured.
    #[serde(with = "humantime_serde")]
    pub warm_up: Duration,
    /// The measured window.
    #[serde(with = "humantime_serde")]
    pub duration: Duration,
    /// How long a message may take, answers included, before it counts as lost.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// SENDs of a session that may be unanswered at the same time.
    pub unanswered: u32,
}

/// When messages are sent.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Each session keeps `window` messages under way.
    Closed,
    /// Messages are due at random times (Poisson) of a given rate, whether earlier ones have arrived or not.
    Open,
    /// The same, with a rate that rises evenly.
    Ramp,
    /// Sessions are set up at a given rate, carry their messages and are torn down.
    Churn,
    /// Sessions carry their messages, then rest.
    Idle,
}

/// `[[messages]]`: a kind of message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Octets of the body.
    pub size: ByteSize,
    /// Octets per SEND; without it the message is one SEND.
    #[serde(default)]
    pub chunk: Option<ByteSize>,
    /// How often it is chosen, in relation to the other kinds.
    #[serde(default = "one")]
    pub weight: u32,
    /// Its Content-Type; a body of `text/…` is made of letters, any other of all octets.
    #[serde(default = "text")]
    pub content_type: String,
    /// Whether its receiver reports success.
    #[serde(default)]
    pub success_report: bool,
    /// Its Failure-Report.
    #[serde(default)]
    pub failure_report: FailureReport,
    /// Share of these that the receiver answers with 413, so that a failure has to come back.
    #[serde(default)]
    pub refuse: f64,
    /// Share of these that the sender gives up in the middle, with `#`.
    #[serde(default)]
    pub abort: f64,
}

/// The value of Failure-Report (RFC 4975 section 7.1.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum FailureReport {
    /// Every SEND is answered.
    #[default]
    Yes,
    /// Only failures are told.
    Partial,
    /// Nothing is told.
    No,
}

/// `[slow]`: receivers that take their time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// Their share of all callees.
    pub share: f64,
    /// Octets per second that each of them reads.
    pub rate: ByteSize,
}

/// A SEND of up to so many octets is never interrupted (RFC 4975 section 7.1.1).
pub const UNINTERRUPTIBLE: u64 = 2048;

fn one() -> u32 {
    1
}

fn text() -> String {
    "text/plain".to_owned()
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { count: 100, callers: Callers::Direct, per_link: 1, set_up: 64, over: Duration::ZERO }
    }
}

impl Default for Load {
    fn default() -> Self {
        Load {
            shape: Shape::Closed,
            window: 1,
            rate: 0.0,
            rate_end: 0.0,
            messages: 1,
            rest: Duration::ZERO,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(10),
            patience: Duration::from_secs(35),
            unanswered: 64,
        }
    }
}

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It is not a scenario: not TOML, an unknown key, a value of another kind. The text names key and line.
    #[error("{path}: {error}")]
    Form {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: toml::de::Error,
    },
    /// `--set` without a key and a value, or with a key that is no way into the file.
    #[error(
        "--set {0}: write KEY=VALUE, with the key of a scenario file, as in load.window=16 or messages.0.size=\"2KiB\""
    )]
    Setting(String),
    /// A value that cannot be meant.
    #[error("{key}: {mend}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it may be.
        mend: &'static str,
    },
}

impl Scenario {
    /// Reads a file and puts the settings of `--set` in place of its own.
    pub fn load(path: &Path, settings: &[String]) -> Result<Scenario, ScenarioError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScenarioError::File { path: name.clone(), error })?;
        Scenario::parse(&text, &name, settings)
    }

    /// The same from text; `path` is for errors.
    pub fn parse(text: &str, path: &str, settings: &[String]) -> Result<Scenario, ScenarioError> {
        let form = |error| ScenarioError::Form { path: path.to_owned(), error };
        // Read as it stands first, so that an error names its line.
        let mut scenario: Scenario = toml::from_str(text).map_err(form)?;
        if !settings.is_empty() {
            let mut table: toml::Table = toml::from_str(text).map_err(form)?;
            settings.iter().try_for_each(|setting| set(&mut table, setting))?;
            scenario = Scenario::deserialize(table).map_err(form)?;
        }
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let rule = |holds: bool, key, mend| if holds { Ok(()) } else { Err(ScenarioError::Value { key, mend }) };
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let Scenario { sessions, load, messages, slow, .. } = self;
        rule((1..=1_000_000).contains(&sessions.count), "sessions.count", "give 1 to 1 000 000")?;
        rule(sessions.per_link > 0, "sessions.per_link", "give 1 or more")?;
        rule(sessions.set_up > 0, "sessions.set_up", "give 1 or more")?;
        rule(load.window > 0, "load.window", "give 1 or more")?;
        rule(load.messages > 0, "load.messages", "give 1 or more")?;
        rule(load.unanswered > 0, "load.unanswered", "give 1 or more")?;
        rule(!load.patience.is_zero(), "load.patience", "give the longest time a message may take")?;
        let rated = matches!(load.shape, Shape::Open | Shape::Ramp | Shape::Churn);
        rule(!rated || (load.rate > 0.0 && load.rate.is_finite()), "load.rate", "this shape needs a rate per second")?;
        let ramp = load.shape == Shape::Ramp;
        rule(
            !ramp || (load.rate_end > load.rate && load.rate_end.is_finite()),
            "load.rate_end",
            "give more than load.rate",
        )?;
        let idle = load.shape == Shape::Idle;
        rule(idle || !load.duration.is_zero(), "load.duration", "give the length of the measured window")?;
        let alone = load.shape != Shape::Churn || sessions.per_link == 1;
        rule(alone, "sessions.per_link", "sessions that come and go have links of their own: give 1")?;
        rule(messages.iter().any(|message| message.weight > 0), "messages.weight", "one kind at least needs a weight")?;
        for message in messages {
            let (size, chunk) = (message.size.as_u64(), message.chunk_octets());
            rule(size <= 1 << 40, "messages.size", "give at most 1 TiB")?;
            rule(
                chunk > 0 && chunk <= 16 << 20 || size == 0,
                "messages.chunk",
                "give 1 B to 16 MiB; larger messages need one",
            )?;
            rule(share(message.refuse), "messages.refuse", "give a share between 0 and 1")?;
            rule(share(message.abort), "messages.abort", "give a share between 0 and 1")?;
            let single = size <= chunk && size <= 10_000;
            rule(
                message.refuse == 0.0 || single,
                "messages.refuse",
                "only messages of one SEND and up to 10 000 B are refused",
            )?;
            let told = message.failure_report != FailureReport::No;
            rule(
                message.refuse == 0.0 || told,
                "messages.refuse",
                "a message with failure_report = \"no\" hears of nothing",
            )?;
            rule(
                message.abort == 0.0 || size > 1,
                "messages.abort",
                "a message needs two octets to be given up between them",
            )?;
            let one = message.abort == 0.0 || message.refuse == 0.0;
            rule(one, "messages.abort", "a kind of message is refused or aborted, not both")?;
            let plain = message.content_type.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ');
            rule(plain && message.content_type.contains('/'), "messages.content_type", "give type/subtype")?;
        }
        let slow = slow.as_ref().is_none_or(|slow| share(slow.share) && slow.rate.as_u64() > 0);
        rule(slow, "slow", "give a share between 0 and 1 and a rate above 0")
    }

    /// When messages are sent, in words.
    pub fn shape(&self) -> String {
        let load = &self.load;
        match load.shape {
            Shape::Closed => format!("{} in flight", load.window),
            Shape::Open => format!("{} messages/s, Poisson", load.rate),
            Shape::Ramp => format!("{} to {} messages/s, Poisson", load.rate, load.rate_end),
            Shape::Churn => format!("{} sessions/s of {} messages", load.rate, load.messages),
            Shape::Idle => format!("{} messages, then {} s of rest", load.messages, load.rest.as_secs_f64()),
        }
    }

    /// The load in short, for a result.
    pub fn summary(&self, route: String, transport: &str) -> crate::result::Load {
        let messages: Vec<String> = self.messages.iter().map(Message::summary).collect();
        crate::result::Load {
            about: self.about.clone(),
            figure: self.figure,
            sessions: self.sessions.count.into(),
            shape: self.shape(),
            messages: messages.join("; "),
            route,
            transport: transport.to_owned(),
        }
    }
}

impl Message {
    /// Octets of its SENDs, the last one excepted.
    pub fn chunk_octets(&self) -> u64 {
        self.chunk.unwrap_or(self.size).as_u64()
    }

    /// Whether a later message may arrive before it: it has several SENDs, or one that may be interrupted (RFC 4975
    /// section 7.1.1).
    pub fn may_be_overtaken(&self) -> bool {
        self.chunk_octets() < self.size.as_u64() || self.size.as_u64() > UNINTERRUPTIBLE
    }

    /// What its body is made of.
    pub fn alphabet(&self) -> Alphabet {
        if self.content_type.starts_with("text/") { Alphabet::Text } else { Alphabet::Binary }
    }

    fn summary(&self) -> String {
        let mut text = octets(self.size);
        if let Some(chunk) = self.chunk {
            text += &format!(" in chunks of {}", octets(chunk));
        }
        if self.success_report {
            text += " with success REPORT";
        }
        if self.refuse > 0.0 {
            text += &format!(", {} % refused", self.refuse * 100.0);
        }
        if self.abort > 0.0 {
            text += &format!(", {} % aborted", self.abort * 100.0);
        }
        text
    }
}

/// A size as it was meant: in a binary unit only if it is a whole number of them.
fn octets(size: ByteSize) -> String {
    match size.as_u64() {
        size if size > 0 && size % (1 << 20) == 0 => format!("{} MiB", size >> 20),
        size if size > 0 && size % (1 << 10) == 0 => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    }
}

/// Puts one setting into the file's table; a value that is no TOML is taken as text.
fn set(table: &mut toml::Table, setting: &str) -> Result<(), ScenarioError> {
    let error = || ScenarioError::Setting(setting.to_owned());
    let (key, value) = setting.split_once('=').ok_or_else(error)?;
    let parsed = format!("value = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut names: Vec<&str> = key.split('.').collect();
    let last = names.pop().ok_or_else(error)?;
    let mut names = names.into_iter();
    let mut place = match names.next() {
        None => return if table.insert(last.to_owned(), value).is_some() { Ok(()) } else { Err(error()) },
        Some(name) => table.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new())),
    };
    for name in names {
        place = match place {
            toml::Value::Table(table) => table.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new())),
            toml::Value::Array(array) => name.parse().ok().and_then(|n: usize| array.get_mut(n)).ok_or_else(error)?,
            _ => return Err(error()),
        };
    }
    place.as_table_mut().ok_or_else(error)?.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const CHAT: &str = "about = \"a\"\n[load]\nwindow = 4\n[[messages]]\nsize = \"2 KiB\"\n";

    fn parse(text: &str, settings: &[&str]) -> Result<Scenario, String> {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        Scenario::parse(text, "chat.toml", &settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_short_file_is_enough() {
        let scenario = parse(CHAT, &[]).unwrap();
        assert_eq!((scenario.sessions.count, scenario.load.window), (100, 4));
        assert_eq!(scenario.messages[0].chunk_octets(), 2048);
    }

    #[test]
    fn settings_take_the_place_of_the_files() {
        let settings = ["load.window=16", "messages.0.chunk=100B", "sessions.over=5s", "load.shape=idle"];
        let scenario = parse(CHAT, &settings).unwrap();
        assert_eq!((scenario.load.window, scenario.load.shape), (16, Shape::Idle));
        assert_eq!(scenario.messages[0].chunk_octets(), 100);
        assert_eq!(scenario.sessions.over, Duration::from_secs(5));
    }

    #[rstest]
    #[case("about = \"a\"\nwindwo = 4\n[[messages]]\nsize = \"1 B\"\n", &[], "line 2")]
    #[case("about = \"a\"\n[[messages]]\nsize = \"many\"\n", &[], "line 3")]
    #[case(CHAT, &["load.windwo=4"], "windwo")]
    #[case(CHAT, &["load"], "KEY=VALUE")]
    #[case(CHAT, &["messages.7.size=1B"], "KEY=VALUE")]
    #[case(CHAT, &["load.window=0"], "load.window: give 1 or more")]
    #[case(CHAT, &["load.shape=open"], "load.rate: this shape needs")]
    #[case(CHAT, &["load.shape=ramp", "load.rate=5", "load.rate_end=5"], "load.rate_end")]
    #[case(CHAT, &["messages.0.refuse=0.5", "messages.0.chunk=100B"], "only messages of one SEND")]
    #[case(CHAT, &["messages.0.abort=2"], "messages.abort")]
    #[case(CHAT, &["messages.0.content_type=text"], "type/subtype")]
    #[case(CHAT, &["slow.share=2", "slow.rate=1B"], "slow: give")]
    fn mistakes_are_named_with_their_mend(#[case] text: &str, #[case] settings: &[&str], #[case] expected: &str) {
        let error = parse(text, settings).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
