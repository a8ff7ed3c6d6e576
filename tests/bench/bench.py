"""Measures one path: wrk or curl -> agent a -> link -> agent b -> nginx, and the same without the agents, in one run.

Everything is on this machine, so agents, load and origin share its cores: the ratios say something, the single figures little.
CPU is that of both agents together, from /proc; memory is resident (VmRSS), near/far.
"""
import json, os, re, shutil, subprocess, sys, tempfile, time

B = os.environ["B"]
STARLING = B + "/starling"
SECONDS = int(os.environ.get("SECONDS_EACH", "5"))
BULK_MIB = int(os.environ.get("BULK_MIB", "1024"))
T = tempfile.mkdtemp(prefix="starling-bench.")
TICK = os.sysconf("SC_CLK_TCK")
started = []

NGINX = """daemon off; worker_processes 1; pid {t}/nginx.pid; error_log {t}/nginx.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_max_body_size 0; client_body_temp_path {t}/body;
  proxy_temp_path {t}/p; fastcgi_temp_path {t}/f; uwsgi_temp_path {t}/u; scgi_temp_path {t}/s;
  server {{ listen 127.0.0.1:9001 backlog=4096; root {t}/files; location /upload/ {{ client_body_buffer_size 1m; proxy_pass http://127.0.0.1:9002; proxy_request_buffering off; proxy_http_version 1.1; }} }} }}
"""
POLICY = """policy: v1
mesh: bench.example
version: 1
services: {app: {protocol: http}, raw: {protocol: tcp}}
intentions: [{name: front, from: [load], to: app}, {name: raw, from: ["*"], to: raw}]
"""


def start(*argv, **kw):
    log = open(f"{T}/{len(started)}.log", "wb")
    p = subprocess.Popen(argv, stdout=log, stderr=log, **kw)
    started.append(p)
    return p


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def wait(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (subprocess.CalledProcessError, ValueError, KeyError):
            pass
        time.sleep(0.02)
    for i in range(len(started)):
        sys.stderr.write(open(f"{T}/{i}.log").read()[-2000:])
    sys.exit(f"not within {seconds} s: {what}")


def cpu(p):
    f = open(f"/proc/{p.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / TICK


def rss(p):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{p.pid}/status").read()).group(1)) / 1024


def status(name):
    return json.loads(run(STARLING, "status", "--json", "--data", f"{T}/{name}"))


def mesh():
    run(STARLING, "mesh", "init", "--name", "bench.example", "--dir", f"{T}/ca")
    run(STARLING, "token", "create", "--ca", f"{T}/ca", "--service", "*", "--node", "*", "-o", f"{T}/token")
    common = ["--token", f"{T}/token", "--log", "warn"]
    a = start(STARLING, "agent", "--data", f"{T}/a", "--node", "a", "--port-base", "7000", "--listen", "127.0.0.1:7000",
              "--caller", "load=7085", "--upstream", "raw=7090", *common)
    b = start(STARLING, "agent", "--data", f"{T}/b", "--node", "b", "--port-base", "7100", "--listen", "127.0.0.1:7100",
              "--seed", "127.0.0.1:7000", "--service", "app=9001", "--service", "raw=9001/tcp", *common)
    wait("two members", lambda: all(status(n)["members"]["alive"] == 2 for n in "ab"))
    open(f"{T}/p.yaml", "w").write(POLICY)
    run(STARLING, "policy", "sign", f"{T}/p.yaml", "--ca", f"{T}/ca", "-o", f"{T}/p.bundle")
    run(STARLING, "policy", "publish", f"{T}/p.bundle", "--data", f"{T}/a")
    wait("the policy", lambda: all(status(n)["policy"]["version"] == 1 for n in "ab"))
    return a, b


def wrk(url, connections, extra=()):
    out = run("wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-H", "Host: app", *extra, url)
    if re.search(r"Non-2xx|Socket errors", out):
        sys.exit("errors under load:\n" + out)
    unit = {"us": 1e-3, "ms": 1, "s": 1e3}
    pick = lambda q: (lambda m: float(m.group(1)) * unit[m.group(2)])(re.search(rf"\s{q}%\s+([\d.]+)(us|ms|s)", out))
    count = int(re.search(r"(\d+) requests in", out).group(1))
    return {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), "count": count, "p50": pick(50), "p99": pick(99)}


def measured(agents, f):
    before = sum(map(cpu, agents))
    r = f()
    r["cpu"] = sum(map(cpu, agents)) - before
    return r


def requests(agents, ports, path, connections, extra=()):
    return {name: measured(agents, lambda: wrk(f"http://127.0.0.1:{port}{path}", connections, extra)) for name, port in ports.items()}


def bulk(agents, url, args):
    def f():
        begin = time.monotonic()
        run("curl", "-sf", "-o", "/dev/null", "-H", "Host: app", "-H", "Expect:", *args, url)
        return {"gbs": BULK_MIB * 1048576 / 1e9 / (time.monotonic() - begin)}
    return measured(agents, f)


def table_requests(title, r):
    bare = r["bare"]
    print(f"\n{title}\n\n| path | requests/s | of bare | p50 ms | p99 ms | CPU s per 1,000 requests, both agents |\n|---|---|---|---|---|---|")
    for name, x in r.items():
        per = "–" if name == "bare" else f"{x['cpu'] / x['count'] * 1000:.4f}"
        print(f"| {name} | {x['rps']:,.0f} | {x['rps'] / bare['rps']:.2f} | {x['p50']:.2f} | {x['p99']:.2f} | {per} |")


def main():
    os.makedirs(f"{T}/files")
    open(f"{T}/files/1k", "wb").write(b"x" * 1024)
    with open(f"{T}/files/big", "wb") as f:
        f.truncate(BULK_MIB * 1048576)
    os.chmod(T, 0o755)
    open(f"{T}/nginx.conf", "w").write(NGINX.format(t=T))
    start("nginx", "-c", f"{T}/nginx.conf", "-e", f"{T}/nginx.log")
    start(sys.executable, os.path.dirname(__file__) + "/sink.py", "9002")
    wait("nginx", lambda: run("curl", "-sf", "http://127.0.0.1:9001/1k"))
    agents = mesh()
    wait("a request", lambda: run("curl", "-sf", "-H", "Host: app", "http://127.0.0.1:7085/1k"))
    print(f"{SECONDS} s each, 1 KiB answers, {os.cpu_count()} cores, AES-GCM: {'aes' in open('/proc/cpuinfo').read()}")
    print(f"\nMemory at rest, near / far: {rss(agents[0]):.1f} / {rss(agents[1]):.1f} MiB")
    http, both = {"bare": 9001, "mesh": 7085}, {"bare": 9001, "mesh, TCP": 7090}
    for c in (1, 64, 256):
        table_requests(f"Keep-alive, {c} connections", requests(agents, http, "/1k", c))
    table_requests("Keep-alive, 64 connections, as a TCP service", requests(agents, both, "/1k", 64))
    table_requests("A new connection for each request, 64 at once", requests(agents, http, "/1k", 64, ("-H", "Connection: close")))
    print(f"\nMemory after the load, near / far: {rss(agents[0]):.1f} / {rss(agents[1]):.1f} MiB")
    print(f"\nBulk, one stream of {BULK_MIB} MiB\n\n| direction | bare GB/s | mesh GB/s | CPU s per GiB, both agents | memory near / far MiB |\n|---|---|---|---|---|")
    for name, path, args in (("down", "/big", ()), ("up", "/upload/x", ("-T", f"{T}/files/big"))):
        bare, m = bulk(agents, f"http://127.0.0.1:9001{path}", args), bulk(agents, f"http://127.0.0.1:7085{path}", args)
        print(f"| {name} | {bare['gbs']:.2f} | {m['gbs']:.2f} | {m['cpu'] * 1024 / BULK_MIB:.2f} | {rss(agents[0]):.1f} / {rss(agents[1]):.1f} |")


try:
    main()
finally:
    for p in started:
        p.terminate()
    for p in started:
        p.wait()
    shutil.rmtree(T, ignore_errors=True)
