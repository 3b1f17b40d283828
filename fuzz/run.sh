#!/usr/bin/env bash
# Runs fuzz targets that are already built, each for SECONDS: fuzz/run.sh SECONDS TARGET...
#
# Each target starts with the inputs in fuzz/seeds/TARGET and those that earlier runs kept in fuzz/corpus/TARGET. A
# finding is printed with its input, which is stored in fuzz/artifacts/TARGET. The other targets still run; the exit code
# is 1 at the end.
set -euo pipefail
export RUST_BACKTRACE=0
cd "$(dirname "$0")/.."

seconds=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
broken=()

for target; do
    mkdir -p "fuzz/corpus/$target"
    echo "== fuzz $target: $seconds s, $(find "fuzz/seeds/$target" -type f | wc -l) seeds"
    if "${CARGO_FUZZ:-cargo-fuzz}" run --sanitizer none --release "$target" \
        "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
        # The number of executions, the edges reached of all edges, and the number of new inputs.
        grep -E 'inline 8-bit counters|DONE|stat::(number_of_executed|average_exec|new_units|peak_rss)' "$log" || true
    else
        broken+=("$target")
        # The finding and its input, or the whole output if it has no such lines.
        grep -aE -A2 'panicked at|ERROR: libFuzzer|Test unit written|^error' "$log" | grep -av '^note:' || cat "$log"
    fi
done

if ((${#broken[@]})); then
    echo "findings in: ${broken[*]}" >&2
    exit 1
fi
echo "no findings"
