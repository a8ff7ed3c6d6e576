# Two agents run with one identity, from a copied data folder (ADVERSARY G33): both are told, the one with the lower address goes on, the
# other's services are not routed to, and nothing alternates.
. tests/e2e/lib.sh

mesh
http_app 9001 right
http_app 9002 wrong
cart_policy
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000
agent c 7200 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 3 a b c
publish a "$T/p.yaml"
eventually 5 in_force 1 a b c
answer() { curl -s -m 10 -H 'Host: cart' http://127.0.0.1:7085/ | cut -d' ' -f1; }
right() { [ "$(answer)" = right ]; }
eventually 5 right

mkdir -p "$T/twin"
crash c
cp -r "$T/c/data" "$T/twin/data"
rm -f "$T/twin/data/agent.sock"
# Both ask what the mesh remembers of them before either has spoken: so they begin with one number, and all who hear of it have the proof.
agent c 7200 --seed 127.0.0.1:7000 --service cart=9001
"$starling" agent --data "$T/twin/data" --node c --port-base 7300 --listen 127.0.0.1:7300 --seed 127.0.0.1:7000 --service cart=9002 >>"$T/twin/log" 2>&1 &
pids="$pids $!"

# G7, G15: whoever has the proof routes nothing to it, says so, and counts it.
shunned() {
    for n in a b; do
        json $n members '[m for m in o if m["name"]=="c" and "two records" in m["quarantined"]][0]["name"]' >/dev/null 2>&1 || return 1
    done
    curl -s http://127.0.0.1:7001/metrics | grep -q '^starling_members_quarantined 1$'
}
eventually 20 shunned
"$starling" members --data "$T/a/data" | grep -q 'quarantined: two agents run with its key' || fail "the table of members does not show it"
[ "$(grep -c 'signed two records with one number' "$T/a/log")" = 1 ] || fail "a did not say it once"

alarmed() { grep -q 'another agent runs with the key of this host' "$T/$1/log"; }
eventually 60 alarmed c
doubled() { ask c status | grep -q '^warning .*another agent runs with the key of this host, at 127.0.0.1:7300 (heard of [0-9]*s ago)'; }
eventually 10 doubled || { ask c status; fail "the status of c is silent"; }
eventually 60 alarmed twin
of() { json "$1" members "[m['$2'] for m in o if m['name']=='c'][0]"; }
settled() { for n in a b; do [ "$(of $n address)" = 127.0.0.1:7200 ] && [ "$(of $n state)" = alive ] || return 1; done; right; }
eventually 90 settled
eventually 5 grep -q 'out of quarantine' "$T/a/log" || fail "a does not say that the quarantine has ended"
# A busy machine may doubt c for a moment: it says that it lives under the next number.
lasting() { for n in a b; do [ "$(of $n address)" = 127.0.0.1:7200 ] && [ "$(of $n state)" != dead ] || return 1; done; right; }
doubts() { for port in 7001 7101; do curl -s "http://127.0.0.1:$port/metrics" | sed -n 's/^starling_gossip_suspicions_total //p'; done | awk '{n += $1} END {print n}'; }
# No answer to a doubt is on its way when both are read.
steady() { before=$(of a incarnation) doubted=$(doubts) && settled && [ "$(of a incarnation) $(of b incarnation) $(doubts)" = "$before $before $doubted" ]; }
eventually 10 steady
end=$(($(date +%s) + 8 * slower))
while [ "$(date +%s)" -lt "$end" ]; do
    lasting || fail "it alternates: $(of a address) $(of a state), answer: $(answer)"
done
for n in a b; do [ "$(of $n incarnation)" -le $((before + $(doubts) - doubted)) ] || fail "the numbers go on rising: $before, $(of a incarnation)"; done
is a services '[s["port"] for s in o]' '[9001]' || fail "the twin's service is offered"
