#!/bin/sh
# with-tools.sh SCRIPT [ARGUMENT...]
#
# Runs a script of the project with everything it needs: the npm packages, and a CRIU, runc and
# busybox of the newest Debian in a private directory (the system's own are never touched).
# Works on a fresh Debian machine with Node and npm, as root. Cache: ${THAW_CACHE:-~/.cache/thaw}.
set -eu
cd "$(dirname "$0")/.."

. scripts/apt-private.sh

[ "$(id -u)" = 0 ] || die "run this as root: restoring a container needs it"
[ "$(uname -s)" = Linux ] || die "this needs Linux"

if ! [ -x node_modules/.bin/bun ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say "installing npm packages (npm ci)"
  npm ci --no-fund --no-audit --loglevel=error >&2 || die "npm ci failed: see above"
fi
[ "$(node_modules/.bin/bun --version 2>/dev/null)" ] || node node_modules/bun/install.js ||
  die "bun does not run here: it needs a CPU with AVX2"

# A number to raise when the list of packages or their treatment changes.
tools=${THAW_CACHE:-${HOME:-/root}/.cache/thaw}/tools-2
packages="criu runc busybox-static iptables iproute2 patchelf"

# Points the programs at the C library they came with. They are tied to the directory they are
# finally in, so this runs after the move.
link_tools() {
  t=$1
  mkdir -p "$t/bin" "$t/libexec"
  libs=$(dirname "$(find "$t/root/usr/lib" -name libc.so.6 | head -n 1)")
  loader=$(find "$t/root/usr/lib64" "$t/root/usr/lib" -name 'ld-linux*.so.?' 2>/dev/null | head -n 1)
  for name in criu runc ip patchelf xtables-nft-multi; do
    file=$(find "$t/root/usr/bin" "$t/root/usr/sbin" -name $name -type f | head -n 1)
    [ "$file" ] || die "$name is not in its package any more"
    cp "$file" "$t/libexec/$name"
    [ $name = patchelf ] || "$loader" --library-path "$libs" "$t/root/usr/bin/patchelf" \
      --force-rpath --set-interpreter "$loader" --set-rpath "$libs" "$t/libexec/$name"
  done
  for name in criu runc ip; do ln -sf "../libexec/$name" "$t/bin/$name"; done
  cp "$t/root/usr/bin/busybox" "$t/bin/busybox"
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-nft-multi "$t/libexec/$name"
    printf '#!/bin/sh\nXTABLES_LIBDIR=%s exec %s "$@"\n' "$libs/xtables" "$t/libexec/$name" > "$t/bin/$name"
    chmod +x "$t/bin/$name"
  done
  : > "$t/complete"
}

if ! [ -e "$tools/complete" ]; then
  mkdir -p "$(dirname "$tools")"
  exec 9>"$tools.lock"
  flock 9
  if ! [ -e "$tools/complete" ]; then
    rm -rf "$tools" "$tools.new"
    # shellcheck disable=SC2086
    apt_unpack "$tools.new" sid $packages || {
      rm -rf "$tools.new"
      die "no CRIU: make that archive reachable (or put criu 4, runc and busybox on PATH and run: node_modules/.bin/bun $*)"
    }
    mv "$tools.new" "$tools"
    link_tools "$tools"
  fi
  exec 9>&-
fi

PATH=$tools/bin:$PATH
export PATH
reason=$(criu check 2>&1) || die "this kernel cannot checkpoint and restore: $(echo "$reason" | grep -m 1 Error || echo "$reason" | tail -n 1)"
exec node_modules/.bin/bun "$@"
