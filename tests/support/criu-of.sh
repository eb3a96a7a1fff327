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

if ! [ -e "$criu/complete" ]; then
  mkdir -p "$(dirname "$criu")"
  exec 9>"$criu.lock"
  flock 9
  if ! [ -e "$criu/complete" ]; then
    rm -rf "$criu" "$criu.new"
    apt_unpack "$criu.new" "$suite" criu patchelf || die "no criu of Debian $suite"
    mv "$criu.new" "$criu"
    tie_programs "$criu/root" "$criu/root/usr/sbin/criu" || die "no criu of Debian $suite"
    ln -s root/usr/sbin/criu "$criu/criu"
    : > "$criu/complete"
  fi
  exec 9>&-
fi
echo "$criu/criu"
