# Real agents that stand still (SIGSTOP): a third of them for ten seconds, then one for a minute. The others bury them and nobody else; the
# returned bury nobody, and all agree again within half a minute (ADVERSARY G27; ten minutes are the simulator's, scenario `paused`).
. tests/e2e/lib.sh

agents="a b c d e f"
port() { echo $((7001 + 100 * $(printf %d "'$1") - 9700)); }
mesh
for n in $agents; do agent "$n" $(($(port "$n") - 1)) --seed 127.0.0.1:7000 --seed 127.0.0.1:7100; done
eventually 20 all_alive 6 $agents

deaths() { curl -s "http://127.0.0.1:$(port "$1")/metrics" | sed -n 's/^starling_gossip_deaths_total //p'; }
state_is() { is "$1" members "[m['state'] for m in o if m['name']=='$2']" "['$3']"; }
number_of() { json a members "[m['incarnation'] for m in o if m['name']=='$1'][0]"; }
# An answer brings it back at once with whoever asked; its refutation is a new record, which it stores before it tells it.
has_refuted() { [ "$(number_of "$1")" -gt "$2" ]; }
# What each has buried before the pause; afterwards $1 more at the others, and none more at those who stood still.
note_deaths() { for n in $agents; do eval "before_$n=$(deaths "$n")"; done; }
more_deaths() { eval "echo \$((\$(deaths $1) - before_$1))"; }

until_time() { while [ "$(date +%s%N)" -lt "$1" ]; do read -rt 0.2 <> <(:) || true; done; }

pause() { # SECONDS AGENT...
    seconds=$1; shift
    note_deaths
    for n in "$@"; do
        eval "number_$n=$(number_of "$n")"
        kill -STOP "$(pid_of "$n")"
    done
    end=$(($(date +%s%N) + seconds * 1000000000))
    for n in "$@"; do eventually 30 state_is a "$n" dead; done
    if said=$(ask "$1" status 2>&1); then fail "a stopped agent answers"; fi
    case $said in *"is stopped, by a signal or a debugger"*"kill -CONT $(pid_of "$1")"*) ;; *) fail "of a stopped agent it is said: $said" ;; esac
    until_time "$end"
    for n in "$@"; do kill -CONT "$(pid_of "$n")"; done
    within 30 all_alive 6 $agents || fail "they do not agree again within half a minute"
    # Who was late refutes, whatever credit is left (docs/gossip.md).
    for n in "$@"; do eval "within 30 has_refuted $n \$number_$n" || fail "$n did not refute"; done
    for n in $agents; do
        case " $* " in *" $n "*) most=0 ;; *) most=$# ;; esac
        [ "$(more_deaths "$n")" -le "$most" ] || fail "$n has buried $(more_deaths "$n") while $# stood still"
    done
}

echo "- a third stand still for ten seconds"
pause 10 e f
echo "- one stands still for a minute"
pause 60 f
[ "$(grep -c 'this agent stood still for \(5[5-9]s\|1m[0-9]*s\)' "$T/f/log")" = 1 ] || fail "f does not say how long it stood still"
ask f status | grep -q '^warning .*stood still for \(5[5-9]s\|1m[0-9]*s\), ' || fail "$(ask f status)"
for n in e f; do if grep 'seems to be cut off' "$T/$n/log"; then fail "$n takes its own pause for the silence of the others"; fi; done
echo "- and it lasts: nobody is buried in the next ten seconds, and in the end nobody is doubted"
note_deaths
end=$(($(date +%s%N) + 10000000000))
until_time "$end"
eventually 10 all_alive 6 $agents || fail "it does not last"
for n in $agents; do [ "$(more_deaths "$n")" = 0 ] || fail "$n has buried somebody afterwards"; done
# What waited for them in their sockets meanwhile made nobody's clock look slow (clocks.sh).
for n in $agents; do if grep ' clock: ' "$T/$n/log"; then fail "$n talks of clocks"; fi; done
