#!/bin/bash
# Runs inside the VM of vm.sh: the tests given as arguments, against dist/thaw, on a real cgroup v2
# host. Copies what it runs out of the shared directory first: executing over it is slow.
set -eu
echo "kernel $(uname -r), $(criu --version | head -n 1), cgroup $(stat -f -c %T /sys/fs/cgroup): $(cat /sys/fs/cgroup/cgroup.controllers)"
cp node_modules/bun/bin/bun.exe /tmp/bun
cp dist/thaw /tmp/thaw
chmod +x /tmp/bun /tmp/thaw
THAW=/tmp/thaw exec /tmp/bun test --timeout=300000 "$@"
