# Every command with --json is JSON with the fields that docs/commands.md promises; exit statuses are 0, 1 and 2 as it says; nothing
# that is typed is silently left out of account.
. tests/e2e/lib.sh

mesh
http_app 9001 app
cat >"$T/a.yaml" <<'Y'
callers: [{service: web, entry: 127.0.0.1:7085}]
Y
# a speaks for web alone
"$starling" token create --ca "$T/ca" --service web --node a -o "$T/token-a" >/dev/null
cp "$T/token" "$T/token-all"
cp "$T/token-a" "$T/token"
agent a 7000 --config "$T/a.yaml"
eventually 10 test -e "$T/a/data/identity.key"
cp "$T/token-all" "$T/token"
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001,version=1
eventually 10 all_alive 2 a b
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services:
  cart:
    protocol: http
    subsets: {v1: {version: "1"}, v2: {version: "2"}}
    routes:
      - {name: beta, match: [{headers: {x-beta: {exact: "1"}}}], to: [{subset: v2}]}
      - {name: rest, match: [{query: {q: {exact: "1"}}}, {path: {prefix: /items}}], to: [{subset: v1}]}
  open: {protocol: http, unmatched: audit}
  db: {protocol: tcp}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: jobs, from: [batch], to: cart}
  - {name: no-items, from: [web], to: cart, mode: audit, deny: [{methods: [POST], paths: ["/items/*"]}]}
  - {name: store, from: [web], to: db}
tests:
  - {from: web, to: cart, request: GET /items, expect: allow, subset: v1}
P

# has FIELDS PYTHON COMMAND...: its --json has these fields (of its first element, if it is a list), and the expression on `o` holds
has() {
    fields=$1 holds=$2; shift 2
    "$starling" "$@" --json >"$T/out" 2>"$T/err" || { cat "$T/err"; fail "$* --json"; }
    python3 - "$T/out" "$fields" "$holds" <<'PY' || { cat "$T/out"; fail "$* --json"; }
import json, sys
o = json.load(open(sys.argv[1]))
first = o[0] if isinstance(o, list) else o
assert set(sys.argv[2].split()) <= set(first), set(sys.argv[2].split()) - set(first)
assert eval(sys.argv[3]), sys.argv[3]
PY
}
# ends STATUS WORDS COMMAND...
ends() {
    wanted=$1 words=$2 status=0; shift 2
    "$starling" "$@" >"$T/out" 2>&1 || status=$?
    [ "$status" = "$wanted" ] || { cat "$T/out"; fail "$* ended with $status, not $wanted"; }
    grep -q -- "$words" "$T/out" || { cat "$T/out"; fail "$* did not say: $words"; }
}
at_a="--data $T/a/data"

echo "- offline"
has 'mesh dir keys root_hash root_sha256 sealed' 'set(o["keys"]) == {"root", "policy", "enrol"} and o["sealed"] is False' mesh init --name x.example --dir "$T/x"
has 'file mesh key node services labels expires credential_seconds' 'o["services"] == ["cart"] and o["credential_seconds"] == 3600' \
    token create --ca "$T/x" --service cart --node c --credential-life 1h -o "$T/x.token"
has 'file good mesh version services tests failed features errors warnings complaints' 'o[0]["good"] and o[0]["services"] == 3 and o[0]["errors"] == 0 and o[0]["features"] == []' policy check "$T/p.yaml"
has 'file good mesh version services tests failed features errors warnings complaints' 'o[0]["tests"] == 1 and o[0]["failed"] == 0' policy test "$T/p.yaml"
printf 'tests: [{from: nobody, to: cart, expect: deny, request: GET /items}]\n' >"$T/more.yaml"
has 'file good mesh version services tests failed' 'o[0]["tests"] == 2 and o[0]["failed"] == 0' policy test "$T/p.yaml" --tests "$T/more.yaml"
printf 'services: {}\n' >>"$T/more.yaml"
ends 1 'more.yaml:2:1: .services. in a file of tests' policy test "$T/p.yaml" --tests "$T/more.yaml"
"$starling" policy schema | python3 -c 'import json, sys; assert "services" in json.load(sys.stdin)["properties"]' || fail "policy schema"
printf 'policy:  v1 # schema\nmesh: x.example\nversion: 1\n' >"$T/fmt.yaml"
ends 1 "$T/fmt.yaml" policy fmt --check "$T/fmt.yaml"
ends 0 'policy: v1  # schema' policy fmt "$T/fmt.yaml"
ends 0 "$T/fmt.yaml" policy fmt --write "$T/fmt.yaml"
"$starling" policy fmt --check "$T/fmt.yaml" || fail "formatted, and still not as it should be"
ends 1 'root.trust:' policy fmt "$T/ca/root.trust"
ends 1 'none.yaml: .*No such file' policy check "$T/none.yaml"
ends 1 'no signed bundle' policy verify "$T/p.yaml" --root "$T/ca/root.trust"
"$starling" policy check "$T/none.yaml" --json >"$T/out" && fail "policy check of no file"
python3 -c 'import json, sys; assert "No such file" in json.load(sys.stdin)[0]["complaints"][0]["message"]' <"$T/out" || fail "policy check of no file --json"
has 'file mesh epoch version expires hash signers' 'len(o["hash"]) == 64 and len(o["signers"]) == 1' policy sign "$T/p.yaml" --ca "$T/ca" -o "$T/p.bundle"
has 'file mesh epoch version expires hash signers' 'o["version"] == 1 and o["expires"] == 0' policy verify "$T/p.bundle" --root "$T/ca/root.trust"

printf 'overlay: v1\nmesh: shop.example\nname: night\nversion: 1\nreason: the cart is stuck\nends: %s\nintentions: [{name: in, from: [batch], to: cart}]\n' "$(date -u -d '+3600 seconds' +%Y-%m-%dT%H:%M:%SZ)" >"$T/night.yaml"
signed='file mesh name epoch version reason begins ends rules phase hash signers signers_wanted complete'
has "$signed" '(o["name"], o["version"], o["rules"], o["phase"], o["complete"], o["signers_wanted"]) == ("night", 1, 1, "on", True, 1)' overlay sign "$T/night.yaml" --ca "$T/ca" -o "$T/night.overlay"
has "$signed" '0 < o["ends"] - o["begins"] <= 3600 and len(o["hash"]) == 64 and o["signers"][0].startswith("ed25519:")' overlay verify "$T/night.overlay" --root "$T/ca/root.trust"

echo "- at an agent"
# shellcheck disable=SC2086
{
    why='decision rule audited audit_rule status flag reason service route subset endpoints targets timeouts under_way match said settings sticky rewrite mirror request_headers response_headers fault rate_limits failover features lacking policy'
    has "$why" '(o["decision"], o["rule"], o["status"], o["policy"]["version"]) == ("deny", "no-policy", 403, 0)' why web cart $at_a
    has 'published differences' '"version 1" in o["published"] and any(d["kind"] == "access" and d["service"] == "cart" for d in o["differences"])' policy publish "$T/p.bundle" $at_a
    has 'epoch version hash signers text' 'o["text"] == open("'"$T/p.yaml"'").read()' policy show $at_a
    eventually 5 in_force 1 a b
    eventually 5 all_healthy 1 a
    has 'mesh node id version state joined policy members credential_expires warnings' \
        'set(o["members"]) == {"alive", "degraded", "suspect", "dead", "left"} and set(o["policy"]) == {"epoch", "version", "hash"} and [w for w in o["warnings"] if "degraded" not in w] == []' status $at_a
    has 'id name address state incarnation labels policy' 'len(o) == 2 and o[0]["id"].startswith("ed25519:") and o[0]["incarnation"] >= 1' members $at_a
    has 'service node address port protocol state labels' 'o[0]["port"] == 9001 and o[0]["labels"] == {"version": "1"}' services $at_a
    has "$why" 'o["route"] == "rest" and o["subset"] == ["v1"] and [e["node"] for e in o["endpoints"]] == ["b"] and not o["audited"]' why web cart GET /items/7 $at_a
    has "$why" 'o["route"] == "rest"' why web cart GET '/?q=1' $at_a
    has "$why" 'o["route"] == "beta" and o["endpoints"] == []' why web cart GET / -H 'X-Beta: 1' $at_a
    has "$why" '(o["decision"], o["rule"], o["audited"], o["audit_rule"]) == ("allow", "front", True, "no-items")' why web cart POST /items/7 $at_a
    has "$why" '(o["decision"], o["rule"], o["audited"]) == ("allow", "unmatched", True)' why web open $at_a
    has "$why" '(o["decision"], o["rule"], o["route"]) == ("allow", "store", "default")' why web db $at_a
    has "$why" '(o["decision"], o["rule"], o["status"], o["flag"]) == ("deny", None, 404, "NR")' why web nobody $at_a
    has "$why" '(o["decision"], o["rule"], o["route"], o["status"]) == ("deny", "unmatched", None, 404)' why - cart $at_a
    has "$why" '(o["decision"], o["rule"], o["status"]) == ("deny", "identity", 403)' why batch cart GET /items/7 $at_a
    has "$why" '(o["match"], o["said"]["rule"], o["settings"]["timeouts.request"]) == ("{path: {prefix: /items}}", "policy:14", {"value": "15s", "said": "default"}) and len(o["policy"]["signers"]) == 1' \
        why web cart GET /items/7 $at_a
    # It says what a client is told.
    for asked in cart cart.shop.example cart.mesh:80 nobody open; do
        for path in / /items/7; do
            "$starling" why web "$asked" GET "$path" --json $at_a >"$T/out" || fail "why web $asked $path"
            curl -s -o /dev/null -D "$T/head" -H "Host: $asked" "http://127.0.0.1:7085$path"
            python3 - "$T/out" "$T/head" <<'PY' || { cat "$T/out" "$T/head"; fail "why web $asked GET $path says something else than the agent"; }
import json, sys
o, head = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
told = dict(l.lower().split(': ', 1) for l in head.splitlines()[1:] if ': ' in l)
assert (o["status"] or 200) == int(head.split()[1])
assert o["status"] is None or o["reason"].lower() == told["x-starling-reason"]
assert o["status"] != 403 or o["rule"] == told["x-starling-rule"]
PY
        done
    done
    ends 0 'answer     404 NR, no route of cart matches' why web cart GET / $at_a
    ends 0 'there never was an overlay' overlay show $at_a
    "$starling" overlay show --json $at_a | grep -qx null || fail "overlay show --json of none"
    ends 1 'has never held an overlay' overlay show -o "$T/none.overlay" $at_a
    has 'published' '"overlay night is in force here until" in o["published"]' overlay publish "$T/night.overlay" $at_a
    shown='epoch version name reason begins ends rules signers'
    has "$shown phase in_force text signed" 'o["in_force"] and o["phase"] == "on" and o["text"] == open("'"$T/night.yaml"'").read() and bytes.fromhex(o["signed"]) == open("'"$T/night.overlay"'", "rb").read()' overlay show $at_a
    has "$shown since over_at over" 'len(o) == 1 and o[0]["since"] >= o[0]["begins"] - 1 and o[0]["over"] is None and o[0]["over_at"] is None' overlay history $at_a
    has "$signed" '(o["version"], o["rules"], o["phase"]) == (2, 0, "ends the one before")' overlay end "$T/night.overlay" --ca "$T/ca" --reason 'it flows' -o "$T/end.overlay"
    has 'published' '"is ended here" in o["published"]' overlay publish "$T/end.overlay" $at_a
    has "$shown phase in_force" '(o["phase"], o["in_force"], o["reason"]) == ("ended", False, "it flows") and "why" not in o' overlay show $at_a
    has "$shown since over_at over" '[(e["version"], e["over"]) for e in o] == [(2, "ended"), (1, "ended")] and o[1]["over_at"] >= o[1]["since"]' overlay history $at_a
    ends 1 'db is a tcp service: it has connections' why web db GET /x $at_a
    ends 0 'allow (without audit: deny)' why web cart POST /items/7 $at_a
    ends 1 'answered 400' why web cart GET /../x $at_a
    ends 2 'is not NAME: VALUE' why web cart GET / -H x-beta $at_a
    ends 2 'SERVICE' why web $at_a
    has 'reloaded' '"read again" in o["reloaded"]' reload $at_a
    echo 'foo: 1' >>"$T/a.yaml"
    ends 1 'a.yaml:2:1: unknown key' reload --json $at_a
    ends 1 'cannot open' policy publish "$T/none.bundle" $at_a
    STARLING_DATA=$T/b/data "$starling" status --json >"$T/out" || fail "STARLING_DATA"
    end "$(cat "$T/b/pid")"
    eventually 20 sh -c '"$1" status --json --data "$2" | grep -q "no other member answers: do UDP and TCP 7000 pass"' - "$starling" "$T/a/data"
    ends 0 'no living instance carries the labels' why web cart GET / -H 'X-Beta: 1' $at_a
    has 'left' '"stopped" in o["left"]' leave $at_a
    ends 1 'no agent runs' leave --json $at_a
    ends 1 'no agent runs' status --json $at_a
}

echo "- usage"
ends 2 'there is no command' tap
ends 2 'try: starling policy --help' policy frmt
ends 2 '--colour' status --colour
# Every command has --help, and is in the help of what is above it, in README's table and in docs/commands.md.
help_of() { "$starling" "$@" --help | sed -n 's/^  \([a-z]*\)  *.*/\1/p'; }
for c in $(help_of); do
    ends 0 'usage: starling' "$c" --help
    grep -q "^| .*\`\(starling \)\?$c[ \`]" README.md || fail "README's table has no $c"
done
for group in mesh policy overlay; do
    "$starling" --help | grep "^  $group " >"$T/line"
    for v in $(help_of $group); do
        ends 0 'usage: starling' $group "$v" --help
        grep -q "[ ,;]$v\b" "$T/line" || fail "starling --help does not tell of $group $v"
        grep -q "^| .*\`\(starling \)\?$group $v\b" README.md || fail "README's table has no $group $v"
        grep -q "\`$group $v\b" docs/commands.md || fail "docs/commands.md has no $group $v"
    done
done
for c in 'mesh key new' 'mesh key show' 'mesh key passphrase' 'token create' 'enrol request' 'enrol sign'; do
    # shellcheck disable=SC2086
    ends 0 "usage: starling $c" $c --help
    grep -q "^| .*\`\(starling \)\?$c[ \`]" README.md || fail "README's table has no $c"
    grep -q "\`$c\`" docs/commands.md || fail "docs/commands.md has no $c"
done
