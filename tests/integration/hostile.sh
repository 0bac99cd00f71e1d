# What tests of hostile members and strangers share, on top of network.sh: a network FIN - CHE - SGP of daemons, EST for whom rawpeer speaks,
# honest messages from FIN to SGP, and how they fare.
# shellcheck shell=bash disable=SC2154,SC2034 # what is not set here is set there
rawpeer=$(realpath "${PARLEY_RAWPEER:-$build/tests/integration/rawpeer}")
flow=$(realpath "${PARLEY_FLOW:-$build/tests/integration/flow}")
export PARLEY_PASSPHRASE='correct horse battery'

parleyd_itself=$parleyd
# Where that is allowed, the daemons and what measures them go before everything else on the machine, and rawpeer comes after it, so that it is not
# the machine's other work that is measured.
first=()
if chrt -r 1 true 2>/dev/null; then
  first=(chrt -r 1)
  printf '#!/bin/sh\nexec chrt -r 1 "%s" "$@"\n' "$parleyd" >parleyd.first
  chmod +x parleyd.first
  parleyd=$PWD/parleyd.first
fi

# begin_network [OPTION...]: with the options in every node's parley.conf, and those in own_FIN, own_CHE and own_SGP in theirs
own_FIN=() own_CHE=() own_SGP=()
bad_members=(EST)
begin_network() {
  local state option
  make_chain FIN CHE SGP "${bad_members[@]}"
  for option in "${own_FIN[@]}"; do echo "$option" >>FIN/parley.conf; done
  for option in "${own_CHE[@]}"; do echo "$option" >>CHE/parley.conf; done
  for option in "${own_SGP[@]}"; do echo "$option" >>SGP/parley.conf; done
  for state in FIN CHE SGP; do
    for option; do echo "$option" >>$state/parley.conf; done
    launch $state
  done
  await_network FIN CHE SGP
}

# attack NAME STORY [ARG...]: rawpeer tells CHE the story as EST, in the background and with what the machine has left; $attacker is its pid
attack() {
  local name=$1
  shift
  nice -n 19 "$rawpeer" "$hub" "$1" "$seed" EST CHE "${@:2}" >"$name.out" 2>"$name.err" </dev/null &
  attacker=$!
  helpers+=("$attacker")
  until_true "$name has begun" grep -qs told "$name.err"
}
# end_attack NAME: ends it, if it has not ended by itself
end_attack() {
  local code=0
  kill -TERM "$attacker" 2>/dev/null || true
  wait "$attacker" || code=$?
  [ "$code" -eq 0 ] || { cat "$1.out" "$1.err" >out; broken "$1: rawpeer ends with $code"; }
}

# honest NAME COUNT GAP_MS FLASH_EVERY: messages from FIN to SGP; leaves in $n, $lost, $p50, $p99 how they have fared
honest() {
  "${first[@]}" timeout 300 "$flow" FIN/parley.sock SGP/parley.sock SGP "$2" "$3" "$4" >"$1.flow" 2>err || broken "honest messages fail: $1"
  read -r _ n _ lost _ p50 _ p99 _ <"$1.flow"
}
# meanwhile NAME COMMAND...: does it while honest messages pass, of which none may be lost; no link or daemon but the attacker's may end by it, and
# CHE must be left with the memory and descriptors that it had
meanwhile() {
  local name=$1 before descriptors_before code=0 traffic
  shift
  before=$(rss CHE) descriptors_before=$(descriptors CHE)
  "${first[@]}" "$flow" FIN/parley.sock SGP/parley.sock SGP 100000 50 "${flash_every:-0}" >"$name.flow" 2>"$name.flow.err" &
  traffic=$!
  helpers+=("$traffic")
  "$@" || code=$?
  kill -TERM "$traffic" || true
  wait "$traffic" || broken "$name: honest messages fail: $(cat "$name.flow.err")"
  [ "$code" -eq 0 ] || { cat "$name".out* >out; broken "$name: CHE does not do what it must"; }
  read -r _ n _ lost _ p50 _ p99 _ <"$name.flow"
  [ "$lost" -eq 0 ] || broken "$name: $lost of $n honest messages are lost"
  links_have_lasted || broken "$name: a link or a daemon did not last"
  until_true 'CHE has closed what was opened' has_closed "$descriptors_before"
  is_little $(($(rss CHE) - before)) 8192 || broken "$name: the memory of CHE grows from $before to $(rss CHE) KiB"
  printf '   honest messages meanwhile: %s, %s lost, p50 %s, p99 %s ms; CHE has %s KiB, and had %s\n' "$n" "$lost" "$p50" "$p99" "$(rss CHE)" "$before"
}
has_closed() { [ "$(descriptors CHE)" -le "$1" ]; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
# is_in_time: the slowest of 100 messages took at most twice what it took before, $p99 and $quiet_p99. On a machine that others use too it can be
# their doing, even several times in a row, so that this is required only where PARLEY_TEST_TIMES says so.
is_in_time() { [ -z "${PARLEY_TEST_TIMES:-}" ] || awk -v a="$p99" -v b="$quiet_p99" 'BEGIN { exit !(a <= 2 * b) }'; }

# Under AddressSanitizer memory that is freed is kept for a while, and says nothing.
is_sanitized=false
if nm "$parleyd_itself" 2>/dev/null | grep ' __asan_init$' >/dev/null; then is_sanitized=true; fi
# is_little KIB MAX: so much more memory may be in use
is_little() { $is_sanitized || [ "$1" -le "$2" ]; }
# rss STATE: KiB that its daemon has in memory; peak STATE: the most since forget_peak STATE
rss() { awk '/^VmRSS/ { print $2 }' "/proc/${pids[$1]}/status"; }
peak() { awk '/^VmHWM/ { print $2 }' "/proc/${pids[$1]}/status"; }
forget_peak() { echo 5 >"/proc/${pids[$1]}/clear_refs"; }
descriptors() { find "/proc/${pids[$1]}/fd" -mindepth 1 2>/dev/null | wc -l; }

# links_have_lasted: those of the honest, and each daemon is the first one
links_have_lasted() {
  ! grep -qE 'link lost peer=(FIN|SGP)' CHE.log && [ "$(cat FIN.log CHE.log SGP.log | grep -c ' ready ')" -eq 3 ]
}
end_network() {
  local state
  for state in FIN CHE SGP; do
    stop $state TERM
    check "$state ends with 0, not $ended" [ "$ended" -eq 0 ]
  done
}
