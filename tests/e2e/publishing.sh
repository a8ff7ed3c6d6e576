# Publishing as operators see it: who has which version, from any member; history, and an old text as the next version; a fork of one
# version, told by all until the next; a version seen expired; a kill between the store and the answer (ADVERSARY B5, B8, B9, B12, B22).
. tests/e2e/lib.sh

mesh
agent a 7000
agent b 7100 --seed 127.0.0.1:7000
agent c 7200 --seed 127.0.0.1:7000
eventually 10 all_alive 3 a b c

policy() { # VERSION CALLER [HEAD-LINE]
    cat >"$T/v$1.yaml" <<P
# as reviewers read it
policy: v1
mesh: shop.example
version: $1   # the number
${3:-}
services: {cart: {protocol: http}}
intentions:
  - {name: front, from: [$2], to: cart}
P
}
sign() { "$starling" policy sign "$1" --ca "$T/ca" --lower --force -o "$2" >/dev/null; }

# Before there is one, and who waits for it waits no longer than he said.
ask a policy status | grep -q '^no policy is in force here: 3 members$' || fail "no policy, otherwise"
if ask a policy status --wait 1s --summary >/dev/null; then fail "complete without a policy"; fi

# Published at b: c's answer to a pipeline that waits is the end of it.
policy 1 web
sign "$T/v1.yaml" "$T/v1.bundle"
ask b policy publish "$T/v1.bundle" >/dev/null
ask c policy status --wait 10s --version 1 --summary >"$T/out" || { cat "$T/out"; fail "not everywhere"; }
grep -qx 'version 1: 3 of 3 members' "$T/out" || { cat "$T/out"; fail "wrong summary"; }

# Each version is in the history of each agent, and its text to the byte.
for v in 2 3; do policy $v "web-$v"; sign "$T/v$v.yaml" "$T/v$v.bundle"; ask a policy publish "$T/v$v.bundle" >/dev/null; done
ask a policy status --wait 10s --version 3 --summary >/dev/null || fail "version 3 is not everywhere"
is b "policy history" '[(e["version"], e["in_force"], e.get("added"), e.get("removed")) for e in o]' \
    "[(3, True, 2, 2), (2, False, 2, 2), (1, False, None, None)]" || { ask b policy history; fail "history"; }
is b "policy history" 'all(e["since"] and len(e["signers"]) == 1 and len(e["hash"]) == 64 for e in o)' True || fail "history's fields"
ask b policy show --version 2 | grep -v '^# [vs][ei]' | diff - "$T/v2.yaml" || fail "not the text of version 2"
if ask b policy show --version 9 >"$T/out" 2>&1; then fail "shows what never was"; fi
grep -q 'policy history' "$T/out" || fail "does not say where to look"

# Back to the text of 1: from an agent's history to be signed, and from bundles signed at once; the same text, and the next number.
ask c policy rollback --to 1 -o "$T/back.yaml" | grep -q 'version 4, to be signed' || fail "rollback"
sed 's/^version: 1 /version: 4 /' "$T/v1.yaml" | diff - "$T/back.yaml" || fail "rollback changed more than the number"
"$starling" policy rollback --from "$T/v1.bundle" --current "$T/v3.bundle" --ca "$T/ca" -o "$T/v4.bundle" >"$T/out" || { cat "$T/out"; fail "offline"; }
grep -q '^- .*web-3' "$T/out" || { cat "$T/out"; fail "does not show what changes"; }
"$starling" policy verify "$T/v4.bundle" --ca "$T/ca" --text | diff - "$T/back.yaml" || fail "offline, another text"
if ask a policy publish "$T/v1.bundle" >/dev/null 2>&1; then fail "a lower number (B5)"; fi
ask a policy publish "$T/v4.bundle" >/dev/null
[ "$(ask a policy publish "$T/v4.bundle")" = "version 4 is in force already: nothing changes" ] || fail "published twice"
ask b policy status --wait 10s --version 4 --summary >/dev/null || fail "the old text is not everywhere"

# A feature that agents lack: any member tells who does not follow and why. The publisher's agent is told first.
sed 's/^version: 3 /version: 5 /; s/protocol: http/protocol: http, rateLimits: [{scope: mesh, rate: 100\/s}]/' "$T/v3.yaml" >"$T/v5.yaml"
sign "$T/v5.yaml" "$T/v5.bundle"
if ask a policy publish "$T/v5.bundle" >/dev/null 2>&1; then fail "taken without its features"; fi
told() { is "$1" "policy status" 'next(m["failed"]["reason"] + " " + m["failed"]["words"] + " " + str(m["failed"]["version"]) for m in o["members"] if m["name"] == "a")' "feature rate-limit-mesh 5"; }
for n in a b c; do eventually 5 told $n || fail "$n does not tell what a lacks"; done
ask a policy status | grep -qx 'version 5: 0 of 3 members, 2 stale, 1 failed (needs rate-limit-mesh)' || { ask a policy status; fail "summary of a failure"; }
ask b policy status | grep -q '^a .* version 5 needs rate-limit-mesh' || fail "b's line about a"
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:7001/healthz)" = 503 ] || fail "healthz is content"

# Two bundles of version 6, at two agents, before either has heard of the other (B12).
policy 6 left; sign "$T/v6.yaml" "$T/left.bundle"
policy 6 right; sign "$T/v6.yaml" "$T/right.bundle"
kill -STOP "$(pid_of a)"
ask b policy publish "$T/left.bundle" >/dev/null
eventually 5 in_force 6 c
kill -CONT "$(pid_of a)"
ask c policy publish "$T/right.bundle" >/dev/null 2>&1 || true
low=$(for f in left right; do "$starling" policy verify "$T/$f.bundle" --ca "$T/ca" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["hash"])'; done | sort | head -n 1)
settled() { for n in a b c; do is $n status 'o["policy"]["hash"]' "$low" || return 1; done; }
eventually 10 settled || fail "the agents do not settle on the lower hash"
is c status 'any("two signed policies carry version 6" in w for w in o["warnings"])' True || fail "c does not warn"
curl -s http://127.0.0.1:7201/healthz | grep -q 'two signed policies' || fail "healthz"
curl -s http://127.0.0.1:7201/metrics | grep -qx 'starling_policy_forked 1' || fail "metric"
alarmed() { ask "$1" policy status | grep -q '^ALARM: .* two signed policies of one version'; }
for n in a b c; do eventually 5 alarmed $n || fail "$n does not show the alarm"; done

# The alarm outlives c; the next version ends it everywhere.
crash c
agent c 7200
eventually 10 all_alive 3 a b c
is c status 'any("two signed policies carry version 6" in w for w in o["warnings"])' True || fail "the alarm was forgotten"
policy 7 web "expires: $(date -u -d '+6 seconds' +%Y-%m-%dT%H:%M:%SZ)"
sign "$T/v7.yaml" "$T/v7.bundle"
ask b policy publish "$T/v7.bundle" >/dev/null
ask a policy status --wait 10s --version 7 >"$T/out" || { cat "$T/out"; fail "version 7 is not everywhere"; }
for n in a b c; do
    eventually 5 is $n "policy status" 'sum("failed" in m for m in o["members"])' 0 || fail "$n still tells of trouble"
done
curl -s http://127.0.0.1:7201/metrics | grep -qx 'starling_policy_forked 0' || fail "metric after"

# Its end passes: enforced and said.
expired() { is "$1" status 'any("has expired; it stays enforced" in w for w in o["warnings"])' True; }
eventually 10 expired b || fail "b does not see the end"
ask b policy status --summary | grep -q '^ALARM: it has expired; it stays enforced' || { ask b policy status; fail "policy status does not say that it has expired"; }
in_force 7 a b c || fail "an expired policy is not enforced"

# Killed again and again while a version is being stored: what was in force, or the new one, whole; never lower (B22).
v=8
for round in 1 2 3 4; do
    policy $v "web-$v"; sign "$T/v$v.yaml" "$T/v$v.bundle"
    ask c policy publish "$T/v$v.bundle" >/dev/null 2>&1 &
    crash c
    wait $! || true
    agent c 7200
    eventually 10 is c status 'o["policy"]["version"] >= 7' True || fail "c came back without a policy"
    have=$(json c status 'o["policy"]["version"]')
    [ "$have" -ge $((v - 1)) ] || fail "version $have after version $((v - 1))"
    ask c policy show | grep -q "web-$have\|web\]" || fail "half a policy"
    ask c policy publish "$T/v$v.bundle" >/dev/null 2>&1 || true
    eventually 10 in_force $v a b c || fail "version $v does not get through"
    v=$((v + 1))
done

# What was signed although a test fails, and although it drops a revocation: any member tells the reasons, in words and in JSON.
policy $v web "revoke: [{key: $("$starling" mesh key new --role policy -o "$T/lost.key"), reason: lost in a train, at: $(date -u +%Y-%m-%d)T00:00:00Z}]"
sign "$T/v$v.yaml" "$T/revoking.bundle"
ask a policy publish "$T/revoking.bundle" >/dev/null
v=$((v + 1))
policy $v web
echo 'tests: [{from: ops, to: cart, request: GET /, expect: allow}]' >>"$T/v$v.yaml"
if sign "$T/v$v.yaml" "$T/v$v.bundle" 2>/dev/null; then fail "signed with a failing test"; fi
"$starling" policy sign "$T/v$v.yaml" --ca "$T/ca" --previous "$T/revoking.bundle" --lower --force --failing-because 'ticket 17' \
    --drop-revocations 'it was found' -o "$T/v$v.bundle" >"$T/out" 2>&1 || { cat "$T/out"; fail "not signed for reasons"; }
ask c policy publish "$T/v$v.bundle" >/dev/null
ask a policy status --wait 10s --version $v --summary >"$T/out" || { cat "$T/out"; fail "version $v is not everywhere"; }
reasons='signed though its tests fail: ticket 17
signed, revocations dropped: it was found'
[ "$(sed 1d "$T/out")" = "$reasons" ] || { cat "$T/out"; fail "status does not tell the reasons"; }
[ "$(ask b policy history | sed -n '3,4s/^ *//p')" = "$reasons" ] || { ask b policy history; fail "history does not tell the reasons"; }
is b "policy status" '(o["forced"], o["dropped"])' "('ticket 17', 'it was found')" || fail "the reasons as JSON"

# One that is gone: shown with the last that it had, and nobody waits for it.
crash c
lost() { is a "policy status" '[(m["state"], m["member"], m["version"]) for m in o["members"] if m["name"] == "c"]' "[('unreachable', 'dead', $v)]"; }
eventually 20 lost || { ask a policy status; fail "a does not show who is gone"; }
was=$v; v=$((v + 1))
policy $v web; sign "$T/v$v.yaml" "$T/v$v.bundle"
ask a policy publish "$T/v$v.bundle" >/dev/null
ask b policy status --wait 10s --version $v >"$T/out" || { cat "$T/out"; fail "waits for who is gone"; }
grep -q "^c  *unreachable  *dead  *$was " "$T/out" || { cat "$T/out"; fail "the last version of c"; }
