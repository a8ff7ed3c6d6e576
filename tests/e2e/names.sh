# A node name belongs to the key that holds it while that lives (ADVERSARY G14): a second host of the same name is told of, on both sides, and not
# routed to. A host that was installed anew, with another key under its old name, gets the name when its old self has died.
. tests/e2e/lib.sh

mesh
http_app 9001 first
http_app 9002 second
cart_policy
agent a 7000 --caller web=7085
agent c 7200 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 2 a c
publish a "$T/p.yaml"
eventually 5 in_force 1 a c
answers() { curl -s -m 10 -H 'Host: cart' http://127.0.0.1:7085/ | cut -d' ' -f1; }
first() { [ "$(answers)" = first ]; }
second() { [ "$(answers)" = second ]; }
eventually 5 first

# Another host takes the name. Credentials tell their age in seconds, and of two hosts that come together the older one has the name.
held=$(date +%s)
a_second_later() { [ "$(date +%s)" -gt "$held" ]; }
eventually 5 a_second_later
mkdir -p "$T/thief"
"$starling" agent --data "$T/thief/data" --token "$T/token" --node c --port-base 7300 --listen 127.0.0.1:7300 --seed 127.0.0.1:7000 --service cart=9002 >>"$T/thief/log" 2>&1 &
thief=$!
pids="$pids $thief"
eventually 10 all_alive 3 a c
eventually 10 grep -q 'nothing is routed to this host' "$T/thief/log"
eventually 10 grep -q 'the name c is claimed by a second key, at 127.0.0.1:7300; it stays with the one at 127.0.0.1:7200' "$T/c/log"
eventually 10 grep -q 'the name c is claimed by a second key, at 127.0.0.1:7300' "$T/a/log"
for i in 1 2 3 4 5 6 7 8; do first || fail "a request went to the second holder of a name"; done
ask a status | grep -q '^warning .*without their name, .*: c (127.0.0.1:7300)$' || fail "$(ask a status)"
"$starling" status --data "$T/thief/data" | grep -q '^warning .*another living member, at 127.0.0.1:7200, holds the name of this host' || fail "the status of the second says nothing"
[ "$(curl -s http://127.0.0.1:7001/metrics | sed -n 's/^starling_members_nameless //p')" = 1 ] || fail "the second is not counted"
is a services '[(s["port"], s["state"]) for s in o if s["state"] == "name taken"]' "[(9002, 'name taken')]" || fail "$(ask a services)"
is a members '[m["address"] for m in o if "conflict" in m]' "['127.0.0.1:7300']" || fail "members does not show the conflict"
end "$thief"

# The disk of c is replaced: it enrols anew, with another key, under its name and at its address.
old=$(json a members "[m['id'] for m in o if m['address']=='127.0.0.1:7200'][0]")
crash c
rm -rf "$T/c"
agent c 7200 --seed 127.0.0.1:7000 --service cart=9002
eventually 25 second
holds() { is a members '[m["address"] for m in o if m["name"]=="c" and m["state"]=="alive" and "conflict" not in m]' "['127.0.0.1:7200']"; }
eventually 5 holds
[ "$(json a members "[m['id'] for m in o if m['address']=='127.0.0.1:7200' and m['state']=='alive'][0]")" != "$old" ] || fail "the old key lives"
