#!/usr/bin/env bash
# Who may include whom: autodiff knows nothing above it; nn and optim include autodiff only, data
# and io too; fit includes all of these, none of them fit; public headers include no xtensor but for the one made for it; ops are listed by the registry
# only; the library never prints. Run from the top of the source tree.
set -u
status=0
refuse() { # text, pattern, files…
  local text=$1 pattern=$2 hits
  shift 2
  if hits=$(grep -nE "$pattern" "$@" /dev/null); then
    printf '%s:\n%s\n' "$text" "$hits"
    status=1
  fi
}
files() { find "$@" -name '*.hpp' -o -name '*.cpp' | sort; }

refuse 'autodiff includes a room above it' '#include <xtape/(nn|optim|data|io|fit)/' $(files autodiff)
for room in nn optim data io; do
  for other in nn optim data io fit; do
    [ $room = $other ] || refuse "$room includes $other" "#include <xtape/$other/" $(files $room)
  done
done
refuse 'a public header includes xtensor' '#include [<"]xt(ensor|simd|l)' \
  $(find autodiff nn optim data io fit xtape.hpp -name '*.hpp' ! -path 'autodiff/xtensor.hpp')
refuse 'the library prints' 'std::(cout|cerr|clog)|[^sn]printf *\(' $(files autodiff nn optim data io fit)
refuse 'a list of ops beside the registry' 'switch *\(.*op' $(files autodiff)
exit $status
