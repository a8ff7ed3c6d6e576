# An operator at night: of five hosts one hears one packet in five, one has a wrong clock, one falls silent. `status`, `members`, the
# metrics and the log of any host say which, since when and what to do, and when it is over. (Two with one key: clones.sh.)
. tests/e2e/lib.sh
needs_namespaces
needs_faketime

hosts="n1 n2 n3 n4 n5"
make_bridge "br$$"
for h in $hosts; do bridged_host "$h" "${h#n}" "br$$"; done
mesh
echo "- n2 is started before its seeds: it says within seconds which they are"
host_agent n2 --seed 10.77.0.1,10.77.0.9 --listen 10.77.0.2:7400 --service cart=9001
eventually 5 grep -q 'warn .*not joined: no seed has answered yet (10.77.0.1, 10.77.0.9): ' "$T/n2/log"
ask n2 status | grep -q '^warning .*not joined: no seed has answered (10.77.0.1, 10.77.0.9): ' || fail "$(ask n2 status)"
host_agent n1 --listen 10.77.0.1:7400 --service store=9001
for h in n3 n4 n5; do host_agent "$h" --seed 10.77.0.1 --listen "10.77.0.${h#n}:7400" --service cart=9001; done
eventually 20 all_alive 5 $hosts
metric_of() { in_host "$1" curl -s http://127.0.0.1:7401/metrics | sed -n "s/^$2 //p"; }
metric() { metric_of n1 "$1"; }
warns() { ask n1 status | grep -q "^warning .*$1"; }
shows() { ask n1 members | grep -q "$1"; }
told() { grep -q "$1" "$T/n1/log"; }

echo "- by name, with how long and how long ago; self is this host"
[ "$(json n1 members '[m["name"] for m in o]')" = "['n1', 'n2', 'n3', 'n4', 'n5']" ] || fail "not sorted: $(ask n1 members)"
[ "$(json n4 members '[m["name"] for m in o if m["self"]]')" = "['n4']" ] || fail "who is this host?"
rows() {
    is n1 members 'all(m["since_ms"] < 60000 for m in o) and [m["name"] for m in o if m["heard_ms"] is None]' "['n1']" &&
        shows '^n1 *alive *[0-9]*s *self *' && shows '^n2 *alive *[0-9]*s *[0-9]s *10.77.0.2:7400 *-$'
}
eventually 10 rows || fail "$(ask n1 members)"

echo "- services by their names, with what keeps them from serving: no policy is there yet"
offered() { is n1 services '[(s["service"], s["node"], s["state"]) for s in o][3:]' "[('cart', 'n5', 'without a policy'), ('store', 'n1', 'without a policy')]"; }
eventually 10 offered || fail "$(ask n1 services)"

echo "- n4 loses four packets of five that are sent to it"
in_host n4 nft -f - <<'N'
table inet lossy {
    chain in { type filter hook input priority 0; iifname eth0 meta l4proto udp numgen random mod 100 < 80 drop; }
}
N
eventually 60 told 'warn .*member n4 (10.77.0.4:7400) is degraded: '
# It is suspect for moments: all of it at once is seen between them.
warned() { [ "$(metric starling_members_degraded)" = 1 ] && warns 'degraded, so used only where no other is left .*: n4 (10.77.0.4:7400) for [0-9]' && shows '^n4 *degraded ' && ask n1 status | grep -q '^members *5 alive (1 degraded), 0 suspect, 0 dead, 0 left$'; }
eventually 60 warned

echo "- n4 is started again, on a network that is well: that ends the mark, and is said"
crash n4
in_host n4 nft flush ruleset
host_agent n4 --seed 10.77.0.1 --listen 10.77.0.4:7400
well() { is n1 status 'o["members"]["degraded"], o["members"]["alive"]' '(0, 5)' && [ "$(metric starling_members_degraded)" = 0 ] && ! warns degraded; }
eventually 120 well
eventually 20 told 'info .*member n4 (10.77.0.4:7400) is no longer degraded: '

echo "- n5 is started again with a clock that is two hours ahead"
crash n5
with_clock +2h host_agent n5 --seed 10.77.0.1 --listen 10.77.0.5:7400
clock() { warns 'clocks that are wrong, to be set there: n5 is \(2h\|1h59m\)[0-9ms]* ahead' && shows '^n5 .*(clock \(2h\|1h59m\)[0-9ms]* ahead)'; }
eventually 60 clock

echo "- n3 falls silent"
in_host n3 nft -f - <<'N'
table inet cut {
    chain in { type filter hook input priority 0; iifname eth0 drop; }
    chain out { type filter hook output priority 0; oifname eth0 drop; }
}
N
is_dead() { is n1 members "[(m['state'], m['heard_ms'] - m['since_ms'] > 2000) for m in o if m['name'] == 'n3']" "[('dead', True)]"; }
eventually 30 is_dead
eventually 5 warns 'dead, so nothing is routed there .*: n3 (10.77.0.3:7400) for [0-9]*s$' || fail "$(ask n1 status)"

echo "- and says so of itself: once, and not that all the others have died"
cut_off() { ask n3 status | grep -q '^warning .*no other member answers, for [0-9ms]*: this host seems to be cut off' && [ "$(metric_of n3 starling_cut_off)" = 1 ]; }
eventually 30 cut_off || fail "$(ask n3 status)"
all_lost() { grep -q 'warn .*all 4 members that were alive are held dead now' "$T/n3/log"; }
eventually 60 all_lost
[ "$(grep -c 'no other member has been heard for [5-9]s: this host seems to be cut off' "$T/n3/log")" = 1 ] || fail "the log of n3 does not say it once"
[ "$(sed '1,/seems to be cut off/d' "$T/n3/log" | grep -c 'member n.*is dead')" = 0 ] || fail "n3 speaks of each death"
[ "$(metric_of n1 starling_cut_off)" = 0 ] || fail "n1 calls itself cut off"

echo "- no line is longer than 120 columns"
[ "$(ask n1 members | awk '{if (length > most) most = length} END {print most}')" -le 120 ] || fail "$(ask n1 members)"

echo "- it comes back"
in_host n3 nft flush ruleset
back() { all_alive 5 n1 && ! warns dead; }
eventually 60 back
[ "$(grep -c 'other members are heard again: this host was cut off for [0-9ms]*, and held 4 members dead meanwhile' "$T/n3/log")" = 1 ] || fail "n3 does not say that it is over"
[ "$(metric_of n3 starling_cut_off)" = 0 ] || fail "n3 still calls itself cut off"
