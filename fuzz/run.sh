#!/usr/bin/env bash
# Runs fuzz targets that are built, one after the other: fuzz/run.sh SECONDS TARGET...
#
# Each begins with fuzz/seeds/TARGET and with what earlier runs found worth keeping (fuzz/corpus/TARGET). A finding is
# shown with its input, kept in fuzz/artifacts/TARGET, and makes the exit code 1 in the end; the other targets run all the
# same.
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
        # Executions, edges reached out of those that there are, and the inputs kept.
        grep -E 'inline 8-bit counters|DONE|stat::(number_of_executed|average_exec|new_units|peak_rss)' "$log" || true
    else
        broken+=("$target")
        # What was found, and in what; all of the output when it is none of these.
        grep -aE -A2 'panicked at|ERROR: libFuzzer|Test unit written|^error' "$log" | grep -av '^note:' || cat "$log"
    fi
done

if ((${#broken[@]})); then
    echo "findings in: ${broken[*]}" >&2
    exit 1
fi
echo "no findings"
