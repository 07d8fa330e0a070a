"""Samples a relay under the load of soak.sh and judges whether anything grows.

    soak.py look        one look at descriptors and memory, as JSON
    soak.py run         samples every 10 s while generators run, then judges; exit status 0 or 1
    soak.py self-check  whether the judge finds growth that is there and none where there is none

Besides it is part of the load: a probe that measures times to delivery (25 messages a second), receivers that stall for
ten seconds, connections that are challenged and leave, and reloads. soak_client.py speaks MSRP for it.
"""

import argparse
import csv
import json
import os
import statistics
import sys
import threading
import time
import urllib.request

import soak_client

EVERY = 10
GAUGES = ("sessions", "links", "pending_sends", "deadlines", "buffered_octets", "anchors", "sip_calls", "sip_timers", "sip_transactions")
# What is wrong by itself, whatever it was before.
COUNTERS = ("lines_lost_total", "end_lines_in_bodies_total")
TICKS = os.sysconf("SC_CLK_TCK")


def ask(admin, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{admin}{path}", method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def look(pid, admin):
    """Memory in KiB, descriptors, CPU in seconds, and the sums of the gauges over their labels."""
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    sample = {"rss": int(status["VmRSS"].split()[0]), "fds": len(os.listdir(f"/proc/{pid}/fd")),
              "cpu": (int(fields[11]) + int(fields[12])) / TICKS}
    sums = dict.fromkeys(GAUGES + COUNTERS, 0.0)
    for line in ask(admin, "/metrics").splitlines():
        name = line.split("{")[0].split(" ")[0].removeprefix("chappe_")
        if name in sums:
            sums[name] += float(line.rsplit(" ", 1)[1])
    return sample | sums


# ---- The verdict ----------------------------------------------------------------------------------------------------


def growth(samples, key):
    """How much a straight line through these rises from the first to the last of them."""
    times, values = [s["t"] for s in samples], [s[key] for s in samples]
    return statistics.linear_regression(times, values).slope * (times[-1] - times[0])


class Verdict:
    """The lines of the table, and whether one of them is bad."""

    def __init__(self):
        self.lines = []
        self.good = True

    def add(self, what, first, second, bound, good):
        self.good &= bool(good)
        self.lines.append((what, first, second, bound, "good" if good else "BAD"))

    def table(self):
        head = ("what", "first half", "second half", "bound", "verdict")
        return "\n".join("| " + " | ".join(line) + " |" for line in [head, ("---",) * 5, *self.lines])


def judge(samples):
    """Whether anything grows from the first to the second half of these samples."""
    verdict = Verdict()
    half = len(samples) // 2
    first, second = samples[:half], samples[half:]
    middle = lambda part, key: statistics.median(s[key] for s in part)
    most = lambda part, key: max(s[key] for s in part)

    def flat(what, key, share, spare, unit, scale=1.0):
        bound = middle(second, key) * share + spare
        rise = growth(second, key)
        before, after = middle(first, key) / scale, middle(second, key) / scale
        told = f"{after:.1f} {unit}, rising by {rise / scale:+.2f}"
        verdict.add(what, f"{before:.1f} {unit}", told, f"+{bound / scale:.2f} {unit}", rise <= bound)

    flat("resident memory", "rss", 0.02, 4096, "MiB", 1024)
    flat("descriptors", "fds", 0.02, 8, "")
    flat("sessions", "sessions", 0.05, 20, "")
    flat("open SENDs", "pending_sends", 0.10, 50, "")
    flat("octets in buffers", "buffered_octets", 0.10, 1 << 20, "MiB", 1 << 20)
    # Dead timers are thrown out when they are the most, so these rise and fall: the highest points are compared.
    for what, key in (("timers", "deadlines"), ("timers of SIP", "sip_timers"), ("transactions of SIP", "sip_transactions")):
        bound = most(first, key) * 1.25 + 512
        verdict.add(what, f"{most(first, key):.0f} at most", f"{most(second, key):.0f} at most", f"{bound:.0f}", most(second, key) <= bound)
    for what, key, ratio in (("delivery, median", "p50", 1.5), ("delivery, p99", "p99", 2.0)):
        # Below half a millisecond the machine is measured, and not the relay.
        before, after = (max(0.5, middle(part, key)) for part in (first, second))
        verdict.add(what, f"{middle(first, key):.2f} ms", f"{middle(second, key):.2f} ms", f"{ratio} ×", after <= ratio * before)
    rate = lambda part: 100 * (part[-1]["cpu"] - part[0]["cpu"]) / max(1e-9, part[-1]["t"] - part[0]["t"])
    verdict.add("CPU of the relay", f"{rate(first):.1f} %", f"{rate(second):.1f} %", "1.5 ×", rate(second) <= 1.5 * rate(first) + 1)
    return verdict


def judge_end(verdict, baseline, after):
    """What is left when everybody has gone: nothing."""
    for key in ("sessions", "links", "pending_sends", "buffered_octets", "anchors", "sip_calls"):
        verdict.add(f"left: {key}", "", f"{after[key]:.0f}", "0", after[key] == 0)
    verdict.add("left: descriptors", f"{baseline['fds']} before", f"{after['fds']}", "+8", after["fds"] <= baseline["fds"] + 8)
    verdict.add("left: memory", f"{baseline['rss'] / 1024:.1f} MiB before", f"{after['rss'] / 1024:.1f} MiB", "", True)
    for key in COUNTERS:
        if key == "lines_lost_total":
            verdict.add(key, "", f"{after[key]:.0f}", "0", after[key] == 0)


def judge_generators(verdict, out, names):
    """Whether what the generators have verified was all right."""
    for name in names:
        if name == "calls":
            for side in ("uac_storm", "uas_storm"):
                rows = list(csv.DictReader(open(f"{out}/{side}.csv"), delimiter=";"))
                good, bad = (int(rows[-1][key]) if rows else -1 for key in ("SuccessfulCall(C)", "FailedCall(C)"))
                verdict.add(f"calls ({side[:3]})", "", f"{good} good, {bad} failed", "0 failed", good > 0 and bad == 0)
            continue
        try:
            result = json.load(open(f"{out}/{name}.json"))
        except (OSError, ValueError) as error:
            verdict.add(f"load: {name}", "", str(error), "a result", False)
            continue
        counts, errors = result["counts"], result["errors"]
        told = f"{counts['messages']:,} messages, {counts['set_up']:,} sessions set up"
        told += "".join(f"; {kind} ×{fault['count']} ({fault['first']})" for kind, fault in errors.items())
        verdict.add(f"load: {name}", "", told, "no error", not errors and counts["messages"] > 0)


def self_check():
    """Planted growth of each kind is found, and steady noise is not growth."""
    def samples(**leak):
        made = []
        for i in range(360):
            wave = (i * 7919 % 101) / 101
            sample = {"t": 10.0 * i, "rss": 60_000 + 3_000 * wave, "fds": 900 + 30 * wave, "cpu": 3.0 * i, "sessions": 460 + 20 * wave,
                      "pending_sends": 40 * wave, "deadlines": 1500 + 1800 * wave, "buffered_octets": 3e6 * wave, "sip_timers": 300 * wave,
                      "sip_transactions": 200 * wave, "p50": 0.9 + wave / 5, "p99": 3 + 4 * wave}
            made.append(sample | {key: sample[key] + per * i for key, per in leak.items()})
        return made
    assert judge(samples()).good, judge(samples()).table()
    leaks = {"rss": 40, "fds": 0.3, "sessions": 0.5, "pending_sends": 0.6, "deadlines": 30, "buffered_octets": 1e4, "p50": 0.005, "p99": 0.08,
             "sip_timers": 10, "sip_transactions": 10, "cpu": None}
    for key, per in leaks.items():
        leaking = samples() if per is None else samples(**{key: per})
        if per is None:
            for i, sample in enumerate(leaking):
                sample["cpu"] = 3.0 * i + max(0, i - 180) * 3.0
        bad = [line for line in judge(leaking).lines if line[-1] == "BAD"]
        assert len(bad) == 1, (key, bad)


# ---- The run --------------------------------------------------------------------------------------------------------


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def run(options):
    generators = dict(each.split("=") for each in options.generator)
    stop = threading.Event()
    trouble = []
    clients = soak_client.Clients(options.port, f"{options.out}/ca.crt", stop, trouble)
    clients.start(options.rate)
    began = time.monotonic()
    samples, reloads = [], 0
    with open(f"{options.out}/samples.jsonl", "w", buffering=1) as file:
        while any(alive(pid) for pid in generators.values()):
            time.sleep(EVERY - (time.monotonic() - began) % EVERY)
            if not alive(options.pid):
                print("the relay has ended; see relay.log")
                return 1
            sample = {"t": round(time.monotonic() - began, 1)} | look(options.pid, options.admin)
            times = clients.take_times()
            if len(times) >= 20:
                sample |= {"probes": len(times), "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}
                samples.append(sample)
            file.write(json.dumps(sample) + "\n")
            if sample["t"] // 120 > reloads:
                reloads = sample["t"] // 120
                ask(options.admin, "/reload", "POST")
            # Generators that finish their last messages are no load any more.
            if sample["t"] > options.seconds + 300:
                trouble.append("the generators do not end")
                break
    stop.set()
    clients.join()
    # Everybody has gone; SIP transactions absorb repetitions for 32 s, links may linger for some.
    deadline = time.monotonic() + 90
    while True:
        after = look(options.pid, options.admin)
        left = [key for key in ("sessions", "links", "pending_sends", "buffered_octets", "anchors", "sip_calls", "sip_timers") if after[key]]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(1)
    # Setting up and the generators' ends are no steady state.
    steady = [s for s in samples if 30 <= s["t"] <= options.seconds]
    if len(steady) < 6:
        print(f"only {len(steady)} samples: too short to be judged")
        return 1
    verdict = judge(steady)
    judge_end(verdict, json.loads(options.baseline), after)
    judge_generators(verdict, options.out, generators)
    probes = sum(s["probes"] for s in samples)
    told = f"{probes:,} probes, {clients.stalls} stalled receivers, {clients.challenges:,} challenged, {int(reloads)} reloads"
    verdict.add("load: soak.py", "", told + "".join(f"; {t}" for t in trouble[:3]), "no error", not trouble and clients.stalls > 0)
    table = verdict.table()
    open(f"{options.out}/table.md", "w").write(table + "\n")
    print(table)
    print("nothing grows" if verdict.good else "SOMETHING IS BAD")
    return 0 if verdict.good else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("look", "run", "self-check"))
    for name in ("pid", "admin", "port", "seconds"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--out")
    parser.add_argument("--baseline")
    parser.add_argument("--generator", action="append", default=[])
    options = parser.parse_args()
    if options.what == "self-check":
        return self_check()
    if options.what == "look":
        return print(json.dumps(look(options.pid, options.admin)))
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
