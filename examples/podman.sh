#!/bin/sh
# podman.sh [IMAGE]: a container under Podman goes, comes back, and moves.
#
# As root, with thaw in /usr/local/bin, criu on PATH, and the lines of containers.conf beside this
# file in /etc/containers/containers.conf.d/thaw.conf.
set -eu
image=${1:-docker.io/library/busybox}
archive=$(mktemp -u /var/tmp/thaw-example-XXXXXX.tar.zst)
trap 'podman rm --force --time 0 --ignore thaw-here thaw-there >/dev/null; rm -f "$archive"' EXIT

echo "Podman's runtime: $(podman info --format '{{.Host.OCIRuntime.Path}}')"
# It waits without a `sleep`: a shell caught while it starts a program cannot be checkpointed.
podman run -d --name thaw-here "$image" sh -c \
  'mkfifo /tmp/f; exec 9<>/tmp/f; i=0; while :; do i=$((i + 1)); echo $i; read -t 0.1 x <&9; done' >/dev/null
sleep 1

podman container checkpoint thaw-here >/dev/null
echo "gone:      after $(podman logs thaw-here | tail -n 1)"
podman container restore thaw-here >/dev/null
sleep 1
echo "back:      at $(podman logs thaw-here | tail -n 1)"

# The archive is all that another host needs, which has the image. Here it becomes a second container.
podman container checkpoint --leave-running --export "$archive" thaw-here >/dev/null
podman container restore --import "$archive" --name thaw-there >/dev/null
sleep 1
echo "the other: at $(podman logs thaw-there | tail -n 1)"
