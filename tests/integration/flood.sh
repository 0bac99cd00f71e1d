#!/usr/bin/env bash
# A member gone bad, EST, sends entries to CHE, FLASH, messages and bulk in turn (--each: one kind alone, too), first within its quota, then eight
# times that in lane 0 and twice in the others (--as-fast-as-it-can: without bound; then it is also three daemons on one machine that are measured).
# They are signed and in order, so that they are taken and passed on as far as the quota goes. FIN and SGP, who have only CHE between them, keep at
# least 99 of 100 messages, and with PARLEY_TEST_TIMES=1 the slowest of 100 takes at most twice what it takes without EST.
#
# Each attack is measured against the quiet before it; where it does not hold, both are measured anew, twice at most: what a fault does, it does
# each time. EST's own process runs with what the others leave of the processors.
#
# The quotas are smaller than by default (3 MiB at once, where lane 1 has 64): over its quota an author soon costs little, and before that
# there is what three nodes need for each of its entries, which on one machine they take from each other. What it does to them with the
# quotas that nodes have by default, --default-quotas shows: then all arrives too, and how late is only printed.
#
# Usage: tests/integration/flood.sh [--messages N] [--seed N] [--each] [--as-fast-as-it-can] [--default-quotas]   in the build directory; see scenario.sh
set -euo pipefail
values='messages seed' messages=120 seed=$((RANDOM * 32768 + RANDOM))
switches='each as-fast-as-it-can default-quotas' each=false as_fast_as_it_can=false default_quotas=false
. "$(dirname "$0")/options.sh"
rate=524288 kinds=(all)
if $as_fast_as_it_can; then rate=0; fi
if $each; then kinds=(flash messages bulk all); fi
. "$(dirname "$0")/network.sh"
# shellcheck source=hostile.sh
. "$top/tests/integration/hostile.sh"
echo "flood.sh: seed $seed"

gap_ms=12 flash_every=30
quotas=()
if ! $default_quotas; then
  for lane in 0 1 2; do quotas+=("quota_lane${lane}_bytes_burst = 3145728"); done
  quotas+=('quota_lane2_bytes_per_s = 262144')
fi
own_FIN=('quota_flash_per_minute = 6000' 'quota_flash_burst = 6000') # FIN's own node would refuse; the others have their quota for it
begin_network "${quotas[@]}"
honest 'to begin with' 50 $gap_ms $flash_every

# What an author may send at once has been sent, and FIN and SGP have caught up with CHE.
is_spent() { [ "$1" = within ] || [ "$(grep -c 'entry=EST.*over its quota' CHE.log)" -gt "$2" ]; }
entries() { ask "$1" status && answer store.entries; }
have_caught_up() {
  local have of_FIN of_SGP
  have=$(entries CHE) of_FIN=$(entries FIN) of_SGP=$(entries SGP)
  [ "$of_FIN" -gt $((have - 500)) ] && [ "$of_SGP" -gt $((have - 500)) ]
}
# stands NAME WHAT BYTES RATE: the quiet, then the attack
stands() {
  local quiet_p50 quiet_p99 before waits
  for _ in 1 2 3; do
    honest quiet "$messages" $gap_ms $flash_every
    [ "$lost" -eq 0 ] || broken "$lost of $n messages are lost before anybody attacks"
    quiet_p50=$p50 quiet_p99=$p99 before=$(rss CHE)
    forget_peak CHE
    waits=$(grep -c 'entry=EST.*over its quota' CHE.log || true)
    attack "$1" flood "$2" "$3" "$4"
    if ! $default_quotas; then
      until_true "EST has used its quota up: $1" is_spent "$1" "$waits"
      until_true 'FIN and SGP have caught up' have_caught_up
    fi
    honest "under $1" "$messages" $gap_ms $flash_every
    end_attack "$1"
    printf '   %-9s n %s, %s lost; p50 %s -> %s ms, p99 %s -> %s ms, ratio %s; CHE %s -> %s KiB; EST: %s\n' "$1" "$n" "$lost" "$quiet_p50" "$p50" \
      "$quiet_p99" "$p99" "$(ratio "$p99" "$quiet_p99")" "$before" "$(peak CHE)" "$(cat "$1.out")"
    [ $((lost * 100)) -le "$n" ] || broken "$1: $lost of $n honest messages are lost"
    is_little $(($(peak CHE) - before)) 32768 || broken "$1: the memory of CHE grows from $before to $(peak CHE) KiB"
    ! grep -q 'it was cut' "$1.out" || broken "$1: EST is cut, for all that it sends is signed and in order: $(cat "$1.out")"
    if is_in_time; then return; fi
    if $default_quotas; then return; fi
  done
  broken "$1: the slowest of 100 messages takes more than twice as long, three times in a row"
}
step '1. within its quota'
stands within all 300 32768
step '2. over its quota'
for what in "${kinds[@]}"; do stands $what $what 300 $rate; done
has_all_of_est() { frontiers_are_equal FIN CHE SGP; }
until_true 'FIN, CHE and SGP hold the same in the end' has_all_of_est
links_have_lasted || broken 'a link or a daemon did not last'
end_network
echo "flood.sh: $((1 + ${#kinds[@]})) attacks, no honest message is lost"
