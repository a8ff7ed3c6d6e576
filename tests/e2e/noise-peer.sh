#!/bin/sh
# Pairs noise-peer with itself over loopback: XX and IK, both suites, plain and with rekey. The keys are public constants.
set -eu
peer=${B:-build}/tests/noise-peer
dir=$(mktemp -d)
listener=
trap 'test -z "$listener" || kill "$listener" 2>/dev/null || :; rm -rf "$dir"' EXIT
is=1111111111111111111111111111111111111111111111111111111111111111
rs=2222222222222222222222222222222222222222222222222222222222222222
rs_public=0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20

die() {
    echo "noise-peer: $*" >&2
    exit 1
}

field() { # FILE NAME: a value out of the JSON object on the last line
    tail -n 1 "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

session() { # PATTERN SUITE REKEY
    what="$1 $2 rekey $3"
    common="--pattern $1 --suite 25519_$2_SHA256 --rekey $3 --prologue 6d657368"
    remote=
    test "$1" = XX || remote="--remote $rs_public"
    mkfifo "$dir/fifo"
    # shellcheck disable=SC2086
    "$peer" --listen 127.0.0.1:0 $common --static $rs --hs-payload b0b1 >"$dir/fifo" &
    listener=$!
    exec 3<"$dir/fifo"
    read -r word port <&3
    test "$word" = LISTEN || die "$what: no listener: $word $port"
    # shellcheck disable=SC2086
    "$peer" --connect "127.0.0.1:$port" $common $remote --static $is --hs-payload a0a1,a2 >"$dir/i" || die "$what: $(cat "$dir/i")"
    cat <&3 >"$dir/r"
    exec 3<&-
    wait "$listener" || die "$what: $(cat "$dir/r")"
    listener=
    rm "$dir/fifo"
    test "$(field "$dir/i" messages) $(field "$dir/r" messages)" = "5 5" || die "$what: not all messages passed"
    test "$(field "$dir/i" handshake_hash)" = "$(field "$dir/r" handshake_hash)" || die "$what: hashes differ"
    test "$(field "$dir/i" remote_static)" = $rs_public || die "$what: the responder is somebody else"
}

suites=ChaChaPoly
case $("$peer" --listen 127.0.0.1:0 --suite 25519_AESGCM_SHA256 --static $is --timeout 0.1 | tail -n 1) in
*unsupported*) ;;
*) suites="ChaChaPoly AESGCM" ;;
esac
sessions=0
for pattern in XX IK; do
    for suite in $suites; do
        for rekey in 0 2; do
            session "$pattern" "$suite" "$rekey"
            sessions=$((sessions + 1))
        done
    done
done
echo "noise-peer: $sessions sessions with itself, 0 failed"
