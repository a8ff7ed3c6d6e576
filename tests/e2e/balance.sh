# Who is chosen among instances: a slow one gets little, a key stays with its instance on every agent, the near zone is preferred, spills
# when some of it fail, and a service of `failover` stands in at last, for who may call it. What `why`, log and metrics say of it.
. tests/e2e/lib.sh

mesh
# app PORT NAME: answers NAME, after as many milliseconds as $T/delay-NAME says if there is one
cat >"$T/app.py" <<'PY'
import http.server, os, sys, time
class App(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, 65536
    def do_GET(self):
        if os.path.exists(sys.argv[3]): time.sleep(int(open(sys.argv[3]).read()) / 1000)
        text = (sys.argv[2] + " " + self.path + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128
Server(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
PY
app() {
    python3 "$T/app.py" "$@" "$T/delay-$2" &
    echo $! >"$T/app-$1"
    pids="$pids $!"
    eventually 10 curl -s -o /dev/null "http://127.0.0.1:$1/"
}
end_app() { end "$(cat "$T/app-$1")"; }

# in_zone NAME BASE ZONE REGION SERVICE PORT [FLAGS...]: an agent with an instance whose health is looked at often
in_zone() {
    local name=$1 base=$2
    cat >"$T/$name.yaml" <<Y
labels: {zone: $3, region: $4}
services:
  - {name: $5, port: $6, protocol: http, health: {tcp: true, interval: 200ms}}
Y
    shift 6
    agent "$name" "$base" --config "$T/$name.yaml" --seed 127.0.0.1:7000 "$@"
}
app 9001 b
app 9002 c
app 9003 d
app 9004 dr
echo 'labels: {zone: z1, region: r1}' >"$T/a.yaml"
agent a 7000 --config "$T/a.yaml" --caller web=7085 --caller batch=7086 --log debug
in_zone b 7100 z1 r1 cart 9001 --caller web=7185
in_zone c 7200 z1 r1 cart 9002
in_zone d 7300 z2 r1 cart 9003
in_zone e 7400 z9 r9 cart-dr 9004
eventually 15 all_alive 5 a b c d e

policy() { # VERSION, what is said of cart
    cat >"$T/policy-$1.yaml" <<P
policy: v1
mesh: shop.example
version: $1
defaults: {loadBalancer: {slowStart: 0s}, outlierDetection: {consecutive5xx: 0}}
services:
  cart: {protocol: http, $2}
  cart-dr: {protocol: http}
intentions:
  - {name: front, from: [web, batch], to: cart}
  - {name: dr, from: [web], to: cart-dr}
P
    publish a "$T/policy-$1.yaml"
    eventually 5 in_force "$1" a b c d e
}
healthy() { # so many instances of cart, as this agent (a if none is named) knows
    is "${2:-a}" services 'sum(s["service"] == "cart" and s["state"] == "healthy" for s in o)' "$1"
}
# answers COUNT PARALLEL PORT: "NAME COUNT" of who answered, in $T/who; all must be answered
answers() {
    curl -s --no-progress-meter -Z --parallel-max "$2" -H 'Host: cart' "http://127.0.0.1:$3/[1-$1]" >"$T/raw" || fail "requests"
    awk '{n[$1]++} END {for (k in n) print k, n[k]}' "$T/raw" | sort >"$T/who"
    [ "$(awk '{s += $2} END {print s}' "$T/who")" = "$1" ] || { cat "$T/who"; fail "not $1 answers"; }
}
got() { awk -v k="$1" '$1 == k {n = $2} END {print n + 0}' "$T/who"; }
between() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ] || { cat "$T/who"; fail "$4: $1, not $2 to $3"; }; }

# In turn all are asked alike. When d answers later than the others do even where they wait for a processor, it is asked seldom by latency;
# of the others the one that was late last may get as little as a third, where it is drawn together with d.
policy 1 'loadBalancer: {policy: roundRobin}, locality: {prefer: []}'
eventually 10 healthy 3
answers 300 4 7085
between "$(got d)" 90 110 "round robin"
echo 400 >"$T/delay-d"
policy 2 'loadBalancer: {policy: peakEwma}, locality: {prefer: []}'
answers 400 4 7085
between "$(got d)" 0 80 "the slow one, by latency"
between "$(got b)" 80 320 "a fast one"
rm "$T/delay-d"

# A user stays with an instance, whichever agent asks; b has an instance of its own.
policy 3 'loadBalancer: {policy: ringHash, key: {header: x-user}}, locality: {prefer: []}'
users() { # PORT FILE
    for u in $(seq 60); do
        [ "$u" = 1 ] || printf 'next\nfail\n'
        printf 'url = "http://127.0.0.1:%s/u%s"\nheader = "Host: cart"\nheader = "X-User: user-%s"\n' "$1" "$u" "$u"
    done >"$T/curl.conf"
    curl -sf -K "$T/curl.conf" | sort -k 2 >"$2" || fail "requests of users"
    [ "$(wc -l <"$2")" = 60 ] || fail "$(wc -l <"$2") answers"
}
eventually 10 healthy 3 b
users 7085 "$T/first"
users 7085 "$T/again"
users 7185 "$T/elsewhere"
cmp -s "$T/first" "$T/again" || fail "a user changed instances"
cmp -s "$T/first" "$T/elsewhere" || fail "another agent sends a user elsewhere"
[ "$(cut -d ' ' -f 1 "$T/first" | sort -u | wc -l)" = 3 ] || fail "not all instances have users"

# By default the caller's zone, as long as 70 % of it are well. Of two, one: 1.4 x 50 % stays, 30 % of the requests go to the next zone.
policy 4 'loadBalancer: {policy: random}, failover: [{service: cart-dr}]'
answers 200 8 7085
between "$(got d)" 0 0 "another zone, without need"
end_app 9002
eventually 10 healthy 2
answers 1000 8 7085
between "$(got d)" 213 387 "spill" # 300; six standard deviations are 87
between "$(got c)" 0 0 "an instance that is not healthy"
is a "why web cart GET /" '[(l["locality"], l["healthy"], l["instances"], round(l["percent"])) for l in o["targets"][0]["levels"]]' \
    "[('zone', 1, 2, 70), ('region', 1, 1, 30)]" || fail "why: levels"
ask a why web cart GET / | grep -q '^level  *same zone, 1 of 2 healthy, 70%' || fail "why in words"
end_app 9001
eventually 10 healthy 1
answers 100 8 7085
between "$(got d)" 100 100 "the next zone, when the near one is gone"

# Nobody of the service is well: its stand-in answers, but only who may call that one.
end_app 9003
eventually 10 healthy 0
answers 100 8 7085
between "$(got dr)" 100 100 "failover"
curl -s -i -H 'Host: cart' http://127.0.0.1:7086/ >"$T/denied"
grep -q '^HTTP/1.1 503' "$T/denied" || { cat "$T/denied"; fail "who may not call the stand-in"; }
stood_in() { curl -sf http://127.0.0.1:7001/metrics | sed -n 's/^starling_failover_requests_total{service="cart"} //p'; }
eventually 1 prints 100 stood_in || fail "metric of failover: $(stood_in)"
eventually 1 grep -q 'access: near web -> cart .* failover' "$T/a/log" || fail "no access line tells of failover"
is a "why web cart GET /" '[(s["service"], s["percent"]) for s in o["targets"][0]["standins"]]' "[('cart-dr', 100.0)]" || fail "why: stand-ins"
is a "why web cart GET /" '(o["status"], [(e["service"], e["node"]) for e in o["endpoints"]])' "(None, [('cart-dr', 'e')])" || fail "why: who answers"
ask a why web cart GET / >"$T/why"
grep -q '^endpoints  *e at .*, candidate of cart-dr' "$T/why" && ! grep -q ^answer "$T/why" || { cat "$T/why"; fail "why in words: who answers"; }
ask a why batch cart GET / >"$T/why" # as if there were none: a panic
grep -q 'panic: all are used' "$T/why" && ! grep -q 'of cart-dr' "$T/why" || { cat "$T/why"; fail "why: who may not call the stand-in"; }

# Without one, all are used, and it is said so once; until enough are well again.
policy 5 'loadBalancer: {policy: random}'
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: cart' http://127.0.0.1:7085/)" = 503 ] || fail "an answer of nobody"
panic_is() { curl -sf http://127.0.0.1:7001/metrics | grep -qF "starling_panic{service=\"cart\",subset=\"\"} $1"; }
eventually 5 panic_is 1
ask a status | grep -q '^warning .*panic, too few instances are healthy and all are used: cart$' || fail "status does not tell of the panic"
app 9001 b
app 9002 c
eventually 10 healthy 2
answers 50 4 7085
between "$(got d)" 0 0 "after the panic"
eventually 5 panic_is 0
[ "$(grep -c 'panic: 0 of 3 instances of cart are healthy' "$T/a/log")" = 1 ] || fail "the log tells of the panic not just once"
eventually 1 grep -q 'panic is over: 2 of 3' "$T/a/log" || fail "the log does not tell of its end"
