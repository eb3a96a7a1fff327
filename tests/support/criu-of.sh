#!/bin/sh
# criu-of.sh SUITE [DIRECTORY]
#
# Prints the path of the criu of a Debian suite, with the libraries of that suite. Fetched once, into
# DIRECTORY or ${THAW_CACHE:-~/.cache/thaw}/criu-SUITE; the path must stay the same afterwards. A run
# that fails leaves nothing there.
set -eu
cd "$(dirname "$0")/../.."
. scripts/apt-private.sh

suite=$1
criu=${2:-${THAW_CACHE:-${HOME:-/root}/.cache/thaw}/criu-$suite}

# Programs are tied to the directory they are finally in, so this runs after the move.
link_criu() {
  root=$criu/root
  loader=$(find "$root" -name 'ld-linux*.so.?' -type f | head -n 1)
  # Not merged in bookworm: /lib beside /usr/lib.
  libs=$(find "$root" -name '*.so.*' | grep -E '/lib/[^/]+/[^/]+$' | sed 's|/[^/]*$||' | sort -u | tr '\n' ':')
  patchelf=$root/usr/bin/patchelf
  "$loader" --library-path "$libs" "$patchelf" --force-rpath --set-interpreter "$loader" \
    --set-rpath "${libs%:}" "$root/usr/sbin/criu"
  ln -sf root/usr/sbin/criu "$criu/criu"
  : > "$criu/complete"
}

if ! [ -e "$criu/complete" ]; then
  mkdir -p "$(dirname "$criu")"
  exec 9>"$criu.lock"
  flock 9
  if ! [ -e "$criu/complete" ]; then
    rm -rf "$criu" "$criu.new"
    apt_unpack "$criu.new" "$suite" criu patchelf || die "no criu of Debian $suite"
    mv "$criu.new" "$criu"
    link_criu
  fi
  exec 9>&-
fi
echo "$criu/criu"
