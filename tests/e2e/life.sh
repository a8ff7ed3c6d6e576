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

# Restarts raise the number; a copy of the data folder is taken in between, and put back: what it holds was used long ago.
cp -r "$T/c/data" "$T/copy"
id=$(of c id)
for i in 1 2 3; do
    crash c
    agent c 7200 --seed 127.0.0.1:7000
    eventually 10 all_alive 3 a b c
done
before=$(of c incarnation)
crash c
rm -rf "$T/c/data"
cp -r "$T/copy" "$T/c/data"
rm -f "$T/c/data/agent.sock"
: >"$T/c/log"
agent c 7200 --seed 127.0.0.1:7000
eventually 10 above c "$before"
# Between the question and the crash it may have refuted, under a load that makes others look.
grep -q "remembers incarnation [0-9]* of this host.*old copy" "$T/c/log" || fail "the old copy is not told of"
grep -q 'signed two records' "$T/a/log" "$T/b/log" && fail "it spoke before it had asked"
eventually 10 all_alive 3 a b c

# The state is lost, the keys are not: the number is learnt back before the first word.
before=$(of c incarnation)
crash c
rm -f "$T/c/data/state.mdb" "$T/c/data/state.mdb-lock"
: >"$T/c/log"
agent c 7200 --seed 127.0.0.1:7000
eventually 10 above c "$before"
grep -q "remembers incarnation [0-9]* of this host, the data folder only 0: it was lost" "$T/c/log" || fail "the loss is not told of"
says c id "$id" || fail "another identity"
grep -q 'signed two records' "$T/a/log" "$T/b/log" && fail "it spoke before it had asked"
eventually 10 all_alive 3 a b c

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
