//! What really happened in a run: a simulation in which nothing goes wrong proves nothing.

/// Everything that is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Count {
    Send,
    Person,
    Auth,
    Token,
    Accepted,
    Refused,
    Report,
    Report408,
    ReportPassed,
    SuccessReport,
    Abort,
    Message,
    Interruption,
    Fault,
    Reset,
    HalfClose,
    Stall,
    Restart,
    ShutDown,
    Leap,
    Freeze,
    StoreFailure,
    StoreSlow,
    ResolverDown,
    PeerReset,
    MailStall,
    CutMoving,
    Reload,
    Move,
    Parcel,
    LookUp,
    Dial,
    DialFailure,
    BulkLink,
    Lie,
    Spy,
    Anchor,
    AnchorNews,
    Renewal,
    Release,
    Whole,
    Spared,
}

/// All kinds, in order.
pub const KINDS: [&str; Count::Spared as usize + 1] = [
    "SENDs",
    "persons",
    "AUTHs",
    "tokens",
    "SENDs accepted",
    "SENDs refused",
    "failure REPORTs made",
    "of them for silence",
    "REPORTs passed on",
    "success REPORTs",
    "chunks ended with #",
    "messages delivered whole",
    "parts ended with +",
    "faults",
    "resets",
    "half-closes",
    "stalls",
    "restarts",
    "shut-downs",
    "leaps of a clock",
    "freezes",
    "failures of the store",
    "slow stores",
    "dead resolvers",
    "resets between relays",
    "stalls of mailboxes",
    "links cut while moving",
    "reloads",
    "links moved",
    "parcels",
    "look-ups",
    "dials",
    "failed dials",
    "bulk links",
    "lies",
    "end-lines forged with a live transact-id",
    "anchors",
    "news of anchors",
    "renewals",
    "releases",
    "other requests",
    "actions without effect",
];

/// Counts of one run, or of many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats(pub [u64; KINDS.len()]);

impl Default for Stats {
    fn default() -> Self {
        Stats([0; KINDS.len()])
    }
}

impl Stats {
    pub fn add(&mut self, count: Count) {
        self.0[count as usize] += 1;
    }

    pub fn of(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    pub fn sum(&mut self, other: &Stats) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }
}

impl std::fmt::Display for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts: Vec<String> = KINDS.iter().zip(self.0).map(|(kind, n)| format!("{n} {kind}")).collect();
        f.write_str(&counts.join(", "))
    }
}
