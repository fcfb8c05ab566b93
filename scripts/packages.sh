# Sourced by demo and test: installs what is missing, by the distribution's packages, saying so
# first. Touches no network when nothing is missing.

# install_missing PACKAGE…: required.  try_install PACKAGE…: goes on without.
missing_of() {
  local p
  for p in "$@"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$p"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() {
  if [ -z "${XTAPE_APT_UPDATED:-}" ]; then
    as_root apt-get update -qq || return 1
    XTAPE_APT_UPDATED=1
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >/dev/null
}

install_missing() {
  local missing
  missing=$(missing_of "$@")
  [ -z "$missing" ] && return 0
  echo "Installing (apt-get): $missing"
  # shellcheck disable=SC2086
  apt_install $missing || { echo "These packages are needed and could not be installed: $missing" >&2; exit 1; }
}

try_install() {
  local p
  for p in $(missing_of "$@"); do
    echo "Installing (apt-get), optional: $p"
    apt_install "$p" || echo "Going on without $p."
  done
}

XTAPE_BUILD_PACKAGES="g++ cmake ninja-build libxtensor-dev libxtensor-blas-dev libopenblas-dev zlib1g-dev libcli11-dev nlohmann-json3-dev libfmt-dev libzip-dev"
