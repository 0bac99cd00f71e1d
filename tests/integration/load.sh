# A load on FIN and SGP, and an account of it; on top of network.sh. FIN and SGP send one another messages of every precedence, some with a
# file in lane 2, and read or accept what comes. The senders and readers are processes of their own, and take it that a daemon is down at
# times.
# shellcheck shell=bash disable=SC2154 # what is not set here is set there

# FLASH has a quota, which this load would be far above.
lift_quota() { printf '%s\n' 'quota_flash_per_minute = 6000' 'quota_flash_burst = 6000' >>"$1/parley.conf"; }

precedences=(routine priority immediate flash)
# text_of NODE N: what its message N says; from a few bytes to some 2 KB
text_of() {
  local i=$(($2 * 7919 % 61)) filling=''
  while [ $i -gt 0 ]; do filling+=" and so on, line $i;" i=$((i - 1)); done
  echo "$1 $2.$filling"
}
# file_of NODE N: what is attached to it
file_of() { yes "$1 $2 in a file" 2>/dev/null | head -c $((20000 + $2 * 977 % 100000)) || true; }
has_file() { [ $(($1 % 6)) -eq 0 ]; }

# sender NODE TO SEED: writes to NODE.tried the numbers of all messages, to NODE.sent the reference and number of those that were
# acknowledged
sender() {
  local i code got file
  RANDOM=$(($3 % 32768))
  for ((i = 1; ; i++)); do
    if [ -e load.stop ]; then return; fi
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
    if [ -e load.stop ]; then return; fi
    timeout 60 "$parley" --dir "$1" --json inbox --unread --limit 3 >"$1.unread" 2>/dev/null || { sleep 0.05; continue; }
    ref=$("$pick" --each messages ref <"$1.unread" | tail -n 1)
    [ -n "$ref" ] || { sleep 0.05; continue; }
    if [ $((i % 3)) -eq 0 ]; then
      timeout 60 "$parley" --dir "$1" --json accept "$ref" >/dev/null 2>&1 && printf '%s\taccepted\n' "$ref" >>"$1.read"
    else
      timeout 60 "$parley" --dir "$1" --json read "$ref" >/dev/null 2>&1 && printf '%s\tread\n' "$ref" >>"$1.read"
    fi || true
  done
}
# begin_load SEED
begin_load() {
  local state
  : >load.bad
  for state in FIN SGP; do : >$state.tried && : >$state.sent && : >$state.read; done
  load=()
  sender FIN SGP "$1" & load+=($!)
  sender SGP FIN $(($1 + 1)) & load+=($!)
  reader FIN & load+=($!)
  reader SGP & load+=($!)
  helpers+=("${load[@]}")
  for state in FIN SGP; do until_true "$state sends" test -s $state.sent; done
}
load_is_well() { [ ! -s load.bad ] || { cat load.bad >err; broken 'something else than "it is down" was said'; }; }
end_load() {
  : >load.stop
  wait "${load[@]}"
  load_is_well
}
messages_sent() { cat FIN.sent SGP.sent | wc -l; }

# --- the account: each prints what is wrong, a line each ---

# missing AT FROM: acknowledged messages that are not in the inbox
missing() {
  ask "$1" inbox --limit 100000 || { echo "$1 does not list its messages"; return; }
  "$pick" --each messages ref subject <answer.json >"$1.inbox"
  comm -23 <(cut -f 1 "$2.sent" | sort) <(cut -f 1 "$1.inbox" | sort)
}
# false_messages AT FROM: after missing. A message that was not acknowledged may be there; no message may be there twice, and none that was
# never sent.
false_messages() {
  cut -f 2 "$1.inbox" | sort | uniq -d | sed 's/$/: there more than once/'
  comm -13 <(sed "s/^/$2 /" "$2.tried" | sort) <(cut -f 2 "$1.inbox" | sort) | sed 's/$/: never sent/'
}
# false_contents AT FROM: of each acknowledged message
false_contents() {
  local ref n
  while IFS=$'\t' read -r ref n; do
    ask "$1" read --peek "$ref" || { echo "$ref: $2 $n: lost"; continue; }
    [ "$(answer subject)" = "$2 $n" ] || echo "$ref: $2 $n: its subject is another"
    [ "$(answer text)" = "$(text_of "$2" "$n")" ] || echo "$ref: $2 $n: its text is another"
    if has_file "$n"; then
      "$parley" --dir "$1" attachment "$ref" 1 -o - 2>/dev/null | cmp -s - <(file_of "$2" "$n") || echo "$ref: $2 $n: its file is another, or lost"
    fi
  done <"$2.sent"
}
# missing_receipts AT FROM: of every acknowledged message, that it was decrypted; and that it was read or accepted, if its reader was told
# so
missing_receipts() {
  ask "$2" inbox --box out --limit 100000 || { echo "$2 does not list what it has sent"; return; }
  "$pick" --each messages ref "receipts.$1" <answer.json >"$2.receipts"
  awk -F '\t' '
    BEGIN {rank["decrypted"] = 1; rank["read"] = 2; rank["accepted"] = 3}
    FILENAME ~ /receipts$/ {has[$1] = $2; next}
    FILENAME ~ /read$/ {if (rank[$2] > rank[due[$1]]) due[$1] = $2; next}
    {want = $1 in due ? due[$1] : "decrypted"; if (rank[has[$1]] < rank[want]) print $1 ": the receipt is \"" has[$1] "\", and not \"" want "\""}' \
    "$2.receipts" "$1.read" "$2.sent"
}
# is_delivered: everything acknowledged is where it has to be, and FIN, CHE and SGP hold the same
is_delivered() {
  { missing SGP FIN; missing FIN SGP; missing_receipts SGP FIN; missing_receipts FIN SGP; } >wrong
  [ ! -s wrong ] && frontiers_are_equal FIN CHE SGP
}
# settle_accounts: waits for that, and looks at every message
settle_accounts() {
  until_true 'every acknowledged message and receipt is there, and the three nodes hold the same' is_delivered
  { false_messages SGP FIN; false_messages FIN SGP; false_contents SGP FIN; false_contents FIN SGP; } >wrong
  [ ! -s wrong ] || { cp wrong out; broken 'messages are not as they were sent'; }
}
