#!/usr/bin/env bash
# Runs the fuzzers from the seeds beside this file, each for its part of SECONDS; an input that
# crashes, hangs or asks for 32 MB at once ends it with an error and is left in the current folder.
# Usage: run.sh BUILD_DIR SECONDS
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fuzzers=("$1"/tests/fuzz/xtape-fuzz-*)
each=$(($2 / ${#fuzzers[@]}))
for fuzzer in "${fuzzers[@]}"; do
  format=${fuzzer##*-}
  found=$(mktemp -d)
  log=$("$fuzzer" -max_total_time="$each" -max_len=4096 -timeout=5 -malloc_limit_mb=32 \
    -rss_limit_mb=2048 -print_final_stats=1 "$found" "$here/seeds/$format" 2>&1) ||
    { echo "$log" | tail -n 40; exit 1; }
  echo "$format: $(echo "$log" | sed -n 's/stat::number_of_executed_units: *//p') inputs"
  rm -rf "$found"
done
