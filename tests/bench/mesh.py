"""Many real agents on one machine: how long until all know all, what they cost at rest, how soon a death is noticed everywhere (suspect or dead).

  AGENTS=200 python3 tests/bench/mesh.py      (tests/bench/mesh.sh makes a network namespace for it)

Each agent listens on an address of its own out of 127.0.0.0/8. One JSON line at the end.
"""
import json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

B, N, REST = os.environ["B"], int(os.environ.get("AGENTS", "100")), int(os.environ.get("REST_SECONDS", "20"))
SETTLE = int(os.environ.get("SETTLE_SECONDS", "10"))  # after the join, before the rest is measured
STARLING, TICK = B + "/starling", os.sysconf("SC_CLK_TCK")
T = tempfile.mkdtemp(prefix="starling-mesh.")
agents = []


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def ask(i, command):
    """Over the agent's socket, without starting a process for it."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(f"{T}/{i}/agent.sock")
    s.sendall(json.dumps({"command": command}).encode() + b"\n")
    b = b""
    while not b.endswith(b"\n"):
        b += s.recv(1 << 20)
    s.close()
    return json.loads(b)["result"]


def members(i):
    try:
        return ask(i, "status")["members"]
    except OSError:
        return {"alive": 0, "suspect": 0, "dead": 0, "left": 0}


def until(what, seconds, condition):
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            sys.exit(f"not within {seconds} s: {what}; first: {members(0)}, last: {members(N - 1)}")
        time.sleep(0.05)
    return time.monotonic() - begin


def all_know(alive):
    left = set(range(N))

    def check():
        for i in list(left):
            if agents[i] is not None and members(i)["alive"] != alive:
                return False
            left.discard(i)
        return True
    return check


def cpu(p):
    f = open(f"/proc/{p.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / TICK


def memory(p, what):
    text = open(f"/proc/{p.pid}/smaps_rollup").read()
    return int(re.search(what + r":\s+(\d+)", text).group(1)) / 1024


def sent():
    """Bytes and packets that the loopback interface has carried."""
    f = open("/proc/net/dev").read().split("lo:")[1].split()
    return int(f[0]), int(f[1])


def start(i):
    seed = [] if i == 0 else ["--seed", "127.0.1.1:7400"]
    ip = f"127.0.{1 + i // 200}.{1 + i % 200}"
    log = open(f"{T}/{i}.log", "wb")
    agents.append(subprocess.Popen([STARLING, "agent", "--data", f"{T}/{i}", "--node", f"n{i}", "--token", f"{T}/token", "--listen", f"{ip}:7400",
                                    "--entry", "off", "--admin", "off", "--workers", "1", "--log", "info", *seed], stdout=log, stderr=log))


def main():
    run(STARLING, "mesh", "init", "--name", "bench.example", "--dir", f"{T}/ca")
    run(STARLING, "token", "create", "--ca", f"{T}/ca", "--service", "*", "--node", "*", "-o", f"{T}/token")
    begin = time.monotonic()
    for i in range(N):
        start(i)
    started = time.monotonic() - begin
    out = {"agents": N, "started_s": round(started, 2)}
    out["all_know_all_s"] = round(started + until("all know all", max(180, N), all_know(N)), 2)
    until("nobody suspected", 60, lambda: members(0)["alive"] == N)
    out["cpu_ms_until_then"] = round(statistics.mean(cpu(p) for p in agents) * 1000, 1)
    time.sleep(SETTLE)
    before, traffic = [cpu(p) for p in agents], sent()
    time.sleep(REST)
    bytes_, packets = (b - a for a, b in zip(traffic, sent()))
    out["rest_bytes_per_s"] = round(bytes_ / N / REST)
    out["rest_packets_per_s"] = round(packets / N / REST, 2)
    out["rest_cpu_ms_per_s"] = round(statistics.mean(cpu(p) - b for p, b in zip(agents, before)) * 1000 / REST, 2)
    out["anonymous_mib"] = round(statistics.median(memory(p, "Anonymous") for p in agents), 2)
    out["pss_mib"] = round(statistics.median(memory(p, "Pss") for p in agents), 2)
    deaths = []
    for victim in (N // 2, N // 3, N // 4):
        agents[victim].send_signal(signal.SIGKILL)
        agents[victim].wait()
        agents[victim] = None
        alive = sum(a is not None for a in agents)
        deaths.append(round(until("a death noticed everywhere", 90, lambda: all(
            agents[i] is None or members(i)["alive"] == alive for i in range(0, N, max(1, N // 20)))), 2))
    out["silence_noticed_s"] = deaths
    # A member that anybody took for dead though nobody killed it.
    killed = {f"n{v}" for v in (N // 2, N // 3, N // 4)}
    said = [m.group(1) for i in range(N) for m in re.finditer(r"member (\S+) is (?:dead)", open(f"{T}/{i}.log").read())]
    out["false_deaths"] = sum(m not in killed for m in said)
    print(json.dumps(out))


try:
    main()
finally:
    for p in agents:
        if p is not None:
            p.kill()
            p.wait()
    shutil.rmtree(T, ignore_errors=True)
