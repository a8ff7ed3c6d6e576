# Break-glass by a delegation: the root names a team for it. Two of the team open what is the team's to open, and nothing else; policy keys
# do not, any more; it signs no part of the policy; and what it opened falls with the root that named it (B13, B17). Each decision is in
# the audit log, however much else is under audit there.
. tests/e2e/lib.sh

quiet() { "$@" >"$T/out" 2>&1 || { cat "$T/out"; fail "$*"; }; }
refused() { words=$1; shift; if "$@" >"$T/out" 2>&1; then cat "$T/out"; fail "not refused: $*"; fi; grep -q -- "$words" "$T/out" || { cat "$T/out"; fail "wrong words: $*"; }; }
phase_is() { want=$1; shift; for n in "$@"; do is "$n" status 'o["overlay"] and "%d:%s" % (o["overlay"]["version"], o["overlay"]["phase"])' "$want" || return 1; done; }
root_is() { e=$1; shift; for n in "$@"; do is "$n" status 'o["root"]["epoch"]' "$e" || return 1; done; }
code_is() { [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' -H "Host: $2" http://127.0.0.1:7085/)" = "$1" ]; }

mesh
http_app 9001 app
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service db=9001 --service open=9001
eventually 10 all_alive 2 a b
cat >"$T/shop.yaml" <<'Y'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}, db: {protocol: http}, open: {protocol: http, unmatched: audit}}
Y
publish a "$T/shop.yaml"
eventually 5 in_force 1 a b
eventually 5 code_is 200 open
code_is 403 cart || fail "cart is open before anything"

for n in 1 2; do
    mkdir "$T/t$n"
    quiet "$starling" mesh key new --role policy -o "$T/t$n/policy.key"
    cp "$T/out" "$T/t$n/pub"
done
quiet "$starling" mesh rotate --ca "$T/ca" --delegate break-glass='cart,cart-*' --add break-glass="$T/t1/pub" --add break-glass="$T/t2/pub" -o "$T/root-2"
quiet ask b mesh publish "$T/root-2"
eventually 10 root_is 2 a b
for d in ca t1 t2; do cp "$T/root-2" "$T/$d/root.trust"; done

overlay() { # VERSION SERVICE
    printf 'overlay: v1\nmesh: shop.example\nname: night\nversion: %s\nreason: the cart is stuck\nends: %s\nintentions: [{name: in, from: [web], to: %s}]\n' \
        "$1" "$(date -u -d '+3600 seconds' +%Y-%m-%dT%H:%M:%SZ)" "$2" >"$T/night.yaml"
}
overlay 1 cart
refused 'not among those that may break glass' "$starling" overlay sign "$T/night.yaml" --ca "$T/ca" -o "$T/x.overlay"
printf 'policy: v1\nmesh: shop.example\npart: break-glass\nversion: 1\nservices: {cart-x: {protocol: http}}\n' >"$T/part.yaml"
refused 'delegates no such part: .break-glass. is the name of those who sign overlays (.starling overlay sign.)' "$starling" policy sign "$T/part.yaml" --ca "$T/t1" --part break-glass -o "$T/x.bundle"
overlay 1 db
refused 'night.yaml:7:.*db' "$starling" overlay sign "$T/night.yaml" --ca "$T/t1" -o "$T/x.overlay"

overlay 1 cart
quiet "$starling" overlay sign "$T/night.yaml" --ca "$T/t1" -o "$T/night.overlay"
refused 'not signed by enough keys' ask a overlay publish "$T/night.overlay"
refused 'not among those that may break glass' "$starling" overlay sign "$T/night.overlay" --ca "$T/ca"
quiet "$starling" overlay sign "$T/night.overlay" --ca "$T/t2"
quiet ask a overlay publish "$T/night.overlay"
eventually 10 phase_is 1:on a b
eventually 5 code_is 200 cart
code_is 403 db || fail "db was opened, too"

# Sixty requests under audit, and one by the overlay, over one connection, so in one worker: that one is logged.
curl -s -o /dev/null -H 'Host: open' 'http://127.0.0.1:7085/[1-60]' --next -s -o /dev/null -X POST -H 'Host: cart' http://127.0.0.1:7085/
by_overlay() { [ "$(grep -c 'audit: near web -> cart by overlay: allow, rule overlay:night/in' "$T/a/log")" -ge "$1" ]; }
grep -q 'audit: near web -> open was allowed; without audit, rule unmatched' "$T/a/log" || fail "nothing was under audit"
opened() { opened=$(curl -s http://127.0.0.1:7001/metrics | sed -n 's/^starling_overlay_requests_total{service="cart",role="near",rule="overlay:night\/in",decision="allow"} //p') && [ "$opened" -ge 2 ]; }
eventually 1 opened || fail "counted: $opened"
eventually 5 by_overlay "$opened"

# The next root does not name the team.
quiet "$starling" mesh rotate --ca "$T/ca" --undelegate break-glass -o "$T/root-3"
quiet ask a mesh publish "$T/root-3"
eventually 10 phase_is 1:fell a b
eventually 5 code_is 403 cart
refused 'is held already\|does not vouch' ask b overlay publish "$T/night.overlay"
