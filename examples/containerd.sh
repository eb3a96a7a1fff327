#!/bin/sh
# containerd.sh IMAGE: a container under containerd becomes an image, and comes back from it.
#
# As root, with thaw in /usr/local/bin, criu on PATH, and IMAGE, which has a shell, in containerd
# (ctr image pull docker.io/library/busybox:latest).
set -eu
image=${1:?the name of an image}
checkpoint=localhost/thaw-example/checkpoint:1

remove() {
  for id in $(ctr container list -q | grep '^thaw-\(here\|there\)$'); do
    ctr task kill --signal KILL "$id" && sleep 1
    ctr task delete "$id"
    ctr container delete "$id"
  done
  ctr image delete $checkpoint
} >/dev/null 2>&1
trap remove EXIT

count() { ctr task exec --exec-id "count-$$" "$1" cat /tmp/count; }

# It waits without a `sleep`: a shell caught while it starts a program cannot be checkpointed. And the
# file keeps its size: CRIU compares, when it is open.
ctr run -d --runc-binary /usr/local/bin/thaw "$image" thaw-here sh -c \
  'mkfifo /tmp/f; exec 9<>/tmp/f; i=0; while :; do i=$((i + 1)); printf %08d $i 1<>/tmp/count; read -t 0.1 x <&9; done'
sleep 1
echo "here: at $(count thaw-here)"

# The task (CRIU's files), what it has changed in its root filesystem, and the image it was made of.
ctr container checkpoint --task --rw --image thaw-here $checkpoint
ctr task kill --signal KILL thaw-here
sleep 1
ctr task delete thaw-here 2>/dev/null
ctr container delete thaw-here
echo "gone: $(ctr container list -q | grep -c thaw-here || :) containers of that name"

# The runtime is the one that the checkpoint names: restore has no option for it.
ctr container restore --live --rw thaw-there $checkpoint
sleep 1
echo "back: at $(count thaw-there)"
