# Part of ../compare.sh: what comes out of the results. Sourced, not run.
# shellcheck shell=bash disable=SC2154  # shares the variables of compare.sh

# table TITLE BASELINE LABEL…: the results of these peers beside each other.
table() {
    local title=$1 baseline=$2
    shift 2
    collect "$@"
    [ ${#files[@]} -gt 0 ] || return 0
    # Without the byte proxy the first of them has to do.
    [[ " ${labels[*]} " == *" $baseline "* ]] || baseline=${labels[0]}
    printf '\n# %s\n\n' "$title"
    "$load" compare "${files[@]}" --baseline "$baseline"
}

# collect LABEL…: the result files of these peers into `files`, in the order of the plan, and those that have any into
# `labels`.
collect() {
    local line name label file
    files=()
    labels=()
    for line in "${chosen[@]}"; do
        name=${line%% *}
        for label in "$@"; do
            for file in "$out/results/$name.$label".[0-9]*.json; do
                [ -e "$file" ] || continue
                files+=("$file")
                [[ " ${labels[*]} " == *" $label "* ]] || labels+=("$label")
            done
        done
    done
}

write_page() {
    local baseline=haproxy
    collect chappe chappe-ring kamailio haproxy "${others[@]}" chappe-2 chappe-ring-2 kamailio-2 haproxy-2
    [ ${#files[@]} -gt 0 ] || refuse "there is not one result"
    [[ " ${labels[*]} " == *" $baseline "* ]] || baseline=${labels[0]}
    "$load" report "${files[@]}" --baseline "$baseline" --output "$out/page.html"
}

# Ratios that lie across cells.
across() {
    python3 - "$out/results" <<'PY'
import glob, json, statistics, sys

cost = {}
for path in glob.glob(sys.argv[1] + "/*.json"):
    result = json.load(open(path))
    label, cell, relay = result["label"], result["cell"], result["relay"] or {}
    if not result["errors"] and relay.get("cpu_per_message"):
        cost.setdefault((label, cell), []).append(relay["cpu_per_message"])

lines = []
def ratio(what, over, under):
    """A line with the ratio of two medians, where both were measured; gives the ratio back."""
    if over not in cost or under not in cost:
        return None
    value = statistics.median(cost[over]) / statistics.median(cost[under])
    lines.append(f"| {what} | {value:.2f} |")
    return value

peers = sorted({label for label, _ in cost})
for peer in peers:
    ratio(f"{peer}: both sides logged in, against a caller without a relay", (peer, "chat-both"), (peer, "chat"))
grown = {}
for peer in peers:
    grown[peer] = ratio(f"{peer}: 5000 sessions against 100", (peer, "chat-5000"), (peer, "chat"))
if grown.get("chappe") and grown.get("haproxy"):
    lines.append(f"| chappe's growth against haproxy's own | {grown['chappe'] / grown['haproxy']:.2f} |")
for peer in peers:
    for cell in ("chat", "chat-16", "chunk-64k"):
        ratio(f"{peer}: {cell}, two threads against one", (peer + "-2", cell), (peer, cell))
if lines:
    print("\n# Across cells\n\n| relay CPU per message | ratio of medians |\n|---|--:|")
    print("\n".join(lines))
PY
}

write_table() {
    say "# Comparison"
    say
    say '```'
    print_versions
    say '```'
    python3 "$here/peers/goals.py" "$out/results"
    table "One thread" haproxy chappe chappe-ring kamailio haproxy "${others[@]}"
    table "Two threads" haproxy-2 chappe-2 chappe-ring-2 kamailio-2 haproxy-2
    across
    if [ ${#notes[@]} -gt 0 ]; then
        printf '\n# Notes\n\n'
        printf -- '- %s\n' "${notes[@]}"
    fi
}
