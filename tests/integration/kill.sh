#!/usr/bin/env bash
# kill -9 at random moments of random nodes, of the three that scenario.sh knows, while FIN and SGP send one another messages of every precedence,
# some with a file in lane 2, and read some of what comes. In the end every message that `parley send` has acknowledged must be at its
# recipient, once, with its text and its file, and its sender must have the receipts; a message that was not acknowledged may be there, once;
# and the three nodes must hold the same. Then one message is taken out of a store, and the same account must miss it.
#
# kill -9 leaves what the kernel holds for the disk, so this shows that nothing is acknowledged too early or lost by the order of things;
# that commits reach the disk is for tests of the store to show.
#
# Usage: tests/integration/kill.sh [--kills N] [--seed N]   in the build directory; see scenario.sh. The seed fixes which nodes are killed when
# and what is sent, not how the processes are scheduled.
set -euo pipefail
kills=50 seed=$((RANDOM * 32768 + RANDOM))
[ -n "${PARLEY_TEST_BOUNDED:-}" ] || PARLEY_TEST_BOUNDED=1 exec timeout -k 30 "${PARLEY_TEST_SECONDS_MAX:-900}" "$0" "$@"
while [ $# -gt 0 ]; do
  case $1 in
    --kills) kills=$2 ;;
    --seed) seed=$2 ;;
    *) echo "kill.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
. "$(dirname "$0")/network.sh"
sql=$(realpath "${PARLEY_SQL:-$build/tests/integration/sql}")
echo "kill.sh: seed $seed"

make_chain FIN CHE SGP
for state in FIN CHE SGP; do
  # FLASH has a quota that this load is far above.
  printf '%s\n' 'quota_flash_per_minute = 6000' 'quota_flash_burst = 6000' >>$state/parley.conf
  launch $state
done
for state in FIN CHE SGP; do until_true "parleyd of $state answers" answers $state; done
until_true 'each has the keys of the others' all_have_keys FIN CHE SGP

# --- the load: processes of their own, until the file "stop" is there ---

precedences=(routine priority immediate flash)
# What message N of NAME says; from a few bytes to some 2 KB.
text_of() { local i=$(($2 * 7919 % 61)) filling='' ; while [ $i -gt 0 ]; do filling+=" and so on, line $i;" i=$((i - 1)); done; echo "$1 $2.$filling"; }
# file_of NAME N: what is attached to it
file_of() { yes "$1 $2 in a file" 2>/dev/null | head -c $((20000 + $2 * 977 % 100000)) || true; }
has_file() { [ $(($1 % 6)) -eq 0 ]; }
# sender NODE TO N: the Nth of the load; writes to NODE.tried the numbers of all messages, to NODE.sent the reference and number of those that were acknowledged
sender() {
  local i code got file
  RANDOM=$(((seed + $3) % 32768))
  for ((i = 1; ; i++)); do
    if [ -e stop ]; then return; fi
    file=()
    if has_file $i; then
      file_of "$1" $i >"$1.file"
      file=(--attach "$1.file")
    fi
    echo $i >>"$1.tried"
    code=0
    got=$(text_of "$1" $i | timeout 60 "$parley" --dir "$1" --json send --to "$2" --precedence "${precedences[RANDOM % 4]}" --subject "$1 $i" "${file[@]}" \
      2>"$1.send.err") || code=$?
    case $code in
      0) printf '%s\t%s\n' "$("$pick" ref <<<"$got")" $i >>"$1.sent" ;;
      3) sleep 0.02 ;; # it is down
      # It starts or ends; or a file that was handed over before the daemon was killed is gone when its message comes.
      *) grep -qE '"(not_ready|unknown_attachment)"' "$1.send.err" || { echo "exit code $code:"; cat "$1.send.err"; return; } >>load.bad ;;
    esac
  done
}
# reader NODE: reads or accepts messages, one after the other, and writes to NODE.read what was acknowledged
reader() {
  local ref i
  for ((i = 0; ; i++)); do
    if [ -e stop ]; then return; fi
    timeout 60 "$parley" --dir "$1" --json inbox --unread --limit 3 >"$1.unread" 2>/dev/null || { sleep 0.05; continue; }
    ref=$("$pick" --each messages ref <"$1.unread" | tail -n 1)
    [ -n "$ref" ] || { sleep 0.05; continue; }
    if [ $((i % 3)) -eq 0 ]; then
      timeout 60 "$parley" --dir "$1" --json accept "$ref" >/dev/null 2>&1 && echo "$ref accepted" >>"$1.read"
    else
      timeout 60 "$parley" --dir "$1" --json read "$ref" >/dev/null 2>&1 && echo "$ref read" >>"$1.read"
    fi || true
  done
}
: >FIN.sent && : >SGP.sent && : >FIN.tried && : >SGP.tried && : >FIN.read && : >SGP.read && : >load.bad
load=()
sender FIN SGP 1 & load+=($!)
sender SGP FIN 2 & load+=($!)
reader FIN & load+=($!)
reader SGP & load+=($!)
helpers+=("${load[@]}")
for state in FIN SGP; do until_true "$state sends" test -s $state.sent; done

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
  [ ! -s load.bad ] || { cat load.bad >err; broken "after kill $n something else than \"it is down\" was said"; }
done
: >stop
wait "${load[@]}"
for state in FIN CHE SGP; do until_true "parleyd of $state answers in the end" answers $state; done

# --- the account ---

is_over() { frontiers_are_equal FIN CHE SGP && all_arrived SGP FIN && all_arrived FIN SGP && frontiers_are_equal FIN CHE SGP; }
# all_arrived AT FROM: leaves the list of AT's inbox, by number
all_arrived() {
  ask "$1" inbox --limit 100000 || return
  "$pick" --each messages ref subject attachments unread accepted <answer.json >"$1.inbox"
  cut -f 1 "$1.inbox" | sort >"$1.refs"
  cut -f 1 "$2.sent" | sort >"$2.refs.sent"
  [ -z "$(comm -23 "$2.refs.sent" "$1.refs")" ]
}
until_true 'every acknowledged message is there, and the three nodes hold the same' is_over

# account AT FROM: says what is wrong, a line each
account() {
  local ref n text state want
  # numbers on which nothing was acknowledged may be there, or not; no number may be there twice, and none that was never sent
  cut -f 2 "$1.inbox" | sort | uniq -d | sed 's/$/: there more than once/'
  comm -13 <(sed "s/^/$2 /" "$2.tried" | sort) <(cut -f 2 "$1.inbox" | sort) | sed 's/$/: never sent/'
  while IFS=$'\t' read -r ref n; do
    ask "$1" read --peek "$ref" || { echo "$ref: $2 $n: lost"; continue; }
    [ "$(answer subject)" = "$2 $n" ] || echo "$ref: $2 $n: its subject is another"
    [ "$(answer text)" = "$(text_of "$2" "$n")" ] || echo "$ref: $2 $n: its text is another"
    if has_file "$n"; then
      "$parley" --dir "$1" attachment "$ref" 1 -o - 2>/dev/null | cmp -s - <(file_of "$2" "$n") || echo "$ref: $2 $n: its file is another, or lost"
    fi
  done <"$2.sent"
  # receipts: of every acknowledged message that it was decrypted, and what its recipient has been told that it has done with it
  ask "$2" inbox --box out --limit 100000 || echo "$2 does not list what it has sent"
  "$pick" --each messages ref "receipts.$1" <answer.json | sort >"$2.receipts"
  while IFS=$'\t' read -r ref n; do
    state=$(awk -F '\t' -v ref="$ref" '$1 == ref {print $2}' "$2.receipts")
    want=$(awk -v ref="$ref" '$1 == ref {print $2}' "$1.read" | sort | head -n 1) # accepted before read
    case ${want:-decrypted}:$state in
      decrypted:decrypted | decrypted:read | decrypted:accepted | read:read | read:accepted | accepted:accepted) ;;
      *) echo "$ref: $2 $n: the receipt is \"$state\", and not \"${want:-decrypted}\"" ;;
    esac
  done <"$2.sent"
}
receipts_are_there() {
  account SGP FIN >wrong
  account FIN SGP >>wrong
  ! grep -q 'the receipt is' wrong
}
until_true 'the receipts are there' receipts_are_there
is_over || broken 'the three nodes do not hold the same any more'
[ ! -s wrong ] || { cp wrong out; broken "not as it has to be, with the seed $seed"; }

# --- the account, when something is lost ---

stop SGP TERM
ref=$(head -n 1 FIN.sent | cut -f 1)
seq=${ref##*/} lane=${ref%/*}
"$sql" SGP/store.db "DELETE FROM hotline_message WHERE box = 1 AND lane = ${lane#*/} AND seq = $seq" >/dev/null
start SGP
if all_arrived SGP FIN; then broken "$ref was taken out of the store of SGP, and is not missed"; fi
[ "$(comm -23 FIN.refs.sent SGP.refs)" = "$ref" ] || broken "not $ref alone is missed, which was taken out"
account SGP FIN >wrong
grep -q "^$ref: .*: lost$" wrong || broken "$ref was taken out of the store of SGP, and the account does not say so"

messages=$(cat FIN.sent SGP.sent | wc -l) deaths=$((killed[FIN] + killed[CHE] + killed[SGP]))
[ "$messages" -ge "$kills" ] || broken "only $messages messages were acknowledged: that is no load"
rate() { awk -v n="$1" 'BEGIN {printf "%.4f", 3 / n}'; }
echo "kill.sh: $kills moments, $deaths deaths (FIN ${killed[FIN]}, CHE ${killed[CHE]}, SGP ${killed[SGP]}), $messages messages acknowledged, $(cat FIN.read SGP.read | wc -l) read or accepted"
echo "kill.sh: 0 lost, 0 twice: with 95 % certainty fewer than $(rate "$kills") losses a kill, $(rate "$messages") a message; worst start after a kill $worst_ms ms"
