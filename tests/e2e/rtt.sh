# Hosts behind delays of their own (network namespaces on wires of wires.py): what `members --rtt` foretells of any two comes near the
# truth, and nearer hosts look nearer.
. tests/e2e/lib.sh
needs_namespaces

# Milliseconds that each host's own wire takes, one way: the round trip of two is the sum of both, twice.
hosts="n1 n2 n3 n4"
delay_of() { case "$1" in n1) echo 1 ;; n2) echo 4 ;; n3) echo 15 ;; n4) echo 30 ;; esac; }
[ -w /dev/net/tun ] || { echo "needs /dev/net/tun"; exit 77; }
wires=
for h in $hosts; do
    make_host "$h"
    wires="$wires star-$$-$h=10.77.0.${h#n}=$(delay_of "$h")"
done
# The wires keep their time however busy the machine is, and the hosts too, where that may be asked for.
first=
if chrt -f 1 true 2>/dev/null; then
    first='chrt -f 1'
    printf '#!/bin/sh\nexec chrt -f 1 "%s" "$@"\n' "$starling" >"$T/starling"
    chmod 755 "$T/starling"
    starling=$T/starling
fi
# shellcheck disable=SC2086
$first python3 tests/e2e/wires.py $wires >"$T/wires.log" 2>&1 &
pids="$pids $!"
eventually 5 grep -q ready "$T/wires.log"
for h in $hosts; do
    ip -n "star-$$-$h" addr add "10.77.0.${h#n}/24" dev eth0
    ip -n "star-$$-$h" link set eth0 up
done
mesh
host_agent n1
for h in n2 n3 n4; do host_agent "$h" --seed 10.77.0.1; done
eventually 30 all_alive 4 $hosts

# near AT FROM TO: what AT says of these two is within a quarter of the truth and 2 ms (a loaded machine answers late)
near() {
    ask "$1" members --rtt ${2:+"$2"} "$3" --json >"$T/rtt" || return 1
    python3 - "$T/rtt" $((2000 * ($(delay_of "${2:-$1}") + $(delay_of "$3")))) "${2:-$1}" "$3" <<'PY'
import json, sys
o, truth = json.load(open(sys.argv[1])), int(sys.argv[2])
assert (o['from'], o['to']) == (sys.argv[3], sys.argv[4]), o
print(o, truth)
assert o['rtt_us'] and abs(o['rtt_us'] - truth) < truth / 4 + 2000
PY
}
# From here, by probes and what the other's record says; then between others, by what both records say.
for at in $hosts; do
    for to in $hosts; do [ "$at" = "$to" ] || eventually 120 near "$at" '' "$to"; done
done
for at in $hosts; do
    for from in $hosts; do
        for to in $hosts; do
            [ "$at" = "$from" ] || [ "$at" = "$to" ] || [ "$from" = "$to" ] || eventually 120 near "$at" "$from" "$to"
        done
    done
done

measured() { is n1 members '[(120000 > m["rtt_measured_us"] >= 60000) for m in o if m["name"]=="n4"]' '[True]'; }
eventually 10 measured
is n1 members '[m["rtt_us"] for m in o if m["name"]=="n1"]' '[None]' || fail "a way to itself"
nearest_first() { is n1 members '[m["name"] for m in sorted(o, key=lambda m: m["rtt_us"] or 0)]' "['n1', 'n2', 'n3', 'n4']"; }
eventually 30 nearest_first
in_table() { ask n1 members --rtt | awk '$1=="n4" && $4 > 40 && $4 < 90 && $5 > 40 {found=1} END {exit !found}'; }
eventually 30 in_table || { ask n1 members --rtt; fail "the table"; }
ask n1 members --rtt n2 n3 | grep -q '^estimated *[0-9.]* ms$' || fail "the text"
if ask n1 members --rtt nobody 2>"$T/err"; then fail "nobody is somewhere"; fi
grep -q 'no member is named nobody' "$T/err" || fail "the error says: $(cat "$T/err")"
if ask n1 members n2 2>"$T/err"; then fail "a name without --rtt is taken"; fi
