# Between agents nothing is in the clear: a capture of all their packets, TCP and UDP, holds no byte of names, paths, bodies or policy.
. tests/e2e/lib.sh
needs_users

mesh
http_app 9001 marker-body-7f3a
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {marker-cart: {protocol: http}}
intentions: [{name: marker-rule-91c2, from: [marker-caller-a1e6], to: marker-cart}]
P
tcpdump -i lo --immediate-mode -U -w "$T/capture" 'port 7000 or port 7100' 2>"$T/tcpdump.log" &
capture=$!
pids="$pids $capture"
listening() { grep -q 'listening on' "$T/tcpdump.log"; }
eventually 5 listening
agent a 7000 --caller marker-caller-a1e6=7085
agent b 7100 --seed 127.0.0.1:7000 --service marker-cart=9001,kind=marker-label-55d0
eventually 10 all_alive 2 a b
publish a "$T/p.yaml"
eventually 5 in_force 1 a b
for i in 1 2 3 4 5 6 7 8; do
    curl -sf -H 'Host: marker-cart' -H 'x-note: marker-header-02be' "http://127.0.0.1:7085/marker-path-c4d8" | grep -q marker-body-7f3a || fail "no answer"
done
captured() { [ "$(tcpdump -r "$T/capture" 2>/dev/null | wc -l)" -gt 60 ]; }
eventually 5 captured
kill -INT "$capture"; wait "$capture" || true
packets=$(tcpdump -r "$T/capture" 2>/dev/null | wc -l)
[ "$packets" -gt 40 ] || fail "only $packets packets were seen"
tcpdump -r "$T/capture" 'udp' 2>/dev/null | grep -q . || fail "no gossip was seen"
# No word is so short that encrypted bytes could hold it by chance: one of three letters is in one of 800 such captures.
for word in marker shop.example HTTP/1 policy version spiffe; do
    if grep -qa "$word" "$T/capture"; then fail "the capture holds \"$word\""; fi
done
