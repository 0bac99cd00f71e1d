#!/bin/sh
# A corpus that is missing or empty must not pass for one that was replayed.
set -eu

target=tests/fuzz/noise_fuzz
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() { echo "replay_test: $*" >&2; exit 1; }

if "$target" "$folder" >/dev/null 2>&1; then fail 'an empty folder passes'; fi
if "$target" "$folder/none" >/dev/null 2>&1; then fail 'a missing folder passes'; fi
printf 'x' >"$folder/x"
"$target" "$folder" "$folder/x" | grep -x '2 inputs replayed' >/dev/null || fail 'a folder and a file are not two inputs'
