#!/usr/bin/env bash
# When a small mesh of real agents knows of a death: SIZES (2 3 5) agents on hosts of their own (network namespaces), RUNS (5) times each
# way, after REST (35) seconds: the process is killed, or its host falls silent. Prints seconds until each of the others has logged it; docs/gossip.md has the table.
cd "$(dirname "$0")/../.." || exit 1
[ -n "${ALONE:-}" ] || exec tests/alone.sh bash "tests/bench/$(basename "$0")"
. tests/e2e/lib.sh
needs_namespaces

sizes=${SIZES:-2 3 5} runs=${RUNS:-5} rest=${REST:-35}
make_bridge "br$$"
for i in 1 2 3 4 5; do bridged_host "n$i" "$i" "br$$"; done
mesh
silence() { in_host "$1" nft -f - <<'N'
table inet gone {
    chain in { type filter hook input priority 0; iifname eth0 drop; }
    chain out { type filter hook output priority 0; oifname eth0 drop; }
}
N
}
knows() { grep -q "member $2 .* is dead" "$T/$1/log"; }
# after NAME WORD SINCE: seconds from SINCE (s) to the first log line at NAME that says WORD of the victim
after() {
    grep -m 1 "member $victim .* $2" "$T/$1/log" | cut -d' ' -f1 | { read -r at || exit 0; echo "$(date -d "$at" +%s.%N) $3" | awk '{printf "%.2f ", $1 - $2}'; }
}
for size in $sizes; do
    for how in kill silent; do
        suspected='' died=''
        for run in $(seq "$runs"); do
            others=$(seq -f "n%g" 1 $((size - 1))) victim=n$size
            for i in $(seq "$size"); do
                rm -rf "$T/n$i"
                host_agent "n$i" $([ "$i" = 1 ] || echo --seed 10.77.0.1)
            done
            # shellcheck disable=SC2086
            eventually 20 all_alive "$size" $others $victim
            # Round trips are measured, the links of the join are closed (idle for 30 s), and the turn at which it comes is any.
            read -rt "$rest.$((RANDOM % 900 + 100))" <> <(:) || true
            since=$(date +%s.%N)
            if [ $how = kill ]; then crash $victim; else silence $victim; fi
            for o in $others; do
                eventually 60 knows "$o" $victim || true
                suspected="$suspected$(after "$o" 'is suspect' "$since")"
                died="$died$(after "$o" 'is dead' "$since")"
            done
            for i in $(seq "$size"); do crash "n$i"; done
            in_host $victim nft flush ruleset
        done
        sorted() { tr ' ' '\n' | sed '/^$/d' | sort -n | tr '\n' ' '; }
        echo "$size $how: suspect $(echo "$suspected" | sorted)"
        echo "$size $how: dead    $(echo "$died" | sorted)"
    done
done
