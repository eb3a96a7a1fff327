#!/bin/sh
# vm-criu.sh SUITE TEST...
#
# Runs tests in a VM with the kernel and the criu of an older Debian: one whose criu does not work on a
# newer kernel. Everything else is as in vm.sh.
set -eu
cd "$(dirname "$0")/../.."
suite=$1
shift
criu=$(tests/support/criu-of.sh "$suite")
home=${criu%/criu}
# The VM sees this directory only, and the criu works only where it was fetched to.
shared=dist/criu-$suite
trap 'rm -rf "$shared"' EXIT
rm -rf "$shared"
cp -a "$home" "$shared"
# shellcheck disable=SC2016
tests/support/vm.sh --kernel "$suite" -- sh -c '
  home=$1 shared=$PWD/$2
  shift 2
  mkdir -p "${home%/*}"
  ln -s "$shared" "$home"
  PATH=$home:$PATH exec tests/support/in-vm.sh "$@"
' sh "$home" "$shared" "$@"
