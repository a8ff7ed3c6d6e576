# S9: the state file is cut short under a running agent. It ends with a message instead of a signal, the next start refuses the file and says what
# to do, and once that is done the host is a member again, above what the others remember of it.
. tests/e2e/lib.sh

mesh
agent a 7000
agent b 7100 --seed 127.0.0.1:7000
eventually 10 all_alive 2 a b
seen_of_b() { json a members "[m['incarnation'] for m in o if m['name']=='b'][0]"; }
before=$(seen_of_b)

truncate -s 4096 "$T/b/data/state.mdb"
# Whatever it has to remember next finds out: here a member that joins.
agent c 7200 --seed 127.0.0.1:7000
gone() { ! kill -0 "$(pid_of b)" 2>/dev/null; }
eventually 10 gone
status=0; wait "$(pid_of b)" || status=$?
[ "$status" = 1 ] || { cat "$T/b/log"; fail "it ended with $status"; }
grep -q 'state.mdb was cut short' "$T/b/log" || { cat "$T/b/log"; fail "it did not say why"; }

status=0; "$starling" agent --data "$T/b/data" --node b --port-base 7100 --listen 127.0.0.1:7100 >"$T/again" 2>&1 || status=$?
[ "$status" = 1 ] || { cat "$T/again"; fail "started on what is left, or ended with $status"; }
grep -q 'state.mdb is damaged' "$T/again" && grep -q 'move it away' "$T/again" || { cat "$T/again"; fail "no advice"; }

mv "$T/b/data/state.mdb" "$T/b/data/state.mdb.cut"
agent b 7100 --seed 127.0.0.1:7000
eventually 15 all_alive 3 a b c
above() { [ "$(seen_of_b)" -gt "$before" ]; }
eventually 5 above || fail "it did not begin above what the others remember"
