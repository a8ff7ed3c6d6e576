# The life of a host beyond crash and stop: a data folder that was lost, put back from a copy or copied to a second host, seeds that are all
# down at the start, a move to another address. ADVERSARY G10, G32, G33, S13.
. tests/e2e/lib.sh

mesh
agent a 7000
agent b 7100 --seed 127.0.0.1:7000
agent c 7200 --seed 127.0.0.1:7000
eventually 10 all_alive 3 a b c

of() { json a members "[m['$2'] for m in o if m['name']=='$1'][0]"; }
says() { [ "$(of "$1" "$2")" = "$3" ]; }
above() { [ "$(of "$1" incarnation)" -gt "$2" ]; }
gone() { ! kill -0 "$(pid_of "$1")" 2>/dev/null; }
stop() { ask "$1" leave >/dev/null; eventually 5 gone "$1"; }

numbers() { json "$1" members "' '.join(str(m['incarnation']) for m in sorted(o, key=lambda m: m['name']))"; }
leap=$(sed -n 's/.*GOSSIP_START_LEAP = \([0-9]*\).*/\1/p' gossip/gossip.h)

# Ends c, and leaves in $before what the others hold of it then. Its last word may still be on its way from one to the other (under a load
# that makes others look, it refutes, and takes the next number): so both must have said the same for a second.
quiet() {
    now="$(numbers a), $(numbers b)"
    [ "$now" = "$seen" ] || { seen=$now since=$(date +%s%N); }
    [ "${now%, *}" = "${now#*, }" ] && [ "$(date +%s%N)" -gt $((since + 1000000000)) ]
}
crash_and_see() {
    crash c
    seen=
    eventually 20 quiet || fail "the others do not agree on the number of c: $seen"
    seen=${seen%, *} before=${seen##* }
    heard=$(stale)
    : >"$T/c/log"
}
stale() { for port in 7001 7101; do curl -s "http://127.0.0.1:$port/metrics" | sed -n 's/^starling_gossip_records_stale_total //p'; done | tr '\n' ' '; }

# c has asked before it spoke: $before was told to it, while its folder held a number from $1 to $2, and it goes on a start's leap above.
asked_first() { # LEAST MOST WHAT-WAS-WRONG
    eventually 10 above c "$before" || fail "c does not go on above $before"
    said=$(sed -n 's/.*remembers incarnation \([0-9]*\) of this host, the data folder only \([0-9]*\): it \(was lost\|is an old copy\).*/\1 \2 \3/p' "$T/c/log")
    read -r told held wrong <<<"$said"
    [ "$told $wrong" = "$before $3" ] || fail "told '$said', where $before was held and it $3"
    [ "$held" -ge "$1" ] && [ "$held" -le "$2" ] || fail "the folder is said to hold $held, not $1 to $2"
    [ "$(of c incarnation)" -ge $((before + leap)) ] || fail "it goes on at $(of c incarnation), not $leap above $before"
    if grep -q 'signed two records' "$T/a/log" "$T/b/log"; then fail "it spoke before it had asked"; fi
    eventually 10 all_alive 3 a b c || fail "c is not back"
}

# Restarts raise the number; a copy of the data folder is taken in between, and put back: what it holds was used long ago.
id=$(of c id)
crash_and_see
cp -r "$T/c/data" "$T/copy"
copied=$before
for i in 1 2 3; do
    agent c 7200 --seed 127.0.0.1:7000
    eventually 10 above c "$before" # it hears before it speaks
    eventually 10 all_alive 3 a b c
    crash_and_see
done
rm -rf "$T/c/data"
cp -r "$T/copy" "$T/c/data"
rm -f "$T/c/data/agent.sock"
agent c 7200 --seed 127.0.0.1:7000
asked_first "$copied" $((before - 1)) "is an old copy" # a folder is a block of numbers ahead of what is used

# The state is lost, the keys are not: the number is learnt back before the first word, and so nothing is heard under an old one. Where
# one is, and somebody refuted meanwhile, it may be the older of two new records that came last: then the state is lost once more.
learns_back() {
    crash_and_see
    rm -f "$T/c/data/state.mdb" "$T/c/data/state.mdb-lock"
    agent c 7200 --seed 127.0.0.1:7000
    asked_first 0 0 "was lost"
    says c id "$id" || fail "another identity"
    after=$(stale)
    [ "$after" != "$heard" ] || return 0
    [ "$(numbers a)" = "${seen% *} $((before + leap))" ] || return 1
    fail "records under old numbers were heard: $after, before $heard"
}
tries=1
until learns_back; do
    tries=$((tries + 1))
    [ "$tries" -le 5 ] || fail "in each of five lives old records were heard"
done

# Another address, the same keys.
stop c
agent c 7300 --seed 127.0.0.1:7000
eventually 10 says c address 127.0.0.1:7300
says c id "$id" || fail "another identity"
eventually 10 all_alive 3 a b c

# All seeds are down at the start: it runs, says so, serves its own, and joins when one comes up.
stop c
crash a
crash b
: >"$T/c/log"
rm -f "$T/c/data/state.mdb" "$T/c/data/state.mdb-lock"
agent c 7300 --seed 127.0.0.1:7000 --seed 127.0.0.1:7100
eventually 5 is c status 'o["members"]["alive"]' 1
is c status 'o["joined"]' False || fail "joined to nobody"
agent b 7100
eventually 40 all_alive 2 b c
is c status 'o["joined"]' True || fail "not joined"
# A seed on loopback is not dialled from elsewhere, and the log says so and what to do.
agent far 7800 --advertise 10.9.9.9:7800 --seed 127.0.0.1:7000
eventually 5 grep -q 'the seed 127.0.0.1:7000 is on loopback, and is not dialled, as this agent is at 10.9.9.9:7800: give agents' "$T/far/log"
eventually 15 is far status 'any("seeds on loopback need --listen on loopback" in w for w in o["warnings"])' True
crash far
