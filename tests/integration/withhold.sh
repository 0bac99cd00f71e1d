#!/usr/bin/env bash
# A member gone bad, EST, that is of no use: it has links to FIN, CHE and SGP, acknowledges nothing and answers no WANT; then it also claims to
# have all that anybody has written. FIN and SGP get everything by CHE all the same, with PARLEY_TEST_TIMES=1 in twice the time of the undisturbed at
# most (measured as in flood.sh); and SGP, back from being away, gets what it has missed, although it has asked EST for it before CHE could be heard.
#
# Usage: tests/integration/withhold.sh [--messages N] [--seed N]   in the build directory; see scenario.sh
set -euo pipefail
values='messages seed' messages=120 seed=$((RANDOM * 32768 + RANDOM))
. "$(dirname "$0")/options.sh"
. "$(dirname "$0")/network.sh"
# shellcheck source=hostile.sh
. "$top/tests/integration/hostile.sh"
echo "withhold.sh: seed $seed"

declare -A at=([FIN]=$loop:$((port + 1)) [CHE]=$hub [SGP]=$loop:$((port + 2)))
own_FIN=("listen = ${at[FIN]}") own_SGP=("listen = ${at[SGP]}")
begin_network 'quota_flash_per_minute = 6000' 'quota_flash_burst = 6000'
honest 'to begin with' 50 12 3

# be_useless CLAIMS: EST has a link to each
useless=()
be_useless() {
  local state
  useless=()
  for state in FIN CHE SGP; do
    nice -n 19 "$rawpeer" "${at[$state]}" withhold "$seed" EST $state "$1" >EST-$state.out 2>EST-$state.err </dev/null &
    useless+=($!)
  done
  helpers+=("${useless[@]}")
  for state in FIN CHE SGP; do until_true "EST has a link to $state" is_linked $state EST; done
}
be_gone() {
  local state
  kill -TERM "${useless[@]}"
  wait "${useless[@]}" || broken 'rawpeer fails'
  for state in FIN CHE SGP; do until_true "EST has no link to $state" is_unlinked $state EST; done
}
# stands NAME CLAIMS
stands() {
  local quiet_p50 quiet_p99
  for _ in 1 2 3; do
    honest quiet "$messages" 12 3
    [ "$lost" -eq 0 ] || broken "$lost of $n messages are lost before EST comes"
    quiet_p50=$p50 quiet_p99=$p99
    be_useless "$2"
    honest "$1" "$messages" 12 3
    be_gone
    printf '   %-20s n %s, %s lost; p50 %s -> %s ms, p99 %s -> %s ms, ratio %s\n' "$1" "$n" "$lost" "$quiet_p50" "$p50" "$quiet_p99" "$p99" \
      "$(ratio "$p99" "$quiet_p99")"
    [ "$lost" -eq 0 ] || broken "$1: $lost of $n honest messages are lost"
    if is_in_time; then return; fi
  done
  broken "$1: the slowest of 100 messages takes more than twice as long, three times in a row"
}
step '1. links of no use'
stands 'no acknowledgements' 0
links_have_lasted || broken 'a link or a daemon did not last'
stands 'and claims' 1
links_have_lasted || broken 'a link or a daemon did not last'

step '2. who comes back'
be_useless 1
stop SGP TERM
check "SGP ends with 0, not $ended" [ "$ended" -eq 0 ]
sent=()
head -c 100000 /dev/urandom >file # for lane 2
for precedence in flash immediate priority routine flash routine; do
  echo 'While you were away' >text
  ok '^sent ' --dir FIN send --to SGP --precedence $precedence --subject "Away ${#sent[@]}" --attach file text
  sent+=("$(grep -oE 'FIN/[0-9]+/[0-9]+' out | head -n 1)")
done
holds_all() { frontiers_are_equal FIN CHE; }
until_true 'CHE holds what SGP has missed' holds_all
kill -STOP "${pids[CHE]}" # until SGP has heard of EST alone, and has asked EST
launch SGP
until_true 'SGP answers' answers SGP
until_true 'EST has its link to SGP again' is_linked SGP EST
has_asked() { "$call" SGP/parley.sock GET /metrics | grep -E '^parley_wants_total [1-9]' >/dev/null; }
until_true 'SGP has asked EST' has_asked
begun=$EPOCHREALTIME
kill -CONT "${pids[CHE]}"
has_all() {
  local ref
  ask SGP inbox --limit 1000 || return 1
  "$pick" --each messages ref <answer.json >inbox
  for ref in "${sent[@]}"; do grep -qxF "$ref" inbox || return 1; done
}
until_true 'SGP has all that it has missed' has_all
until_true 'FIN, CHE and SGP hold the same' frontiers_are_equal FIN CHE SGP
took=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
has_receipts() {
  local ref
  for ref in "${sent[@]}"; do ask FIN receipts "$ref" && [ "$(answer recipients.node=SGP.state)" = decrypted ] || return 1; done
}
until_true 'FIN has the receipts of SGP' has_receipts
ask FIN peers
check 'FIN holds for EST what EST has not acknowledged' [ "$(answer peers.node=EST.held)" -gt 0 ]
printf '   SGP has what it has missed %s s after CHE could be heard\n' "$took"
be_gone
end_network
echo "withhold.sh: a neighbour that acknowledges nothing and answers nothing: 0 messages lost, ${#sent[@]} of ${#sent[@]} caught up with in $took s"
