# Whose clock is wrong is told, by name and by how much, in the log, in status, members and metrics; and when it is right again
# (ADVERSARY G26; libfaketime, monotonic time is left alone). Membership goes on whatever clocks say: that is away.sh.
. tests/e2e/lib.sh

needs_faketime
mesh
"$starling" token create --ca "$T/ca" --service '*' --node '*' --ttl 7d --credential-life 30d --force -o "$T/token" >/dev/null
for n in a b c d; do agent "$n" $((7000 + 100 * $(printf %d "'$n") - 9700)) --seed 127.0.0.1:7000 --seed 127.0.0.1:7100; done
eventually 15 all_alive 4 a b c d
metric() { curl -s "http://127.0.0.1:$1/metrics" | sed -n "s/^$2 //p"; }
metric_is() { [ "$(metric "$1" "$2")" = "$3" ]; }
verdict_is() { is "$1" status 'o["clock"]["verdict"]' "$2"; }
wrong_are() { is "$1" members "[m['name'] for m in o if m['clock_wrong']]" "$2"; }
lines() { grep -c "$2" "$T/$1/log" || true; }

echo "- all are right: nothing is said"
for n in a b c d; do eventually 20 verdict_is "$n" agrees; done
for n in a b c d; do wrong_are "$n" "[]" && ! grep -q ' clock ' "$T/$n/log" || fail "a right clock is called wrong at $n"; done

echo "- one is a day fast since its start: it is told so, and the others tell of it by name"
crash b
echo +1d >"$T/b.clock"
with_clock "@$T/b.clock" agent b 7100 --seed 127.0.0.1:7000
eventually 15 all_alive 4 a b c d
eventually 20 verdict_is b wrong
for n in a c d; do eventually 20 wrong_are "$n" "['b']"; done
wrong_are b "[]" || fail "b names others for its own fault"
grep -q 'the clock of this host is wrong: it is 24h[0-9ms]* ahead\|the clock of this host is wrong: it is 23h59m59s ahead' "$T/b/log" || fail "b's log does not tell"
ask b status | grep -q 'warning *the clock of this host is 2[34]h[0-9ms]* ahead of what most of' || fail "b's status does not warn"
for n in a c d; do
    grep -q 'the clock of member b is wrong: it is 2[34]h[0-9ms]* ahead of what most clocks say' "$T/$n/log" || fail "the log of $n does not name b"
    ask "$n" status | grep -q 'warning *clocks that are wrong, to be set there: b is 2[34]h[0-9ms]* ahead' || fail "status at $n does not warn of b"
    ask "$n" members | grep '^b ' | grep -q '(clock 2[34]h[0-9ms]* ahead)' || fail "members at $n do not show b's clock"
    verdict_is "$n" agrees || fail "$n doubts its own clock"
done
eventually 1 metric_is 7101 starling_clock_wrong 1 || fail "b's metric"
eventually 1 metric_is 7001 starling_members_clock_wrong 1 || fail "a's metric"
seconds=$(metric 7101 starling_clock_skew_seconds)
[ "$seconds" -ge 86390 ] && [ "$seconds" -le 86410 ] || fail "b is $seconds s off"

echo "- it is set right while it runs: it sees so at once, and makes new sessions, by which the others do"
echo +0 >"$T/b.clock"
eventually 20 verdict_is b agrees
for n in a c d; do eventually 20 wrong_are "$n" "[]"; done
grep -q 'the clock of this host was set: it is now 2[34]h[0-9ms]* behind of where it was going' "$T/b/log" || fail "b does not say that it was set"

echo "- it jumps back and forth: the log has one line about it in ten minutes, not one for each, and nobody is held dead for it"
deaths() { for port in 7001 7101 7201 7301; do metric "$port" starling_gossip_deaths_total; done | tr '\n' ' '; }
before=$(deaths)
for clock in +1h +2d; do
    echo "$clock" >"$T/b.clock"
    for n in a c d; do eventually 20 wrong_are "$n" "['b']"; done
    echo +0 >"$T/b.clock"
    for n in a c d; do eventually 20 wrong_are "$n" "[]"; done
done
for n in a c d; do
    [ "$(lines "$n" 'clock of member b is wrong')" = 1 ] || fail "$n tells of b $(lines "$n" 'clock of member b is wrong') times"
done
[ "$(deaths)" = "$before" ] || fail "a clock has moved a member: deaths $(deaths), before $before"
[ "$(lines b 'the clock of this host is wrong')" = 1 ] || fail "b tells of itself again and again"

echo "- two hosts that differ: nobody can say which is wrong, and both say that"
crash c
crash d
dead() { is a members "sorted(m['state'] for m in o)" "['alive', 'alive', 'dead', 'dead']" && is b members "sorted(m['state'] for m in o)" "['alive', 'alive', 'dead', 'dead']"; }
eventually 30 dead
echo +2d >"$T/b.clock"
eventually 20 verdict_is b unsure
eventually 20 verdict_is a unsure
ask a status | grep -q 'warning *clocks differ from the one of this host, and no time has a majority: b is 4[78]h[0-9ms]* ahead' || fail "a does not say that it cannot say"
