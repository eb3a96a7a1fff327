#!/bin/sh
# callers.sh SUITE
#
# Prints a directory with the containerd and the Podman of a Debian suite, tied to the libraries of
# that suite: containerd, its shim, ctr, podman, conmon, netavark and nft. Fetched once, into
# ${THAW_CACHE:-~/.cache/thaw}; a run that fails leaves nothing there.
set -eu
cd "$(dirname "$0")/../.."
. scripts/apt-private.sh

suite=$1
# A number to raise when the packages or their treatment change.
callers=${THAW_CACHE:-${HOME:-/root}/.cache/thaw}/callers-1-$suite
programs="containerd containerd-shim-runc-v2 ctr podman conmon netavark nft"

# collect: the programs in bin/, which is all that is called, and away with what no program loads.
collect() {
  mkdir "$callers/bin"
  for name in $programs; do
    file=$(find "$callers/root/usr" -name "$name" -type f -perm -100 | head -n 1)
    [ "$file" ] || { say "$name is not in its package any more"; return 1; }
    mv "$file" "$callers/bin/$name"
    tie_programs "$callers/root" "$callers/bin/$name" || return 1
    "$callers/bin/$name" --version >/dev/null 2>"$callers/log" ||
      "$callers/bin/$name" -v >/dev/null 2>>"$callers/log" ||
      { say "$name does not run: $(head -n 1 "$callers/log")"; return 1; }
  done
  rm -rf "$callers/root/usr/share"
}

if ! [ -e "$callers/complete" ]; then
  mkdir -p "${callers%/*}"
  exec 9>"$callers.lock"
  flock 9
  if ! [ -e "$callers/complete" ]; then
    rm -rf "$callers" "$callers.new"
    apt_unpack "$callers.new" "$suite" containerd podman conmon netavark nftables patchelf ||
      die "no containerd and Podman of Debian $suite"
    mv "$callers.new" "$callers"
    collect || die "no containerd and Podman of Debian $suite"
    : > "$callers/complete"
  fi
  exec 9>&-
fi
echo "$callers/bin"
