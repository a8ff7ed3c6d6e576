"""What a flood of joins costs the agent that is joined, and the traffic through it, with real agents: nobody joins; many at once; one
member again and again; strangers of another mesh.

  SECONDS_EACH=10 JOINERS=40 tests/bench/flood.sh      (makes a network namespace for it)

Prints a row per flood: CPU of the victim's threads and of another member, and the latency of 200 requests a second through the victim.
"""
import http.client, json, os, shutil, subprocess, sys, tempfile, threading, time

B, SECONDS, JOINERS = os.environ["B"], int(os.environ.get("SECONDS_EACH", "10")), int(os.environ.get("JOINERS", "40"))
STARLING, ROGUE, TICK = B + "/starling", B + "/tests/rogue", os.sysconf("SC_CLK_TCK")
T = tempfile.mkdtemp(prefix="starling-flood.")
POLICY = """policy: v1
mesh: bench.example
version: 1
services: {cart: {protocol: http}}
intentions: [{name: front, from: [web], to: cart}]
"""
running = []


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def mesh(name):
    run(STARLING, "mesh", "init", "--name", "bench.example", "--dir", f"{T}/{name}")
    run(STARLING, "token", "create", "--ca", f"{T}/{name}", "--service", "*", "--node", "*", "-o", f"{T}/{name}.token")


def agent(name, ip, *flags, ca="ca"):
    log = open(f"{T}/{name}.log", "wb")
    p = subprocess.Popen([STARLING, "agent", "--data", f"{T}/{name}", "--node", name, "--token", f"{T}/{ca}.token", "--listen", f"{ip}:7400",
                          "--workers", "1", *flags], stdout=log, stderr=log)
    running.append(p)
    return p


def end(p):
    p.kill()
    p.wait()
    running.remove(p)


def says(name, command, expected):
    for _ in range(600):
        r = subprocess.run([STARLING, *command, "--data", f"{T}/{name}"], capture_output=True, text=True)
        if expected in r.stdout:
            return
        time.sleep(0.05)
    sys.exit(f"{name} {command}: no {expected} in {r.stdout}{r.stderr}\n" + open(f"{T}/{name}.log").read())


def threads(p):
    """CPU seconds of each thread: the first is the control loop."""
    out = {}
    for t in os.listdir(f"/proc/{p.pid}/task"):
        f = open(f"/proc/{p.pid}/task/{t}/stat").read().rsplit(")", 1)[1].split()
        out[int(t)] = (int(f[11]) + int(f[12])) / TICK
    return out


def request_for(seconds, latencies, failures):
    c, end_at = http.client.HTTPConnection("127.0.0.1", 7485, timeout=10), time.monotonic() + seconds
    while time.monotonic() < end_at:
        begin = time.monotonic()
        c.request("GET", "/x", headers={"Host": "cart"})
        r = c.getresponse()
        r.read()
        failures.append(r.status) if r.status != 200 else latencies.append(time.monotonic() - begin)
        time.sleep(max(0, begin + 0.02 - time.monotonic()))


def measure(what, victim, other, flood):
    before, other_before, latencies, failures = threads(victim), sum(threads(other).values()), [], []
    clients = [threading.Thread(target=request_for, args=(SECONDS, latencies, failures)) for _ in range(4)]
    for c in clients:
        c.start()
    said = flood()
    for c in clients:
        c.join()
    after = threads(victim)
    share = {t: (after[t] - before.get(t, 0)) / SECONDS * 100 for t in after}
    control = share.pop(victim.pid)
    latencies.sort()
    print(f"| {what} | {said} | {control:.1f} % | {sum(share.values()):.1f} % | {(sum(threads(other).values()) - other_before) / SECONDS * 100:.1f} % "
          f"| {latencies[len(latencies) // 2] * 1e3:.1f} / {latencies[len(latencies) * 99 // 100] * 1e3:.1f} ms | {len(failures)} |", flush=True)


def many_at_once():
    joiners = [agent(f"j{i}", f"127.0.2.{1 + i}", "--seed", "127.0.1.1:7400", "--entry", "off", "--admin", "off") for i in range(JOINERS)]
    while sum(m["name"][0] == "j" and m["state"] == "alive" for m in json.loads(run(STARLING, "members", "--json", "--data", f"{T}/victim"))) < JOINERS:
        time.sleep(0.1)
    time.sleep(max(0, SECONDS - 5))
    for j in joiners:
        end(j)
    return f"{JOINERS} at once"


def rogue(name):
    return lambda: run(ROGUE, f"{T}/{name}", "127.0.1.1:7400", "joins", str(SECONDS)).strip()


def main():
    mesh("ca")
    mesh("other")
    open(f"{T}/p.yaml", "w").write(POLICY)
    os.mkdir(f"{T}/www")
    open(f"{T}/www/x", "w").write("x" * 1024)
    running.append(subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", f"{T}/www", "9001"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    victim = agent("victim", "127.0.1.1", "--entry", "off", "--admin", "off", "--caller", "web=7485")
    app = agent("app", "127.0.1.2", "--seed", "127.0.1.1:7400", "--entry", "off", "--admin", "off", "--service", "cart=9001")
    once = agent("once", "127.0.1.3", "--seed", "127.0.1.1:7400", "--entry", "off", "--admin", "off")
    stranger = agent("stranger", "127.0.1.4", "--entry", "off", "--admin", "off", ca="other")
    says("victim", ["status", "--json"], '"alive": 3')
    for p in (once, stranger):
        end(p)
    run(STARLING, "policy", "sign", f"{T}/p.yaml", "--ca", f"{T}/ca", "-o", f"{T}/p.bundle")
    run(STARLING, "policy", "publish", f"{T}/p.bundle", "--data", f"{T}/victim")
    says("app", ["status", "--json"], '"version": 1')
    request_for(1, [], [])
    print("| flood | joins | victim: control loop | victim: worker | another member | requests: half / 99 % | failed |\n|---|---|---|---|---|---|---|")
    measure("none", victim, app, lambda: "–")
    measure("one member again and again", victim, app, rogue("once"))
    measure("strangers", victim, app, rogue("stranger"))
    measure("many at once", victim, app, many_at_once)


try:
    main()
finally:
    for p in list(running):
        end(p)
    shutil.rmtree(T, ignore_errors=True)
