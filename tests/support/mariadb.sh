#!/bin/sh
# mariadb.sh
#
# Prints the directory of a MariaDB ready to be copied: rootfs/ (server, client, their libraries,
# busybox and a fresh data directory) and mariadb, the client for the host. Made once, from Debian's
# packages, in ${THAW_CACHE:-~/.cache/thaw}; a run that fails leaves nothing there. busybox must be on PATH.
set -eu
cd "$(dirname "$0")/../.."
. scripts/apt-private.sh

# A number to raise when the packages or their treatment change.
cache=${THAW_CACHE:-${HOME:-/root}/.cache/thaw}/mariadb-1
new=$cache.new

# The unpacked packages have no links for a merged /usr: base-files is not among them.
merge_usr() {
  for name in bin sbin lib lib64; do
    mkdir -p "$1/usr/$name"
    [ -e "$1/$name" ] || ln -s "usr/$name" "$1/$name"
  done
}

# copy_program PATH: a program and its libraries, as its own loader finds them, from $root to $rootfs.
copy_program() {
  libraries=$(chroot "$root" "$loader" --list "$1" | sed -n 's|^.*[ \t]\(/[^ ]*\) (0x.*|\1|p')
  [ "$libraries" ] || { say "the libraries of $1 are not all there"; return 1; }
  for file in "$1" $libraries; do
    mkdir -p "$rootfs${file%/*}" && cp -L "$root$file" "$rootfs$file" || return 1
  done
}

make_rootfs() {
  root=$new/apt/root rootfs=$new/rootfs
  merge_usr "$root"
  merge_usr "$rootfs"
  loader=$(cd "$root" && find usr/lib64 usr/lib -name 'ld-linux*.so.?' | head -n 1)
  loader=/$loader
  copy_program /usr/sbin/mariadbd || return 1
  copy_program /usr/bin/mariadb || return 1
  mkdir -p "$rootfs/usr/share/mariadb" "$rootfs/etc/mysql" "$rootfs/var/lib/mysql" "$rootfs/run"
  mkdir -p "$rootfs/tmp" "$rootfs/proc" "$rootfs/sys" "$rootfs/dev"
  cp -R "$root/usr/share/mariadb/english" "$root/usr/share/mariadb/charsets" "$rootfs/usr/share/mariadb"
  cp "$(command -v busybox)" "$rootfs/usr/bin/busybox" || return 1
  for name in sh sleep cat; do ln -s busybox "$rootfs/usr/bin/$name"; done
  echo 'root:x:0:0:root:/:/bin/sh' > "$rootfs/etc/passwd"
  echo 'root:x:0:' > "$rootfs/etc/group"
  # CRIU cannot dump io_uring, which InnoDB would use for native AIO.
  cat > "$rootfs/etc/mysql/my.cnf" <<'CNF'
[mariadbd]
user=root
datadir=/var/lib/mysql
socket=/run/mariadb.sock
tmpdir=/tmp
skip-name-resolve
skip-grant-tables
innodb_use_native_aio=0
innodb_buffer_pool_size=16M
innodb_log_file_size=4M
performance_schema=0
CNF
}

# Each statement must stand on a line of its own.
make_data() {
  sql=$new/apt/root/usr/share/mariadb
  { echo 'create database mysql;'; echo 'create database test;'; echo 'use mysql;'
    cat "$sql/mariadb_system_tables.sql" "$sql/mariadb_performance_tables.sql" \
      "$sql/mariadb_system_tables_data.sql"; } |
    chroot "$new/rootfs" /usr/sbin/mariadbd --bootstrap >"$new/apt/log" 2>&1 && return
  grep ERROR "$new/apt/log" >&2 || tail -n 3 "$new/apt/log" >&2
  say "mariadbd --bootstrap failed"
  return 1
}

make_client() {
  libraries=$(cd "$new/rootfs" && find usr/lib -name libc.so.6)
  libraries=/${libraries%/*}
  cat > "$new/mariadb" <<SH
#!/bin/sh
root=\$(dirname "\$0")/rootfs
exec "\$root$loader" --library-path "\$root$libraries" "\$root/usr/bin/mariadb" --no-defaults "\$@"
SH
  chmod +x "$new/mariadb"
}

make() {
  apt_unpack "$new/apt" trixie mariadb-server-core mariadb-client-core || return 1
  say "making a MariaDB to test with"
  make_rootfs && make_data && make_client || return 1
  rm -rf "$new/apt"
  mv "$new" "$cache"
}

if ! [ -d "$cache" ]; then
  mkdir -p "${cache%/*}"
  exec 9>"$cache.lock"
  flock 9
  if ! [ -d "$cache" ]; then
    trap 'rm -rf "$new"' EXIT
    trap 'exit 1' HUP INT TERM
    rm -rf "$new"
    make || die "no MariaDB to test with: see above"
  fi
fi
echo "$cache"
