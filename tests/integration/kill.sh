#!/usr/bin/env bash
# kill -9 at random moments of random nodes, of the three that scenario.sh knows, while FIN and SGP send one another messages of every
# precedence, some with a file in lane 2, and read some of what comes. In the end every message that `parley send` has acknowledged must be
# at its recipient, once, with its text and its file, and its sender must have the receipts; a message that was not acknowledged may be
# there, once; and the three nodes must hold the same. Then one message is taken out of a store, and the same account must miss it.
#
# kill -9 leaves what the kernel holds for the disk, so this shows that nothing is acknowledged too early or lost by the order of things;
# that commits reach the disk is for tests of the store to show.
#
# Usage: tests/integration/kill.sh [--kills N] [--seed N]   in the build directory; see scenario.sh. The seed fixes which nodes are killed
# when and what is sent, not how the processes are scheduled.
set -euo pipefail
values='kills seed' kills=${PARLEY_TEST_SHORT:+5} seed=$((RANDOM * 32768 + RANDOM))
. "$(dirname "$0")/options.sh"
: "${kills:=50}"
. "$(dirname "$0")/network.sh"
. "$top/tests/integration/load.sh"
sql=$(realpath "${PARLEY_SQL:-$build/tests/integration/sql}")
echo "kill.sh: seed $seed"

make_chain FIN CHE SGP
for state in FIN CHE SGP; do
  lift_quota $state
  launch $state
done
await_network FIN CHE SGP

begin_load $seed

# --- the kills ---

now_ms() { local us=${EPOCHREALTIME//[.,]/}; echo $((us / 1000)); }
RANDOM=$((seed % 32768))
states=(FIN CHE SGP)
declare -A killed=([FIN]=0 [CHE]=0 [SGP]=0)
worst_ms=0
for ((n = 0; n < kills; n++)); do
  sleep "0.$(printf '%03d' $((RANDOM % 700)))"
  victims=("${states[RANDOM % 3]}")
  if [ $((RANDOM % 8)) -eq 0 ]; then victims=(FIN CHE SGP); fi # the lights go out
  for state in "${victims[@]}"; do
    stop $state KILL
    killed[$state]=$((killed[$state] + 1))
  done
  sleep "0.$(printf '%03d' $((RANDOM % 200)))"
  begun_ms=$(now_ms)
  for state in "${victims[@]}"; do launch $state; done
  if [ $((RANDOM % 4)) -gt 0 ]; then # else the next kill may come while it starts
    for state in "${victims[@]}"; do until_true "parleyd of $state answers after kill $n" answers $state; done
    took_ms=$(($(now_ms) - begun_ms))
    if [ $took_ms -gt $worst_ms ]; then worst_ms=$took_ms; fi
  fi
  load_is_well
done
end_load
for state in FIN CHE SGP; do until_true "parleyd of $state answers in the end" answers $state; done

settle_accounts

# --- the account, when something is lost ---

stop SGP TERM
ref=$(head -n 1 FIN.sent | cut -f 1)
seq=${ref##*/} lane=${ref%/*}
"$sql" SGP/store.db "DELETE FROM hotline_message WHERE box = 1 AND lane = ${lane#*/} AND seq = $seq" >/dev/null
start SGP
[ "$(missing SGP FIN)" = "$ref" ] || broken "$ref alone was taken out of the store of SGP, and is not missed, or not alone"
false_contents SGP FIN >wrong
grep -q "^$ref: .*: lost$" wrong || broken "$ref was taken out of the store of SGP, and the account does not say so"

messages=$(messages_sent) deaths=$((killed[FIN] + killed[CHE] + killed[SGP]))
[ "$messages" -ge "$kills" ] || broken "only $messages messages were acknowledged: that is no load"
rate() { awk -v n="$1" 'BEGIN {printf "%.4f", 3 / n}'; }
echo "kill.sh: $kills moments, $deaths deaths (FIN ${killed[FIN]}, CHE ${killed[CHE]}, SGP ${killed[SGP]}), $messages messages acknowledged, $(cat FIN.read SGP.read | wc -l) read or accepted"
echo "kill.sh: 0 lost, 0 twice: with 95 % certainty fewer than $(rate "$kills") losses a kill, $(rate "$messages") a message; worst start after a kill $worst_ms ms"
