#!/bin/sh
# vm-callers.sh SUITE TEST...
#
# Runs tests in a VM with the containerd and the Podman of a Debian suite. Everything else is as in vm.sh.
set -eu
cd "$(dirname "$0")/../.."
suite=$1
shift
bin=$(sh tests/support/callers.sh "$suite")
home=${bin%/bin}
# The VM sees this directory only, and the programs work only where they were fetched to.
shared=dist/callers-$suite
trap 'rm -rf "$shared"' EXIT
rm -rf "$shared"
cp -al "$home" "$shared" 2>/dev/null || cp -a "$home" "$shared"
# shellcheck disable=SC2016
tests/support/vm.sh -- sh -c '
  home=$1 shared=$PWD/$2
  shift 2
  mkdir -p "${home%/*}"
  ln -s "$shared" "$home"
  exec tests/support/in-vm.sh "$@"
' sh "$home" "$shared" "$@"
