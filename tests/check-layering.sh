#!/bin/sh
# Enforces docs/architecture.md: which room may include which (the table there is read, not repeated here), where each library
# lives, what a pure room may not touch, and a few rules of the house that a reviewer should not have to look for.
# Prints file:line and what to do; fails if it printed anything.
set -eu
cd "$(dirname "$0")/.."
found=$(mktemp)
trap 'rm -f "$found"' EXIT
files=$(git ls-files | while read -r f; do [ ! -f "$f" ] || echo "$f"; done)
list() { echo "$files" | grep -E "$1" || true; }

# Arrows. A room may include itself, `base`, what its row names, and what those may include in their turn.
# Rows that say "everything" or "what ..." are drivers: all rooms, but for those named after "but".
# shellcheck disable=SC2046
grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]' $(list '^(include|gossip|store|agent|sim)/.*\.[ch]$') /dev/null | awk '
function room_of(path,   part) {
    split(path, part, "/")
    if (part[1] == "include") return part[2]
    return part[1] == "agent" ? (part[3] == "" ? "agent" : part[2]) : part[1]
}
function may(from, to,   n, i, names) {
    if (from == to || to == "base" || from == "agent") return 1
    if ((from SUBSEP to) in but) return 0
    if (from in driver) return 1
    if ((from SUBSEP to) in memo) return memo[from, to]
    memo[from, to] = 0
    n = split(row[from], names, " ")
    for (i = 1; i <= n; i++) if (names[i] == to || may(names[i], to)) memo[from, to] = 1
    return memo[from, to]
}
function home_of(h) {
    if (h == "uv.h") return "^agent/net/"
    if (h == "sodium.h") return "^agent/(trust|noise)/"
    if (h == "lmdb.h") return "^store/"
    if (h == "http_parser.h") return "^agent/http/h1_second\\.c$"
    if (h ~ /^msgpack/) return "^agent/(trust|policy)/"
    if (h == "yaml.h") return "^agent/(policy|control)/"
    if (h == "jansson.h") return "^agent/(admin|cli)/"
    if (h ~ /^(uthash|utlist)\.h$/ || h ~ /^(arpa|linux|net|netinet|sys)\//) return "."
    if (h ~ /^(assert|ctype|dirent|errno|fcntl|getopt|grp|ifaddrs|inttypes|limits|locale|malloc|math|netdb|poll|pthread|pwd|sched|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|termios|time|unistd)\.h$/) return "."
    return ""
}
BEGIN {
    while ((getline line < "docs/architecture.md") > 0) {
        if (line !~ /^\| `/) continue
        split(line, cell, "|")
        n = split(cell[2], who, ",")
        excepted = cell[4] ~ / but / ? substr(cell[4], index(cell[4], " but ")) : ""
        for (i = 1; i <= n; i++) {
            name = who[i]
            gsub(/[` ]/, "", name)
            sub(/\/$/, "", name)
            sub(/^(agent|include)\//, "", name)
            known[name] = 1
            if (cell[4] ~ /everything|what /) {
                driver[name] = 1
                list = excepted
            } else {
                list = cell[4]
            }
            while (match(list, /`[^`]*`/)) {
                one = substr(list, RSTART + 1, RLENGTH - 2)
                if (name in driver) but[name, one] = 1
                else row[name] = row[name] " " one
                list = substr(list, RSTART + RLENGTH)
            }
        }
    }
    split("trust noise link mux http policy traffic exchange discovery observe gossip", p, " ")
    for (i in p) pure[p[i]] = 1
}
{
    split($0, at, ":")
    file = at[1]; where = at[1] ":" at[2]
    room = room_of(file)
    if (!(room in known) && room != "agent") {
        if (!told[room]++) print where ": " room " is not in the table of docs/architecture.md; add a row for it"
        next
    }
    if (match($0, /"[^"]*"/)) {
        header = substr($0, RSTART + 1, RLENGTH - 2)
        to = header
        if (index(header, "/") == 0) { print where ": write the room before the header: \"" room "/" header "\""; next }
        sub(/\/.*/, "", to)
        if (to == "tests") print where ": code of the program includes a test"
        else if (!may(room, to)) print where ": " room " may not include " to " (table in docs/architecture.md); move what is shared down, or pass a value"
        if (header ~ /\.c"?$/) print where ": a .c file is included"
    } else if (match($0, /<[^>]*>/)) {
        header = substr($0, RSTART + 1, RLENGTH - 2)
        home = home_of(header)
        if (home == "") print where ": <" header "> has no home; add it to home_of() in tests/check-layering.sh and say in docs/architecture.md why it is here"
        else if (file !~ home) print where ": <" header "> belongs to " home "; call what that room offers"
        # The log is the one pure room that reads a clock and writes: a line needs its time, and stderr is where it goes.
        if ((room in pure) && file != "agent/observe/log.c" && header ~ /^(unistd|fcntl|time|sys\/time|poll|sys\/epoll|netdb|pthread|dirent|signal|sys\/select|sys\/file|termios)\.h$/)
            print where ": " room " is pure: no clock, thread, file or socket (<" header ">); take bytes and `now` as parameters"
    }
}' >>"$found"

# The clock and the network by name, for headers that bring them along. (sim/main.c reports how long a run took.)
# shellcheck disable=SC2046
grep -HnE '\b(clock_gettime|gettimeofday|time|socket|sendto|recvfrom|connect|usleep|nanosleep|sleep)\((NULL|CLOCK|AF_|[a-z0-9])' \
    $(list '^(gossip|sim|agent/(trust|noise|link|mux|http|policy|traffic|exchange|discovery))/.*\.c$' | grep -vx 'sim/main\.c') /dev/null |
    sed -E 's/^([^:]*:[0-9]*):.*/\1: a pure part reads no clock and owns no socket; take the time and bytes as parameters/' >>"$found" || true

# One file, and no more, knows http-parser.
# shellcheck disable=SC2046
n=$(grep -lE '<http_parser\.h>' $(list '^agent/.*\.[ch]$') /dev/null | wc -l)
[ "$n" -le 1 ] || echo "agent/http: $n files include <http_parser.h>; one may" >>"$found"

# One file signs and verifies, so that every signature is made for a type (ADVERSARY B17).
# shellcheck disable=SC2046
grep -HnE 'crypto_sign(_verify)?(_detached)?[[:space:]]*\(' $(list '^(agent|sim|store|gossip)/.*\.[ch]$' | grep -vx 'agent/trust/envelope\.c') /dev/null |
    sed -E 's/^([^:]*:[0-9]*):.*/\1: signs or verifies; that is the business of agent\/trust\/envelope.c/' >>"$found" || true

# Each fuzz target is for bytes that the inventory names.
for f in $(list '^tests/fuzz/.*\.c$'); do
    t=$(basename "$f" .c)
    grep -q "\`$t\`" docs/contributing.md || echo "$f:1: is not in the table of docs/contributing.md" >>"$found"
done

# The layout.
for top in $(echo "$files" | cut -d/ -f1 | sort -u); do
    case "$top" in
    agent | gossip | store | include | sim | tests | docs | Makefile | README.md | LICENSE | .*) ;;
    *) echo "$top:1: not a top-level folder or file of this project (docs/architecture.md)" >>"$found" ;;
    esac
done

# Marks of unfinished work, and paths of one developer's machine. This script has to spell them.
texts=$(list '(\.(c|h|sh|md|ya?ml)|Makefile|/run)$' | grep -vx 'tests/check-layering\.sh' || true)
# shellcheck disable=SC2086
grep -HnE '\b(TODO|FIXME|XXX|HACK)\b' $texts /dev/null | sed -E 's/^([^:]*:[0-9]*):.*/\1: mark of unfinished work; finish it, or write an issue/' >>"$found" || true
# shellcheck disable=SC2086
grep -HnE "(^|[^A-Za-z0-9_.])/(home|Users)/[a-z]" $texts /dev/null | sed -E "s/^([^:]*:[0-9]*):.*/\\1: path of a developer's machine/" >>"$found" || true
# shellcheck disable=SC2086
grep -HnF "$PWD/" $texts /dev/null | sed -E "s/^([^:]*:[0-9]*):.*/\\1: path of this machine/" >>"$found" || true

# Scripts: sh is sh.
for f in $(list '\.sh$|^\.ci/run$'); do
    case "$f" in
    tests/e2e/*) # run by bash, from tests/run-e2e.sh
        bash -n "$f" || echo "$f:1: does not parse" >>"$found"
        continue
        ;;
    esac
    case "$(head -n 1 "$f")" in
    '#!/bin/sh')
        sh -n "$f" || echo "$f:1: does not parse" >>"$found"
        [ "$f" = tests/check-layering.sh ] || grep -HnE '\[\[ |^[[:space:]]*function [A-Za-z_]+ *(\(\))? *\{|<<<|\$\{[A-Za-z_]+(\[|//|,,|\^\^)|^[[:space:]]*(source|declare|typeset) |(^|[^-])\blocal -' "$f" |
            sed -E 's/^([^:]*:[0-9]*):.*/\1: not portable; use POSIX sh, or say bash in the first line/' >>"$found" || true
        ;;
    '#!/usr/bin/env bash' | '#!/bin/bash') bash -n "$f" || echo "$f:1: does not parse" >>"$found" ;;
    *) echo "$f:1: first line must be #!/bin/sh or #!/usr/bin/env bash" >>"$found" ;;
    esac
    [ -x "$f" ] || echo "$f:1: not executable; chmod +x" >>"$found"
done

if [ -s "$found" ]; then
    sort -t: -k1,1 -k2,2n "$found"
    exit 1
fi
echo "layering: $(echo "$files" | wc -l) files where they belong"
