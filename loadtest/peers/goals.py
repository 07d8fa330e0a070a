"""The goals of docs/PERFORMANCE.md and what a run of ../compare.sh has seen of them: goals.py RESULTS, a directory.

Each figure is a median of the repetitions without errors. A goal whose cells were not run has no line."""

import glob
import json
import statistics
import sys

ENGINES = ("chappe", "chappe-ring")


def read(directory):
    """(cell, label) -> the results."""
    found = {}
    for path in sorted(glob.glob(directory + "/*.json")):
        result = json.load(open(path))
        if not result["errors"] and result["relay"]:
            found.setdefault((result["cell"], result["label"]), []).append(result)
    return found


class Goals:
    """The lines of the table."""

    def __init__(self, found):
        self.found = found
        self.lines = []

    def median(self, cell, label, value):
        results = self.found.get((cell, label), [])
        values = [v for v in map(value, results) if v is not None]
        return statistics.median(values) if values else None

    def goal(self, what, goal, unit, shown, bound, of=None, by=lambda label: None):
        """One goal: `shown(label)` is the figure of an engine, `by(label)` what it is divided by, which is called `of`; `bound`
        says of figure and ratio whether the goal is met."""
        figures = [(shown(engine), by(engine)) for engine in ENGINES]
        missing = lambda figure, yardstick: figure is None or (of and yardstick is None)
        if missing(*figures[0]):
            return
        same = of and of != "itself"
        cells = [what, goal, f"{of}: {number(figures[0][1])}" if same else of or "–"]
        for figure, yardstick in figures:
            if missing(figure, yardstick):
                cells += ["–", "–", "–"]
                continue
            ratio = figure / yardstick if of else None
            met = "yes" if bound(figure, ratio) else "**no**"
            cells += [f"{number(figure)} {unit}".strip(), "–" if ratio is None else f"{ratio:.2f}", met]
        self.lines.append("| " + " | ".join(cells) + " |")

    def against(self, what, cell, goal, limit, unit, value, peer="haproxy"):
        shown = lambda label: self.median(cell, label, value)
        self.goal(what, goal, unit, shown, lambda _, ratio: ratio <= limit, peer, lambda _: shown(peer))


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


per_message = lambda result: result["relay"]["cpu_per_message"]
per_megabyte = lambda result: result["relay"]["cpu_per_megabyte"]
per_session = lambda result: result["relay"]["cpu_per_session"]
memory = lambda result: result["relay"]["pss_per_session"]
p99 = lambda result: result["latencies"]["delivery"]["p99"]


def main():
    g = Goals(read(sys.argv[1]))
    stretch = "≤ 0.9 ×, stretch 0.75 ×"
    g.against("200 B, 100 sessions, 1 in flight", "chat", stretch, 0.9, "µs/msg", per_message)
    g.against("200 B, 1000 sessions, 1 in flight", "chat-1000", stretch, 0.9, "µs/msg", per_message)

    two = lambda cell: lambda label: g.median(cell, label + "-2", per_message)
    met = lambda _, ratio: ratio <= 1.15
    what = "200 B, both sides AUTHed here, two shards"
    g.goal(what, "≤ 1.15 × caller-direct", "µs/msg", two("chat-both"), met, "itself", two("chat"))

    sixteen = lambda label: g.median("chat-16", label, per_message)
    what = "200 B, 100 sessions, 16 in flight"
    g.goal(what, "≤ 3.0 µs", "µs/msg", sixteen, lambda figure, _: figure <= 3.0)
    g.against(what, "chat-16", "≤ 1/6 ×", 1 / 6, "µs/msg", per_message, "kamailio")
    g.against("2 KiB, 100 sessions, 4 in flight", "message-2k", "≤ 1.3 ×", 1.3, "µs/msg", per_message)
    g.against("64 KiB chunks, `max_chunk` 64 KiB", "chunk-64k", "≤ 0.9 ×", 0.9, "µs/MB", per_megabyte)
    g.against("64 KiB chunks, cut to 10 000 B", "chunk-64k-cut", "≤ 1.1 ×", 1.1, "µs/MB", per_megabyte)
    g.against("10 MiB file in 10 000 B chunks", "file", "≤ 1.0 ×", 1.0, "µs/MB", per_megabyte)
    g.against("10 MiB file in 2 KiB chunks", "file-2k", "≤ 1.3 ×", 1.3, "µs/MB", per_megabyte)
    g.against("p99 of delivery at 5 000 msg/s (informational)", "open", "≤ 1.15 ×", 1.15, "µs", p99)
    rest = lambda label: g.median("idle", label, memory)
    g.goal("memory of a session at rest", "≤ 20 kB", "kB", rest, lambda figure, _: figure <= 20)
    up = lambda label: g.median("set-up", label, per_session)
    g.goal("set-up of a session", "≤ 1 200 µs", "µs", up, lambda figure, _: figure <= 1200)

    growth = lambda label: ratio(g.median("chat-5000", label, per_message), g.median("chat", label, per_message))
    what = "growth of CPU per message, 100 to 5 000 sessions"
    g.goal(what, "≤ 1.1 ×", "", growth, lambda _, ratio: ratio <= 1.1, "haproxy", lambda _: growth("haproxy"))

    if g.lines:
        print("\n# Goals\n")
        print("| load | goal | measured against | epoll | ratio | met | io_uring | ratio | met |")
        print("|---|---|--:|--:|--:|---|--:|--:|---|")
        print("\n".join(g.lines))


def ratio(over, under):
    return over / under if over and under else None


main()
