# What tests of running nodes share, on top of lib.sh: a network of states, each with its keys, folder and parleyd, in $work. Every process
# that is started here is ended by its number, on every way out.
# shellcheck shell=bash disable=SC2034

# Seconds that the whole may take.
[ -n "${PARLEY_TEST_BOUNDED:-}" ] || PARLEY_TEST_BOUNDED=1 exec timeout -k 30 "${PARLEY_TEST_SECONDS_MAX:-${seconds_max:-900}}" "$0" "$@"

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
call=$(realpath "${PARLEY_CALL:-$build/tests/integration/call}")
pick=$(realpath "${PARLEY_PICK:-$build/tests/integration/pick}")

# An address of the loopback network for this process alone, so that tests that run at once need not search for free ports: those below are
# outside the range from which a kernel takes ports for connections.
loop=127.$((1 + ($$ >> 16))).$((($$ >> 8) & 255)).$(($$ & 255))
port=17100

# Seconds that anything may take, and that a daemon may: ten times what a quiet machine needs, so that a busy one does not fail.
patience=${PARLEY_TEST_PATIENCE:-60}

declare -A pids=() # of the daemons that run
helpers=()         # other processes to end
before_removal() { :; } # for a test that has more to take down
end_all() {
  local pid
  trap '' INT TERM HUP
  cd /
  if [ -n "${PARLEY_TEST_KEEP:-}" ]; then echo "its files stay in $work" >&2; fi
  exec 2>/dev/null # where bash would tell of each process that it was killed
  for pid in "${pids[@]}" "${helpers[@]}"; do kill -KILL "$pid" || true; done
  wait || true
  before_removal || true
  [ -n "${PARLEY_TEST_KEEP:-}" ] || rm -rf "$work"
}
trap end_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

: >out
: >err
step() { printf '%s\n' "$*"; }
# broken WHY: fails, with the ends of the logs
broken() {
  local log
  for log in *.log; do
    if [ -s "$log" ]; then printf -- '--- the end of %s\n%s\n' "$log" "$(tail -n 12 "$log")"; fi
  done >>err
  fail "$1"
}
# check WHAT COMMAND...: it has to succeed
check() {
  local what=$1
  shift
  "$@" || broken "not so: $what"
}
# until_true WHAT COMMAND...: runs it again and again until it succeeds; no longer than a daemon is there to make it true
until_true() {
  local what=$1 end=$((SECONDS + patience)) state
  shift
  until "$@"; do
    for state in "${!pids[@]}"; do is_running "$state" || broken "parleyd of $state has ended before this was so: $what"; done
    [ $SECONDS -lt $end ] || broken "not within $patience s: $what"
    sleep 0.05
  done
}
# eventually PATTERN COMMAND...: parley prints a line that matches
eventually() {
  local pattern=$1 end=$((SECONDS + patience))
  shift
  while
    run "$@"
    [ "$code" -ne 0 ] || ! grep -qE -- "$pattern" out
  do
    [ $SECONDS -lt $end ] || broken "parley $*: never prints anything like \"$pattern\""
    sleep 0.05
  done
}

# --- a network ---

# make_key STATE: its root key. make_folder STATE [OPTION...]: its node's folder. make_sheet STATE [ADDRESS]
printf 'correct horse battery\n' >pass
chmod 600 pass
with_pass=(--passphrase-file pass --quiet)
make_key() { ok '' key new --role root --out "$1.key" --cost small "${with_pass[@]}"; }
make_folder() { ok '' --dir "$1" init --state "$1" --cost small "${with_pass[@]}" "${@:2}"; }
# A state that is named in second has another node, whose folder that is.
declare -A second=()
make_sheet() {
  [ -z "${second[$1]:-}" ] || ok '' --dir "${second[$1]}" init --state "$1" --cost small "${with_pass[@]}"
  ok '' key certify --state "$1" --name "State of $1" --root "$1.key" --node "$1/node.pub${2:+,$2}" ${second[$1]:+--node "${second[$1]}/node.pub"} \
    --out "$1.sheet" "${with_pass[@]}"
}
# make_charter FILE NAME STATE...: of these, signed by all
make_charter() {
  local file=$1 name=$2 state
  shift 2
  ok '' charter new --name "$name" "${@/%/.sheet}" --out "$file" --quiet
  for state; do ok '' charter sign "$file" --root "$state.key" "${with_pass[@]}"; done
}
# make_chain A B C [D...]: states under the charter net.plc, which says of B alone where it can be dialled: at $hub. So the others have
# links to B only. One that is named in dial_at dials B there, whatever the charter says.
hub=$loop:$port
declare -A dial_at=()
make_chain() {
  local state at
  for state; do
    at=''
    if [ "$state" = "$2" ]; then at=$hub; fi
    make_key "$state"
    make_folder "$state" ${at:+--listen "$at"} ${dial_at[$state]:+--peer "$2 ${dial_at[$state]}"}
    make_sheet "$state" $at
  done
  make_charter net.plc 'Test network' "$@"
  for state; do ok '' --dir "$state" init --charter net.plc --quiet; done
}

# --- daemons ---

# start STATE: starts its daemon and waits until it answers
start() {
  launch "$1"
  until_true "parleyd of $1 answers" answers "$1"
}
launch() {
  "$parleyd" --dir "$1" >>"$1.log" 2>&1 </dev/null &
  pids[$1]=$!
}
is_running() { kill -0 "${pids[$1]}" 2>/dev/null; }
answers() { timeout 60 "$parley" --dir "$1" status --quiet >/dev/null 2>&1; }
# stop STATE SIGNAL: leaves the daemon's exit code in $ended
stop() {
  kill "-$2" "${pids[$1]}" 2>/dev/null || broken "parleyd of $1 does not run"
  reap "$1"
}
# reap STATE: the daemon ends by itself
reap() {
  local end=$((SECONDS + patience))
  while is_running "$1" && [ $SECONDS -lt $end ]; do sleep 0.02; done 2>/dev/null # where bash tells of a child that was killed
  ! is_running "$1" || broken "not within $patience s: parleyd of $1 ends"
  ended=0
  wait "${pids[$1]}" 2>/dev/null || ended=$?
  unset "pids[$1]"
}

# --- what nodes say; each is a condition for check or until_true, or prints a value ---

# ask STATE COMMAND...: leaves what parley --json prints in answer.json
ask() { timeout 60 "$parley" --dir "$1" --json "${@:2}" >answer.json 2>answer.err </dev/null; }
answer() { "$pick" "$@" <answer.json 2>/dev/null; }
is_linked() { ask "$1" peers && [ "$(answer "peers.node=$2.state")" = live ]; }
is_unlinked() { ask "$1" peers && [ "$(answer "peers.node=$2.state")" != live ]; }
has_key_of() { ask "$1" peers && [ "$(answer "peers.node=$2.epoch_key_valid_until")" != null ]; }
is_followed() { "$call" "$1/parley.sock" GET /metrics 2>/dev/null | grep -E '^parley_http_event_streams [1-9]' >/dev/null; }
frontier() { ask "$1" status && answer frontier.root; }
frontiers_are_equal() {
  local state first one
  first=$(frontier "$1") || return 1
  for state in "${@:2}"; do one=$(frontier "$state") && [ "$one" = "$first" ] || return 1; done
}
# STATE...: waits until their daemons, which have been launched, answer and have one another's keys
await_network() {
  local state
  for state; do until_true "parleyd of $state answers" answers "$state"; done
  until_true 'each has the keys of the others' all_have_keys "$@"
}
# A B C: each has the encryption keys of the others
all_have_keys() {
  local a b
  for a; do
    for b; do [ "$a" = "$b" ] || has_key_of "$a" "$b" || return 1; done
  done
}
