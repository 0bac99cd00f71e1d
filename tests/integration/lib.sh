# What the tests of the command share; sourced, with bash's -e and -u. Leaves the shell in a fresh folder, $work.
# shellcheck shell=bash disable=SC2034 # what is set here is used there
build=$PWD
parley=$(realpath "${PARLEY:-node/parley}")
parleyd=$(realpath "${PARLEYD:-node/parleyd}")
top=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
work=$(mktemp -d)
cd "$work" || exit
unset PARLEY_DIR PARLEY_PASSPHRASE CREDENTIALS_DIRECTORY NO_COLOR COLUMNS
export TZ=UTC
umask 022

runs=0
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  printf -- '--- stdout\n%s\n--- stderr\n%s\n' "$(cat out)" "$(cat err)" >&2
  exit 1
}
# run COMMAND...: leaves its output in out and err, its exit code in $code; never waits for a terminal, nor for ever. Reads $input.
run() {
  runs=$((runs + 1))
  code=0
  setsid -w timeout -k 5 60 "$parley" "$@" >out 2>err <"${input:-/dev/null}" || code=$?
  if [ "$code" -ge 124 ]; then fail "parley $*: hangs or crashes ($code)"; fi
  if LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f\x7f]' out err && [ -z "${raw:-}" ]; then fail "parley $*: prints control characters"; fi
}
# ok PATTERN COMMAND...: succeeds, and prints a line that matches, if there is a pattern
ok() {
  local pattern=$1
  shift
  run "$@"
  [ "$code" -eq 0 ] || fail "parley $*: exit code $code, expected 0"
  [ -z "$pattern" ] || grep -qE -- "$pattern" out || fail "parley $*: prints nothing like \"$pattern\""
}
# bad CODE PATTERN COMMAND...: fails with this code, says why on stderr in that way, and with --json says it as JSON
bad() {
  local want=$1 pattern=$2
  shift 2
  run "$@"
  [ "$code" -eq "$want" ] || fail "parley $*: exit code $code, expected $want"
  grep -qE -- "$pattern" err || fail "parley $*: says nothing like \"$pattern\""
  head -n 1 err | grep '^parley: ' >/dev/null || fail "parley $*: an error that does not begin with \"parley: \""
  run --json "$@"
  [ "$code" -eq "$want" ] || fail "parley --json $*: exit code $code, expected $want"
  if [ "$(wc -l <err)" -ne 1 ] || ! grep -qE '^\{"error":\{"code":"[a-z_]+","message":".+\}\}$' err; then
    fail "parley --json $*: the error is not JSON on one line"
  fi
}
same() { cmp -s "$1" "$2" || fail "$1 was changed"; }
absent() { local f; for f; do [ ! -e "$f" ] || fail "$f was left behind"; done; }
# no_leftovers: nothing is there with a name as mkstemp() makes them
no_leftovers() {
  local left
  left=$(find . -regex '.*\.[A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9]')
  [ -z "$left" ] || fail "a temporary file was left: $left"
}
# mode FILE: 600
mode() { stat -c %a "$1"; }
# flip FILE OFFSET: inverts a byte
flip() {
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "\\x$(printf %02x $((byte ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
