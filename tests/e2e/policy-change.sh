# A policy that changes under load (P33): versions 2 to 9 are published while requests run. Each request is judged by exactly one version:
# it is answered by the application or refused by a rule, nothing else; a refusal names a rule and the version that holds it; and what
# begins after a version is in force everywhere is judged by no older one.
. tests/e2e/lib.sh

mesh
http_app 9001 app
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 2 a b

# Odd versions allow, even ones deny by a rule that carries their number.
policy() {
    cat >"$T/v$1.yaml" <<P
policy: v1
mesh: shop.example
version: $1
services: {cart: {protocol: http}}
intentions:
  - {name: front, from: [web], to: cart}
P
    [ $(($1 % 2)) = 1 ] || echo "  - {name: closed-$1, from: [web], to: cart, deny: [{}]}" >>"$T/v$1.yaml"
}
policy 1
publish b "$T/v1.yaml"
eventually 5 in_force 1 a b

# 10,000 requests and more, over connections that are kept; each line: status, rule, version. The load ends when told to. It leaves a file
# verdicts.V when it is first refused by version V, and verdicts.None when it is first let in.
cat >"$T/load.py" <<'PY'
import http.client, os, sys, threading
stop, out, least = sys.argv[1], sys.argv[2], 10000
lock, lines, seen = threading.Lock(), [], set()
def run():
    c = http.client.HTTPConnection("127.0.0.1", 7085, timeout=20)
    while len(lines) < least or not os.path.exists(stop):
        c.request("GET", "/x", headers={"Host": "cart"})
        r = c.getresponse()
        r.read()
        version = r.getheader('x-starling-policy')
        line = f"{r.status} {r.getheader('x-starling-rule')} {version}"
        with lock:
            lines.append(line)
            if version not in seen:
                seen.add(version)
                open(f"{out}.{version}", "w").close()
threads = [threading.Thread(target=run) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
open(out, "w").write("\n".join(lines) + "\n")
PY
python3 "$T/load.py" "$T/stop" "$T/verdicts" 2>"$T/load.log" &
load=$!
pids="$pids $load"
eventually 10 test -e "$T/verdicts.None"

verdict() { curl -s -o /dev/null -D - -H 'Host: cart' http://127.0.0.1:7085/x | tr -d '\r' | awk '/^HTTP/ {s = $2} /^x-starling-rule/ {r = $2} /^x-starling-policy/ {p = $2} END {print s, r, p}'; }
for v in 2 3 4 5 6 7 8 9; do
    policy $v
    publish b "$T/v$v.yaml"
    eventually 5 in_force $v a b
    if [ $((v % 2)) = 1 ]; then want='200  '; else want="403 closed-$v $v"; fi
    for i in 1 2 3 4 5; do
        got=$(verdict)
        [ "$got" = "$want" ] || fail "after version $v was in force everywhere: $got"
    done
    [ $((v % 2)) = 1 ] || eventually 5 test -e "$T/verdicts.$v"
done
touch "$T/stop"
wait "$load" || { cat "$T/load.log"; fail "the load ended badly"; }

[ "$(wc -l <"$T/verdicts")" -ge 10000 ] || fail "only $(wc -l <"$T/verdicts") requests"
sort "$T/verdicts" | uniq -c >"$T/kinds"
# Nothing but answers, and refusals whose rule is the one of the version they name.
awk '!($2 == 200 && $3 == "None" && $4 == "None") && !($2 == 403 && $3 == "closed-" $4 && $4 % 2 == 0) {bad = 1} END {exit bad}' "$T/kinds" ||
    { cat "$T/kinds"; fail "a request was judged by something else"; }
for v in 2 4 6 8; do
    grep -q " 403 closed-$v $v\$" "$T/kinds" || { cat "$T/kinds"; fail "no request was refused by version $v"; }
done
