"""Instructions that a worker needs for one small request: client -> agent a -> link -> agent b -> an application that answers 1 KiB.

  REQUESTS=2000 tests/bench/instructions.sh

Both agents run under valgrind's callgrind, which counts what they do outside the kernel and is the same on a busy machine as on an idle
one (to one in a hundred). One connection, one request after the other, so nothing is shared by requests of one turn. PROFILE=folder keeps
near.callgrind and far.callgrind, for callgrind_annotate.
"""
import glob, json, os, re, shutil, socket, subprocess, sys, tempfile, threading, time

STARLING, REQUESTS = os.environ["B"] + "/starling", int(os.environ.get("REQUESTS", "2000"))
T = tempfile.mkdtemp(prefix="starling-instructions.")
POLICY = """policy: v1
mesh: bench.example
version: 1
services: {app: {protocol: http}}
intentions: [{name: front, from: ["*"], to: app}]
"""
REQUEST = b"GET /1k HTTP/1.1\r\nHost: app\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
started = []


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def wait(what, condition):
    for _ in range(1200):
        try:
            if condition():
                return
        except (subprocess.CalledProcessError, KeyError, OSError):
            pass
        time.sleep(0.05)
    sys.exit(f"not within a minute: {what}")


def application(listener):
    while True:
        c, got = listener.accept()[0], b""
        while data := c.recv(65536):
            got += data
            while b"\r\n\r\n" in got:
                got = got.split(b"\r\n\r\n", 1)[1]
                c.sendall(ANSWER)


def agent(name, port, *flags):
    log = open(f"{T}/{name}.log", "wb")
    p = subprocess.Popen(["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={T}/{name}.out",
                          STARLING, "agent", "--data", f"{T}/{name}", "--node", name, "--port-base", str(port), "--listen", f"127.0.0.1:{port}",
                          "--token", f"{T}/token", "--log", "warn", "--workers", "1", *flags], stdout=log, stderr=log)
    started.append(p)
    return p


def status(name):
    return json.loads(run(STARLING, "status", "--json", "--data", f"{T}/{name}"))


def mesh():
    run(STARLING, "mesh", "init", "--name", "bench.example", "--dir", f"{T}/ca")
    run(STARLING, "token", "create", "--ca", f"{T}/ca", "--service", "*", "--node", "*", "-o", f"{T}/token")
    agents = [agent("near", 7000, "--upstream", "app=7090"), agent("far", 7100, "--seed", "127.0.0.1:7000", "--service", "app=9001/http")]
    wait("two members", lambda: all(status(n)["members"]["alive"] == 2 for n in ("near", "far")))
    open(f"{T}/p.yaml", "w").write(POLICY)
    run(STARLING, "policy", "sign", f"{T}/p.yaml", "--ca", f"{T}/ca", "-o", f"{T}/p.bundle")
    run(STARLING, "policy", "publish", f"{T}/p.bundle", "--data", f"{T}/near")
    wait("the policy", lambda: all(status(n)["policy"]["version"] == 1 for n in ("near", "far")))
    wait("a request", lambda: ask(socket.create_connection(("127.0.0.1", 7090)), 1))
    return agents


def ask(c, times):
    f = c.makefile("rb")
    for _ in range(times):
        c.sendall(REQUEST)
        if b" 200 " not in f.readline():
            return False
        while f.readline() != b"\r\n":
            pass
        f.read(1024)
    return True


def control(agents, *flags):
    for p in agents:
        run("callgrind_control", *flags, str(p.pid))


def total(path):
    m = re.search(r"^totals: (\d+)", open(path).read(), re.M)
    return int(m.group(1)) if m else 0


def worker_of(name):
    """The thread that did most: the others had next to nothing to do."""
    path = max(glob.glob(f"{T}/{name}.out.1-*"), key=total)
    if os.environ.get("PROFILE"):
        shutil.copy(path, f"{os.environ['PROFILE']}/{name}.callgrind")
    return total(path) // REQUESTS


def main():
    listener = socket.create_server(("127.0.0.1", 9001))
    threading.Thread(target=application, args=(listener,), daemon=True).start()
    agents = mesh()
    client = socket.create_connection(("127.0.0.1", 7090))
    ask(client, 300)
    control(agents, "-i", "on")
    ask(client, REQUESTS)
    control(agents, "-d")
    near, far = worker_of("near"), worker_of("far")
    print(f"instructions per request: near {near:,}, far {far:,}, both {near + far:,}")


try:
    main()
finally:
    for p in started:
        p.terminate()
    for p in started:
        p.wait()
    shutil.rmtree(T, ignore_errors=True)
