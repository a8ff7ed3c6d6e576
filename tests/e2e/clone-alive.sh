# A host is copied while it runs, as a virtual machine is, and the copy started elsewhere (ADVERSARY G33): both are told within seconds, the one
# with the lower address goes on, and when the copy is stopped nothing is said in the other's name.
. tests/e2e/lib.sh

mesh
agent a 7000
agent b 7100 --seed 127.0.0.1:7000
agent c 7200 --seed 127.0.0.1:7000
eventually 10 all_alive 3 a b c
mkdir -p "$T/twin"
kill -STOP "$(pid_of c)" # all of it as it is at one moment
cp -r "$T/c/data" "$T/twin/data"
kill -CONT "$(pid_of c)"
rm -f "$T/twin/data/agent.sock"
"$starling" agent --data "$T/twin/data" --node c --port-base 7300 --listen 127.0.0.1:7300 --seed 127.0.0.1:7000 >>"$T/twin/log" 2>&1 &
twin=$!
pids="$pids $twin"
alarmed() { grep -q 'another agent runs with the key of this host' "$T/$1/log"; }
eventually 30 alarmed c
eventually 60 alarmed twin
of() { json "$1" members "[m['$2'] for m in o if m['name']=='c'][0]"; }
settled() { for n in a b; do [ "$(of $n address)" = 127.0.0.1:7200 ] && [ "$(of $n state)" = alive ] || return 1; done; all_alive 3 c; }
# Each goes above the other once or twice; then the copy yields.
yielded() { "$starling" status --data "$T/twin/data" | grep -q silent; }
eventually 90 yielded
eventually 90 settled

# The others say that there are two, whether they have the proof (quarantine) or only see it jump; and the silent one takes no load.
in_turn() { grep -q 'member c (ed25519:.*) answers at 127.0.0.1:7[23]00 and at 127.0.0.1:7[23]00 in turn: two agents run with its key' "$T/a/log"; }
noticed() { in_turn || grep -q 'member c (ed25519:.*) signed two records with one number' "$T/a/log"; }
eventually 10 noticed
warned() { ask a status | grep -q '^warning .*two agents run with one key.*: c (127.0.0.1:7[23]00)' && [ "$(curl -s http://127.0.0.1:7001/metrics | awk '/^starling_members_(doubled|quarantined) / {n += $2} END {print (n >= 1)}')" = 1 ]; }
! in_turn || eventually 10 warned || fail "$(ask a status)"
curl -s http://127.0.0.1:7301/readyz | grep -q '^doubled: ' || fail "the silent copy says that it is ready"
[ "$(curl -s http://127.0.0.1:7301/metrics | sed -n 's/^starling_self_doubled //p')" = 1 ] || fail "the copy does not count itself"
# A busy machine may doubt c for a moment: it says that it lives under the next number.
lasting() { for n in a b; do [ "$(of $n address)" = 127.0.0.1:7200 ] && [ "$(of $n state)" != dead ] || return 1; done; }
doubts() { for port in 7001 7101; do curl -s "http://127.0.0.1:$port/metrics" | sed -n 's/^starling_gossip_suspicions_total //p'; done | awk '{n += $1} END {print n}'; }
# No answer to a doubt is on its way when both are read.
steady() { before=$(of a incarnation) doubted=$(doubts) && settled && [ "$(of a incarnation) $(of b incarnation) $(doubts)" = "$before $before $doubted" ]; }
eventually 10 steady
kill -TERM "$twin"
wait "$twin" || true
end=$(($(date +%s) + 5 * slower))
while [ "$(date +%s)" -lt "$end" ]; do lasting || fail "it does not last: $(of a address) $(of a state)"; done
[ "$(of a incarnation)" -le $((before + $(doubts) - doubted)) ] || fail "the numbers go on rising: $before, $(of a incarnation)"
