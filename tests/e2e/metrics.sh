# docs/metrics.md is true: an agent at rest prints what is said to be always there, with that type, these labels and those words, and nothing else;
# what is printed beside it after traffic and refusals is listed too; and what is listed is in the code, and what is in the code is listed.
. tests/e2e/lib.sh

mesh
http_app 9001 app
agent a 7000 --caller web=7085
agent b 7100 --seed 127.0.0.1:7000 --service cart=9001
eventually 10 all_alive 2 a b
cat >"$T/check.py" <<'PY'
import re, subprocess, sys
always, later, table = {}, {}, None
for line in open("docs/metrics.md"):
    if line.startswith("# "): table = always if line == "# Always there\n" else later if line == "# Once it has happened\n" else None
    cells = [c.strip() for c in line.strip("|\n ").split(" | ")]
    name = re.fullmatch(r"`(starling_\w+)`", cells[0])
    if name:
        assert table is not None and name[1] not in always and name[1] not in later, "twice, or nowhere: " + name[1]
        table[name[1]] = (cells[1], set(cells[2].split(", ")) - {"–"}, cells[3])
printed, kinds, words = {}, {}, {}
for line in sys.stdin:
    if line.startswith("# HELP "): name, words[line.split()[2]] = None, line.split(" ", 3)[3].rstrip("\n")
    elif line.startswith("# TYPE "): name = line.split()[2]; kinds[name] = line.split()[3]; printed[name] = set()
    else: printed[name] |= set(re.findall(r'(\w+)="', line)) - {"le"}
wrong = ["not listed: " + n for n in printed if n not in always and n not in later]
wrong += ["not printed: " + n for n in always if n not in printed]
if sys.argv[1] == "rest": wrong += ["printed at rest, though listed as what is not: " + n for n in printed if n in later]
for n, (kind, labels, meaning) in {**always, **later}.items():
    if n in printed and (kinds[n], printed[n]) != (kind, labels): wrong.append(f"{n}: {kinds[n]} {printed[n]}, listed as {kind} {labels}")
    if n in always and n in words and words[n] != meaning: wrong.append(f"{n}: the words are another: {words[n]}")
source = subprocess.run(["grep", "-rhoE", '"starling_[a-z0-9_]+"', "agent", "--include=*.c"], capture_output=True, text=True, check=True).stdout.split()
named = {s.strip('"') for s in source if not s.endswith('_"')}
wrong += ["listed, but nowhere in the code: " + n for n in later if n not in named]
wrong += ["in the code, but not listed: " + n for n in named if n not in always and n not in later]
wanted = set(sys.argv[2:])
wrong += ["not printed after it has happened: " + n for n in wanted if n not in printed]
if wrong: sys.exit("\n".join(sorted(wrong)))
PY
metrics() { curl -s "http://127.0.0.1:$1/metrics"; }
check() { metrics "$1" | python3 "$T/check.py" "${@:2}"; }

echo "- at rest"
check 7001 rest || fail "docs/metrics.md and an agent at rest differ"

echo "- after requests of which some are refused, and a bundle that is"
cat >"$T/p.yaml" <<'P'
policy: v1
mesh: shop.example
version: 1
services: {cart: {protocol: http, rateLimits: [{scope: instance, rate: 1/h, burst: 1}]}}
intentions:
  - {name: front, from: [web], to: cart}
  - {name: no-old, from: [web], to: cart, deny: [{}], mode: audit}
P
publish a "$T/p.yaml"
eventually 5 in_force 1 a b
eventually 5 all_healthy 1 a
status() { curl -s -o /dev/null -w '%{http_code}' -H 'Host: cart' http://127.0.0.1:7085/; }
eventually 10 eval '[ "$(status)" = 200 ]'
eventually 10 eval '[ "$(status)" = 429 ]'
if ask a policy publish "$T/p.yaml" >/dev/null 2>&1; then fail "a text is taken for a bundle"; fi
near="starling_requests_total starling_request_duration_seconds starling_request_bytes_total starling_response_bytes_total starling_audited_total starling_policy_refused_total"
# shellcheck disable=SC2086
eventually 5 check 7001 busy $near
eventually 5 check 7101 busy starling_requests_total starling_rate_limited_total
