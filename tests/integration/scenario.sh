#!/usr/bin/env bash
# The main job on three real daemons: FIN and SGP have no link to one another, only to CHE. A FLASH message crosses, CHE carries it and
# cannot read it; SGP's receipts come back; indicators reach all, byte for byte; CHE is killed while FIN sends, and nothing is lost; SGP
# proves offline what it was sent; daemons end when asked, without losing what they have said is sent, and find everything when they start
# again.
#
# Usage: tests/integration/scenario.sh   in the build directory; PARLEY, PARLEYD and PARLEY_PICK name other binaries; PARLEY_TEST_KEEP=1
# leaves the nodes' folders
set -euo pipefail
. "$(dirname "$0")/network.sh"

make_chain FIN CHE SGP
f=(--dir FIN) c=(--dir CHE) s=(--dir SGP)
for state in FIN CHE SGP; do launch $state; done
for state in FIN CHE SGP; do until_true "parleyd of $state answers" answers $state; done
until_true 'FIN has a link to CHE' is_linked FIN CHE
until_true 'SGP has a link to CHE' is_linked SGP CHE
until_true 'each has the keys of the others' all_have_keys FIN CHE SGP
check 'FIN has no link to SGP' is_unlinked FIN SGP
check 'SGP has no link to FIN' is_unlinked SGP FIN

step '1. FIN sends a FLASH message with a file of 1 MiB to SGP alone; CHE carries it and cannot read it'
word=canary$(od -An -N 8 -tx8 /dev/urandom | tr -d ' ')
subject="Probing of a grid operator, $word-subject"
printf 'Since 02:40 UTC. Käyttö häiriintyy.\n\tIs this an exercise of yours? %s-text\n' "$word" >message.txt
{ yes "$word-file" || true; } | head -c 1048576 >file.txt
ok '^sent ' "${f[@]}" send --to SGP --precedence flash --subject "$subject" --attach file.txt --operator Aho --wait decrypted --timeout $patience message.txt
ref=$(grep -oE 'FIN/[0-9]+/[0-9]+' out | head -n 1)
check "a FLASH message has its place on lane 0: $ref" [ "${ref%/*}" = FIN/0 ]
until_true "CHE holds $ref" ask CHE feed --author FIN --lane 0 --after $((${ref##*/} - 1)) --limit 1
check 'CHE holds it as a message, and knows that it is FLASH' [ "$(answer entries.0.ref entries.0.kind entries.0.flash)" = "$ref"$'\tmessage\ttrue' ]
bad 5 'sealed to others' "${c[@]}" read "$ref"
bad 5 'sealed to others' "${c[@]}" export "$ref" -o CHE.proof
absent CHE.proof
got_file() { "$parley" "${s[@]}" attachment "$ref" 1 -o got.txt --quiet 2>/dev/null; }
until_true 'the attachment is at SGP' got_file
same got.txt file.txt
until_true 'CHE holds all that FIN holds' frontiers_are_equal FIN CHE SGP
! grep -qaF "$word" CHE/store.db* || broken 'what is sealed to SGP stands in the clear in the store of CHE'
for plain in subject text file; do
  ! grep -qaF "$word-$plain" FIN/store.db* SGP/store.db* || broken "the $plain of a message stands in the clear in a store"
done

step '2. SGP reads and accepts it; FIN sees how far it has got'
ok '' "${s[@]}" inbox --unread
check 'it is unread' grep -q "^$ref .* unread$" out
check 'SGP can read it' ask SGP read "$ref" --operator 'Lim Ah Kow'
answer subject >got
printf '%s\n' "$subject" | cmp -s - got || broken 'its subject is another'
answer text >got
printf '%s\n' "$(cat message.txt)" | cmp -s - <(printf '%s\n' "$(cat got)") || broken 'its text is another'
check 'who it is from' [ "$(answer from operator precedence)" = $'FIN\tAho\tflash' ]
check 'SGP can accept it' ask SGP accept "$ref" --operator 'Lim Ah Kow'
has_receipt() { ask FIN receipts "$ref" && [ "$(answer recipients.node=SGP.state)" = "$1" ]; }
until_true 'FIN has the receipt "accepted"' has_receipt accepted
"$pick" --each recipients.0.receipts type operator <answer.json >receipts
printf '%s\t%s\n' stored null decrypted null read 'Lim Ah Kow' accepted 'Lim Ah Kow' | cmp -s - receipts || broken "the receipts are $(tr '\t\n' ' ;' <receipts)"
"$pick" --each recipients.0.receipts received <answer.json | sort -c || broken 'receipts are not listed in the order in which they came'
check 'there is one recipient' [ "$("$pick" --each recipients node <answer.json)" = SGP ]
round_trip=$(answer round_trip_ms)
check "a round trip of $round_trip ms" [ "$round_trip" -gt 0 ]
check 'CHE is listed as a relay' [ "$(answer relays.node=CHE.holds)" = true ]

step '3. FIN shares indicators at TLP:GREEN; they arrive at CHE and SGP, byte for byte'
# Objects in forms that a reader and writer of JSON would change, each in a file of its own.
uuid() { printf '%08x-0000-4000-8000-%012x' "$1" "$1"; }
common() { printf '"spec_version":"2.1","created":"2026-11-24T00:00:00.000Z","modified":"2026-11-24T00:00:00.000Z"'; }
mkdir objects
printf '{"type":"malware",%s,"id":"malware--%s","is_family":false,"name":"K\\u00e4rpp\\u00E4 \\/ \xc3\xa4"}' "$(common)" "$(uuid 1)" >objects/1
printf '{ "id" : "tool--%s" ,\r\n\t"name":"a",%s,\n  "x_number":[1.50,1e3,-0.0,1E+02,9007199254740991],"type":"tool" }' "$(uuid 2)" "$(common)" >objects/2
printf '{"x_order":{"z":1,"a":2,"m":{}},"type":"campaign",%s,"id":"campaign--%s","name":"\xf0\x9f\x8c\x8a","x_empty":[ ]}' "$(common)" "$(uuid 3)" >objects/3
{
  printf '{"objects":['
  cat objects/1
  printf ' ,\n'
  cat objects/2
  printf ','
  cat objects/3
  printf '\n],"id":"bundle--%s","type":"bundle"}\n' "$(uuid 9)"
} >own.json
ok '' "${f[@]}" indicator import "$top/tests/samples/tidegate.json" --tlp green
ok '' "${f[@]}" indicator import own.json --tlp green --json
check 'all of the three are taken' [ "$("$pick" accepted duplicates <out)" = $'3\t0' ]
# More than one entry carries.
{
  printf '{"type":"bundle","id":"bundle--%s","objects":[{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--%s","value":"192.0.2.0"}' "$(uuid 9)" "$(uuid 10)"
  for ((n = 1; n < 1000; n++)); do
    printf ',\n{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--%s","value":"192.0.%d.%d"}' "$(uuid $((10 + n)))" $((n / 256)) $((n % 256))
  done
  printf ']}'
} >many.json
ok '' "${f[@]}" indicator import many.json --tlp green --json
check 'a thousand objects go in several entries' [ "$("$pick" accepted refs.1 <out | cut -f 1)" = 1000 ]
# objects_of NODE: each with its version and hash, in a file
objects_of() { ask "$1" indicator list --limit 100000 && "$pick" --each indicators id modified author tlp bytes sha256 <answer.json | sort >"$1.objects"; }
objects_of FIN
indicators=$(wc -l <FIN.objects)
check "FIN lists what it has shared: $indicators objects" [ "$indicators" -gt 10 ]
has_all_objects() { objects_of "$1" && cmp -s FIN.objects "$1.objects"; }
for state in CHE SGP; do until_true "$state lists what FIN lists" has_all_objects $state; done
for state in FIN CHE SGP; do
  ask $state indicator list --limit 100000
  check "$state says of each object when it came" [ "$("$pick" --each indicators received <answer.json | grep -c '^20')" -eq "$indicators" ]
done
for state in FIN CHE SGP; do
  while IFS=$'\t' read -r id _ _ _ bytes sha256; do
    "$parley" --dir $state indicator show "$id" >object 2>/dev/null || broken "$state does not show $id"
    [ "$(wc -c <object)" -eq "$bytes" ] && [ "$(sha256sum <object | cut -d ' ' -f 1)" = "$sha256" ] || broken "$id at $state has not the bytes that are listed"
  done < <(shuf -n 40 FIN.objects)
  "$parley" --dir $state indicator export -o $state-bundle.json --quiet || broken "$state does not export"
  for n in 1 2 3; do
    id=$(grep -oE '(malware|tool|campaign)--[0-9a-f-]+' objects/$n)
    "$parley" --dir $state indicator show "$id" | cmp -s - objects/$n || broken "$id at $state is not what FIN has imported, byte for byte"
    LC_ALL=C awk 'BEGIN {RS = "\001"} NR == FNR {object = $0; next} {exit index($0, object) == 0}' objects/$n $state-bundle.json || broken "$id does not stand in the export of $state"
  done
done
ok '' "${f[@]}" indicator import SGP-bundle.json --tlp green --json
check 'FIN knows all of what SGP has exported' [ "$("$pick" accepted duplicates <out)" = $'0\t'"$indicators" ]

step '4. CHE is killed while FIN sends; nothing is lost'
messages=60
precedences=(routine priority immediate flash) # FLASH has a quota of 20, and 10 more a minute
# send_many NODE TO COUNT NAME: sends, and writes what was acknowledged to NAME.sent: the reference and the text
send_many() {
  local i got
  for ((i = 1; i <= $3; i++)); do
    got=$(printf '%s of %s\n' "$i" "$4" | timeout 60 "$parley" --dir "$1" --json send --to "$2" --precedence "${precedences[i % 4]}" --subject "$4 $i") || return
    printf '%s\t%s of %s\n' "$("$pick" ref <<<"$got")" "$i" "$4"
  done >>"$4.sent" 2>>"$4.sent.err"
}
has_sent() { [ -s "$1.sent" ] && [ "$(wc -l <"$1.sent")" -ge "$2" ]; }
send_many FIN SGP $messages killed &
sender=$!
helpers+=("$sender")
until_true 'FIN has sent ten' has_sent killed 10
stop CHE KILL
check 'FIN still sends when CHE is killed' kill -0 $sender
wait $sender || { cp killed.sent.err err; broken 'FIN does not go on sending'; }
check "FIN has sent all $messages" [ "$(wc -l <killed.sent)" -eq $messages ]
for state in FIN SGP; do until_true "$state sees that CHE is gone" is_unlinked $state CHE; done
ok '^CHE +down since .*[1-9][0-9]* entries held for it, not lost' "${f[@]}" status
send_many SGP FIN 5 back || { cp back.sent.err err; broken 'SGP does not go on sending'; }
ok '^CHE +down since .*[1-9][0-9]* entr(y|ies) held for it, not lost' "${s[@]}" status
start CHE
# all_there NODE NAME: every message of NAME.sent, none twice. Leaves NODE.inbox.
all_there() {
  ask "$1" inbox --limit 100000 || return
  "$pick" --each messages ref <answer.json | sort >"$1.inbox"
  cut -f 1 "$2.sent" | sort >"$2.refs"
  [ -z "$(comm -23 "$2.refs" "$1.inbox")" ]
}
until_true "all $messages messages are at SGP" all_there SGP killed
until_true 'what SGP has sent is at FIN' all_there FIN back
for state in FIN SGP; do check "no message is at $state twice" [ -z "$(uniq -d $state.inbox)" ]; done
check 'no place is given to two messages' [ "$(sort -u killed.refs | wc -l)" -eq $messages ]
# text_is NODE REF TEXT
text_is() { ask "$1" read --peek "$2" && [ "$(answer text)" = "$3" ]; }
while IFS=$'\t' read -r r text; do check "$r says at SGP what was sent" text_is SGP "$r" "$text"; done <killed.sent
while IFS=$'\t' read -r r text; do check "$r says at FIN what was sent" text_is FIN "$r" "$text"; done <back.sent
until_true 'the three hold the same' frontiers_are_equal FIN CHE SGP
all_are_decrypted() {
  ask FIN inbox --box out --limit 100000 &&
    [ "$("$pick" --each messages receipts.SGP <answer.json | grep -cE '^(decrypted|read|accepted)$')" -eq $((messages + 1)) ]
}
until_true 'FIN has the receipts of all' all_are_decrypted

step '5. SGP exports the message as a proof, which is checked offline'
network=$(ask SGP status && answer network.id)
ok '' "${s[@]}" export "$ref" -o message.proof
mkdir elsewhere
offline=(env -i)
if unshare -n true 2>/dev/null; then offline=(unshare -n env -i); fi
verify() { (cd elsewhere && timeout 60 "${offline[@]}" "$parley" --json verify "$1" --network "${2:-$network}" >../answer.json 2>../answer.err </dev/null); }
check 'the proof holds' verify ../message.proof
check 'it proves who wrote it, and where' [ "$(answer proven author ref)" = $'true\tFIN\t'"$ref" ]
check 'it proves the subject' [ "$(answer message.subject)" = "$subject" ]
check 'it proves the text' [ "$(answer message.text)" = "$(cat message.txt)" ]
refuses() {
  local code=0
  verify "$@" || code=$?
  [ $code -eq 7 ]
}
check 'it does not hold for another network' refuses ../message.proof "$(printf '%064d' 0)"
size=$(wc -c <message.proof)
for ((i = 0; i < 8; i++)); do
  cp message.proof bent.proof
  flip bent.proof $((size * i / 8 + RANDOM % (size / 8)))
  code=0
  verify ../bent.proof || code=$?
  [ $code -eq 7 ] || [ $code -eq 6 ] || broken "a bent proof gets exit code $code"
done

step '6. SIGTERM: what was said to be sent is sent, the daemons end with 0, and a second start finds everything'
for state in FIN SGP; do ask $state inbox --box all --limit 100000 && cp answer.json $state-1.json; done
# It ends while it is asked to send: each command is either answered in full, or fails.
send_many FIN SGP 1000 drained &
sender=$!
helpers+=("$sender")
until_true 'FIN has sent five' has_sent drained 5
stop FIN TERM
check "FIN ends with 0, not $ended" [ "$ended" -eq 0 ]
if wait $sender; then broken 'sending goes on without a daemon'; fi
drained=$(wc -l <drained.sent)
for state in SGP CHE; do
  stop $state TERM
  check "$state ends with 0, not $ended" [ "$ended" -eq 0 ]
done
bad 3 'there is no FIN/parley.sock' "${f[@]}" status
for state in FIN CHE SGP; do
  check "$state has said that it stopped" grep -q stopped <(tail -n 1 $state.log)
  start $state
done
until_true "all $drained that were sent before FIN ended are at SGP" all_there SGP drained
until_true 'the three hold the same' frontiers_are_equal FIN CHE SGP
check 'no message is at SGP twice' [ -z "$(uniq -d SGP.inbox)" ]
for state in FIN SGP; do
  check "$state answers" ask $state inbox --box all --limit 100000
  cp answer.json $state-2.json
  "$pick" --each messages ref id box subject unread accepted sent received receipts <$state-1.json | sort >before
  "$pick" --each messages ref id box subject unread accepted sent received receipts <$state-2.json | sort >after
  comm -23 before after >lost
  [ ! -s lost ] || { cp lost out; broken "$state does not find after its start what it had before"; }
done
ok '' "${s[@]}" export "$ref" -o again.proof
check 'a proof that is exported again holds' verify ../again.proof
objects_of SGP
cmp -s FIN.objects SGP.objects || broken 'SGP lists other objects after its start'
ok '' "${s[@]}" attachment "$ref" 1 -o again.txt
same again.txt file.txt
printf 'as before\n' >text
input=text ok '' "${f[@]}" send --to SGP --subject 'As before' --precedence immediate --wait decrypted --timeout $patience
no_leftovers
echo "scenario.sh: round trip of the FLASH message $round_trip ms; $messages messages sent while CHE was killed, $drained until FIN was ended: 0 lost, 0 twice"
