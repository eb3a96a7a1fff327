# shellcheck shell=sh
# Sourced: Debian packages unpacked into a directory, without dpkg and without the system's apt state.

say() { echo "thaw: $*" >&2; }
die() { say "$*"; exit 1; }

# apt_unpack DIRECTORY SUITE PACKAGE...: the packages and all they depend on, the C library too, of
# the machine's own Debian archive, in DIRECTORY/root. Returns 1 after saying why.
apt_unpack() {
  apt_open "$1" "$2" deb || return 1
  shift 2
  mkdir -p "$t/root"
  apt_get install -y --print-uris "$@" || return 1
  say "fetching $* ($(awk '/^'\''/ { bytes += $3 } END { print int(bytes / 1000000) }' "$t/log") MB, once)"
  apt_get install -y --download-only "$@" || return 1
  say "unpacking"
  for deb in "$t"/cache/archives/*.deb; do dpkg-deb -x "$deb" "$t/root" || return 1; done
  rm -rf "$t/cache" "$t/lists"
}

# apt_source DIRECTORY SUITE PACKAGE: the files of its source package, in DIRECTORY/source.
apt_source() {
  apt_open "$1" "$2" deb-src || return 1
  mkdir -p "$t/source"
  say "fetching the source of $3"
  ( cd "$t/source" && apt_get source --download-only "$3" ) || return 1
  rm -rf "$t/cache" "$t/lists"
}

# apt_open DIRECTORY SUITE TYPE: the lists of packages (deb) or sources (deb-src).
apt_open() {
  t=$1
  command -v apt-get >/dev/null || { say "no apt-get here"; return 1; }
  sources=/etc/apt/sources.list.d/debian.sources
  [ -s $sources ] || sources=/etc/apt/sources.list
  archive=$(awk '/^URIs:/{print $2; exit} $1=="deb"{for(i=2;i<=NF;i++) if($i ~ "^[a-z]+://"){print $i; exit}}' $sources)
  [ "$archive" ] || { say "no Debian archive in $sources"; return 1; }
  mkdir -p "$t/lists/partial" "$t/cache/archives/partial"
  # As if nothing were installed: apt then fetches the C library too.
  : > "$t/status"
  echo "$3 [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $2 main" > "$t/sources.list"
  say "fetching the package lists of Debian $2"
  apt_get update
}

# apt_get ARGUMENT...: apt-get with its state in $t; the end of what it said when it fails.
apt_get() {
  apt-get -oDir::Etc::sourcelist="$t/sources.list" -oDir::Etc::sourceparts=/dev/null \
    -oDir::State::lists="$t/lists" -oDir::State::status="$t/status" -oDir::Cache="$t/cache" \
    -oAPT::Install-Recommends=0 -oAcquire::Languages=none -oAcquire::Check-Valid-Until=false \
    -oAPT::Update::Error-Mode=any "$@" >"$t/log" 2>&1 && return
  grep '^E:' "$t/log" >&2 || tail -n 3 "$t/log" >&2
  say "apt-get $1 failed with the archive $archive"
  return 1
}

# tie_programs ROOT FILE...: points programs at the C library and the other libraries of unpacked
# packages, patchelf among them. Paths are kept as they are: only once the packages are where they stay.
tie_programs() {
  packages=$1
  shift
  loader=$(find "$packages" -name 'ld-linux*.so.?' -type f | head -n 1)
  # Not merged in bookworm: /lib beside /usr/lib.
  libs=$(find "$packages" -name '*.so.*' | grep -E '/lib/[^/]+/[^/]+$' | sed 's|/[^/]*$||' | sort -u | tr '\n' ':')
  for file in "$@"; do
    # A static program has no loader.
    patchelf --print-interpreter "$file" >/dev/null 2>&1 || continue
    # Two steps, and in this order: both at once break programs of Go.
    patchelf --force-rpath --set-rpath "${libs%:}" "$file" || return 1
    patchelf --set-interpreter "$loader" "$file" || return 1
  done
}

# The patchelf of those packages, which itself is not tied.
patchelf() { "$loader" --library-path "$libs" "$packages/usr/bin/patchelf" "$@"; }
