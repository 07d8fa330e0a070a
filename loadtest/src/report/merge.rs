//! One result out of those of several generator processes.
//!
//! A process of a load generator is limited by its processors' caches and locks; big loads are shared among several. What each of
//! them counted is added; what all of them saw of the one relay is not.

use crate::result::{Counts, FORMAT, Fault, Generator, Interval, Latencies, Memory, RelayUse, RunResult};

/// Windows that began further apart, in seconds, are not of one run.
const START: u64 = 2;
/// Windows whose lengths differ by more than this share are not of one run.
const LENGTH: f64 = 0.05;

/// Why results are not the parts of one run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MergeError {
    /// There is no part at all.
    #[error("there is nothing to merge")]
    Empty,
    /// A part has a form that this program does not know.
    #[error("a part has format {0}, not {FORMAT}")]
    Format(u32),
    /// The load ran against different relays.
    #[error("labels differ: `{0}` and `{1}`")]
    Label(String, String),
    /// The loads were different.
    #[error("cells differ: `{0}` and `{1}`")]
    Cell(String, String),
    /// The parts agreed on different TLS.
    #[error("TLS differs between the parts")]
    Tls,
    /// The windows are too far apart.
    #[error("a window began {0} s after another")]
    Start(u64),
    /// The windows are of different lengths.
    #[error("windows of {0} s and {1} s are not of one run")]
    Length(f64, f64),
    /// The parts sampled different relay processes.
    #[error("relay processes differ: {0} and {1}")]
    Relay(u32, u32),
}

/// The result of a run of which each generator process wrote a part.
///
/// Rates are over the longest window: rather too low than too high.
pub fn merge(parts: Vec<RunResult>) -> Result<RunResult, MergeError> {
    check(&parts)?;
    let mut whole = parts.into_iter().reduce(add).ok_or(MergeError::Empty)?;
    derive(&mut whole);
    Ok(whole)
}

fn check(parts: &[RunResult]) -> Result<(), MergeError> {
    let first = parts.first().ok_or(MergeError::Empty)?;
    for part in parts {
        if part.format != FORMAT {
            return Err(MergeError::Format(part.format));
        }
        if part.label != first.label {
            return Err(MergeError::Label(first.label.clone(), part.label.clone()));
        }
        if part.cell != first.cell {
            return Err(MergeError::Cell(first.cell.clone(), part.cell.clone()));
        }
    }
    check_tls(parts)?;
    check_windows(parts)?;
    check_relay(parts)
}

/// A part that has no TLS because none of its connections came up does not differ: its errors shall be told.
fn check_tls(parts: &[RunResult]) -> Result<(), MergeError> {
    let mut agreed = parts.iter().filter(|part| part.tls.is_some() || part.is_clean()).map(|part| &part.tls);
    let first = agreed.next();
    if agreed.all(|tls| Some(tls) == first) { Ok(()) } else { Err(MergeError::Tls) }
}

fn check_windows(parts: &[RunResult]) -> Result<(), MergeError> {
    let began = parts.iter().map(|part| part.started);
    let apart = began.clone().max().unwrap_or(0) - began.min().unwrap_or(0);
    if apart > START {
        return Err(MergeError::Start(apart));
    }
    let lengths = parts.iter().map(|part| part.window);
    let (shortest, longest) = (lengths.clone().fold(f64::INFINITY, f64::min), lengths.fold(0.0, f64::max));
    if longest - shortest > LENGTH * longest { Err(MergeError::Length(shortest, longest)) } else { Ok(()) }
}

fn check_relay(parts: &[RunResult]) -> Result<(), MergeError> {
    let mut pids = parts.iter().filter_map(|part| part.relay.as_ref()).map(|relay| relay.pid);
    let Some(first) = pids.next() else { return Ok(()) };
    pids.find(|pid| *pid != first).map_or(Ok(()), |other| Err(MergeError::Relay(first, other)))
}

fn add(mut whole: RunResult, part: RunResult) -> RunResult {
    whole.scenario.sessions += part.scenario.sessions;
    whole.started = whole.started.min(part.started);
    whole.window = whole.window.max(part.window);
    whole.tls = whole.tls.take().or(part.tls);
    add_counts(&mut whole.counts, part.counts);
    add_latencies(&mut whole.latencies, &part.latencies);
    add_series(&mut whole.series, part.series);
    add_generator(&mut whole.generator, part.generator);
    whole.relay = match (whole.relay.take(), part.relay) {
        (Some(one), Some(other)) => Some(one_relay(one, other)),
        (one, other) => one.or(other),
    };
    for (kind, Fault { count, first }) in part.errors {
        whole.errors.entry(kind).or_insert(Fault { count: 0, first }).count += count;
    }
    whole
}

fn add_counts(whole: &mut Counts, part: Counts) {
    // Taken apart, so that a count that is added to the form cannot be forgotten here.
    let Counts { messages, octets, chunks, refused, aborted, success_reports, failure_reports, set_up, torn_down } =
        part;
    whole.messages += messages;
    whole.octets += octets;
    whole.chunks += chunks;
    whole.refused += refused;
    whole.aborted += aborted;
    whole.success_reports += success_reports;
    whole.failure_reports += failure_reports;
    whole.set_up += set_up;
    whole.torn_down += torn_down;
}

fn add_latencies(whole: &mut Latencies, part: &Latencies) {
    let Latencies { delivery, response, report, set_up, lag } = part;
    whole.delivery.add(delivery);
    whole.response.add(response);
    whole.report.add(report);
    whole.set_up.add(set_up);
    whole.lag.add(lag);
}

fn add_series(whole: &mut Vec<Interval>, part: Vec<Interval>) {
    let mut part = part.into_iter();
    for (interval, other) in whole.iter_mut().zip(part.by_ref()) {
        let Interval { at: _, length, messages, octets, errors, delivery, relay_cpu, relay_rss } = other;
        interval.length = interval.length.max(length);
        interval.messages += messages;
        interval.octets += octets;
        interval.errors += errors;
        interval.delivery.add(&delivery);
        // Each process sampled the same relay.
        interval.relay_cpu = interval.relay_cpu.into_iter().chain(relay_cpu).reduce(f64::max);
        interval.relay_rss = interval.relay_rss.max(relay_rss);
    }
    whole.extend(part);
}

fn add_generator(whole: &mut Generator, part: Generator) {
    let Generator { processes, cpu, share, cpu_per_message: _, limits } = part;
    whole.processes += processes;
    whole.cpu += cpu;
    whole.share = whole.share.max(share);
    for limit in limits {
        if !whole.limits.contains(&limit) {
            whole.limits.push(limit);
        }
    }
}

/// What two processes saw of one relay. A process that began late has the sessions of the others in its `before`.
fn one_relay(one: RelayUse, other: RelayUse) -> RelayUse {
    RelayUse {
        cpu: one.cpu.max(other.cpu),
        before: each(u64::min, one.before, other.before),
        with_sessions: each(u64::max, one.with_sessions, other.with_sessions),
        pss_per_session: one.pss_per_session.or(other.pss_per_session),
        rss_per_session: one.rss_per_session.or(other.rss_per_session),
        ..one
    }
}

fn each(choose: fn(u64, u64) -> u64, one: Memory, other: Memory) -> Memory {
    Memory { rss: choose(one.rss, other.rss), pss: choose(one.pss, other.pss) }
}

/// Figures are of the sums: a process that carried less must not weigh as much as the others.
fn derive(whole: &mut RunResult) {
    let Counts { messages, octets, set_up, .. } = whole.counts;
    let per = |cpu: f64, number: f64| (number > 0.0).then(|| cpu * 1e6 / number);
    // What a part leaves out on purpose, as CPU per message of sessions that rest, the whole leaves out as well.
    let per = |known: Option<f64>, cpu: f64, number: f64| known.and_then(|_| per(cpu, number));
    whole.generator.cpu_per_message = per(whole.generator.cpu_per_message, whole.generator.cpu, messages as f64);
    let sessions = whole.scenario.sessions as f64;
    let Some(relay) = &mut whole.relay else { return };
    relay.cpu_per_message = per(relay.cpu_per_message, relay.cpu, messages as f64);
    relay.cpu_per_megabyte = per(relay.cpu_per_megabyte, relay.cpu, octets as f64 / 1e6);
    relay.cpu_per_session = per(relay.cpu_per_session, relay.cpu, set_up as f64);
    let grown = |before: u64, with: u64| (sessions > 0.0).then(|| (with as f64 - before as f64) / sessions);
    // Memory that no part could read is not known to the whole either.
    relay.pss_per_session = relay.pss_per_session.and_then(|_| grown(relay.before.pss, relay.with_sessions.pss));
    relay.rss_per_session = relay.rss_per_session.and_then(|_| grown(relay.before.rss, relay.with_sessions.rss));
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::latency::Latency;
    use crate::report::sample::{failing, limited, run, unmeasured};

    fn two() -> Vec<RunResult> {
        let mut idle = unmeasured("a", "c");
        idle.started += 2;
        idle.window *= 1.04;
        vec![run("a", "c"), idle]
    }

    /// A distribution of so many times, so that each can be told from the others.
    fn times(number: u64) -> Latency {
        let mut latency = Latency::default();
        (1..=number).for_each(|n| latency.record(n * 1000));
        latency
    }

    #[test]
    fn every_count_and_every_histogram_is_added() {
        let (mut one, mut other) = (run("a", "c"), run("a", "c"));
        let counts = |n| Counts {
            messages: n,
            octets: 2 * n,
            chunks: 3 * n,
            refused: 4 * n,
            aborted: 5 * n,
            success_reports: 6 * n,
            failure_reports: 7 * n,
            set_up: 8 * n,
            torn_down: 9 * n,
        };
        (one.counts, other.counts) = (counts(10), counts(1));
        let latencies = |n| Latencies {
            delivery: times(n),
            response: times(2 * n),
            report: times(3 * n),
            set_up: times(4 * n),
            lag: times(5 * n),
        };
        (one.latencies, other.latencies) = (latencies(10), latencies(1));
        let Latencies { delivery, response, report, set_up, lag } = {
            let whole = merge(vec![one, other]).unwrap();
            assert_eq!(whole.counts, counts(11));
            whole.latencies
        };
        assert_eq!([delivery, response, report, set_up, lag].map(|latency| latency.count()), [11, 22, 33, 44, 55]);
    }

    #[test]
    fn series_sessions_and_processes_are_added() {
        let mut parts = two();
        parts[1].series[3].errors = 5;
        let (one, other) = (parts[0].clone(), parts[1].clone());
        let whole = merge(parts).unwrap();
        let sum = |of: fn(&Interval) -> u64| of(&one.series[3]) + of(&other.series[3]);
        let interval = &whole.series[3];
        assert_eq!(interval.messages, sum(|i| i.messages));
        assert_eq!(interval.octets, sum(|i| i.octets));
        assert_eq!(interval.errors, 5);
        assert_eq!(interval.delivery.count(), sum(|i| i.delivery.count()));
        assert_eq!((interval.at, interval.length, whole.series.len()), (3.0, 1.0, one.series.len()));
        assert_eq!(whole.scenario.sessions, 2 * one.scenario.sessions);
        assert_eq!((whole.started, whole.window), (one.started, other.window));
        assert_eq!((whole.generator.processes, whole.generator.cpu), (2, one.generator.cpu + other.generator.cpu));
        let per_message = whole.generator.cpu * 1e6 / whole.counts.messages as f64;
        assert!((whole.generator.cpu_per_message.unwrap() - per_message).abs() < 1e-9);
    }

    #[test]
    fn the_relay_is_not_added_and_its_figures_are_of_the_sums() {
        let parts = two();
        let one = parts[0].clone();
        let relay = merge(parts).unwrap().relay.unwrap();
        let before = one.relay.unwrap();
        assert_eq!(relay.cpu, before.cpu);
        let halved = |whole: Option<f64>, part: Option<f64>| (whole.unwrap() * 2.0 - part.unwrap()).abs() < 1e-9;
        assert!(halved(relay.cpu_per_message, before.cpu_per_message));
        assert!(halved(relay.cpu_per_megabyte, before.cpu_per_megabyte));
        assert!(halved(relay.cpu_per_session, before.cpu_per_session));
        assert!(halved(relay.pss_per_session, before.pss_per_session));
    }

    #[test]
    fn a_relay_that_two_processes_sampled_counts_once() {
        let (mut early, mut late) = (run("a", "c"), run("a", "c"));
        late.series[0].relay_rss = Some(u64::MAX);
        early.series[0].relay_cpu = None;
        late.relay.as_mut().unwrap().before.pss += 1000;
        late.relay.as_mut().unwrap().cpu += 0.5;
        let (first, last) = (early.relay.clone().unwrap(), late.relay.clone().unwrap());
        let whole = merge(vec![early, late.clone()]).unwrap();
        let relay = whole.relay.unwrap();
        assert_eq!((relay.before.pss, relay.cpu), (first.before.pss, last.cpu));
        assert_eq!(whole.series[0].relay_rss, Some(u64::MAX));
        assert_eq!(whole.series[0].relay_cpu, late.series[0].relay_cpu);
        assert_eq!(whole.series[1].relay_cpu, late.series[1].relay_cpu);
    }

    #[test]
    fn errors_add_by_kind_and_limits_are_told_once() {
        let mut other = failing("a", "c", "lost");
        *other.errors.get_mut("lost").unwrap() = Fault { count: 3, first: "another".to_owned() };
        let mut limit = limited("a", "c", 10.0);
        limit.generator.share = 0.99;
        let whole = merge(vec![failing("a", "c", "lost"), other, limit.clone(), limit.clone()]).unwrap();
        assert_eq!((whole.errors["lost"].count, whole.errors["lost"].first.as_str() != "another"), (4, true));
        assert_eq!(whole.generator.limits, limit.generator.limits);
        assert_eq!((whole.generator.share, whole.generator.processes), (0.99, 4));
    }

    #[test]
    fn the_longer_series_keeps_its_end() {
        let mut short = run("a", "c");
        let last = short.series.pop().unwrap();
        let whole = merge(vec![short, run("a", "c")]).unwrap();
        assert_eq!(whole.series.last().unwrap().messages, last.messages);
    }

    #[rstest]
    #[case::format(|run: &mut RunResult| run.format = 2, MergeError::Format(2))]
    #[case::label(|run: &mut RunResult| run.label = "b".into(), MergeError::Label("a".into(), "b".into()))]
    #[case::cell(|run: &mut RunResult| run.cell = "d".into(), MergeError::Cell("c".into(), "d".into()))]
    #[case::tls(|run: &mut RunResult| run.tls = None, MergeError::Tls)]
    #[case::start(|run: &mut RunResult| run.started -= 3, MergeError::Start(3))]
    #[case::length(|run: &mut RunResult| run.window = 9.0, MergeError::Length(9.0, 10.0))]
    #[case::relay(|run: &mut RunResult| run.relay.as_mut().unwrap().pid = 2, MergeError::Relay(4711, 2))]
    fn what_is_not_of_one_run_is_refused(#[case] spoil: fn(&mut RunResult), #[case] error: MergeError) {
        let mut spoiled = run("a", "c");
        spoil(&mut spoiled);
        assert_eq!(merge(vec![run("a", "c"), run("a", "c"), spoiled]).unwrap_err(), error);
    }

    #[test]
    fn nothing_is_refused_and_a_part_that_never_connected_is_not() {
        assert_eq!(merge(vec![]).unwrap_err(), MergeError::Empty);
        let mut alone = run("a", "c");
        alone.format = 0;
        assert_eq!(merge(vec![alone]).unwrap_err(), MergeError::Format(0));
        let mut refused = failing("a", "c", "refused-501");
        refused.tls = None;
        let whole = merge(vec![refused, run("a", "c")]).unwrap();
        assert_eq!((whole.tls, whole.errors.len()), (run("a", "c").tls, 1));
    }
}
