#!/usr/bin/env bash
# Installs the build into a folder of its own and builds a user's project against it.
# Usage: check_install.sh BUILD_DIR CXX
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cmake --install "$1" --prefix "$dir/prefix" >/dev/null
cmake -S "$here/consumer" -B "$dir/build" -G Ninja -DCMAKE_CXX_COMPILER="$2" \
  -DCMAKE_CXX_FLAGS="${3:-}" -DCMAKE_PREFIX_PATH="$dir/prefix" >/dev/null
cmake --build "$dir/build" >/dev/null
got=$("$dir/build/hello")
echo "$got"
[ "$got" = "[1.38177, 0.0770038, -2.82886]" ]
