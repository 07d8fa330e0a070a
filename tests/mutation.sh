#!/usr/bin/env bash
# Whether tests notice when a requirement is broken: rows are drawn among those of tests/requirements/mutations, the code that
# decides about each is changed as it stands there, in a copy of the tree, and the test that is named must fail. One that passes
# all the same is weak. What does not compile is no success. The last line is the sum.
#
#   ROWS=20             how many rows are drawn; or which, as RLY-48,CORE-4; or `all`
#   SEED=…              which; drawn and printed unless given
#   CARGO_TARGET_DIR    as for cargo; the copy and what is built of it lie in its directory `mutation`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*"; }

seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
place=${CARGO_TARGET_DIR:-$PWD/target}/mutation
root=$PWD
tree=$place/tree
output=$place/output
export CARGO_TARGET_DIR=$place/target CARGO_INCREMENTAL=1 CARGO_TERM_PROGRESS_WHEN=never

# Times are kept, so that what did not change is not built again.
rm -rf "$tree"
mkdir -p "$tree"
git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- --ignore-failed-read -cf - | tar -xf - -C "$tree"
cd "$tree"
# What an earlier run has changed was built later than this copy of it says.
sed -n 's/^@ //p' tests/requirements/mutations/* | sort -u | xargs touch

# pick SEED ROWS: a line `number row test` for each mutation that is drawn, one of each row.
# apply NUMBER: changes the file and prints `row<TAB>test<TAB>file<TAB>text => other text`.
mutations() {
    python3 - "$@" <<'PY'
import glob, random, sys

mutations = []
for name in sorted(glob.glob("tests/requirements/mutations/*")):
    for line in open(name, encoding="utf-8").read().split("\n"):
        if line.startswith("== "):
            row, test = line[3:].split(" ", 1)
            mutations.append({"row": row, "test": test, "-": [], "+": []})
        elif line.startswith("@"):
            mutations[-1]["file"] = line[1:].strip()
        elif line[:1] in ("-", "+"):
            mutations[-1][line[0]].append(line[1:])

if sys.argv[1] == "pick":
    drawn = list(enumerate(mutations))
    if not sys.argv[3].isdigit():
        rows = [m["row"] for m in mutations] if sys.argv[3] == "all" else sys.argv[3].split(",")
        if unknown := [row for row in rows if all(m["row"] != row for m in mutations)]:
            sys.exit(f"no mutation: {', '.join(unknown)}")
        drawn = [(n, m) for n, m in drawn if m["row"] in rows]
    else:
        random.Random(int(sys.argv[2])).shuffle(drawn)
        first = {m["row"]: (n, m) for n, m in reversed(drawn)}
        rows = list(dict.fromkeys(m["row"] for _, m in drawn))
        if int(sys.argv[3]) > len(rows):
            sys.exit(f"there are {len(rows)} rows with a mutation")
        drawn = [first[row] for row in rows[: int(sys.argv[3])]]
    for number, m in drawn:
        print(number, m["row"], m["test"])
else:
    m = mutations[int(sys.argv[2])]
    text = open(m["file"], encoding="utf-8").read()
    found, other = "\n".join(m["-"]), "\n".join(m["+"])
    if text.count(found) != 1:
        sys.exit(f"{m['row']}: the text stands {text.count(found)} times in {m['file']}")
    open(m["file"], "w", encoding="utf-8").write(text.replace(found, other))
    # What is alike at both ends is not shown.
    a = 0
    while a < min(len(m["-"]), len(m["+"])) - 1 and m["-"][a] == m["+"][a]:
        a += 1
    shown = lambda lines: " ⏎ ".join(line.strip() for line in lines[a:]) or "nothing"
    print(m["row"], m["test"], m["file"], f"{shown(m['-'])}  =>  {shown(m['+'])}", sep="\t")
PY
}

run_test() { timeout -k 5 120 cargo test --lib --no-default-features "$1" >"$output" 2>&1 </dev/null; }
build() { cargo test --lib --no-default-features --no-run >"$output" 2>&1 </dev/null; }
passed() { grep -Eq '^test result: ok\. [1-9]' "$output"; }

mapfile -t drawn < <(mutations pick "$seed" "${ROWS:-20}")
[ "${#drawn[@]}" -gt 0 ] || { say "mutation.sh: nothing is drawn"; exit 1; }
say "seed $seed, ${#drawn[@]} mutations"
build || { tail -n 30 "$output"; say "mutation.sh: the tree does not build"; exit 1; }
for line in "${drawn[@]}"; do
    if ! run_test "${line##* }" || ! passed; then
        tail -n 30 "$output"
        say "mutation.sh: ${line##* } does not pass as things are"
        exit 1
    fi
done
noticed=0
for line in "${drawn[@]}"; do
    read -r number row test <<<"$line"
    began=$SECONDS
    IFS=$'\t' read -r _ _ file change < <(mutations apply "$number")
    result="survives: the test is weak"
    if ! build; then
        grep -m 3 '^error' "$output" || true
        result="does not compile"
    else
        status=0
        run_test "$test" || status=$?
        if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
            result="noticed: the test does not end"
        elif [ "$status" -ne 0 ] && grep -q '^test result: FAILED' "$output"; then
            result=noticed
        fi
    fi
    [[ $result != noticed* ]] || noticed=$((noticed + 1))
    say "$row  $file: $change"
    say "    $test: $result ($((SECONDS - began)) s)"
    # As it was, and newer than what was built of it.
    cp "$root/$file" "$file"
done
say "$noticed of ${#drawn[@]} mutations were noticed (seed $seed)"
[ "$noticed" -eq "${#drawn[@]}" ]
