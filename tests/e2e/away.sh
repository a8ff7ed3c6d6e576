# Clocks that are wrong, and a host that was away for a year (libfaketime; monotonic time is left alone). Time decides expiry only: gossip goes
# on whatever a wall clock says, and who is kept out for it is told which clock to look at. ADVERSARY N11, N29, S13.
. tests/e2e/lib.sh

needs_faketime
mesh
"$starling" token create --ca "$T/ca" --service '*' --node '*' --ttl 7d --credential-life 30d --force -o "$T/token" >/dev/null
for n in a b c; do agent "$n" $((7000 + 100 * $(printf %d "'$n") - 9700)) --seed 127.0.0.1:7000 --seed 127.0.0.1:7100; done
eventually 15 all_alive 3 a b c
state_is() { is "$1" members "[m['state'] for m in o if m['name']=='$2']" "['$3']"; }
deaths() { curl -s "http://127.0.0.1:$1/metrics" | sed -n 's/^starling_gossip_deaths_total //p'; }

echo "- a day fast: a member like any other, seen and seeing"
crash b
eventually 30 state_is a b dead
with_clock +1d agent b 7100 --seed 127.0.0.1:7000
eventually 15 all_alive 3 a b c
before=$(deaths 7001)
crash c
eventually 30 state_is a c dead
eventually 30 state_is b c dead
agent c 7200 --seed 127.0.0.1:7100
eventually 15 all_alive 3 a b c
[ "$(deaths 7001)" = $((before + 1)) ] || fail "another than c was taken for dead"
[ "$(deaths 7101)" = 1 ] || fail "b took another than c for dead"

echo "- right again: nobody holds its time against it"
crash b
agent b 7100 --seed 127.0.0.1:7000
eventually 15 all_alive 3 a b c

# refused OFFSET WORDS: b does not start, and says so
refused() {
    crash b
    eventually 30 state_is a b dead
    : >"$T/b/log"
    with_clock "$1" agent b 7100 --seed 127.0.0.1:7000
    eventually 10 grep -q "$2" "$T/b/log"
    state_is a b dead || fail "b is $(json a members "[m['state'] for m in o if m['name']=='b']") at a"
}
echo "- a day slow, before its credential began"
refused -1d "credential begins in the future: the clock of this host, at [0-9TZ:-]*, is slow"
echo "- a year later"
refused +365d "credential has expired, by the clock of this host, at [0-9TZ:-]*: set it right if it is wrong, else start with --token"

echo "- what its store says after a year raises nobody: who is gone stays gone, and it is back with a new token"
crash c
eventually 30 state_is a c dead
with_clock +365d "$starling" token create --ca "$T/ca" --service '*' --node '*' --ttl 7d --credential-life 30d --force -o "$T/later" >/dev/null
: >"$T/b/log"
with_clock +365d agent b 7100 --seed 127.0.0.1:7000 --token "$T/later"
running() { is b status 'o["state"]' running; }
eventually 15 running
raised() { grep -q "member [ac] .* is alive" "$T/b/log"; }
alone() { is b members "[m['name'] for m in o if m['state'] in ('alive', 'degraded')]" "['b']"; }
eventually 30 alone
raised && fail "a member of last year was raised"
state_is a c dead || fail "c was raised at a"
