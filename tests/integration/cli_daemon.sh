#!/usr/bin/env bash
# The command parley against daemons: FIN, CHE and SGP, of which FIN and SGP have no link to one another, and EST, which comes up late, without
# its second node. Every command that calls the API, and what each says and returns for bad input and when a daemon goes.
#
# Usage: tests/integration/cli_daemon.sh   in the build directory; PARLEY, PARLEYD and PARLEY_PICK name other binaries
set -euo pipefail
. "$(dirname "$0")/network.sh"

second[EST]=EST.2
make_chain FIN CHE SGP EST
echo 'quota_flash_per_minute = 1' >>FIN/parley.conf # a quota that is used up stays so for a minute
for s in CHE FIN SGP; do start $s; done
f=(--dir FIN) c=(--dir CHE) s=(--dir SGP)
sql=$(realpath "${PARLEY_SQL:-$build/tests/integration/sql}")

# --- state ---
eventually '^CHE +up since' "${f[@]}" status
eventually '^CHE +up since' "${s[@]}" status
ok '^SGP +no direct link; what is for it goes through others$' "${f[@]}" status
ok '^SGP +idle +- +- ' "${f[@]}" peers
ok '^FIN +"FIN-1" in "Test network"$' "${f[@]}" status
ok '^\{"version":.*"held":\{.*\}\}$' "${f[@]}" status --json
ok '^ends +.*, in 36[0-9] days, with the certificate of (FIN|CHE|SGP|EST): nothing renews it$' "${f[@]}" status
grep -q 'certificate_days_left=36[0-9]' FIN.log || fail 'the log does not say how long the certificates hold'
! grep -q "the network's end is near" FIN.log || fail 'a year ahead the log warns of the end'
ok '^CHE +live out +mesh ' "${f[@]}" peers
ok '^\{"peers":\[' "${f[@]}" peers --json
eventually '^SGP/0/1 +epoch-key' "${f[@]}" feed
ok '^FIN/0/1 +epoch-key' "${f[@]}" feed --author FIN
ok '^\{"entries":\[.*"ref":"FIN/0/1".*\],"next":null\}$' "${f[@]}" feed --author FIN --lane 0 --json
run "${f[@]}" feed --author EST
[ "$code" -eq 0 ] && grep -q '^parley: no entry$' err || fail 'a feed of nothing is not told'
bad 2 'go with --author' "${f[@]}" feed --lane 0
bad 2 'goes with --lane' "${f[@]}" feed --author FIN --after 3
bad 4 'SWE' "${f[@]}" feed --author SWE
ok '^FIN/0/1 +epoch-key' "${f[@]}" feed --author fin
ok '^MESSAGE' "${f[@]}" inbox --precedence FLASH
ok '' "${f[@]}" status --check
[ ! -s out ] && [ ! -s err ] || fail 'status --check has something to say where all is well'

# --- a message, and all that can be done with it ---
printf 'We see it too.\n\tCall \033[2Jus.\nIt says \\x1b in C:\\new.\n' >text
input=text ok '^sent +FIN/0/[0-9]+ to SGP, message [0-9a-f]{32}$' "${f[@]}" send --to sgp --precedence flash --subject 'Re: probing' --wait decrypted --timeout $patience
grep -qE '^SGP +decrypted ' out || fail 'send --wait does not show the receipts'
ref=$(grep -oE 'FIN/0/[0-9]+' out | head -n 1)
id=$(grep -oE '[0-9a-f]{32}' out | head -n 1)
ok "^$ref +${id:0:8} +FLASH +FIN +SGP +Re: probing +.* unread$" "${s[@]}" inbox
ok '^FLASH +1 not accepted yet' "${s[@]}" status
ok '1 unread' "${s[@]}" status
ok '^    We see it too.$' "${s[@]}" read "$ref" --peek
[ "$(tail -n 1 out)" = 'END OF TEXT' ] || fail 'the end of a text is not marked'
# what nobody could read is not said to be read
code=0
"$parley" "${s[@]}" read "$ref" >/dev/full 2>err || code=$?
[ "$code" -eq 1 ] && grep -q 'not marked as read' err || fail 'read does not say that it could not show the message'
code=0
"$parley" "${s[@]}" read "$ref" >&- 2>err || code=$?
[ "$code" -eq 1 ] && grep -q 'not marked as read' err || fail 'read does not say that it could not show the message on a stdout that is closed'
for command in status peers inbox feed "receipts $ref" version; do
  code=0
  # shellcheck disable=SC2086
  "$parley" "${s[@]}" ${command/version/--version} >&- 2>err <&- || code=$?
  [ "$code" -eq 1 ] && grep -q 'output cannot be written' err || fail "$command: a stdout that is closed is not noticed"
done
"$parley" "${s[@]}" status >out 2>&- || fail 'status needs a stderr'
bad 2 'one line of 1 to 64 bytes' "${s[@]}" read "$ref" --operator $'a\nb'
ok "^$ref .* unread$" "${s[@]}" inbox --unread
ok '^        Call \\x1b\[2Jus.$' "${s[@]}" read "${id:0:6}" --operator 'Lim Ah Kow'
grep -qxF '    It says \\x1b in C:\new.' out || fail 'what was typed is not told from what was escaped'
ok "\"id\":\"$id\"" "${s[@]}" read "$id" --json
ok '^RECEIVED ' "${s[@]}" read --peek "$id"
ok '^DATE-TIME ' "${f[@]}" read --peek "$id"
! grep -q '^RECEIVED' out || fail 'a message of one'"'"'s own is said to have been received'
for written in "${ref,,}" "FIN/0/00${ref##*/}"; do
  ok "\"id\":\"$id\"" "${s[@]}" read "$written" --json
  ok "$id" "${f[@]}" receipts "$written"
  ok '' "${f[@]}" inbox --box all --after "$written"
done
run "${s[@]}" inbox --unread
grep -q "$ref" out && fail 'a message that was read is listed as unread'
ok '^FLASH +1 not accepted yet: `parley inbox --unaccepted --precedence flash`$' "${s[@]}" status
ok "^$ref .* read$" "${s[@]}" inbox --unaccepted --precedence flash
ok "^accepted: $ref from FIN, \"Re: probing\"" "${s[@]}" accept "$ref" --operator 'Lim Ah Kow'
ok "^$ref was accepted already, at .* by Lim Ah Kow; (its sender has that receipt, and gets no other|that receipt goes out by itself, and no other does)$" "${s[@]}" accept "$ref" --operator 'Lim Ah Kow'
ok "^accepted: $ref from FIN" "${s[@]}" accept "$ref" --operator 'Tan'
run "${s[@]}" inbox --unaccepted
grep -q "$ref" out && fail 'a message that was accepted is listed as not accepted'
eventually '^SGP +accepted +.*Tan$' "${f[@]}" receipts "$ref"
for receipt in stored decrypted read; do grep -qE "^SGP +$receipt " out || fail "there is no receipt \"$receipt\""; done
grep -qE '^round trip +[0-9]' out && grep -qE '^relays +CHE holds it, sealed$' out || fail 'receipts does not tell the round trip and the relay'
ok '"round_trip_ms":[0-9]+' "${f[@]}" receipts "$id" --json
ok "^$ref .*SGP accepted$" "${f[@]}" inbox --box out
ok "^$ref " "${f[@]}" inbox --box all --precedence flash
ok '^\{"messages":\[\],"next":null\}$' "${f[@]}" inbox --json

bad 5 'sealed to others' "${c[@]}" read "$ref"
bad 5 'sealed to others' "${c[@]}" read "$ref" --peek
bad 5 'own member' "${f[@]}" accept "$ref"
bad 4 'no message FIN/0/999' "${s[@]}" read FIN/0/999
bad 4 'FIN/0/1 is held here, and is no message' "${s[@]}" read FIN/0/1
bad 4 'FIN/0/1 is held here, and is no message' "${s[@]}" export FIN/0/1 -o no.proof
bad 2 'an empty one was given' "${s[@]}" read ''
bad 4 'no message' "${s[@]}" receipts 00000000
bad 6 'names no message' "${s[@]}" read "${id:0:2}"
bad 6 'names no message' "${s[@]}" read ../status
bad 6 'a control character in the path' "${s[@]}" read $'\e[2J'
bad 4 'EST.* is no member|XXX is no member' "${f[@]}" send --to XXX --subject S
bad 5 'EST' "${f[@]}" send --to EST --subject S
bad 5 'EST' "${f[@]}" send --to SGP,EST --subject S
bad 6 'own member' "${f[@]}" send --to FIN --subject S
bad 4 'no message' "${f[@]}" send --to SGP --subject S --reply-to FIN/0/999

# --- answering and searching ---
echo 'It is an exercise.' >answer
ok '^sent +SGP/0/[0-9]+ to FIN, message' "${s[@]}" reply "$ref" answer --wait decrypted --timeout $patience
ref3=$(grep -oE 'SGP/0/[0-9]+' out | head -n 1)
ok '^SUBJECT +Re: probing$' "${f[@]}" read "$ref3"
grep -qE '^FLASH$' out && grep -qE "^REFERENCE +$ref, message $id$" out || fail 'an answer has not the precedence, or names not what it answers'
ok "^sent +FIN/1/[0-9]+ to SGP, message" "${f[@]}" reply "$ref3" --precedence routine --subject 'Understood' answer
bad 5 "is a message of this node's own member" "${f[@]}" reply "$ref" answer
bad 4 'no message' "${s[@]}" reply FIN/0/999 answer
ok "^$ref " "${s[@]}" inbox --search 'sEE It too'
[ "$(wc -l <out)" -eq 2 ] || fail 'a search finds what does not match'
ok "^$ref3 " "${f[@]}" inbox --search 'RE: PROB'
ok '^\{"messages":\[\],"next":null\}$' "${s[@]}" inbox --box all --search 'nothing of the kind' --json

# "there are more" where there are, and only there
ok "^$ref " "${s[@]}" inbox --search 'see it too' --limit 1
[ ! -s err ] || fail 'a search that has found all says that there are more'
ok '' "${f[@]}" inbox --box out --limit 1
grep -qE "^parley: there are more: --after FIN/1/[0-9]+$" err || fail 'a page does not say that there are more'
ok "^$ref " "${f[@]}" inbox --box out --limit 1 --after "$(cut -d ' ' -f 6 err)"
[ ! -s err ] || fail 'the last page says that there are more'

# --- options of send ---
head -c 200000 /dev/urandom >data.bin
echo 'See the file.' >text2
input=text2 ok '^\{"id":"[0-9a-f]{32}"' "${f[@]}" send --to SGP --info CHE --subject 'With a file' --attach data.bin --attach pass --expires 2h --reply-to "$ref" \
  --exercise --operator Aho --wait decrypted --timeout $patience --json
grep -q '"receipts":{' out || fail 'send --wait --json lacks the receipts'
ref2=$("$pick" ref <out)
ok '^EXERCISE EXERCISE EXERCISE$' "${s[@]}" read "$ref2"
for line in 'FROM +FIN \(Aho\)' 'TO +SGP' 'INFO +CHE' "REFERENCE +.*" 'EXPIRES +20' 'ATTACHMENT +1: "data.bin", application/octet-stream, 195.3 KiB' \
  'ATTACHMENT +2: "pass"'; do
  grep -qE "^$line" out || fail "read does not show \"$line\""
done
ok '"data.bin", 195.3 KiB' "${c[@]}" attachment "$ref2" 1 -o got.bin --wait --timeout 60
same data.bin got.bin
bad 5 'got.bin: exists already' "${c[@]}" attachment "$ref2" 1 -o got.bin
bad 4 'has no attachment 3' "${c[@]}" attachment "$ref2" 3 -o no.bin
bad 2 'not the number' "${c[@]}" attachment "$ref2" one -o no.bin
raw=1 run "${c[@]}" attachment "$ref2" 1 -o -
cmp -s out data.bin || fail 'an attachment on stdout is not the attachment'
absent no.bin
mkdir -p saved 'a b'
ok '^saved/data.bin: "data.bin"' "${c[@]}" attachment "$ref2" 1 -o saved
same data.bin saved/data.bin
bad 5 'saved/data.bin: exists already' "${c[@]}" attachment "$ref2" 1 -o saved/
echo old >saved/data.bin
bad 2 'force goes with -o FILE' "${c[@]}" attachment "$ref2" 1 -o saved/ --force
[ "$(cat saved/data.bin)" = old ] || fail 'the name that a sender gave replaces a file'
bad 2 'force goes with -o FILE' "${c[@]}" attachment "$ref2" 1 --force
ok '' "${c[@]}" attachment "$ref2" 1 -o saved/data.bin --force
same data.bin saved/data.bin
(cd 'a b' && ok '^pass: "pass"' --dir ../CHE attachment "$ref2" 2 --wait)
cmp -s pass 'a b/pass' || fail 'an attachment is not saved under its own name'
bad 2 'goes with --wait' "${c[@]}" attachment "$ref2" 1 -o no.bin --timeout 3
long=$(printf 'ä%.0s' {1..122}).bin
head -c 10 data.bin >"$long"
input=text2 ok '' "${f[@]}" send --to SGP --subject 'Long name' --attach "$long" --json --wait decrypted --timeout $patience
ok '' "${s[@]}" attachment "$("$pick" ref <out)" 1 -o saved/ --wait
[ -e "saved/$(printf 'ä%.0s' {1..118}).bin" ] || fail 'a long name is not cut before its extension'
head -c 100 data.bin >part.bin
run "${f[@]}" send --to SGP --subject 'File alone' --attach part.bin
[ "$code" -eq 0 ] && grep -qE '^attached +1: "part.bin", 100 B; it follows the message$' out && grep -q 'there is no text' err ||
  fail 'send does not tell of the attachment and of the lack of a text'
echo later >later
input=later run "${f[@]}" send --to SGP --subject 'Not read' --wait read --timeout 1
[ "$code" -eq 8 ] && grep -q 'not read yet by SGP' err && grep -q '^sent ' out || fail 'send --wait does not end in time'

# on a busy machine it may have expired before parleyd takes it; then nothing is sent
input=later eventually '^FIN/1/[0-9]+$' "${f[@]}" send --to 'sgp, CHE,SGP' --subject 'Short-lived' --expires 1s --quiet
[ "$(wc -l <out)" -eq 1 ] && [ ! -s err ] || fail 'send --quiet prints more than the reference'
ok '^TO +CHE, SGP$' "${f[@]}" read "$(cat out)"
eventually 'Short-lived .*unread, EXPIRED$' "${s[@]}" inbox
eventually 'Short-lived .*EXPIRED$' "${f[@]}" inbox --box out

# --- events ---
"$parley" "${s[@]}" watch --event message --count 2 --timeout $((2 * patience)) --json >watch.out 2>&1 &
watcher=$!
until_true 'watch follows SGP' is_followed SGP
echo one >one
for n in 1 2; do input=one ok '' "${f[@]}" send --to SGP --subject "Event $n" --quiet; done
wait $watcher || fail 'watch --count 2 does not end with 0'
cp watch.out out
[ "$(grep -c '^{"event":"message","id":"[^"]*","data":{' out)" -eq 2 ] && [ "$(wc -l <out)" -eq 2 ] || fail 'watch --json is not one event a line'
run "${s[@]}" watch --event fork --timeout 1
[ "$code" -eq 8 ] || fail "watch --timeout ends with $code, expected 8"
bad 2 'one of: message receipt' "${s[@]}" watch --event fish

# --- an attachment that is on its way ---
head -c 16000000 /dev/urandom >large.bin
"$parley" "${s[@]}" watch --event attachment --count 1 --timeout 120 >watch.out 2>&1 &
watcher=$!
until_true 'watch follows SGP' is_followed SGP
stop CHE TERM
input=one ok '' "${f[@]}" send --to SGP --subject 'Large' --attach large.bin --quiet
start CHE
eventually ' Large ' "${s[@]}" inbox
ref4=$(grep ' Large ' out | cut -d ' ' -f 1)
run "${s[@]}" attachment "$ref4" 1 -o early.bin
[ "$code" -eq 0 ] || { [ "$code" -eq 8 ] && grep -q "attachment 1 of $ref4 is on its way: [0-9]* of its 326 parts are here" err; } ||
  fail 'an attachment that comes later: is not said to be on its way'
[ "$code" -eq 0 ] || absent early.bin
ok '^late.bin: "large.bin"' "${s[@]}" attachment "$ref4" 1 -o late.bin --wait
same large.bin late.bin
wait $watcher || fail 'watch does not tell of an attachment'
cp watch.out out
grep -qE "attachment +1 of $ref4: \"large.bin\", 15.3 MiB, is complete$" out || fail 'watch does not say which attachment is complete'

# --- an attachment that is damaged, and a message that its recipient does not take ---
input=one ok '^sent +FIN/1/' "${f[@]}" send --to SGP --subject 'Spoilt' --attach part.bin --wait decrypted --timeout $patience
ref5=$(grep -oE 'FIN/1/[0-9]+' out | head -n 1)
ok '' "${s[@]}" attachment "$ref5" 1 -o whole.bin --wait --quiet
input=one ok '^sent +FIN/1/' "${f[@]}" send --to SGP --subject 'Forgotten' --wait decrypted --timeout $patience
id6=$(grep -oE '[0-9a-f]{32}' out | head -n 1)
stop SGP TERM
"$sql" SGP/store.db "UPDATE hotline_attachment SET state = 3 WHERE message = (SELECT max(message) FROM hotline_attachment)"
start SGP
# FIN no more knows what it has sent under this id
stop FIN TERM
"$sql" FIN/store.db "DELETE FROM hotline_recipient WHERE message = (SELECT n FROM hotline_message WHERE id = x'$id6')" \
  "DELETE FROM hotline_receipt WHERE message_id = x'$id6'" "DELETE FROM hotline_message WHERE id = x'$id6'"
start FIN
ok '^ATTACHMENT +1: "part.bin"' "${s[@]}" read "$ref5"
grep -qE '^ +DAMAGED: what came is not what the message says; ask its sender to send it again$' out || fail 'read does not say that an attachment is damaged'
grep -q "parley attachment $ref5 1" out && fail 'read says how to save an attachment that is damaged'
ok '"damaged":true' "${s[@]}" read "$ref5" --json
ok "^$ref5 .* read$" "${s[@]}" inbox --search 'Spoilt'
bad 7 'attachment 1 is not what its message says it is' "${s[@]}" attachment "$ref5" 1 -o damaged.bin
absent damaged.bin
bad 7 'attachment 1 is not what its message says it is' "${s[@]}" attachment "$ref5" 1 -o damaged.bin --wait
absent damaged.bin
why='its message id belongs to a message that says something else'
bad 1 "SGP holds FIN/1/[0-9]+ and has not taken it: $why" "${f[@]}" send --to SGP --subject 'Something else' --id "$id6" --wait decrypted --timeout $patience one
ok ' Something else .*SGP failed$' "${f[@]}" inbox --box out
ref6=$(grep ' Something else ' out | cut -d ' ' -f 1)
ok "^SGP +failed +[0-9].* $why$" "${f[@]}" receipts "$ref6"
ok "\"state\":\"failed\".*\"type\":\"failed\".*\"reason\":\"$why\"" "${f[@]}" receipts "$ref6" --json

# --- the relay is killed: nothing is lost, and that is said ---
"$parley" "${c[@]}" watch --event message >watch.out 2>watch.err &
watcher=$!
until_true 'watch follows CHE' is_followed CHE
told=$(grep -c 'cannot be reached peer=CHE' FIN.log || true)
stop CHE KILL
bad 3 'parleyd does not answer on CHE/parley.sock' "${c[@]}" inbox
for n in 1 2 3; do input=one ok '' "${f[@]}" send --to SGP --subject "Held $n" --precedence immediate --quiet; done
eventually '^CHE +down since .*[1-9][0-9]* entr(y|ies) held for it, not lost' "${f[@]}" status
ok '^SGP +no direct link; what is for it is kept here until there is a link$' "${f[@]}" status
eventually '^ +last failure [0-9].*: connection refused' "${f[@]}" status
ok '^CHE +.*: connection refused$' "${f[@]}" peers
eventually '^CHE +down since' "${s[@]}" status
ok "^accepted: $ref from FIN, .*; the sender gets a receipt" "${s[@]}" accept "$ref" --operator Ng
ok "^$ref was accepted already, at .* by Ng; that receipt goes out by itself, and no other does$" "${s[@]}" accept "$ref" --operator Ng
bad 1 'there is no link to any other node' "${f[@]}" status --check
last_tried() { ask FIN peers && answer peers.node=CHE.last_error.time; }
has_tried_again() { [ "$(last_tried)" != "$tried" ]; }
for ((n = 0; n < 3; n++)); do
  tried=$(last_tried)
  until_true 'FIN tries to reach CHE again' has_tried_again
done
[ "$(grep -c 'cannot be reached peer=CHE' FIN.log)" -eq $((told + 1)) ] || fail 'the log says each time that a node cannot be reached, or never'
start CHE
eventually 'Held 3' "${s[@]}" inbox
grep -q 'Held 1' out && grep -q 'Held 2' out || fail 'a message was lost'
eventually '^CHE +up since .*it holds all that is here' "${f[@]}" status
eventually '^SGP +accepted +.*Ng$' "${f[@]}" receipts "$ref"
input=one ok '^sent ' "${c[@]}" send --to SGP --subject 'From next door' --wait decrypted --timeout $patience
next_door=$(grep -oE 'CHE/[01]/[0-9]+' out | head -n 1)
ok "^accepted: $next_door from CHE" "${s[@]}" accept "$next_door"
eventually "^$next_door was accepted already, at .*; its sender has that receipt, and gets no other$" "${s[@]}" accept "$next_door"
until_true 'watch says that parleyd is back' grep -q 'parleyd is back' watch.err
kill $watcher 2>/dev/null || true
grep -q 'parleyd is gone' watch.err && grep -q 'parleyd is back' watch.err || { cp watch.out out; cp watch.err err; fail 'watch does not wait for a daemon'; }

# --- indicators ---
sample=$top/tests/samples/tidegate.json
objects=$("$pick" --each objects id <"$sample" | wc -l)
ok "^$objects objects shared at TLP:GREEN, 0 shared before, 0 refused$" "${f[@]}" indicator import "$sample" --tlp green
ok "^0 objects shared at TLP:GREEN, $objects shared before, 0 refused$" "${f[@]}" indicator import "$sample" --tlp GREEN
ok "^\\{\"accepted\":0,\"duplicates\":$objects,\"rejected\":\\[\\],\"refs\":\\[\\]\\}$" "${f[@]}" indicator import "$sample" --tlp green --json
for state in CHE SGP; do eventually "\"total\":$objects\\}" --dir $state indicator list --json --limit 1000; done
[ "$(grep -o '"sha256"' out | wc -l)" -eq "$objects" ] || fail 'list does not list every object'
ok '^report +TIDEGATE' "${s[@]}" indicator list --type report
ok '^campaign +TIDEGATE +FIN +GREEN' "${s[@]}" indicator list --author fin --tlp green --search tidegate --limit 1000
ok '^TYPE' "${s[@]}" indicator list --type nothing-of-the-kind
run "${s[@]}" indicator list --type malware --json
malware=$("$pick" --each indicators id <out | wc -l)
ok '^malware' "${s[@]}" indicator list --type malware --limit "$malware"
[ ! -s err ] || fail 'a list of all there are says that there are more'
ok '^\{"id":"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487","type"' "${c[@]}" indicator show marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487 --meta --json
ok '^shared by +FIN at TLP:GREEN, in FIN/2/[0-9]+, received 20' "${c[@]}" indicator show marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487 --meta
grep -qE '^object +[0-9,]+ bytes, sha256 [0-9a-f]{64}$' out || fail 'show --meta does not tell the hash of the object'
# byte for byte: this object stands on one line of the sample
grep -o '^ *{"type": "marking-definition".*}' "$sample" | sed 's/^ *//' | tr -d '\n' >object
run "${s[@]}" indicator show marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487
cmp -s object out || fail 'an object does not come out as it went in'
ok 'all.json: a STIX 2.1 bundle' "${s[@]}" indicator export -o all.json
grep -q "^parley: $objects objects$" err || fail 'export does not say how much it wrote'
ok "^fin-all.json: a STIX 2.1 bundle, SHA-256 $(sha256sum all.json | cut -d ' ' -f 1)$" "${f[@]}" indicator export -o fin-all.json
run "${s[@]}" indicator export --type nothing-of-the-kind
[ "$code" -eq 0 ] && grep -q 'nothing here matches' err || fail 'an export of nothing is not told'
run "${s[@]}" indicator list --tlp red
[ "$code" -eq 0 ] && grep -q 'shared at TLP:CLEAR and TLP:GREEN alone' err || fail 'a list that is empty by its TLP is not told'
grep -qF "$(cat object)" all.json || fail 'export does not hold the bytes of an object'
ok "^0 objects shared at TLP:GREEN, $objects shared before" "${f[@]}" indicator import all.json --tlp green
bad 5 'all.json: exists already' "${s[@]}" indicator export -o all.json
bad 5 'TLP:AMBER does not allow' "${f[@]}" indicator import "$sample" --tlp amber
bad 6 'is marked TLP:GREEN|nothing was imported' "${f[@]}" indicator import "$sample" --tlp clear --strict
printf '{"type":"bundle","id":"bundle--11111111-2222-4333-8444-555555555555","objects":[%s]}' \
  '{"type":"indicator","spec_version":"2.1","id":"indicator--11111111-2222-4333-8444-555555555555","created":"2026-01-01T00:00:00Z","modified":"2026-01-0DT00:00:00Z","name":"of STATE","pattern":"x"}' >bundle
sed 's/0DT/02T/; s/STATE/FIN/' bundle >fin.json
sed 's/0DT/03T/; s/STATE/SGP/; s/"pattern"/"revoked":true,"pattern"/' bundle >sgp.json
sed 's/2026-01-0DT/9999-12-31T/; s/STATE/SGP/' bundle >ahead.json
ok '^1 object shared' "${f[@]}" indicator import fin.json --tlp green
eventually 'of FIN' "${s[@]}" indicator list --search 'of FIN'
ok '^1 object shared' "${s[@]}" indicator import sgp.json --tlp green
bad 6 'modified over a day from now' "${s[@]}" indicator import ahead.json --tlp green
sed 's/0DT/02T/; s/of STATE/a\\u001b[2J\\u202eb\\nc/; s/indicator--1/indicator--2/' bundle >escape.json
ok '^1 object shared' "${f[@]}" indicator import escape.json --tlp green
ok '^indicator +a\\x1b\[2J\\u\{202e\}b\\x0ac ' "${f[@]}" indicator list # harmless, and seen to be there
ok '"name":"a\\u001[bB]\[2J\\u202[eE]b\\nc"' "${f[@]}" indicator list --json
eventually 'another version by SGP; the id is of FIN' "${f[@]}" indicator list --search 'of SGP'
ok '"name":"of FIN"' "${f[@]}" indicator show indicator--11111111-2222-4333-8444-555555555555
grep -q 'this is by FIN; there is another version by SGP: --author SGP' err || fail 'show does not say that there is another version'
ok '"name":"of SGP"' "${f[@]}" indicator show indicator--11111111-2222-4333-8444-555555555555 --author SGP
grep -q 'this is another version by SGP; FIN brought the id first' err || fail 'show does not say whose version it shows'
ok '' "${f[@]}" indicator export
grep -q 'of FIN' out && ! grep -q 'of SGP' out || fail 'an export holds what another member shared under an id'
ok 'of SGP' "${f[@]}" indicator export --author SGP
bad 4 'no object with the id' "${s[@]}" indicator show indicator--00000000-0000-4000-8000-000000000000
bad 4 'no node' "${s[@]}" indicator list --author SWE
bad 2 'no TLP "pink"' "${s[@]}" indicator list --tlp pink

# --- proofs ---
ok 'm.proof: opens this one message' "${s[@]}" export "$ref" -o m.proof
bad 9 'm.proof: holds for network id [0-9a-f]{4}( [0-9a-f]{4}){15}, which was not compared' verify m.proof
run verify m.proof
grep -qE '^good +signature' out && grep -qE '^open +network' out && grep -q '^    We see it too.$' out || fail 'verify does not show what is proven'
ok '^good +network' verify m.proof --charter net.plc
grep -qE '^good +form +a proof of [0-9]{1,3}(,[0-9]{3})+ bytes' out || fail 'verify prints large numbers without commas'
ok '^\{"proven":true,.*"finding":"good".*"message":\{"id":"'"$id" verify m.proof --charter net.plc --json
run verify m.proof --json
[ "$code" -eq 9 ] && grep -q '^{"proven":null,' out && grep -q '"code":"not_compared"' err || fail 'a proof whose network is open is said to be proven'
ok '' "${f[@]}" export "$id" -o sent.proof --quiet
ok '^good +chain' verify sent.proof --charter net.plc
# attachments are numbered from 1, as everywhere
ok '' "${c[@]}" export "$ref2" -o files.proof --quiet
ok '^ATTACHMENT +1: "data.bin", 195.3 KiB, sha256 [0-9a-f]{64}$' verify files.proof --charter net.plc
grep -qE '^ATTACHMENT +2: "pass", ' out || fail 'verify does not number attachments from 1'
ok '"attachments":\[\{"n":1,"name":"data.bin",.*\{"n":2,"name":"pass",' verify files.proof --charter net.plc --json
# what `read` shows, `verify` shows, and looks like it
ok '^EXERCISE EXERCISE EXERCISE$' verify files.proof --charter net.plc
for line in 'FROM +FIN \(Aho\)' 'TO +SGP' 'INFO +CHE' "REFERENCE +message $id" 'EXPIRES +20'; do
  grep -qE "^$line" out || fail "verify does not show \"$line\""
done
bad 5 'exists already' "${s[@]}" export "$ref" -o m.proof
bad 5 'sealed to others' "${c[@]}" export "$ref" -o no.proof
bad 4 'no message' "${s[@]}" export FIN/0/999 -o no.proof
absent no.proof
bad 7 'fails at "network"' verify m.proof --network "$(printf %064d 0)"
make_charter other.plc 'Another network' FIN
bad 7 'fails at "network"' verify m.proof --charter other.plc
size=$(stat -c %s m.proof)
for ((at = 3; at < size; at += 211)); do
  cp m.proof t.proof
  flip t.proof $at
  run verify t.proof
  [ "$code" -eq 6 ] || [ "$code" -eq 7 ] || fail "a proof with byte $at changed: exit code $code"
done
# no proof at all is a bad input, whatever is wrong with its form
head -c $((size - 1)) m.proof >t.proof
bad 6 'not a proof' verify t.proof
{ cat m.proof; printf x; } >t.proof
bad 6 'not a proof' verify t.proof

# --- a network that ends within 60 days: said at the start and whenever one looks ---
ok '' --dir END init --state SWE --cost small "${with_pass[@]}"
ok '' key certify --state SWE --name Sweden --root EST.key --node END/node.pub --days 30 --out SWE.sheet "${with_pass[@]}"
ok '' charter new --name 'Short network' SWE.sheet --out short.plc --quiet
ok '' charter sign short.plc --root EST.key "${with_pass[@]}"
ok '' --dir END init --charter short.plc --quiet
start END
ok '^CERTIFICATE +the certificate of SWE ends on .*, in 29 days: nothing renews it' --dir END status
until_true 'the log warns of the end' grep -qE "warning.*the network's end is near.*in 29 days" END.log
bad 1 'the certificate of SWE ends' --dir END status --check
is_left() { "$call" "$1/parley.sock" GET /metrics 2>/dev/null | grep '^parley_http_event_streams 0$' >/dev/null; }
# nothing happens at END: who watches has seen no event, and hears of the restart that there may have been some
for with in '' --json; do
  : >watch.out
  # shellcheck disable=SC2086
  "$parley" --dir END watch --event message $with >watch.out 2>&1 &
  watcher=$!
  until_true 'watch follows END' is_followed END
  stop END KILL
  start END
  until_true 'watch says that it may have missed something' grep -qE 'cannot say any more what happened|^\{"event":"missed"' watch.out
  kill $watcher
  until_true 'nobody follows END' is_left END # the next one is not taken for this one
done
kill -STOP "${pids[END]}"
bad 8 'parleyd runs, and does not answer' --dir END status
kill -CONT "${pids[END]}"
stop END TERM

# --- more FLASH messages than the quota allows ---
echo two >two
for ((n = 0; n < 21; n++)); do
  run "${f[@]}" send --to SGP --precedence flash --subject "Flash $n" two
  [ "$code" -eq 0 ] || break
done
[ $n -le 20 ] || fail 'the quota of FLASH messages is not held'
bad 5 'the next can go in ([1-9]|[1-5][0-9]|60) s' "${f[@]}" send --to SGP --precedence flash --subject 'One too many' two
grep -q '"retry_after_ms":[1-9]' err || fail 'the error does not hold the wait as a number'
ok '^sent +FIN/0/' "${f[@]}" send --to SGP --precedence immediate --subject 'Goes at once' two

# --- a daemon that does not answer, or goes: in the end it is known whether a message was sent ---
# has_sent PID: it catches SIGINT, as it does from the moment when its message goes to parleyd
has_sent() { [ "$(cat "/proc/$1/comm")" = "$(basename "$parley")" ] && grep -q '^SigCgt:.*[2367abef]$' "/proc/$1/status"; }
once() { run "${f[@]}" inbox --box out && [ "$(grep -c " $1 " out)" -eq 1 ] || fail "\"$1\" was not sent once"; }
code=0
"$parley" "${f[@]}" send --to SGP --subject 'To nowhere' two >/dev/full 2>err || code=$?
[ "$code" -eq 1 ] && grep -q 'it is sent, as FIN/1/[0-9]*; only the output' err || fail 'send does not say that it could not show what it sent'
kill -STOP "${pids[FIN]}"
bad 10 'message [0-9a-f]{32} may have been sent' "${f[@]}" send --to SGP --subject 'Into silence' --timeout 4 two
code=0
"$parley" "${f[@]}" send --to SGP --subject 'In doubt' --timeout 4 two >out 2>err || code=$?
[ "$code" -eq 10 ] && grep -q 'still waiting for parleyd, which has got message' err && grep -q 'parley inbox --box out' err ||
  fail 'send does not say what is known of a message that parleyd took and did not answer'
id=$(grep -oE 'message [0-9a-f]{32} may' err | cut -d ' ' -f 2)
kill -CONT "${pids[FIN]}"
ok "message $id$" "${f[@]}" send --to SGP --subject 'In doubt' --id "$id" two
ok "message $id$" "${f[@]}" send --to SGP --subject 'In doubt' --id "$id" two
once 'In doubt'
bad 5 'says something else was sent under this id' "${f[@]}" send --to SGP --subject 'Another' --id "$id" two
bad 2 '32 hex digits' "${f[@]}" send --to SGP --subject S --id "${id:0:31}" two
# interrupted while an attachment goes over: nothing is sent, and that is said
kill -STOP "${pids[FIN]}"
: >send.err
env --default-signal=INT "$parley" "${f[@]}" send --to SGP --subject 'Interrupted' --attach large.bin --timeout 120 two >send.out 2>send.err &
sender=$!
until_true 'send hands an attachment over' grep -q 'still waiting for parleyd' send.err
kill -INT $sender
wait $sender || true
cp send.out out; cp send.err err
grep -q '^parley: interrupted: the message was not sent$' err || fail 'send that is interrupted does not say that nothing was sent'
kill -CONT "${pids[FIN]}"
# interrupted while nobody knows: the id is named, and what it is good for
kill -STOP "${pids[FIN]}"
for with in '' --json; do
  : >send.err
  # shellcheck disable=SC2086
  env --default-signal=INT "$parley" "${f[@]}" send --to SGP --subject 'Interrupted' --timeout 120 two $with >send.out 2>send.err &
  sender=$!
  until_true 'send has handed the message over' has_sent "$sender"
  kill -INT $sender
  code=0
  wait $sender || code=$?
  cp send.out out; cp send.err err
  [ "$code" -eq 130 ] || fail "send ends with $code when it is interrupted"
  grep -qE 'interrupted.*message [0-9a-f]{32} may have been sent' err && grep -q 'parley receipts [0-9a-f]' err && grep -q 'sent again with --id' err ||
    fail 'send that is interrupted does not say what may have been sent'
  [ -z "$with" ] || "$pick" error <err >/dev/null || fail 'an interrupted send --json does not say it in JSON'
done
kill -CONT "${pids[FIN]}"
for with in '' '--attach data.bin'; do
  kill -STOP "${pids[FIN]}"
  : >send.err
  # shellcheck disable=SC2086
  "$parley" "${f[@]}" send --to SGP --subject "Broken off$with" --wait decrypted --timeout 120 $with two >send.out 2>send.err &
  sender=$!
  until_true 'send waits for parleyd' grep -q 'still waiting for parleyd' send.err
  stop FIN KILL
  until_true 'send tells that parleyd is gone' grep -q 'waiting for it to come back' send.err
  start FIN
  wait $sender || { cp send.out out; cp send.err err; fail 'send does not ask again when parleyd is back'; }
  grep -q '^sent ' send.out || fail 'send does not say that it sent'
  once "Broken off$with"
done

# --- a node without a key: what is sent to its member is not sealed to it ---
start EST
sends_to_est() { run "${f[@]}" send --to EST --info SGP --subject 'To those with keys' two && [ "$code" -eq 0 ]; }
until_true 'FIN knows a key of EST' sends_to_est
ref5=$(grep -oE 'FIN/1/[0-9]+' out | head -n 1)
grep -q '^parley: not sealed to EST.2, which cannot read it: no key is known of it that is valid now$' err || fail 'send does not say whom it leaves out'
eventually "^$ref5 .* FIN +EST; info SGP +To those with keys .* EST decrypted, EST\.2 no key, SGP decrypted$" "${f[@]}" inbox --box out
eventually "^$ref5 .* EST; info SGP +To those with keys " "${s[@]}" inbox
ok '^EST\.2 +no key +it was not sealed to this node: no key was known of it$' "${f[@]}" receipts "$ref5"
grep -qE '^SGP \(info\) +decrypted ' out || fail 'receipts do not tell who is only to know'
grep -qE '^round trip ' out || fail 'a node without a key keeps the round trip from being told'
bad 5 'EST' --dir EST send --to EST --subject S two # nobody but EST could ever read it

# An import too: what parleyd took may have been shared. (It is killed between connection and request now and then: then it took nothing.)
connections() { grep -c ' [^ ]*FIN/parley.sock$' /proc/net/unix || true; }
has_one_more() { [ "$(connections)" -gt "$before" ]; }
for ((n = 0; n < 10; n++)); do
  kill -STOP "${pids[FIN]}"
  before=$(connections)
  "$parley" "${f[@]}" indicator import fin.json --tlp green >import.out 2>import.err &
  importer=$!
  until_true 'import has a connection' has_one_more
  stop FIN KILL
  code=0
  wait $importer || code=$?
  start FIN
  [ "$code" -eq 3 ] || break
done
[ "$code" -eq 10 ] && grep -q 'parleyd took the call and gave no answer' import.err && grep -q 'part may have been shared' import.err &&
  grep -q 'import it again' import.err || { cp import.out out; cp import.err err; fail 'import does not say what is known of objects that parleyd took and did not answer'; }
ok '^0 objects shared at TLP:GREEN, 1 shared before|^1 object shared at TLP:GREEN' "${f[@]}" indicator import fin.json --tlp green
# One that is interrupted says what is in: at first nothing is known of what parleyd took, then batches have been answered.
{
  printf '{"type":"bundle","id":"bundle--0f7c2a19-9e0b-4b36-8d2b-2d9f2f1a7a01","objects":['
  for ((n = 0; n < 20000; n++)); do
    [ $n -eq 0 ] || printf ','
    printf '{"type":"url","id":"url--0f7c2a19-9e0b-4b36-8d2b-%012d","value":"http://%d.example/"}' $n $n
  done
  printf ']}'
} >many.json
# interrupted WHEN PATTERN OPTION...: once WHEN is so
interrupted() {
  local when=$1 pattern=$2
  shift 2
  kill -STOP "${pids[FIN]}"
  before=$(connections)
  : >import.err
  env --default-signal=INT "$parley" "${f[@]}" indicator import many.json --tlp green "$@" >import.out 2>import.err &
  importer=$!
  until_true 'import has a connection' has_one_more
  [ "$when" = has_one_more ] || kill -CONT "${pids[FIN]}"
  until_true 'import is under way' "$when"
  kill -INT $importer 2>/dev/null || true
  code=0
  wait $importer || code=$?
  kill -CONT "${pids[FIN]}"
  cp import.out out; cp import.err err
  [ "$code" -ne 0 ] || return 0 # it was done already
  [ "$code" -eq 130 ] || fail "import ends with $code when it is interrupted"
  grep -qE "interrupted.*$pattern" err && grep -q 'import the file again for the rest: what is there already is recognised' err ||
    fail 'import that is interrupted does not say what is in'
}
has_urls() { ask FIN indicator list --type url --limit 1 && [ "$(answer total)" -gt 0 ]; }
interrupted has_one_more 'some of the 20,000 objects may have been shared'
interrupted has_one_more 'some of the 20,000 objects may have been shared' --json
"$pick" error <err >/dev/null || fail 'an interrupted import --json does not say it in JSON'
for ((n = 0; n < 10; n++)); do
  interrupted has_urls '([0-9,]+ of|some of the) 20,000 objects (are in, perhaps more|may have been shared)'
  ! grep -q '[0-9] of 20,000 objects are in, perhaps more' err || break
done
[ $n -lt 10 ] || fail 'import that is interrupted never says how many are in'
ok '^[0-9,]+ objects? shared at TLP:GREEN, [1-9][0-9,]* shared before, 0 refused$' "${f[@]}" indicator import many.json --tlp green

# --- a feed that is frozen: what is not said to anybody is not said to be ---
stop SGP TERM
rm SGP/store.db.feed
start SGP
ok '^FROZEN ' "${s[@]}" status
ask SGP inbox --unread
ref=$(answer messages.0.ref)
bad 5 "the message was not accepted: this node's feed is frozen" "${s[@]}" accept "$ref"
grep -q '"code":"feed_frozen"' err || fail 'accept of a frozen node has another code than send'
ok "^$ref .* unread$" "${s[@]}" inbox --unread --unaccepted
ok "^NUMBER +$ref" "${s[@]}" read "$ref"
grep -q "^parley: its sender gets no receipt: this node's feed is frozen$" err || fail 'read does not say that no receipt goes out'
run "${s[@]}" receipts "$ref"
! grep -qE '^SGP +(read|accepted)' out || fail 'a frozen node shows a receipt that nobody gets'
run "${s[@]}" inbox --unread
! grep -q "^$ref " out || fail 'what was read on a frozen node stays unread'

# --- a daemon that is asked to stop ---
stop FIN TERM
bad 3 'there is no FIN/parley.sock' "${f[@]}" send --to SGP --subject S two
grep -q 'not sent' err || run "${f[@]}" send --to SGP --subject S two
grep -q 'the message was not sent' err || fail 'send does not say that nothing was sent'
bad 3 'there is no FIN/parley.sock' "${f[@]}" status
no_leftovers
echo "cli_daemon.sh: $runs runs of parley"
