#!/bin/sh
# runc-suite.sh
#
# Prints a directory with the integration tests of runc's own source, of the runc that is on PATH, ready
# to run: `bats`, in bin/, with the files in runc/tests/integration. Fetched once from Debian, into
# ${THAW_CACHE:-~/.cache/thaw}; a run that fails leaves nothing there.
#
# What they need besides is made here: a root filesystem of busybox in place of the images they
# download, and recvtty, whose source is Go. Theirs is not changed but for waiting for its socket.
set -eu
cd "$(dirname "$0")/../.."
. scripts/apt-private.sh

# A number to raise when the packages or their treatment change.
suite=${THAW_CACHE:-${HOME:-/root}/.cache/thaw}/runc-suite-1
bun=$PWD/node_modules/bun/bin/bun.exe

make_image() {
  image=$suite/image
  for name in bin dev etc home proc root sys tmp usr var/www var/spool/mail; do mkdir -p "$image/$name"; done
  cp "$(command -v busybox)" "$image/bin/busybox"
  for name in $("$image/bin/busybox" --list); do
    [ "$name" = busybox ] || ln -s busybox "$image/bin/$name"
  done
  ln -s bin "$image/sbin"
  ln -s ../bin "$image/usr/bin"
  # The users that the tests name.
  printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/home:/bin/false > "$image/etc/passwd"
  printf '%s\n' root:x:0: users:x:100: nogroup:x:65534: > "$image/etc/group"
  tar -C "$image" -cf "$suite/busybox.tar" .
  rm -rf "$image"
}

prepare() {
  mkdir "$suite/bin"
  for name in bats gawk jq xz; do ln -s "../root/usr/bin/$name" "$suite/bin/$name"; done
  # Under names that hide no program of the host from those who want that.
  tie_programs "$suite/root" "$suite/root/usr/bin/gawk" "$suite/root/usr/bin/jq" "$suite/root/usr/bin/xz" || return 1
  mkdir "$suite/runc"
  "$suite/bin/xz" -dc "$suite"/source/runc_*.orig.tar.xz | tar -C "$suite/runc" --strip-components 1 -xf - || return 1
  make_image
  tests=$suite/runc/tests/integration
  cat > "$tests/get-images.sh" <<EOF
#!/bin/bash
for image in BUSYBOX HELLO DEBIAN; do echo "\${image}_IMAGE=$suite/busybox.tar"; done
EOF
  # runc itself never ends there on a kernel this new.
  sed -i '/^@test "checkpoint --lazy-pages and restore"/i # bats test_tags=hangs' "$tests/checkpoint.bats"
  cat >> "$tests/helpers.bash" <<'EOF'
eval "$(declare -f setup_recvtty | sed '1s/setup_recvtty/start_recvtty/')"
setup_recvtty() { start_recvtty && until [ -S "$CONSOLE_SOCKET" ]; do sleep 0.01; done; }
EOF
}

if ! [ -e "$suite/complete" ]; then
  mkdir -p "${suite%/*}"
  exec 9>"$suite.lock"
  flock 9
  if ! [ -e "$suite/complete" ]; then
    rm -rf "$suite" "$suite.new"
    apt_unpack "$suite.new" sid bats gawk jq xz-utils patchelf || die "no bats of Debian sid"
    apt_source "$suite.new" sid runc || die "no source of runc in Debian sid"
    mv "$suite.new" "$suite"
    prepare || die "the tests of runc cannot be prepared"
    : > "$suite/complete"
  fi
  exec 9>&-
fi
# Of this checkout, so not kept.
mkdir -p "$suite/runc/tests/cmd/_bin"
printf '#!/bin/sh\nexec %s %s "$@"\n' "$bun" "$PWD/tests/support/recvtty.ts" > "$suite/runc/tests/cmd/_bin/recvtty"
chmod +x "$suite/runc/tests/cmd/_bin/recvtty"
echo "$suite"
