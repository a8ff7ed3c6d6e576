# What the end-to-end tests share. Sourced by each; a test runs in namespaces of its own (tests/run-e2e.sh) or plainly by hand.
# Nothing here sleeps and hopes: `eventually` waits for a condition, with a bound.
set -eu
: "${B:=build}"
B=$(realpath "$B")
starling=$B/starling
T=$(mktemp -d /tmp/starling-e2e.XXXXXX)
pids= made_hosts= made_bridges=

# Evaluates what tests ask of JSON, for as long as the test runs: a start of it for each look would cost more than all else of the look. A
# question is NUL-ended EXPRESSION and TEXT; the answer a digit (0: well) and the value, or the error, NUL-ended. One asks at a time.
mkfifo "$T/questions" "$T/answers" "$T/nothing"
python3 -S -c '
import json, os, sys
asked, told = (open(os.open(f, os.O_RDWR), mode, buffering=0) for f, mode in ((sys.argv[1], "rb"), (sys.argv[2], "wb")))
rest = b""
while True:
    while rest.count(b"\0") < 2:
        rest += asked.read(65536)
    question, text, rest = rest.split(b"\0", 2)
    try:
        answer = b"0%b" % str(eval(question, {"json": json, "sys": sys, "o": json.loads(text)})).encode()
    except Exception as e:
        answer = b"1%b: %b" % (type(e).__name__.encode(), str(e).encode())
    told.write(answer.replace(b"\0", b"?") + b"\0")
' "$T/questions" "$T/answers" &
evaluates=$!

# Under a sanitizer (SANITIZED, set by the Makefile) all is slower and larger; every report goes to a file, whichever process makes it, and
# fails the test. Agents stay dumpable: the leak check at their end traces them.
slower=1 larger=1
if [ -n "${SANITIZED:-}" ]; then
    slower=4 larger=8
    mkdir "$T/reports"
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:log_path=$T/reports/asan" UBSAN_OPTIONS="${UBSAN_OPTIONS:-}:log_path=$T/reports/ubsan"
    export TSAN_OPTIONS="${TSAN_OPTIONS:-}:log_path=$T/reports/tsan" STARLING_CORE=1
fi

# Ends a process that was started here, at once, and says nothing about it.
end() { { kill -9 "$1" && wait "$1"; } 2>/dev/null || true; }

# Lets what still runs end by itself, as leaks are looked for then, and prints what was reported.
collect_reports() {
    for p in $pids; do kill -TERM "$p" 2>/dev/null || true; done
    eventually 10 none_left $pids || true
    for report in "$T"/reports/*; do
        if [ -s "$report" ]; then cat "$report"; status=1; fi
    done
}
none_left() { for p in "$@"; do ! kill -0 "$p" || return 1; done; }

finish() {
    status=${1:-$?}
    trap - EXIT
    [ -z "${SANITIZED:-}" ] || collect_reports
    for p in $pids $evaluates; do end "$p"; done
    for h in $made_hosts; do ip netns del "star-$$-$h" 2>/dev/null || true; done
    for b in $made_bridges; do ip link del "$b" 2>/dev/null || true; done
    if [ "$status" != 0 ]; then
        for log in "$T"/*/log "$T"/*.log; do
            [ -s "$log" ] && { echo "--- $log"; tail -n 40 "$log"; }
        done
    fi
    rm -rf "$T"
    exit "$status"
}
trap finish EXIT

fail() { echo "failed: $*" >&2; exit 1; }

# For a test that mounts or makes hosts: it is skipped where it would do so to the system itself.
needs_namespaces() { [ -n "${ALONE:-}" ] || { echo "needs namespaces of its own"; exit 77; }; }

# For a test in which a program runs as another user (tcpdump does so of itself): an unprivileged user's namespace has but one.
needs_users() { setpriv --reuid 65534 --clear-groups true 2>/dev/null || { echo "needs root"; exit 77; }; }

# eventually SECONDS COMMAND...: until the command succeeds. SECONDS are what the product may take, by its own times; a busy machine has
# ten more, to start programs, sync files and run what waits for a processor. A look that begins after all that decides.
eventually() { until_true $((($1 + 10) * slower)) "${@:2}"; }
# within SECONDS COMMAND...: where the seconds are promised
within() { until_true $(($1 * slower)) "${@:2}"; }
until_true() {
    local bound=$1 late=; shift
    local end=$((${EPOCHREALTIME/[.,]/} + bound * 1000000))
    until "$@" >/dev/null 2>&1; do
        [ -z "$late" ] || { echo "not within $bound s: $*" >&2; "$@" >&2 || true; return 1; }
        [ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || late=1
        read -rt 0.05 <>"$T/nothing" || true
    done
}
# prints WORDS COMMAND...: the command's output is just that. What is counted or logged of a request is so when it has ended, a moment
# after its client has the answer: `eventually 1 prints 1 metric ...`.
prints() { [ "$("${@:2}")" = "$1" ]; }

# A mesh with a token that allows every service: $T/ca, $T/token
mesh() {
    "$starling" mesh init --name "${1:-shop.example}" --dir "$T/ca" >/dev/null
    "$starling" token create --ca "$T/ca" --service '*' --node '*' -o "$T/token" >/dev/null
}

# agent NAME PORT-BASE [FLAGS...]: data in $T/NAME, pid in $pid; listens on 127.0.0.1 unless --listen is given, and is enrolled by
# $T/token at its first start unless --token is given.
agent() {
    name=$1 base=$2; shift 2
    mkdir -p "$T/$name"
    case " $* " in *" --listen "*) ;; *) set -- "$@" --listen "127.0.0.1:$base" ;; esac
    case " $* " in *" --token "*) ;; *) [ -e "$T/$name/data/identity.key" ] || set -- --token "$T/token" "$@" ;; esac
    "$starling" agent --data "$T/$name/data" --node "$name" --port-base "$base" "$@" >>"$T/$name/log" 2>&1 &
    pid=$!
    pids="$pids $pid"
    echo "$pid" >"$T/$name/pid"
}
pid_of() { cat "$T/$1/pid"; }
crash() { end "$(pid_of "$1")"; }

needs_faketime() { fake=$(dpkg -L libfaketime 2>/dev/null | grep '/libfaketime\.so\.1$') || { echo "needs libfaketime"; exit 77; }; }
# with_clock OFFSET COMMAND...: by a wall clock that is off by that; @FILE: by what the file says at any time. Monotonic time is left
# alone. COMMAND may be agent().
with_clock() {
    # The runtime of a sanitizer, if there is one, must come before libfaketime.
    preload="$(ldd "$starling" | awk '/lib[at]san/ {print $3}'):$fake"
    case "$1" in
    @*) FAKETIME_TIMESTAMP_FILE=${1#@} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD=$preload "${@:2}" ;;
    *) FAKETIME=$1 FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD=$preload "${@:2}" ;;
    esac
}

# Hosts of their own: network namespaces. The I-th has 10.77.0.I, and fd77::I where it is on a bridge.
make_host() { # NAME
    [ -n "$made_hosts" ] || mount -t tmpfs none /run/netns 2>/dev/null || { mkdir -p /run/netns && mount -t tmpfs none /run/netns; }
    ip netns add "star-$$-$1"
    made_hosts="$made_hosts $1"
    ip -n "star-$$-$1" link set lo up
}
make_bridge() { ip link add "$1" type bridge && made_bridges="$made_bridges $1" && ip link set "$1" up; }
bridged_host() { # NAME I BRIDGE
    make_host "$1"
    ip link add "v$$-$2" type veth peer name eth0 netns "star-$$-$1"
    ip link set "v$$-$2" master "$3" up
    ip -n "star-$$-$1" addr add "10.77.0.$2/24" dev eth0
    ip -n "star-$$-$1" addr add "fd77::$2/64" dev eth0 nodad
    ip -n "star-$$-$1" link set eth0 up
}
in_host() { h=$1; shift; ip netns exec "star-$$-$h" "$@"; }
host_agent() { # NAME FLAGS...; as agent()
    name=$1; shift
    mkdir -p "$T/$name"
    [ -e "$T/$name/data/identity.key" ] || set -- --token "$T/token" "$@"
    # The agent itself, not a shell around it, is who is crashed.
    ip netns exec "star-$$-$name" "$starling" agent --data "$T/$name/data" --node "$name" "$@" >>"$T/$name/log" 2>&1 &
    echo $! >"$T/$name/pid"
    pids="$pids $!"
}

# ask NAME COMMAND...: a command at that agent
ask() { at=$1; shift; "$starling" "$@" --data "$T/$at/data"; }
# json NAME COMMAND PYTHON: evaluates an expression on `o`, the command's --json
json() {
    local text answer
    text=$(ask "$1" $2 --json) || return 1
    printf '%s\0%s\0' "$3" "$text" >"$T/questions"
    IFS= read -rd '' answer <"$T/answers"
    [ "${answer:0:1}" = 0 ] || { echo "$3: ${answer:1}" >&2; return 1; }
    printf '%s\n' "${answer:1}"
}
is() { [ "$(json "$1" "$2" "$3")" = "$4" ]; }
all_alive() { for n in "${@:2}"; do is "$n" status 'o["members"]["alive"]' "$1" || return 1; done; }
# Each of these agents knows so many instances, all healthy: a host is so to the others a moment after it has its policy.
all_healthy() { for n in "${@:2}"; do is "$n" services "[s['state'] for s in o] == ['healthy'] * $1" True || return 1; done; }
in_force() { for n in "${@:2}"; do is "$n" status 'o["policy"]["version"]' "$1" || return 1; done; }

# $T/p.yaml: web may call cart, by the intention front; no more
cart_policy() {
    cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http}}
intentions: [{name: front, from: [web], to: cart}]
P
}
# publish NAME FILE: signs and publishes at that agent
publish() {
    "$starling" policy sign "$2" --ca "$T/ca" --lower -o "$2.bundle" >/dev/null
    ask "$1" policy publish "$2.bundle" >/dev/null
}

# http_app PORT TEXT: nginx answering TEXT; one process, so that ending it leaves no worker behind
http_app() {
    if curl -s -o /dev/null "http://127.0.0.1:$1/"; then fail "something else listens on port $1"; fi
    mkdir -p "$T/nginx-$1"
    cat >"$T/nginx-$1/conf" <<CONF
user root; daemon off; master_process off; pid $T/nginx-$1/pid; error_log $T/nginx-$1/log;
events { worker_connections 1024; }
http {
    access_log off; client_max_body_size 0; client_body_temp_path $T/nginx-$1/body; keepalive_requests 100000;
    proxy_temp_path $T/nginx-$1/p; fastcgi_temp_path $T/nginx-$1/f; uwsgi_temp_path $T/nginx-$1/u; scgi_temp_path $T/nginx-$1/s;
    server {
        listen 127.0.0.1:$1; listen [::1]:$1;
        location / { return 200 "$2 \$request_method \$request_uri caller=\$http_x_starling_caller\n"; }
        location /files/ { alias $T/files/; }
        location /upload/ { alias $T/uploads/; dav_methods PUT; }
    }
}
CONF
    mkdir -p "$T/files" "$T/uploads"
    chmod 755 "$T" "$T/files"; chmod 777 "$T/uploads"
    nginx -c "$T/nginx-$1/conf" -e "$T/nginx-$1/log" &
    pids="$pids $!"
    eventually 5 curl -s -o /dev/null "http://127.0.0.1:$1/"
}

# ask_on PORT...: requests to cart by these entries, some hundred a second at each, until ask_no_more
ask_on() {
    cat >"$T/load.py" <<'PY'
import http.client, os, sys, threading, time
def run(port):
    while not os.path.exists(sys.argv[1]):
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            while not os.path.exists(sys.argv[1]):
                c.request("GET", "/x", headers={"Host": "cart"})
                c.getresponse().read()
                time.sleep(0.01)
        except OSError:
            time.sleep(0.1)
threads = [threading.Thread(target=run, args=(int(p),)) for p in sys.argv[2:]]
[t.start() for t in threads]
[t.join() for t in threads]
PY
    python3 "$T/load.py" "$T/stop" "$@" 2>"$T/load.log" &
    load=$!
    pids="$pids $load"
}
ask_no_more() { touch "$T/stop"; wait "$load"; }
