# What a policy means, offline: `why` explains one request, with the place of each thing; `diff` tells what changes for whom, of files and bundles, and `sign --previous` shows it before a name is put to it.
. tests/e2e/lib.sh

cat >"$T/old.yaml" <<'P'
policy: v1
mesh: shop.example
version: 41
services:
  cart:
    protocol: http
    subsets: {v1: {version: "1"}, v2: {version: "2"}}
    routes:
      - {name: rest, to: [{subset: v1, weight: 95}, {subset: v2, weight: 5}]}
  orders: {protocol: http}
intentions:
  - {name: front, from: [web, mobile-bff], to: cart}
  - {name: no-admin, from: ["*"], except: [ops], to: cart, deny: [{paths: ["/admin/*"]}]}
  - {name: take, from: [cart], to: orders}
P
sed 's/version: 41/version: 42/; s/weight: 95/weight: 90/; s/weight: 5}/weight: 10}/; s,"/admin/\*","/admin/users/*",
     s/^services:/defaults: {timeouts: {request: 3s}}\nservices:/' "$T/old.yaml" >"$T/new.yaml"

# says STATUS COMMAND...: its output is in $T/out
says() {
    wanted=$1 status=0; shift
    "$starling" "$@" >"$T/out" 2>&1 || status=$?
    [ "$status" = "$wanted" ] || { cat "$T/out"; fail "$* ended with $status, not $wanted"; }
}
told() { grep -qF -- "$1" "$T/out" || { cat "$T/out"; fail "not told: $1"; }; }
untold() { if grep -qF -- "$1" "$T/out"; then cat "$T/out"; fail "told: $1"; fi; }
changes() {
    told 'version 41 -> 42'
    told '+ mobile-bff, web -> cart  any method /admin/*, not /admin/users/*  denied (rule no-admin) -> allowed (rule front)'
    told '= everybody except mobile-bff, ops, web -> cart'
    told '  cart: route rest v1 95 -> 90'
    told '  cart, orders: timeouts.request 15s -> 3s'
}

echo "- why"
says 0 policy why "$T/old.yaml" web cart POST /checkout
told 'decision   allow'
told "rule       front  ($T/old.yaml:12)"
told "route      rest  ($T/old.yaml:9)"
told 'subset     v1, weight 95, 95% (version=1)'
told 'request 15s'
told 'policy     version 41, not signed'
says 0 policy why "$T/new.yaml" web cart GET /admin/users/7 --json
python3 - "$T/out" "$T/new.yaml" <<'PY' || { cat "$T/out"; fail "why --json"; }
import json, sys
o, f = json.load(open(sys.argv[1])), sys.argv[2]
assert (o["decision"], o["rule"], o["said"]["rule"], o["status"]) == ("deny", "no-admin", f + ":14", 403)
assert o["settings"]["timeouts.request"] == {"value": "3s", "said": f + ":4"}
assert o["settings"]["timeouts.connect"] == {"value": "1s", "said": "default"}
assert (o["policy"]["version"], o["policy"]["hash"], o["policy"]["files"]) == (42, None, [f])
PY
says 0 policy why "$T/old.yaml" - nobody
told 'no service of this mesh is called nobody'
# Two files that are one policy.
sed '/^intentions/,$d' "$T/old.yaml" >"$T/head.yaml"
sed -n '/^intentions/,$p' "$T/old.yaml" >"$T/rules.yaml"
says 0 policy why "$T/head.yaml" "$T/rules.yaml" ops cart GET /admin/x
told "rule       unmatched  (default)"
says 0 policy why "$T/head.yaml" "$T/rules.yaml" web cart GET /x
told "rule       front  ($T/rules.yaml:2)"
says 2 policy why "$T/old.yaml" web
says 1 policy why "$T/none.yaml" web cart
says 1 policy why "$T/old.yaml" web cart GET /../x
told 'answered 400'

echo "- diff"
says 1 policy diff "$T/old.yaml" "$T/new.yaml"
changes
untold '- version: 41'
says 1 policy diff "$T/old.yaml" "$T/new.yaml" --text
told '- version: 41'
says 1 policy diff "$T/new.yaml" "$T/old.yaml"
told '- mobile-bff, web -> cart'
# Written otherwise, and the same.
sed 's/version: 41/version: 43/; s/\[web, mobile-bff\], to: cart/[mobile-bff, web], to: cart, allow: [{methods: [GET]}, {}]/' "$T/old.yaml" >"$T/same.yaml"
says 0 policy diff "$T/old.yaml" "$T/same.yaml"
told 'no difference'
says 2 policy diff "$T/old.yaml" "$T/none.yaml"
says 2 policy diff "$T/old.yaml"
says 1 policy diff "$T/old.yaml" "$T/new.yaml" --json
python3 - "$T/out" <<'PY' || { cat "$T/out"; fail "diff --json"; }
import json, sys
o = json.load(open(sys.argv[1]))
assert o["different"] and (o["before"]["version"], o["after"]["version"], o["after"]["hash"]) == (41, 42, None)
access = [d for d in o["differences"] if d["kind"] == "access"]
assert [(d["service"], d["callers"], d["methods"]) for d in access] == \
    [("cart", {"all_but": False, "names": ["mobile-bff", "web"]}, {"all_but": True, "names": []})]
assert access[0]["paths"] == [{"path": "/admin/*", "except": False}, {"path": "/admin/users/*", "except": True}]
assert access[0]["before"] == {"decision": "deny", "rule": "no-admin", "audited": False, "audit_rule": None}
assert [(d["key"], d["before"], d["after"]) for d in o["differences"] if d["kind"] == "weight"] == [("v1", "95", "90"), ("v2", "5", "10")]
PY

echo "- diff of bundles, and what a signer is shown"
"$starling" mesh init --name shop.example --dir "$T/ca" >/dev/null
says 0 policy sign "$T/old.yaml" --ca "$T/ca" -o "$T/old.bundle"
says 0 policy sign "$T/new.yaml" --ca "$T/ca" --previous "$T/old.bundle" -o "$T/new.bundle"
changes
untold '- version: 41'
says 1 policy diff "$T/old.bundle" "$T/new.bundle" --root "$T/ca/root.trust"
changes
says 0 policy why "$T/old.bundle" web cart --root "$T/ca/root.trust"
told 'policy     version 41, epoch 1,'
told 'signed     ed25519:'
says 1 policy why "$T/old.bundle" web cart
says 2 policy diff "$T/old.bundle" "$T/new.bundle"
told 'is a bundle; name the root of trust'
"$starling" mesh init --name shop.example --dir "$T/thief" >/dev/null
says 2 policy diff "$T/old.yaml" "$T/new.bundle" --ca "$T/thief"
