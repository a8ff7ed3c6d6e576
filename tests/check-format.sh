#!/bin/sh
# Fails if clang-format would change a tracked .c or .h file. `clang-format -i FILE` mends it.
set -eu
cd "$(dirname "$0")/.."
status=0
# Files of a commit that are gone from the work tree are somebody's unfinished removal, not a matter of format.
list=$(git ls-files -- '*.c' '*.h' | while read -r f; do [ ! -f "$f" ] || echo "$f"; done)
bad=$(for f in $list; do clang-format --dry-run -Werror "$f" 2>/dev/null || echo "$f"; done)
for f in $bad; do
    line=$(clang-format --dry-run "$f" 2>&1 | sed -n 's/^[^:]*:\([0-9]*\):.*code should be clang-formatted.*/\1/p' | head -n 1)
    echo "$f:${line:-1}: not formatted; run: clang-format -i $f"
    status=1
done
[ "$status" != 0 ] || echo "format: $(echo "$list" | wc -l) files as clang-format has them"
exit "$status"
