# Who speaks for whom: by the user id that owns the calling socket; and a host does not start that would speak for a service which its
# credential does not name. (That the far end refuses such a claim, too, is tests/unit/worker_pair.c's matter.)
. tests/e2e/lib.sh
user=$(awk -F: '$1=="nobody" {print $3}' /etc/passwd)
needs_users

mesh
http_app 9001 app
"$starling" token create --ca "$T/ca" --service batch --node 'a' -o "$T/token-a" >/dev/null
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}, vault: {protocol: http}}
intentions:
  - {name: batch, from: [batch], to: cart}
  - {name: web, from: [web], to: vault}
P
cp "$T/token" "$T/token-all"
cp "$T/token-a" "$T/token"
# This host may speak for batch only: an entry for web is refused at the start, by name.
mkdir -p "$T/a"
if "$starling" agent --data "$T/a/data" --node a --port-base 7000 --listen 127.0.0.1:7000 --token "$T/token" --caller web=7085 >"$T/out" 2>&1; then
    fail "a host started that would speak for a service its credential does not name"
fi
grep -q '"web"' "$T/out" || { cat "$T/out"; fail "unclear message"; }
agent a 7000 --caller batch=uid:nobody
eventually 10 test -e "$T/a/data/identity.key" # it has read its token
cp "$T/token-all" "$T/token"
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001 --service vault=9001
eventually 10 all_alive 2 a b
publish b "$T/p.yaml"
eventually 5 in_force 1 a b
code() { "$@" curl -s -o /dev/null -w '%{http_code}' -H "Host: $host" "http://127.0.0.1:$port/"; }
as_nobody() { setpriv --reuid "$user" --clear-groups "$@"; }
host=cart port=7080
code_is() { want=$1; shift; [ "$(code "$@")" = "$want" ]; }
eventually 5 code_is 200 as_nobody
code_is 403 env || fail "root is not batch"
host=vault
code_is 403 as_nobody || fail "batch is not web"
