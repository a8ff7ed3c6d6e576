# Kept out: an agent of another mesh, an expired credential, a record altered by a member, a record signed by the wrong key, and a
# service that the credential does not allow, both asked for honestly and claimed by a hostile host.
. tests/e2e/lib.sh
needs_faketime

mesh
http_app 9001 app
agent a 7000
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 2 a b
metric() { curl -s "http://127.0.0.1:7001/metrics" | awk -v m="$1" '$1==m {print $2}'; }
rises() { [ "$(metric "$1")" -gt "$2" ]; }
only_two() { is a status 'sum(o["members"].values())' 2 && is b status 'sum(o["members"].values())' 2; }

echo "- an agent of another mesh, even with the same name and our seed"
"$starling" mesh init --name shop.example --dir "$T/ca2" >/dev/null
"$starling" token create --ca "$T/ca2" --service '*' --node '*' -o "$T/token2" >/dev/null
cp "$T/token" "$T/token1"
refused=$(metric starling_bulk_handshakes_failed_total)
cp "$T/token2" "$T/token"
agent stranger 7200 --seed 127.0.0.1:7000
eventually 10 rises starling_bulk_handshakes_failed_total "$refused"
only_two || fail "a stranger is a member"
is stranger status 'o["members"]["alive"]' 1 || fail "a stranger learned of members"
crash stranger

echo "- an expired credential: its host's clock is two hours slow, so it does not notice"
with_clock -2h "$starling" token create --ca "$T/ca" --service '*' --node '*' --ttl 24h --credential-life 1h -o "$T/token3" >/dev/null
refused=$(metric starling_bulk_handshakes_failed_total)
mkdir -p "$T/late"
with_clock -2h exec "$starling" agent --data "$T/late/data" --node late --token "$T/token3" --port-base 7300 --listen 127.0.0.1:7300 --seed 127.0.0.1:7000 >>"$T/late/log" 2>&1 &
late=$!
pids="$pids $late"
eventually 10 rises starling_bulk_handshakes_failed_total "$refused"
only_two || fail "an expired credential is a member"
end "$late"
if "$starling" agent --data "$T/late/data" --node late --port-base 7300 --listen 127.0.0.1:7300 >"$T/out" 2>&1; then fail "started with an expired credential"; fi
grep -q 'expired' "$T/out" || { cat "$T/out"; fail "unclear message"; }

echo "- a service that the token does not allow"
"$starling" token create --ca "$T/ca" --service cart --node 'r*' --force -o "$T/token" >/dev/null
mkdir -p "$T/r" "$T/q"
if "$starling" agent --data "$T/r/data" --node r --token "$T/token" --port-base 7400 --listen 127.0.0.1:7400 --service vault=9001 >"$T/out" 2>&1; then fail "a service was offered that the token does not allow"; fi
grep -q 'vault' "$T/out" || { cat "$T/out"; fail "unclear message"; }
if "$starling" agent --data "$T/q/data" --node q --token "$T/token" --port-base 7400 --listen 127.0.0.1:7400 >"$T/out" 2>&1; then fail "a node's name was taken that the token does not allow"; fi

echo "- a hostile member with a valid identity"
agent r 7400 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 3 a b
crash r
# Its links are cut when it is found dead; that must not fall between the rogue's words.
r_is() { is "$1" members '[m["state"] for m in o if m["name"]=="r"]' "['$2']"; }
eventually 30 r_is a dead
address_of_b=$(json a members '[m["address"] for m in o if m["name"]=="b"]')
services_before=$(json b services '[[s["service"],s["node"]] for s in o if s["node"]!="r"]')
for attack in altered replaced "service cart bank"; do
    refused=$(metric starling_gossip_records_refused_total)
    # shellcheck disable=SC2086
    "$B/tests/rogue" "$T/r/data" 127.0.0.1:7000 $attack >"$T/out" 2>&1 || { cat "$T/out"; fail "the rogue could not send ($attack)"; }
    eventually 5 rises starling_gossip_records_refused_total "$refused"
    [ "$(json a members '[m["address"] for m in o if m["name"]=="b"]')" = "$address_of_b" ] || fail "b's record was changed"
    if is a services 'any(s["service"]=="bank" for s in o)' True; then fail "a forbidden service is offered"; fi
done
[ "$(json b services '[[s["service"],s["node"]] for s in o if s["node"]!="r"]')" = "$services_before" ] || fail "services changed"
