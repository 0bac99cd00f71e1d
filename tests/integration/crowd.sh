#!/usr/bin/env bash
# Strangers by the thousand at CHE's door: 5,000 connections from as many addresses that are silent, send a byte a second, or stop in the middle of
# the handshake, each made anew when CHE closes it; and a member, EST, whose record comes at a byte a second. Meanwhile FIN and SGP exchange
# FLASH and other messages through CHE, and SGP goes away and comes back: nothing is lost, with PARLEY_TEST_TIMES=1 the slowest of 100 messages takes
# at most twice what it takes without them (measured as in flood.sh), and CHE's memory grows by at most 4 KiB for each that it lets wait.
#
# Then the same where CHE may have few file descriptors: it has none left for the crowd, goes on with the links that it has, and takes new
# ones when the crowd has gone.
#
# Usage: tests/integration/crowd.sh [--sockets N] [--messages N] [--seed N]   in the build directory; see scenario.sh
set -euo pipefail
values='sockets messages seed' sockets=5000 messages=120 seed=$((RANDOM * 32768 + RANDOM))
. "$(dirname "$0")/options.sh"
. "$(dirname "$0")/network.sh"
# shellcheck source=hostile.sh
. "$top/tests/integration/hostile.sh"
may=$(ulimit -Hn)
if [ "$may" != unlimited ] && [ "$may" -lt $((sockets + 64)) ]; then sockets=$((may - 64)); fi # there are not more file descriptors to be had
echo "crowd.sh: seed $seed, $sockets sockets"

handshakes_max=64 # PL_HANDSHAKES_MAX
begin_network 'quota_flash_per_minute = 6000' 'quota_flash_burst = 6000'
honest 'to begin with' 50 12 2
rss_before=$(rss CHE) descriptors_before=$(descriptors CHE) sockets_peak=0

# stands WHAT COUNT [COMMAND...]: the quiet, then the crowd, and what is done meanwhile
stands() {
  local what=$1 count=$2 quiet_p50 quiet_p99 before grown
  shift 2
  for _ in 1 2 3; do
    honest quiet "$messages" 12 2
    [ "$lost" -eq 0 ] || broken "$lost of $n messages are lost before anybody comes"
    quiet_p50=$p50 quiet_p99=$p99
    forget_peak CHE
    before=$(rss CHE)
    attack "$what" crowd "$what" "$count"
    honest "with $what" "$messages" 12 2
    sockets_peak=$(($(descriptors CHE) - descriptors_before))
    grown=$(($(peak CHE) - before))
    "$@"
    end_attack "$what"
    printf '   %-8s n %s, %s lost; p50 %s -> %s ms, p99 %s -> %s ms, ratio %s; CHE %s -> %s KiB, %s sockets; the crowd: %s\n' "$what" "$n" "$lost" "$quiet_p50" \
      "$p50" "$quiet_p99" "$p99" "$(ratio "$p99" "$quiet_p99")" "$before" "$((before + grown))" "$sockets_peak" "$(cat "$what.out")"
    [ "$lost" -eq 0 ] || broken "$what: $lost of $n honest messages are lost"
    [ "$sockets_peak" -le $((handshakes_max + 8)) ] || broken "$what: CHE lets $sockets_peak wait"
    is_little $grown 8192 || broken "$what: the memory of CHE grows by $grown KiB" # messages take some, too
    until_true 'CHE has closed what the crowd has opened' has_closed $((descriptors_before + 1))
    if is_in_time; then return; fi
  done
  broken "$what: the slowest of 100 messages takes more than twice as long, three times in a row"
}
has_it() { ask SGP inbox --limit 5 && grep -q 'While you were away' answer.json; }
come_back() {
  local begun=$EPOCHREALTIME
  stop SGP TERM
  echo 'Hello' >hello.txt
  ok '^sent ' --dir FIN send --to SGP --precedence flash --subject 'While you were away' hello.txt
  launch SGP
  until_true 'SGP is back' is_linked SGP CHE
  until_true 'SGP has what was sent meanwhile' has_it
  printf '   SGP was away, and has what was sent meanwhile, after %s s\n' "$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')"
}
step '1. half-open connections'
is_crowded() { [ $(($(descriptors CHE) - descriptors_before)) -ge $handshakes_max ]; }
attack waiting crowd silent $handshakes_max
until_true "CHE lets $handshakes_max wait" is_crowded
grown=$(($(rss CHE) - rss_before))
end_attack waiting
until_true 'CHE has closed what the crowd has opened' has_closed $((descriptors_before + 1))
printf '   %s that are silent take %s KiB: %s KiB each\n' $handshakes_max $grown "$(ratio $grown $handshakes_max)"
is_little $grown $((4 * handshakes_max)) || broken "the memory of CHE grows by $grown KiB for $handshakes_max connections that wait"
stands mixed "$sockets" come_back
links_of_FIN_have_lasted() { ! grep -q 'link lost peer=FIN' CHE.log; }
check 'the link of FIN to CHE has lasted' links_of_FIN_have_lasted
step '2. a record at a byte a second'
stands record 1 :
printf '   CHE has %s KiB, and had %s before\n' "$(rss CHE)" "$rss_before"

step '3. no file descriptors left'
stop CHE TERM
check "CHE ends with 0, not $ended" [ "$ended" -eq 0 ]
(
  ulimit -n $((descriptors_before + 12))
  exec "$parleyd" --dir CHE
) >>CHE.log 2>&1 </dev/null &
pids[CHE]=$!
await_network FIN CHE SGP
for state in FIN SGP; do until_true "$state has a link to CHE" is_linked CHE $state; done
attack few crowd silent "$sockets"
has_no_descriptors() { [ "$(descriptors CHE)" -ge $((descriptors_before + 11)) ]; }
until_true 'CHE has no descriptors left' has_no_descriptors
honest 'without descriptors' "$messages" 12 2
has_had=$(descriptors CHE)
end_attack few
printf '   n %s, %s lost; p50 %s, p99 %s ms; CHE has %s descriptors, and may have %s; the crowd: %s\n' "$n" "$lost" "$p50" "$p99" "$has_had" \
  $((descriptors_before + 12)) "$(cat few.out)"
[ "$lost" -eq 0 ] || broken "without descriptors: $lost of $n honest messages are lost"
stop SGP TERM
launch SGP
until_true 'SGP gets a link when the crowd has gone' is_linked SGP CHE
end_network
echo "crowd.sh: $sockets half-open connections at a time: 0 messages lost"
