# An agent is killed with -9 under load and brought back: its instances leave the balance, errors end as soon as it is suspected, and
# it serves again after the restart, with the same identity and a higher incarnation.
. tests/e2e/lib.sh

mesh
http_app 9001 one
http_app 9002 two
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
defaults: {loadBalancer: {policy: roundRobin, slowStart: 0s}} # both are asked, however late one of them once was
services: {cart: {protocol: http}}
intentions: [{name: front, from: [web], to: cart}]
P
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
agent c 7200 --seed 127.0.0.1:7000 --service cart=9002
eventually 10 all_alive 3 a b c
publish a "$T/p.yaml"
eventually 5 in_force 1 a b c

state_of() { json a members "[m['state'] for m in o if m['name']=='$1'][0]"; }
incarnation_of() { json a members "[m['incarnation'] for m in o if m['name']=='$1'][0]"; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }
id_of() { json a members "[m['id'] for m in o if m['name']=='$1'][0]"; }
answers() { curl -s -H 'Host: cart' http://127.0.0.1:7085/ | cut -d' ' -f1; }
both_serve() { seen=$(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do answers; done | sort -u | tr '\n' ' '); [ "$seen" = "one two " ]; }
eventually 5 both_serve
before=$(incarnation_of c); id=$(id_of c)

# Load in the background while c dies: 32 at a time, 6,000 requests.
curl -s --no-progress-meter -Z --parallel-max 32 --rate 40000/m -H 'Host: cart' -w '%{http_code}\n' -o /dev/null "http://127.0.0.1:7085/[1-6000]" >"$T/codes" 2>"$T/curl.log" &
load=$!
some_done() { [ "$(wc -l <"$T/codes")" -gt 500 ]; }
eventually 20 some_done
crash c
wait "$load"
total=$(wc -l <"$T/codes"); bad=$(grep -vc '^200$' "$T/codes" || true)
[ "$total" = 6000 ] || fail "$total answers to 6000 requests"
# Only what was in flight towards c at the moment of its death may fail: at most the 32 under way.
[ "$bad" -le 32 ] || { sort "$T/codes" | uniq -c; fail "$bad of $total requests failed"; }

eventually 20 is_state c dead
is a services 'sorted(s["node"] for s in o)' "['b']" || fail "a dead agent's services are still offered"
for i in 1 2 3 4 5 6 7 8 9 10; do [ "$(answers)" = one ] || fail "an answer from the dead"; done

agent c 7200
eventually 15 is_state c alive
risen() { [ "$(incarnation_of c)" -gt "$before" ]; } # known a moment after it was heard, at the latest
eventually 5 risen || fail "the incarnation did not rise"
[ "$(id_of c)" = "$id" ] || fail "the identity changed"
kill -TERM "$(pid_of c)"
agent_gone() { ! kill -0 "$(pid_of c)" 2>/dev/null; }
eventually 10 agent_gone
agent c 7200 --service cart=9002
eventually 15 both_serve
