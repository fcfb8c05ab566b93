#!/usr/bin/env bash
# Exported predictors, compiled as a user compiles them, give the bits that the networks gave: without
# optimization, with all of it, and where products and sums could contract.
# Usage: check_export.sh XTAPE_EXPORTED CXX [FLAGS]
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$1" "$dir"
levels=(-O0 -O3 "-O3 -march=native")
case "${3:-}" in *-fsanitize*) levels=(-O0) ;; esac  # which takes minutes at the others
for flags in "${levels[@]}"; do
  # shellcheck disable=SC2086
  "$2" ${3:-} -std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror $flags \
    "$dir/check.cpp" -o "$dir/check"
  echo "$flags: $("$dir/check")" || { "$dir/check"; exit 1; }
  "$dir/check" >/dev/null
done
