#!/bin/sh
# Static analysis of the whole tree: clang-tidy with the checks of .clang-tidy, then cppcheck. Fails on any finding.
#   tests/check-lint.sh "$(CPPFLAGS)" [FILE.c ...]
# shellcheck disable=SC2086
set -eu
cd "$(dirname "$0")/.."
flags=${1:--D_GNU_SOURCE -Iinclude -I. -Iagent}
[ $# -eq 0 ] || shift
jobs=$(nproc 2>/dev/null || echo 2)
files=${*:-$(git ls-files -- '*.c' | while read -r f; do [ ! -f "$f" ] || echo "$f"; done)}
own=$(printf '%s\n' $files | grep -v '^tests/' || true)
# The version is a quoted string, which does not survive a word list; any will do here.
flags=$(echo "$flags" | sed 's/-DSTARLING_VERSION=[^ ]*//')
export flags
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0

# shellcheck disable=SC2016
printf '%s\n' $files |
    xargs -P "$jobs" -n 4 sh -c 'exec clang-tidy --quiet "$@" -- -std=c11 -DSTARLING_VERSION="\"0\"" $flags' sh >"$log" 2>/dev/null || status=1
if [ "$status" != 0 ] || grep -qE ': (warning|error): ' "$log"; then
    grep -E ': (warning|error): ' "$log" | sed "s,^$PWD/,," | sort -u
    echo "lint: clang-tidy has findings; mend them, or say NOLINT(check) with the reason beside it"
    exit 1
fi

# Unit tests include .c files and cmocka's macros; cppcheck is for the program. It does not follow values through out-parameters
# (uninitvar; the compilers' own warning does), and skips files with macros it cannot
# read (unknownMacro, syntaxError, internalAstError): clang-tidy has read those.
if [ -n "$own" ] && ! cppcheck -q -j "$jobs" --std=c11 --language=c --enable=warning,portability --inline-suppr --suppress=missingIncludeSystem \
    --suppress=uninitvar --suppress=unknownMacro --suppress=syntaxError --suppress=internalAstError --error-exitcode=1 --template='{file}:{line}: {severity}: {message} [{id}]' \
    -D'STARLING_VERSION="0"' -D__GNUC__ $flags $own 2>"$log"; then
    cat "$log"
    echo "lint: cppcheck has findings; mend them, or write '// cppcheck-suppress ID' with the reason beside it"
    exit 1
fi
echo "lint: $(printf '%s\n' $files | wc -l) files without a finding"
