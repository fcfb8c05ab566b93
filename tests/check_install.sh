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
check() {
  got=$("$1")
  echo "$got"
  [ "$got" = "[1.38177, 0.0770038, -2.82886]" ]
}
check "$dir/build/hello"
if command -v pkg-config >/dev/null; then
  PKG_CONFIG_PATH=$(dirname "$(find "$dir/prefix" -name xtape.pc)")
  export PKG_CONFIG_PATH
  # shellcheck disable=SC2046,SC2086
  "$2" ${3:-} "$here/consumer/hello.cpp" -o "$dir/by-hand" $(pkg-config --cflags --libs xtape)
  check "$dir/by-hand"
fi
