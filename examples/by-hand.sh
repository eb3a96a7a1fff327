#!/bin/sh
# by-hand.sh BUNDLE: the container of a bundle goes and comes back, with nobody in between.
#
# As root, with thaw and criu on PATH. The bundle's process.terminal must be false, and its standard
# streams are /dev/null: CRIU takes no file of the host along.
set -eu
bundle=$(realpath "${1:?a directory with config.json and a root filesystem}")
id=thaw-example-$$
images=$(mktemp -d)
trap 'thaw delete --force $id; rm -r "$images"' EXIT

thaw run -d --bundle "$bundle" "$id" </dev/null >/dev/null 2>&1
sleep 1
thaw checkpoint --image-path "$images/images" --work-path "$images/work" "$id"
echo "gone: $(thaw list -q | grep -c "$id" || :) containers of that name"

thaw restore -d --bundle "$bundle" --image-path "$images/images" --work-path "$images/work" \
  --pid-file "$images/pid" "$id"
echo "back: $id is $(thaw state "$id" | sed -n 's/.*"status": "\(.*\)".*/\1/p'), pid $(cat "$images/pid")"
thaw ps "$id"
